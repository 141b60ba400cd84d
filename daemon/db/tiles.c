#include "daemon/db/tiles.h"

#include <assert.h>
#include <string.h>

#include "daemon/base/mem.h"

#define TILE_BYTES (TILE_HASHES * HASH_BYTES)
#define TILE_BITS  8

/* Root of 2^bits hashes, folded in place of a copy. */
static void
fold(const uint8_t (*hash)[HASH_BYTES], unsigned n, uint8_t out[HASH_BYTES])
{
	uint8_t work[TILE_HASHES][HASH_BYTES];
	assert(n >= 1 && n <= TILE_HASHES && (n & (n - 1)) == 0);
	memcpy(work, hash, (size_t)n * HASH_BYTES);
	for (; n > 1; n /= 2)
		for (unsigned i = 0; i < n / 2; i++)
			tree_node_hash(work[2 * i], work[2 * i + 1], work[i]);
	memcpy(out, work[0], HASH_BYTES);
}

static uint64_t
count_at(uint64_t size, unsigned level)
{
	return size >> (TILE_BITS * level);
}

/* ── loading ── */

static enum err
load_leaves(struct tiles *t)
{
	uint64_t first = count_at(t->size, 1) * TILE_HASHES;
	struct tile *o = &t->open[0];
	struct stmt *s = db_stmt(t->db, "SELECT seq, record FROM leaf WHERE seq >= ?1 ORDER BY seq");
	stmt_int(s, 1, (int64_t)first);
	for (;;) {
		bool row;
		enum err e = stmt_row(s, &row);
		if (e != ERR_OK)
			return e;
		if (!row)
			break;
		size_t bytes = 0;
		const void *record = col_blob(s, 1, &bytes);
		if (o->n == TILE_HASHES || col_int(s, 0) != (int64_t)(first + o->n)) {
			stmt_done(s);
			return ERR_CRYPTO;
		}
		tree_leaf_hash(record, bytes, o->hash[o->n++]);
	}
	return o->n == t->size % TILE_HASHES ? ERR_OK : ERR_CRYPTO;
}

static enum err
load_roots(struct tiles *t, unsigned level)
{
	uint64_t count = count_at(t->size, level), first = count / TILE_HASHES * TILE_HASHES;
	struct tile *o = &t->open[level];
	struct stmt *s = db_stmt(t->db, "SELECT idx, root FROM tile WHERE level = ?1 AND idx >= ?2 ORDER BY idx");
	stmt_int(s, 1, level - 1);
	stmt_int(s, 2, (int64_t)first);
	for (;;) {
		bool row;
		enum err e = stmt_row(s, &row);
		if (e != ERR_OK)
			return e;
		if (!row)
			break;
		size_t bytes = 0;
		const void *root = col_blob(s, 1, &bytes);
		if (o->n == TILE_HASHES || col_int(s, 0) != (int64_t)(first + o->n) || bytes != HASH_BYTES) {
			stmt_done(s);
			return ERR_CRYPTO;
		}
		memcpy(o->hash[o->n++], root, HASH_BYTES);
	}
	return o->n == count - first ? ERR_OK : ERR_CRYPTO;
}

enum err
tiles_load(struct tiles *t, struct db *d, uint64_t size)
{
	memset(t, 0, sizeof *t);
	t->db = d;
	t->size = size;
	if (count_at(size, TILE_LEVELS) != 0)
		return ERR_LIMIT;
	enum err e = load_leaves(t);
	for (unsigned level = 1; e == ERR_OK && level < TILE_LEVELS; level++)
		e = load_roots(t, level);
	return e;
}

/* ── appending ── */

static enum err
write_tile(struct tiles *t, unsigned level, uint64_t at, const uint8_t root[HASH_BYTES])
{
	struct stmt *s = db_stmt(t->db, "INSERT INTO tile(level, idx, root, hashes) VALUES (?1, ?2, ?3, ?4)");
	stmt_int(s, 1, level);
	stmt_int(s, 2, (int64_t)at);
	stmt_blob(s, 3, root, HASH_BYTES);
	stmt_blob(s, 4, t->open[level].hash, TILE_BYTES);
	return stmt_run(s);
}

enum err
tiles_append(struct tiles *t, const uint8_t leaf_hash[HASH_BYTES])
{
	uint8_t hash[HASH_BYTES];
	if (count_at(t->size + 1, TILE_LEVELS) != 0)
		return ERR_LIMIT;
	memcpy(hash, leaf_hash, HASH_BYTES);
	t->size++;
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		struct tile *o = &t->open[level];
		memcpy(o->hash[o->n++], hash, HASH_BYTES);
		if (o->n < TILE_HASHES)
			break;
		fold((const uint8_t(*)[HASH_BYTES])o->hash, TILE_HASHES, hash);
		enum err e = write_tile(t, level, count_at(t->size, level + 1) - 1, hash);
		if (e != ERR_OK)
			return e;
		o->n = 0;
	}
	return ERR_OK;
}

