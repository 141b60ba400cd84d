/*
 * The store in one SQLCipher file. Tables are as few and as narrow as the facts allow; see store_schema.c for why each
 * is as it is. Statements are literals: daemon/db knows them by their address.
 */
#include <string.h>
#include <sys/stat.h>

#include "daemon/base/mem.h"
#include "daemon/db/db.h"
#include "daemon/db/logbook.h"
#include "daemon/store/store_ops.h"
#include "daemon/store/store_schema.h"

struct cipher {
	struct db *db;
	struct logbook *log;
	char path[256];
	enum err broke;                  /* why SQLite ended the transaction by itself, if it did */
	uint8_t sweep_from[STORE_SLOTS]; /* first key byte that a sweep has not been to */
	uint8_t blob[65536];             /* what a get gives: the statement is reset, so that it holds no read lock */
};

/* ── small steps ── */

static void
bind_blob(struct stmt *s, int at, struct store_blob b)
{
	stmt_blob(s, at, b.n ? b.bytes : (const uint8_t *)"", b.n);
}

static struct store_blob
column(struct stmt *s, int at)
{
	struct store_blob b;
	b.bytes = col_blob(s, at, &b.n);
	return b;
}

/*
 * A full disk ends a transaction behind our back. What came after would be a transaction of its own, each statement,
 * and half a batch would stand: so every write looks first.
 */
static enum err
still_open(struct cipher *c)
{
	if (db_in_transaction(c->db))
		return ERR_OK;
	return c->broke != ERR_OK ? c->broke : ERR_DB;
}

static enum err
run(struct cipher *c, struct stmt *s)
{
	enum err e = still_open(c);

	if (e != ERR_OK) {
		stmt_done(s);
		return e;
	}
	e = stmt_run(s);
	if (e != ERR_OK && e != ERR_DB_CONFLICT)
		c->broke = e;
	return e;
}

/* One blob of at most one row, copied. */
static enum err
get_blob(struct cipher *c, struct stmt *s, struct store_blob *out, bool *found_out)
{
	enum err e = stmt_row(s, found_out);

	if (e == ERR_OK && *found_out) {
		struct store_blob b = column(s, 0);
		if (b.n <= sizeof c->blob) {
			memcpy(c->blob, b.bytes ? b.bytes : (const uint8_t *)"", b.n);
			*out = (struct store_blob){c->blob, b.n};
		} else {
			e = ERR_RECORD_CORRUPT;
		}
	}
	stmt_done(s);
	return e;
}

static enum err
conflict_is(enum err e, enum err meaning)
{
	return e == ERR_DB_CONFLICT ? meaning : e;
}

/* ── transactions ── */

static enum err
cipher_begin(void *k)
{
	struct cipher *c = k;
	c->broke = ERR_OK;
	return db_begin(c->db);
}

static void
cipher_rollback(void *k)
{
	struct cipher *c = k;
	db_rollback(c->db);
	logbook_undone(c->log);
}

static enum err
cipher_commit(void *k)
{
	struct cipher *c = k;
	enum err e = still_open(c);

	if (e == ERR_OK)
		e = logbook_write(c->log);
	if (e == ERR_OK)
		e = db_commit(c->db);
	if (e == ERR_OK)
		logbook_committed(c->log);
	else
		cipher_rollback(c);
	return e;
}

static enum err
cipher_mark(void *k)
{
	struct cipher *c = k;
	enum err e = still_open(c);
	return e == ERR_OK ? db_mark(c->db) : e;
}

static enum err
cipher_release(void *k)
{
	struct cipher *c = k;
	enum err e = still_open(c);
	return e == ERR_OK ? db_mark_release(c->db) : e;
}

static void
cipher_undo(void *k)
{
	struct cipher *c = k;
	db_mark_undo(c->db);
}

static enum err
cipher_between_batches(void *k)
{
	struct cipher *c = k;
	return db_between_batches(c->db);
}

/* ── payments ── */

