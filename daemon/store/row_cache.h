/*
 * row_cache — rows by key: what the open batch wrote and has not stored yet, and what was read or written lately.
 * Invariants: a row that the batch wrote is never given up before the batch ends; what a rolled-back batch wrote is
 *   unknown afterwards; undo gives every row that was written since the mark the value it had then.
 * Why: a command's rows are written once, at the end of the batch, so that taking a command back costs nothing in the
 *   database, and the same payment is not read four times on its road.
 */
#ifndef DAEMON_STORE_ROW_CACHE_H
#define DAEMON_STORE_ROW_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define ROW_CACHE_KEY_MAX 72

enum row_state {
	ROW_UNKNOWN, /* ask the database */
	ROW_ABSENT,
	ROW_PRESENT
};

struct row_key {
	uint8_t n;
	uint8_t bytes[ROW_CACHE_KEY_MAX]; /* bytes[0]: which table */
};

/* Borrowed from the cache; valid until the next call that is not row_cache_get or row_cache_next. */
struct row_cache_row {
	struct row_key key;
	enum row_state state;
	bool dirty; /* not stored yet */
	uint8_t *value;
	size_t n;
};

struct row_cache;

/* Keeps about bytes_max of rows that are stored. ERR_MEMORY. */
enum err row_cache_open(size_t bytes_max, struct row_cache **out) MUST;
void row_cache_close(struct row_cache *c); /* NULL is fine */

/* The row, or NULL when nothing is known about it. */
const struct row_cache_row *row_cache_get(struct row_cache *c, const struct row_key *key);
/* What the database said: value, or absent (value NULL). Nothing is changed if the key is known. ERR_MEMORY. */
enum err row_cache_note(struct row_cache *c, const struct row_key *key, const void *value, size_t n,
						const struct row_cache_row **row_out) MUST;
/* Write (value NULL: remove). keep: likely to be read soon, so worth keeping after the commit. ERR_MEMORY: nothing
 * changed. */
enum err row_cache_write(struct row_cache *c, const struct row_key *key, const void *value, size_t n, bool keep) MUST;

void row_cache_mark(struct row_cache *c);
void row_cache_undo(struct row_cache *c);
/* Has anything been written since the mark? */
bool row_cache_wrote_since_mark(const struct row_cache *c);
/*
 * row_cache_swap: exchange the rows written since the mark with what they were at the mark. Twice is as they were. Lets
 * the database be brought to the mark's state before a savepoint.
 */
void row_cache_swap(struct row_cache *c);

/* Dirty rows of a table in the order of their first writing; start with *at 0. NULL: no more. */
struct row_cache_row *row_cache_next(struct row_cache *c, uint8_t table, size_t *at);
/* It is in the database now. */
void row_cache_stored(struct row_cache_row *row);
/* The batch is over: all is kept clean (and old rows go), or all that it wrote is unknown. */
void row_cache_committed(struct row_cache *c);
void row_cache_rolled_back(struct row_cache *c);

#endif