/* ── any subtree ── */

/* Root of the complete subtree number `at` of 2^bits leaves. */
static enum err
node_of(struct tiles *t, unsigned bits, uint64_t at, uint8_t out[HASH_BYTES])
{
	unsigned level = bits / TILE_BITS, n = 1u << (bits % TILE_BITS);
	uint64_t first = at * n, tile = first / TILE_HASHES;
	unsigned in_tile = (unsigned)(first % TILE_HASHES);
	if (level >= TILE_LEVELS)
		return ERR_OUT_OF_RANGE;
	if (tile == count_at(t->size, level) / TILE_HASHES) {
		if (in_tile + n > t->open[level].n)
			return ERR_OUT_OF_RANGE;
		fold((const uint8_t(*)[HASH_BYTES])t->open[level].hash + in_tile, n, out);
		return ERR_OK;
	}
	struct stmt *s = db_stmt(t->db, "SELECT hashes FROM tile WHERE level = ?1 AND idx = ?2");
	bool row;
	size_t bytes = 0;
	stmt_int(s, 1, level);
	stmt_int(s, 2, (int64_t)tile);
	enum err e = stmt_row(s, &row);
	if (e != ERR_OK)
		return e;
	const uint8_t *hashes = row ? col_blob(s, 0, &bytes) : NULL;
	if (bytes == TILE_BYTES)
		fold((const uint8_t(*)[HASH_BYTES])(const void *)(hashes + (size_t)in_tile * HASH_BYTES), n, out);
	else
		e = ERR_CRYPTO;
	stmt_done(s);
	return e;
}

enum err
tiles_range(struct tiles *t, uint64_t first, uint64_t end, uint8_t out[HASH_BYTES])
{
	uint8_t part[64][HASH_BYTES];
	unsigned n = 0;
	if (end > t->size || first >= end)
		return ERR_OUT_OF_RANGE;
	/* Complete subtrees from the left, ever smaller … */
	while (first < end) {
		unsigned bits = 63 - (unsigned)__builtin_clzll(end - first);
		if (first & ((UINT64_C(1) << bits) - 1))
			return ERR_OUT_OF_RANGE;
		enum err e = node_of(t, bits, first >> bits, part[n++]);
		if (e != ERR_OK)
			return e;
		first += UINT64_C(1) << bits;
	}
	/* … folded from the right. */
	memcpy(out, part[--n], HASH_BYTES);
	while (n > 0)
		tree_node_hash(part[--n], out, out);
	return ERR_OK;
}

/* ── proofs: found from the root downwards, told from the leaf upwards ── */

static void
reverse(uint8_t (*proof)[HASH_BYTES], size_t n)
{
	uint8_t kept[HASH_BYTES];
	for (size_t i = 0; i < n / 2; i++) {
		memcpy(kept, proof[i], HASH_BYTES);
		memcpy(proof[i], proof[n - 1 - i], HASH_BYTES);
		memcpy(proof[n - 1 - i], kept, HASH_BYTES);
	}
}

/* One step of RFC 6962's split: go where `left` says, and give the root of the other side. */
static enum err
step(struct tiles *t, uint64_t *first, uint64_t *end, uint64_t goal, uint8_t out[HASH_BYTES])
{
	uint64_t middle = *first + (UINT64_C(1) << (63 - __builtin_clzll(*end - *first - 1)));
	uint64_t from = *first, to = middle;
	if (goal < middle) {
		from = middle;
		to = *end;
		*end = middle;
	} else {
		*first = middle;
	}
	return tiles_range(t, from, to, out);
}

enum err
tiles_inclusion(struct tiles *t, uint64_t index, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES], size_t *n_out)
{
	uint64_t first = 0, end = size;
	size_t n = 0;
	if (index >= size || size > t->size)
		return ERR_OUT_OF_RANGE;
	while (end - first > 1) {
		enum err e = step(t, &first, &end, index, proof_out[n++]);
		if (e != ERR_OK)
			return e;
	}
	reverse(proof_out, n);
	*n_out = n;
	return ERR_OK;
}

enum err
tiles_consistency(struct tiles *t, uint64_t old_size, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
				  size_t *n_out)
{
	uint64_t first = 0, end = size;
	size_t n = 0;
	enum err e = ERR_OK;
	if (old_size > size || size > t->size)
		return ERR_OUT_OF_RANGE;
	*n_out = 0;
	if (old_size == 0 || old_size == size)
		return ERR_OK;
	/* down to the right edge of the old tree */
	while (e == ERR_OK && end != old_size)
		e = step(t, &first, &end, old_size - 1, proof_out[n++]);
	/* The verifier has the old root itself when the old tree is one complete subtree. */
	if (e == ERR_OK && first > 0)
		e = tiles_range(t, first, end, proof_out[n++]);
	if (e != ERR_OK)
		return e;
	reverse(proof_out, n);
	*n_out = n;
	return ERR_OK;
}