static enum err
cipher_payment_get(void *k, const uint8_t id[STORE_ID_BYTES], struct store_blob *state_out, bool *found_out)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, "SELECT state FROM payment WHERE id = ?1");

	stmt_blob(s, 1, id, STORE_ID_BYTES);
	return get_blob(c, s, state_out, found_out);
}

static enum err
cipher_payment_put(void *k, const struct store_payment_row *row, uint32_t was)
{
	struct cipher *c = k;
	struct stmt *s;

	if (was == 0) {
		s = db_stmt(c->db, "INSERT INTO payment(id, version, order_hash, state) VALUES (?1, ?2, ?3, ?4)");
		if (row->order_hash)
			stmt_int(s, 3, row->order_hash);
		else
			stmt_null(s, 3);
	} else {
		s = db_stmt(c->db, "UPDATE payment SET version = ?2, state = ?4 WHERE id = ?1 AND version = ?3");
		stmt_int(s, 3, was);
	}
	stmt_blob(s, 1, row->id, STORE_ID_BYTES);
	stmt_int(s, 2, row->version);
	bind_blob(s, 4, row->state);
	enum err e = conflict_is(run(c, s), ERR_VERSION_CONFLICT);
	return e == ERR_OK && was != 0 && db_changes(c->db) != 1 ? ERR_VERSION_CONFLICT : e;
}

static enum err
cipher_payment_scan(void *k, const struct store_payment_range *range, store_payment_fn visit, void *arg)
{
	struct cipher *c = k;
	struct stmt *s =
		range->order_hash
			? db_stmt(c->db,
					  "SELECT id, version, order_hash, state FROM payment WHERE order_hash = ?3 AND id >= ?1 AND "
					  "id < ?2 ORDER BY id DESC")
			: db_stmt(c->db,
					  "SELECT id, version, order_hash, state FROM payment WHERE id >= ?1 AND id < ?2 ORDER BY id DESC");
	bool found, stop = false;
	enum err e;

	stmt_blob(s, 1, range->least, STORE_ID_BYTES);
	stmt_blob(s, 2, range->below, STORE_ID_BYTES);
	if (range->order_hash)
		stmt_int(s, 3, range->order_hash);
	while ((e = stmt_row(s, &found)) == ERR_OK && found && !stop) {
		struct store_payment_row row = {.version = (uint32_t)col_int(s, 1), .order_hash = col_int(s, 2)};
		struct store_blob id = column(s, 0);
		if (id.n != STORE_ID_BYTES) {
			e = ERR_RECORD_CORRUPT;
			break;
		}
		memcpy(row.id, id.bytes, STORE_ID_BYTES);
		row.state = column(s, 3);
		e = visit(arg, &row, &stop);
		if (e != ERR_OK)
			break;
	}
	stmt_done(s);
	return e;
}

/* ── events ── */

static enum err
cipher_event_last(void *k, uint64_t *seq_out)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, "SELECT max(seq) FROM event");
	bool found;
	enum err e = stmt_row(s, &found);

	*seq_out = e == ERR_OK && found ? (uint64_t)col_int(s, 0) : 0;
	stmt_done(s);
	return e;
}

static enum err
cipher_event_add(void *k, const struct store_event_row *row)
{
	struct cipher *c = k;
	struct stmt *s =
		db_stmt(c->db, "INSERT INTO event(seq, stream, version, type, at, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");

	stmt_int(s, 1, (int64_t)row->seq);
	stmt_blob(s, 2, row->stream, STORE_ID_BYTES);
	stmt_int(s, 3, row->version);
	stmt_int(s, 4, row->type);
	stmt_int(s, 5, row->at_ms);
	bind_blob(s, 6, row->payload);
	return conflict_is(run(c, s), ERR_VERSION_CONFLICT);
}

