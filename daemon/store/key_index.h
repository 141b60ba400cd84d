/*
 * key_index — idempotency keys in a database: a day of random keys without a random write for each.
 * How: new keys go to the end of a log table and into an index in memory. A full log is folded, a few keys with every
 *   commit, into a run: the same keys in order, written once, with a Bloom filter that stays in memory (key_filter.h).
 *   A run goes as a whole when its last key has expired. A look-up is memory, and a read only for a key that is (most
 *   surely) there.
 * Invariants: the newest row of a key is found; a row is in its log until its run is whole in the same transaction;
 *   what a rolled-back transaction did is undone in memory too.
 * Why: keys are random, so that a B-tree of them costs a page per payment as soon as it is larger than the cache; that
 *   was more than all other writes of a payment together.
 */
#ifndef DAEMON_STORE_KEY_INDEX_H
#define DAEMON_STORE_KEY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/db/db.h"
#include "daemon/domain/idempotency.h"

#define KEY_INDEX_ROW_MAX 256

struct key_index;

/* The tables, for the list of migrations. */
extern const char key_index_schema[], key_index_sharper[];

/* Reads the logs' keys and the runs' filters. ttl_ms: keys that live longer are kept in runs of their own. */
enum err key_index_open(struct db *d, int64_t ttl_ms, struct key_index **out) MUST;
void key_index_close(struct key_index *x); /* NULL is fine */

/* The newest stored row of the key, expired or not; borrowed until the next call. */
enum err key_index_get(struct key_index *x, const uint8_t key[IDEMPOTENCY_HASH_BYTES], const uint8_t **row_out,
					   size_t *n_out, bool *found_out) MUST;

/* In a transaction: one more row (it supersedes an older one of the key). ERR_OUT_OF_RANGE (KEY_INDEX_ROW_MAX) ·
 * ERR_LIMIT (no memory to fold for very long) · db's. */
enum err key_index_add(struct key_index *x, const uint8_t key[IDEMPOTENCY_HASH_BYTES], const uint8_t *row, size_t n,
					   int64_t expires_at_ms) MUST;
/* How many were added in the transaction, and take back those after the first n (their savepoint was undone). */
unsigned key_index_added(const struct key_index *x);
void key_index_drop_after(struct key_index *x, unsigned n);
/* In the same transaction, last: fold a part of a full log, in proportion to what was added. */
enum err key_index_fold(struct key_index *x, int64_t now_ms) MUST;
/* Exactly one of them after the transaction. */
void key_index_committed(struct key_index *x);
void key_index_rolled_back(struct key_index *x);

/* In a transaction of its own: a part of a run that has expired. *more_out false: there was none. */
enum err key_index_sweep(struct key_index *x, int64_t now_ms, bool *more_out) MUST;
/* How many runs there are (tests, facts). */
unsigned key_index_runs(const struct key_index *x);

#endif
