#include "daemon/store/row_cache.h"

#include <assert.h>
#include <string.h>

#include "daemon/base/mem.h"

#define BUCKETS 4096 /* a power of two */

struct node {
	struct row_cache_row row;
	size_t room;
	bool touched; /* written in this batch */
	bool keep;
	struct node *next_in_bucket, *older, *newer;
};

/* What a row was before a write. */
struct change {
	struct node *node;
	enum row_state state;
	bool dirty;
	uint8_t *value; /* owned */
	size_t n, room;
};

struct row_cache {
	struct node *bucket[BUCKETS];
	struct node *oldest, *newest; /* every node, by when it came */
	size_t bytes, bytes_max;
	struct node **touched; /* in the order of first writing */
	size_t n_touched, touched_room;
	struct change *changes; /* since the mark */
	size_t n_changes, changes_room;
};

/* Keys are table, kind, then ids or HMACs: a multiplication for each eight bytes spreads them well enough. */
static size_t
bucket_of(const struct row_key *key)
{
	uint64_t h = key->n, w;

	for (size_t i = 0; i < key->n; i += sizeof w) {
		memcpy(&w, key->bytes + i, sizeof w); /* keys are zero beyond their end, and the array is a multiple of eight */
		h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return (size_t)(h >> 32) & (BUCKETS - 1);
}

static struct node *
find(const struct row_cache *c, const struct row_key *key)
{
	struct node *n = c->bucket[bucket_of(key)];
	while (n && (n->row.key.n != key->n || memcmp(n->row.key.bytes, key->bytes, key->n) != 0))
		n = n->next_in_bucket;
	return n;
}

static struct node *
add(struct row_cache *c, const struct row_key *key)
{
	struct node *n = mem_new(1, sizeof *n);
	struct node **bucket = &c->bucket[bucket_of(key)];

	if (!n)
		return NULL;
	n->row.key = *key;
	n->next_in_bucket = *bucket;
	*bucket = n;
	n->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = n;
	c->newest = n;
	c->bytes += sizeof *n;
	return n;
}

static void
drop(struct row_cache *c, struct node *n)
{
	struct node **p = &c->bucket[bucket_of(&n->row.key)];

	while (*p != n)
		p = &(*p)->next_in_bucket;
	*p = n->next_in_bucket;
	*(n->older ? &n->older->newer : &c->oldest) = n->newer;
	*(n->newer ? &n->newer->older : &c->newest) = n->older;
	c->bytes -= sizeof *n + n->room;
	mem_free(n->row.value);
	mem_free(n);
}

enum err
row_cache_open(size_t bytes_max, struct row_cache **out)
{
	*out = mem_new(1, sizeof **out);
	if (!*out)
		return ERR_MEMORY;
	(*out)->bytes_max = bytes_max;
	return ERR_OK;
}

static void
forget_changes(struct row_cache *c)
{
	while (c->n_changes > 0)
		mem_free(c->changes[--c->n_changes].value);
}

void
row_cache_close(struct row_cache *c)
{
	if (!c)
		return;
	while (c->oldest)
		drop(c, c->oldest);
	forget_changes(c);
	mem_free(c->changes);
	mem_free(c->touched);
	mem_free(c);
}

const struct row_cache_row *
row_cache_get(struct row_cache *c, const struct row_key *key)
{
	const struct node *n = find(c, key);
	return n && n->row.state != ROW_UNKNOWN ? &n->row : NULL;
}

/* Room for n bytes in the node's value; what it held may be lost. */
static bool
make_room(struct row_cache *c, struct node *node, size_t n)
{
	if (n <= node->room)
		return true;
	uint8_t *value = mem_new(1, n);
	if (!value)
		return false;
	mem_free(node->row.value);
	c->bytes += n - node->room;
	node->row.value = value;
	node->room = n;
	return true;
}

static void
fill(struct node *node, const void *value, size_t n)
{
	node->row.state = value ? ROW_PRESENT : ROW_ABSENT;
	node->row.n = n;
	if (n)
		memcpy(node->row.value, value, n);
}

/* Oldest first; what the batch wrote stays. */
static void
evict(struct row_cache *c)
{
	while (c->bytes > c->bytes_max && c->oldest && !c->oldest->touched)
		drop(c, c->oldest);
}

enum err
row_cache_note(struct row_cache *c, const struct row_key *key, const void *value, size_t n,
			   const struct row_cache_row **row_out)
{
	evict(c);
	struct node *node = find(c, key);
	if (!node)
		node = add(c, key);
	if (!node)
		return ERR_MEMORY;
	if (node->row.state == ROW_UNKNOWN) {
		if (!make_room(c, node, n))
			return ERR_MEMORY;
		fill(node, value, n);
	}
	*row_out = &node->row;
	return ERR_OK;
}

static bool
grow(void **array, size_t *room, size_t n, size_t size)
{
	if (n < *room)
		return true;
	size_t more = *room ? *room * 2 : 256;
	void *p = mem_grow(*array, more * size);
	if (!p)
		return false;
	*array = p;
	*room = more;
	return true;
}

enum err
row_cache_write(struct row_cache *c, const struct row_key *key, const void *value, size_t n, bool keep)
{
	struct node *node = find(c, key);
	/* The old value moves into the journal with its memory; the new one gets its own. */
	uint8_t *own = n ? mem_new(1, n) : NULL;

	if (!node)
		node = add(c, key);
	if (!node || (n && !own) || !grow((void **)&c->changes, &c->changes_room, c->n_changes, sizeof *c->changes) ||
		!grow((void **)&c->touched, &c->touched_room, c->n_touched, sizeof *c->touched)) {
		mem_free(own);
		return ERR_MEMORY;
	}
	struct row_cache_row *row = &node->row;
	c->changes[c->n_changes++] = (struct change){node, row->state, row->dirty, row->value, row->n, node->room};
	if (!node->touched)
		c->touched[c->n_touched++] = node;
	node->touched = true;
	row->dirty = true;
	node->keep = keep;
	c->bytes += n - node->room;
	row->value = own;
	node->room = n;
	fill(node, value, n);
	return ERR_OK;
}

void
row_cache_mark(struct row_cache *c)
{
	forget_changes(c);
}

bool
row_cache_wrote_since_mark(const struct row_cache *c)
{
	return c->n_changes > 0;
}

static void
exchange(struct row_cache *c, struct change *change)
{
	struct node *node = change->node;
	struct change now = {node, node->row.state, node->row.dirty, node->row.value, node->row.n, node->room};

	c->bytes += change->room - node->room;
	node->row.state = change->state;
	node->row.dirty = change->dirty;
	node->row.value = change->value;
	node->row.n = change->n;
	node->room = change->room;
	*change = now;
}

void
row_cache_undo(struct row_cache *c)
{
	for (size_t i = c->n_changes; i-- > 0;)
		exchange(c, &c->changes[i]);
	forget_changes(c);
}

void
row_cache_swap(struct row_cache *c)
{
	/* The last write of a row is exchanged first; on the way back that order is turned round by turning the list. */
	for (size_t i = c->n_changes; i-- > 0;)
		exchange(c, &c->changes[i]);
	for (size_t i = 0; i < c->n_changes / 2; i++) {
		struct change other = c->changes[i];
		c->changes[i] = c->changes[c->n_changes - 1 - i];
		c->changes[c->n_changes - 1 - i] = other;
	}
}

struct row_cache_row *
row_cache_next(struct row_cache *c, uint8_t table, size_t *at)
{
	while (*at < c->n_touched) {
		struct row_cache_row *row = &c->touched[(*at)++]->row;
		if (row->dirty && row->key.bytes[0] == table)
			return row;
	}
	return NULL;
}

void
row_cache_stored(struct row_cache_row *row)
{
	row->dirty = false;
}

void
row_cache_committed(struct row_cache *c)
{
	forget_changes(c);
	for (size_t i = 0; i < c->n_touched; i++) {
		struct node *n = c->touched[i];
		assert(!n->row.dirty);
		n->touched = false;
		if (!n->keep || n->row.state != ROW_PRESENT)
			drop(c, n);
	}
	c->n_touched = 0;
	evict(c);
}

void
row_cache_rolled_back(struct row_cache *c)
{
	forget_changes(c);
	for (size_t i = 0; i < c->n_touched; i++)
		drop(c, c->touched[i]);
	c->n_touched = 0;
	evict(c);
}