static enum err
visit_events(struct stmt *s, store_event_fn visit, void *arg)
{
	bool found, stop = false;
	enum err e;

	while ((e = stmt_row(s, &found)) == ERR_OK && found && !stop) {
		struct store_event_row row = {.seq = (uint64_t)col_int(s, 0),
									  .version = (uint32_t)col_int(s, 2),
									  .type = (uint32_t)col_int(s, 3),
									  .at_ms = col_int(s, 4)};
		struct store_blob stream = column(s, 1);
		if (stream.n != STORE_ID_BYTES) {
			e = ERR_RECORD_CORRUPT;
			break;
		}
		memcpy(row.stream, stream.bytes, STORE_ID_BYTES);
		row.payload = column(s, 5);
		e = visit(arg, &row, &stop);
		if (e != ERR_OK)
			break;
	}
	stmt_done(s);
	return e;
}

static enum err
cipher_event_scan(void *k, uint64_t after_seq, store_event_fn visit, void *arg)
{
	struct cipher *c = k;
	struct stmt *s =
		db_stmt(c->db, "SELECT seq, stream, version, type, at, payload FROM event WHERE seq > ?1 ORDER BY seq");

	stmt_int(s, 1, (int64_t)after_seq);
	return visit_events(s, visit, arg);
}

static enum err
cipher_stream_scan(void *k, const uint8_t stream[STORE_ID_BYTES], uint32_t after_version, store_event_fn visit,
				   void *arg)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, "SELECT seq, stream, version, type, at, payload FROM event "
									"WHERE stream = ?1 AND version > ?2 ORDER BY version");

	stmt_blob(s, 1, stream, STORE_ID_BYTES);
	stmt_int(s, 2, after_version);
	return visit_events(s, visit, arg);
}

static enum err
cipher_streams_scan(void *k, const uint8_t after[STORE_ID_BYTES], store_event_fn visit, void *arg)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, "SELECT seq, stream, version, type, at, payload FROM event "
									"WHERE stream > ?1 ORDER BY stream, version");

	stmt_blob(s, 1, after, STORE_ID_BYTES);
	return visit_events(s, visit, arg);
}

/* ── items ── */

static enum err
cipher_item_get(void *k, enum store_item kind, struct store_blob key, struct store_blob *value_out, bool *found_out)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, "SELECT value FROM item WHERE kind = ?1 AND key = ?2");

	stmt_int(s, 1, kind);
	bind_blob(s, 2, key);
	return get_blob(c, s, value_out, found_out);
}

static enum err
cipher_item_put(void *k, enum store_item kind, struct store_blob key, struct store_blob value)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, "REPLACE INTO item(kind, key, value) VALUES (?1, ?2, ?3)");

	stmt_int(s, 1, kind);
	bind_blob(s, 2, key);
	bind_blob(s, 3, value);
	return run(c, s);
}

static enum err
cipher_item_drop(void *k, enum store_item kind, struct store_blob key, bool *was_out)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, "DELETE FROM item WHERE kind = ?1 AND key = ?2");

	stmt_int(s, 1, kind);
	bind_blob(s, 2, key);
	enum err e = run(c, s);
	*was_out = e == ERR_OK && db_changes(c->db) == 1;
	return e;
}

static enum err
cipher_item_scan(void *k, enum store_item kind, struct store_blob after, bool falling, store_item_fn visit, void *arg)
{
	struct cipher *c = k;
	bool found, stop = false;
	struct stmt *s;
	enum err e;

	if (!falling)
		s = db_stmt(c->db, "SELECT key, value FROM item WHERE kind = ?1 AND key > ?2 ORDER BY key");
	else if (after.n)
		s = db_stmt(c->db, "SELECT key, value FROM item WHERE kind = ?1 AND key < ?2 ORDER BY key DESC");
	else
		s = db_stmt(c->db, "SELECT key, value FROM item WHERE kind = ?1 ORDER BY key DESC");
	stmt_int(s, 1, kind);
	if (!falling || after.n)
		bind_blob(s, 2, after);
	while ((e = stmt_row(s, &found)) == ERR_OK && found && !stop) {
		e = visit(arg, column(s, 0), column(s, 1), &stop);
		if (e != ERR_OK)
			break;
	}
	stmt_done(s);
	return e;
}

