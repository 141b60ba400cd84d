#include "daemon/audit/tile.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

void
tile_init(struct tile_set *t, bool keep)
{
	memset(t, 0, sizeof(*t));
	t->keep = keep;
	for (unsigned l = 0; l < TILE_SET_LEVELS; l++) {
		buf_init(&t->level[l].sums, SIZE_MAX / 4);
		buf_init(&t->level[l].bytes, SIZE_MAX / 4);
	}
}

void
tile_clear(struct tile_set *t)
{
	for (unsigned l = 0; l < TILE_SET_LEVELS; l++) {
		buf_clear(&t->level[l].sums);
		buf_clear(&t->level[l].bytes);
	}
	t->size = 0;
}

static void
tile_root(const struct tile_level *l, uint8_t out[HASH_BYTES])
{
	uint8_t pairs[TILE_WIDTH / 2][HASH_BYTES];

	for (unsigned i = 0; i < TILE_WIDTH / 2; i++)
		tree_node_hash(l->now[2 * i], l->now[2 * i + 1], pairs[i]);
	for (unsigned n = TILE_WIDTH / 4; n > 0; n /= 2)
		for (unsigned i = 0; i < n; i++)
			tree_node_hash(pairs[2 * i], pairs[2 * i + 1], pairs[i]);
	memcpy(out, pairs[0], HASH_BYTES);
}

/* A full tile is summed up and becomes one hash of the level above. */
static enum err
close_tile(struct tile_set *t, unsigned level, uint8_t root_out[HASH_BYTES])
{
	struct tile_level *l = &t->level[level];
	uint8_t sum[32];
	enum err e;

	crypto_hash_sha256(sum, l->now[0], TILE_BYTES);
	e = buf_add(&l->sums, sum, sizeof(sum));
	if (!e && t->keep && level > 0)
		e = buf_add(&l->bytes, l->now, TILE_BYTES);
	tile_root(l, root_out);
	l->full++;
	l->width = 0;
	return e;
}

enum err
tile_add(struct tile_set *t, const uint8_t leaf_hash[HASH_BYTES])
{
	uint8_t hash[HASH_BYTES];
	enum err e = ERR_OK;

	memcpy(hash, leaf_hash, HASH_BYTES);
	t->size++;
	for (unsigned l = 0; l < TILE_SET_LEVELS && !e; l++) {
		memcpy(t->level[l].now[t->level[l].width++], hash, HASH_BYTES);
		if (t->level[l].width < TILE_WIDTH)
			return ERR_OK;
		e = close_tile(t, l, hash);
	}
	return e ? e : ERR_LIMIT;
}

/* The frontier is made of the partial tiles: those of the highest level hold the largest subtrees. */
void
tile_tree(const struct tile_set *t, struct tree *out)
{
	unsigned n = 0;

	memset(out, 0, sizeof(*out));
	for (unsigned l = TILE_SET_LEVELS; l-- > 0;) {
		struct tree part = {.size = 0};
		for (unsigned i = 0; i < t->level[l].width; i++)
			tree_append(&part, t->level[l].now[i]);
		n += (unsigned)(tree_frontier(&part, out->frontier[n]) / HASH_BYTES);
	}
	out->size = t->size;
	assert(n == (unsigned)__builtin_popcountll(t->size));
}

/* "1234067" → "x001/x234/067" */
static void
make_path(struct tile_at *at)
{
	char groups[40] = "";
	uint64_t rest = at->index;
	size_t n;

	n = (size_t)snprintf(groups, sizeof(groups), "%03" PRIu64, rest % 1000);
	for (rest /= 1000; rest > 0; rest /= 1000) {
		char shifted[40];
		n = (size_t)snprintf(shifted, sizeof(shifted), "x%03" PRIu64 "/%s", rest % 1000, groups);
		assert(n < sizeof(groups));
		memcpy(groups, shifted, n + 1);
	}
	if (at->width == TILE_WIDTH)
		snprintf(at->path, sizeof(at->path), "tile/%u/%s", at->level, groups);
	else
		snprintf(at->path, sizeof(at->path), "tile/%u/%s.p/%u", at->level, groups, at->width);
}

/* Sets at to the first tile at or after (level, index). */
static bool
seek(const struct tile_set *t, unsigned level, uint64_t index, struct tile_at *at)
{
	for (; level < TILE_SET_LEVELS; level++, index = 0) {
		const struct tile_level *l = &t->level[level];
		at->level = level;
		at->index = index;
		if (index < l->full) {
			at->width = TILE_WIDTH;
			memcpy(at->sum, buf_at(&l->sums) + index * sizeof(at->sum), sizeof(at->sum));
			make_path(at);
			return true;
		}
		if (index == l->full && l->width > 0) {
			at->width = l->width;
			crypto_hash_sha256(at->sum, l->now[0], (size_t)l->width * HASH_BYTES);
			make_path(at);
			return true;
		}
	}
	return false;
}

bool
tile_first(const struct tile_set *t, struct tile_at *out)
{
	return seek(t, 0, 0, out);
}

bool
tile_next(const struct tile_set *t, struct tile_at *at)
{
	return seek(t, at->level, at->index + 1, at);
}

const uint8_t *
tile_bytes(const struct tile_set *t, const struct tile_at *at)
{
	const struct tile_level *l = &t->level[at->level];

	if (at->width < TILE_WIDTH)
		return l->now[0];
	return at->level > 0 && t->keep ? buf_at(&l->bytes) + at->index * TILE_BYTES : NULL;
}
