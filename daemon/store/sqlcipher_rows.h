/*
 * sqlcipher_rows — rows between the cache and the database: read through, written behind.
 * Invariants: a row that the open batch wrote is in the cache until the commit; the database has the batch's rows after
 *   sqlcipher_rows_settle; a transaction that SQLite ended by itself gets no further write.
 */
#ifndef DAEMON_STORE_SQLCIPHER_ROWS_H
#define DAEMON_STORE_SQLCIPHER_ROWS_H

#include "daemon/db/db.h"
#include "daemon/db/logbook.h"
#include "daemon/store/key_index.h"
#include "daemon/store/row_cache.h"
#include "daemon/store/store_ops.h"

enum table { TABLE_PAYMENT = 1, TABLE_EVENT, TABLE_ITEM, TABLE_KEY };

struct cipher {
	struct db *db;
	struct logbook *log;
	struct row_cache *cache;
	struct key_index *keys;
	char path[256];
	enum err broke;        /* why SQLite ended the transaction by itself, if it did */
	bool in_batch, marked; /* marked: a command is under way */
	bool savepoint;        /* its rows had to go into the database */
	unsigned keys_at_savepoint;
	int64_t now_ms;
	uint8_t room[65536 + 64]; /* to put a row together */
};

/* What stands before the body of a row in the cache; numbers in the machine's order, they never leave it. */
struct payment_head {
	int64_t order_hash;
	uint32_t version;
};
struct event_head {
	uint64_t seq;
	int64_t at_ms;
	uint32_t type;
};

/* Keys in the cache: sub tells items' kinds apart. */
struct row_key sqlcipher_rows_key(enum table table, uint8_t sub, const void *bytes, size_t n);
struct row_key sqlcipher_rows_event_key(const uint8_t stream[STORE_ID_BYTES], uint32_t version);

void sqlcipher_rows_bind(struct stmt *s, int at, struct store_blob b);
struct store_blob sqlcipher_rows_column(struct stmt *s, int at);
/* head, then body, into c->room. ERR_OUT_OF_RANGE. */
enum err sqlcipher_rows_put_together(struct cipher *c, const void *head, size_t n, struct store_blob body,
									 size_t *n_out) MUST;
/* A cached row's body, behind its head. */
struct store_blob sqlcipher_rows_behind(const struct row_cache_row *row, size_t head);

/* The statement's one row, if any, put into the cache: columns from 1 on are the head's numbers, 0 is the body. */
typedef enum err (*load_fn)(struct cipher *c, struct stmt *s, size_t *n_out);
enum err sqlcipher_rows_plain(struct cipher *c, struct stmt *s, size_t *n_out) MUST;
enum err sqlcipher_rows_payment(struct cipher *c, struct stmt *s, size_t *n_out) MUST;
enum err sqlcipher_rows_event(struct cipher *c, struct stmt *s, size_t *n_out) MUST;
/* Run a SELECT of at most one row and remember what it said; *row_out is present or absent, never NULL on ERR_OK. */
enum err sqlcipher_rows_load(struct cipher *c, const struct row_key *key, struct stmt *s, load_fn how,
							 const struct row_cache_row **row_out) MUST;

/* Why the transaction is gone, if it is. */
enum err sqlcipher_rows_still_open(struct cipher *c) MUST;
/* Everything that was written goes into the database. */
enum err sqlcipher_rows_flush(struct cipher *c) MUST;
/* The same before a scan: in the middle of a command a real savepoint keeps the way back. Nothing outside a batch. */
enum err sqlcipher_rows_settle(struct cipher *c) MUST;

#endif
