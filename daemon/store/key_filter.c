#include "daemon/store/key_filter.h"

#include <assert.h>
#include <string.h>

#include "daemon/base/mem.h"

#define BITS    (KEY_FILTER_BYTES * 8)
#define TRIES   14 /* ln 2 times the bits of a key */
#define ABREAST 32u

/* 32 filters, crosswise. 640 KiB, so a group is made when a run needs it and goes with its last one. */
struct group {
	uint32_t taken; /* which of the 32 are runs */
	uint32_t said;  /* the last answer */
	union {
		uint32_t rows[BITS];
		uint64_t pairs[BITS / 2];
	};
};

struct key_filters {
	struct group **groups; /* [n]; NULL: not made, or gone */
	unsigned n;
};

/* The key is an HMAC, so its own words are the hashes. */
struct walk {
	uint64_t at, step;
};

static struct walk
walk_of(const uint8_t *key)
{
	struct walk w;

	memcpy(&w.at, key, sizeof w.at);
	memcpy(&w.step, key + sizeof w.at, sizeof w.step);
	w.step |= 1;
	return w;
}

static unsigned
walk_next(struct walk *w)
{
	unsigned bit = (unsigned)(w->at % BITS);
	w->at += w->step;
	return bit;
}

void
key_filter_set(uint8_t *filter, const uint8_t key[IDEMPOTENCY_HASH_BYTES])
{
	struct walk w = walk_of(key);

	for (unsigned i = 0; i < TRIES; i++) {
		unsigned bit = walk_next(&w);
		filter[bit / 8] |= (uint8_t)(1u << bit % 8);
	}
}

struct key_filters *
key_filters_new(void)
{
	return mem_new(1, sizeof(struct key_filters));
}

void
key_filters_free(struct key_filters *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->n; i++)
		mem_free(f->groups[i]);
	mem_free(f->groups);
	mem_free(f);
}

/* The first group with room, made if need be. */
static enum err
find_room(struct key_filters *f, unsigned *at_out)
{
	unsigned at = 0;

	while (at < f->n && f->groups[at] && f->groups[at]->taken == UINT32_MAX)
		at++;
	if (at == f->n) {
		struct group **more = mem_grow(f->groups, (f->n + 1) * sizeof *more);
		if (!more)
			return ERR_MEMORY;
		f->groups = more;
		f->groups[f->n++] = NULL;
	}
	if (!f->groups[at] && !(f->groups[at] = mem_new(1, sizeof **f->groups)))
		return ERR_MEMORY;
	*at_out = at;
	return ERR_OK;
}

enum err
key_filters_add(struct key_filters *f, const uint8_t *filter, unsigned *slot_out)
{
	unsigned at, column = 0;
	enum err e = find_room(f, &at);

	if (e != ERR_OK)
		return e;
	struct group *g = f->groups[at];
	while (g->taken >> column & 1)
		column++;
	g->taken |= UINT32_C(1) << column;
	/* Two words at a time: a start reads a filter for every 8,192 keys of a day. */
	uint64_t pairs[4] = {0};
	for (unsigned bits = 0; bits < 4; bits++) {
		const uint32_t two[2] = {(bits & 1) << column, (bits >> 1) << column};
		memcpy(&pairs[bits], two, sizeof two);
	}
	for (unsigned i = 0; i < KEY_FILTER_BYTES; i++) {
		uint64_t *to = &g->pairs[i * 4];
		to[0] |= pairs[filter[i] & 3];
		to[1] |= pairs[filter[i] >> 2 & 3];
		to[2] |= pairs[filter[i] >> 4 & 3];
		to[3] |= pairs[filter[i] >> 6];
	}
	*slot_out = at * ABREAST + column;
	return ERR_OK;
}

void
key_filters_drop(struct key_filters *f, unsigned slot)
{
	struct group *g = slot / ABREAST < f->n ? f->groups[slot / ABREAST] : NULL;
	uint32_t own = UINT32_C(1) << slot % ABREAST;

	assert(g && (g->taken & own));
	g->taken &= ~own;
	if (g->taken == 0) {
		mem_free(g);
		f->groups[slot / ABREAST] = NULL;
		return;
	}
	for (unsigned i = 0; i < BITS; i++)
		g->rows[i] &= ~own;
}

bool
key_filters_ask(struct key_filters *f, const uint8_t key[IDEMPOTENCY_HASH_BYTES])
{
	uint32_t any = 0;

	for (unsigned at = 0; at < f->n; at++) {
		struct group *g = f->groups[at];
		if (!g)
			continue;
		struct walk w = walk_of(key);
		uint32_t left = g->taken;
		for (unsigned i = 0; i < TRIES && left; i++)
			left &= g->rows[walk_next(&w)];
		g->said = left;
		any |= left;
	}
	return any != 0;
}

bool
key_filters_said(const struct key_filters *f, unsigned slot)
{
	const struct group *g = slot / ABREAST < f->n ? f->groups[slot / ABREAST] : NULL;
	return g && (g->said >> slot % ABREAST & 1);
}