/* ── idempotency slots: a table each, so that one is emptied without touching the others ── */

#define SLOT_STATEMENTS(n)                                                 \
	{                                                                      \
		"SELECT row FROM idempotency_" #n " WHERE key = ?1",               \
			"INSERT INTO idempotency_" #n "(key, row) VALUES (?1, ?2)",    \
			"REPLACE INTO idempotency_" #n "(key, row) VALUES (?1, ?2)",   \
			"DELETE FROM idempotency_" #n " WHERE key >= ?1 AND key < ?2", \
	}
enum slot_statement { SLOT_GET, SLOT_PUT, SLOT_REPLACE, SLOT_SWEEP };
static const char *const slot_sql[STORE_SLOTS][4] = {SLOT_STATEMENTS(0), SLOT_STATEMENTS(1), SLOT_STATEMENTS(2),
													 SLOT_STATEMENTS(3), SLOT_STATEMENTS(4), SLOT_STATEMENTS(5),
													 SLOT_STATEMENTS(6), SLOT_STATEMENTS(7)};

static enum err
cipher_slot_get(void *k, unsigned slot, const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob *row_out,
				bool *found_out)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, slot_sql[slot][SLOT_GET]);

	stmt_blob(s, 1, key, IDEMPOTENCY_HASH_BYTES);
	return get_blob(c, s, row_out, found_out);
}

static enum err
cipher_slot_put(void *k, unsigned slot, const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob row, bool replace)
{
	struct cipher *c = k;
	struct stmt *s = db_stmt(c->db, slot_sql[slot][replace ? SLOT_REPLACE : SLOT_PUT]);

	stmt_blob(s, 1, key, IDEMPOTENCY_HASH_BYTES);
	bind_blob(s, 2, row);
	return run(c, s);
}

/* Keys are random, so their first byte cuts a slot into 256 equal parts; one part at a time holds nobody up. */
static enum err
cipher_slot_sweep(void *k, unsigned slot, bool *empty_out)
{
	struct cipher *c = k;
	unsigned part = c->sweep_from[slot];
	/* 17 bytes of 0xff are above every key of 16 */
	uint8_t from[] = {(uint8_t)part}, below[IDEMPOTENCY_HASH_BYTES + 1];
	size_t below_bytes = sizeof below;
	struct stmt *s = db_stmt(c->db, slot_sql[slot][SLOT_SWEEP]);

	memset(below, 0xff, sizeof below);
	if (part < 0xff) {
		below[0] = (uint8_t)(part + 1);
		below_bytes = 1;
	}
	stmt_blob(s, 1, from, sizeof from);
	stmt_blob(s, 2, below, below_bytes);
	enum err e = run(c, s);
	/* After a restart it begins anew: empty parts cost nothing. A rolled-back part is swept once more next time round.
	 */
	*empty_out = part == 0xff;
	c->sweep_from[slot] = (uint8_t)(e == ERR_OK ? part + 1 : 0);
	return e;
}

/* ── the log ── */

static enum err
cipher_leaf(void *k, const struct leaf *l, uint64_t *seq_out)
{
	struct cipher *c = k;
	return logbook_add(c->log, l, seq_out);
}

static size_t
cipher_leaves_queued(void *k)
{
	struct cipher *c = k;
	return logbook_queued(c->log);
}

static void
cipher_leaves_drop_after(void *k, size_t n)
{
	struct cipher *c = k;
	logbook_drop_after(c->log, n);
}

static void
cipher_log_position(void *k, struct checkpoint *out)
{
	struct cipher *c = k;
	logbook_position(c->log, out);
}

static enum err
cipher_log_read(void *k, uint64_t from, uint32_t limit, size_t bytes_max, struct buf *out, uint32_t *count_out)
{
	struct cipher *c = k;
	return logbook_read(c->log, from, limit, bytes_max, out, count_out);
}

static enum err
cipher_log_hash(void *k, uint64_t i, uint8_t out[HASH_BYTES])
{
	struct cipher *c = k;
	return logbook_hash(c->log, i, out);
}

static enum err
cipher_log_root(void *k, uint64_t size, uint8_t out[HASH_BYTES])
{
	struct cipher *c = k;
	return logbook_root(c->log, size, out);
}

static enum err
cipher_log_consistency(void *k, uint64_t old_size, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
					   size_t *n_out)
{
	struct cipher *c = k;
	return logbook_consistency(c->log, old_size, size, proof_out, n_out);
}

static enum err
cipher_note_get(void *k, char note_out[NOTE_BYTES_MAX], size_t *bytes_out, uint64_t *size_out)
{
	struct cipher *c = k;
	return logbook_checkpoint_get(c->log, note_out, bytes_out, size_out);
}

static enum err
cipher_note_set(void *k, const char *note, size_t bytes, uint64_t size)
{
	struct cipher *c = k;
	return logbook_checkpoint_set(c->log, note, bytes, size);
}

static uint64_t
cipher_bytes(void *k)
{
	const struct cipher *c = k;
	struct stat st;
	return (stat(c->path, &st) == 0 ? (uint64_t)st.st_size : 0) + db_wal_bytes(c->db);
}

/* ── opening ── */

static void
cipher_close(void *k)
{
	struct cipher *c = k;
	logbook_close(c->log);
	db_close(c->db);
	mem_free(c);
}

static enum err
cipher_open(const struct store_options *options, void **kind_out)
{
	struct db_options how = {.cache_bytes = options->cache_bytes, .wal_bytes_max = options->wal_bytes_max};
	struct cipher *c = mem_new(1, sizeof *c);
	enum err e = c ? ERR_OK : ERR_MEMORY;

	if (e == ERR_OK && strlen(options->path) >= sizeof c->path)
		e = ERR_OUT_OF_RANGE;
	if (e == ERR_OK)
		e = db_open(options->path, options->key, &how, &c->db);
	if (e == ERR_OK)
		e = store_schema_migrate(c->db);
	if (e == ERR_OK)
		e = logbook_open(c->db, options->origin, options->install, options->proc, &c->log);
	if (e == ERR_OK)
		memcpy(c->path, options->path, strlen(options->path) + 1);
	if (e != ERR_OK && c) {
		cipher_close(c);
		c = NULL;
	}
	*kind_out = c;
	return e;
}

const struct store_ops store_sqlcipher = {
	.name = "sqlcipher",
	.open = cipher_open,
	.close = cipher_close,
	.begin = cipher_begin,
	.commit = cipher_commit,
	.rollback = cipher_rollback,
	.mark = cipher_mark,
	.release = cipher_release,
	.undo = cipher_undo,
	.between_batches = cipher_between_batches,
	.payment_get = cipher_payment_get,
	.payment_put = cipher_payment_put,
	.payment_scan = cipher_payment_scan,
	.event_last = cipher_event_last,
	.event_add = cipher_event_add,
	.event_scan = cipher_event_scan,
	.stream_scan = cipher_stream_scan,
	.streams_scan = cipher_streams_scan,
	.item_get = cipher_item_get,
	.item_put = cipher_item_put,
	.item_drop = cipher_item_drop,
	.item_scan = cipher_item_scan,
	.slot_get = cipher_slot_get,
	.slot_put = cipher_slot_put,
	.slot_sweep = cipher_slot_sweep,
	.leaf = cipher_leaf,
	.leaves_queued = cipher_leaves_queued,
	.leaves_drop_after = cipher_leaves_drop_after,
	.log_position = cipher_log_position,
	.log_read = cipher_log_read,
	.log_hash = cipher_log_hash,
	.log_root = cipher_log_root,
	.log_consistency = cipher_log_consistency,
	.note_get = cipher_note_get,
	.note_set = cipher_note_set,
	.bytes = cipher_bytes,
};
