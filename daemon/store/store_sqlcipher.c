/*
 * The store in one SQLCipher file. Tables are as few and as narrow as the facts allow; see store_schema.c for why each
 * is as it is. Rows are written behind: a command's rows wait in the row cache and go into the database once, before
 * the commit, so that a command that is taken back costs the database nothing and needs no savepoint. Only a scan makes
 * them go earlier. Statements are literals: daemon/db knows them by their address.
 */
#include <string.h>
#include <sys/stat.h>

#include "daemon/base/mem.h"
#include "daemon/store/sqlcipher_rows.h"
#include "daemon/store/store_schema.h"

/* Recent rows that are kept to spare their reading: some thousand payments. */
#define CACHE_BYTES ((size_t)1 << 20)

/* ── transactions ── */

static enum err
cipher_begin(void *k)
{
	struct cipher *c = k;
	c->broke = ERR_OK;
	enum err e = db_begin(c->db);
	c->in_batch = e == ERR_OK;
	return e;
}

static void
cipher_rollback(void *k)
{
	struct cipher *c = k;
	db_rollback(c->db);
	logbook_undone(c->log);
	key_index_rolled_back(c->keys);
	row_cache_rolled_back(c->cache);
	c->in_batch = c->marked = c->savepoint = false;
}

static enum err
cipher_commit(void *k)
{
	struct cipher *c = k;
	enum err e = sqlcipher_rows_still_open(c);

	if (e == ERR_OK)
		e = sqlcipher_rows_flush(c);
	if (e == ERR_OK)
		e = key_index_fold(c->keys, c->now_ms);
	if (e == ERR_OK)
		e = logbook_write(c->log);
	if (e == ERR_OK)
		e = db_commit(c->db);
	if (e != ERR_OK) {
		cipher_rollback(c);
		return e;
	}
	logbook_committed(c->log);
	key_index_committed(c->keys);
	row_cache_committed(c->cache);
	c->in_batch = false;
	return ERR_OK;
}

static enum err
cipher_mark(void *k)
{
	struct cipher *c = k;
	row_cache_mark(c->cache);
	c->marked = true;
	return sqlcipher_rows_still_open(c);
}

static enum err
cipher_release(void *k)
{
	struct cipher *c = k;
	enum err e = sqlcipher_rows_still_open(c);

	if (e == ERR_OK && c->savepoint)
		e = db_mark_release(c->db);
	row_cache_mark(c->cache);
	c->marked = c->savepoint = false;
	return e;
}

static void
cipher_undo(void *k)
{
	struct cipher *c = k;
	row_cache_undo(c->cache);
	if (c->savepoint) {
		db_mark_undo(c->db);
		key_index_drop_after(c->keys, c->keys_at_savepoint);
	}
	c->marked = c->savepoint = false;
}

static enum err
cipher_between_batches(void *k, int64_t now_ms)
{
	struct cipher *c = k;
	bool more;

	c->now_ms = now_ms;
	enum err e = key_index_sweep(c->keys, now_ms, &more);
	return e == ERR_OK ? db_between_batches(c->db) : e;
}

/* ── payments ── */

static enum err
payment_row(struct cipher *c, const uint8_t id[STORE_ID_BYTES], const struct row_cache_row **row_out)
{
	struct row_key key = sqlcipher_rows_key(TABLE_PAYMENT, 0, id, STORE_ID_BYTES);

	if ((*row_out = row_cache_get(c->cache, &key)) != NULL)
		return ERR_OK;
	struct stmt *s = db_stmt(c->db, "SELECT state, version, order_hash FROM payment WHERE id = ?1");
	stmt_blob(s, 1, id, STORE_ID_BYTES);
	return sqlcipher_rows_load(c, &key, s, sqlcipher_rows_payment, row_out);
}

static enum err
cipher_payment_get(void *k, const uint8_t id[STORE_ID_BYTES], struct store_blob *state_out, bool *found_out)
{
	const struct row_cache_row *row;
	enum err e = payment_row(k, id, &row);

	*found_out = e == ERR_OK && row->state == ROW_PRESENT;
	if (*found_out)
		*state_out = sqlcipher_rows_behind(row, sizeof(struct payment_head));
	return e;
}

static enum err
cipher_payment_put(void *k, const struct store_payment_row *row, uint32_t was)
{
	struct row_key key = sqlcipher_rows_key(TABLE_PAYMENT, 0, row->id, STORE_ID_BYTES);
	const struct payment_head head = {.version = row->version, .order_hash = row->order_hash};
	const struct row_cache_row *old;
	struct payment_head stands = {0};
	struct cipher *c = k;
	size_t n = 0;

	enum err e = payment_row(c, row->id, &old);
	if (e != ERR_OK)
		return e;
	if (old->state == ROW_PRESENT)
		memcpy(&stands, old->value, sizeof stands);
	if (stands.version != was)
		return ERR_VERSION_CONFLICT;
	e = sqlcipher_rows_put_together(c, &head, sizeof head, row->state, &n);
	return e == ERR_OK ? row_cache_write(c->cache, &key, c->room, n, true) : e;
}

static enum err
cipher_payment_scan(void *k, const struct store_payment_range *range, store_payment_fn visit, void *arg)
{
	struct cipher *c = k;
	struct stmt *s;
	bool found, stop = false;
	enum err e = sqlcipher_rows_settle(c);

	if (e != ERR_OK)
		return e;
	if (range->order_hash) {
		s = db_stmt(c->db, "SELECT id, version, order_hash, state FROM payment WHERE order_hash = ?3 AND id >= ?1 AND "
						   "id < ?2 ORDER BY id DESC");
		stmt_int(s, 3, range->order_hash);
	} else {
		s = db_stmt(c->db,
					"SELECT id, version, order_hash, state FROM payment WHERE id >= ?1 AND id < ?2 ORDER BY id DESC");
	}
	stmt_blob(s, 1, range->least, STORE_ID_BYTES);
	stmt_blob(s, 2, range->below, STORE_ID_BYTES);
	while ((e = stmt_row(s, &found)) == ERR_OK && found && !stop) {
		struct store_payment_row row = {.version = (uint32_t)col_int(s, 1), .order_hash = col_int(s, 2)};
		struct store_blob id = sqlcipher_rows_column(s, 0);
		if (id.n != STORE_ID_BYTES) {
			e = ERR_RECORD_CORRUPT;
			break;
		}
		memcpy(row.id, id.bytes, STORE_ID_BYTES);
		row.state = sqlcipher_rows_column(s, 3);
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
	struct row_key key = sqlcipher_rows_event_key(row->stream, row->version);
	const struct event_head head = {.seq = row->seq, .at_ms = row->at_ms, .type = row->type};
	struct cipher *c = k;
	const struct row_cache_row *old = row_cache_get(c->cache, &key);
	size_t n = 0;

	/* The index has the last word at the flush; the payment's version, which is looked at in the same append, the
	 * first. */
	if (old && old->state == ROW_PRESENT)
		return ERR_VERSION_CONFLICT;
	enum err e = sqlcipher_rows_put_together(c, &head, sizeof head, row->payload, &n);
	/* The first event is what a payment is shown with. */
	return e == ERR_OK ? row_cache_write(c->cache, &key, c->room, n, row->version == 1) : e;
}

static enum err
cipher_event_get(void *k, const uint8_t stream[STORE_ID_BYTES], uint32_t version, struct store_blob *payload_out,
				 bool *found_out)
{
	struct row_key key = sqlcipher_rows_event_key(stream, version);
	struct cipher *c = k;
	const struct row_cache_row *row = row_cache_get(c->cache, &key);
	enum err e = ERR_OK;

	if (!row) {
		struct stmt *s = db_stmt(c->db, "SELECT payload, seq, type, at FROM event WHERE stream = ?1 AND version = ?2");
		stmt_blob(s, 1, stream, STORE_ID_BYTES);
		stmt_int(s, 2, version);
		e = sqlcipher_rows_load(c, &key, s, sqlcipher_rows_event, &row);
	}
	*found_out = e == ERR_OK && row->state == ROW_PRESENT;
	if (*found_out)
		*payload_out = sqlcipher_rows_behind(row, sizeof(struct event_head));
	return e;
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
		struct store_blob stream = sqlcipher_rows_column(s, 1);
		if (stream.n != STORE_ID_BYTES) {
			e = ERR_RECORD_CORRUPT;
			break;
		}
		memcpy(row.stream, stream.bytes, STORE_ID_BYTES);
		row.payload = sqlcipher_rows_column(s, 5);
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
	enum err e = sqlcipher_rows_settle(c);
	if (e != ERR_OK)
		return e;
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
	enum err e = sqlcipher_rows_settle(c);
	if (e != ERR_OK)
		return e;
	struct stmt *s = db_stmt(c->db, "SELECT seq, stream, version, type, at, payload FROM event "
									"WHERE stream > ?1 ORDER BY stream, version");
	stmt_blob(s, 1, after, STORE_ID_BYTES);
	return visit_events(s, visit, arg);
}

/* ── items ── */

static enum err
item_row(struct cipher *c, enum store_item kind, struct store_blob key, const struct row_cache_row **row_out)
{
	if (key.n > ROW_CACHE_KEY_MAX - 2)
		return ERR_OUT_OF_RANGE;
	struct row_key row = sqlcipher_rows_key(TABLE_ITEM, (uint8_t)kind, key.bytes, key.n);
	if ((*row_out = row_cache_get(c->cache, &row)) != NULL)
		return ERR_OK;
	struct stmt *s = db_stmt(c->db, "SELECT value FROM item WHERE kind = ?1 AND key = ?2");
	stmt_int(s, 1, kind);
	sqlcipher_rows_bind(s, 2, key);
	return sqlcipher_rows_load(c, &row, s, sqlcipher_rows_plain, row_out);
}

static enum err
cipher_item_get(void *k, enum store_item kind, struct store_blob key, struct store_blob *value_out, bool *found_out)
{
	const struct row_cache_row *row;
	enum err e = item_row(k, kind, key, &row);

	*found_out = e == ERR_OK && row->state == ROW_PRESENT;
	if (*found_out)
		*value_out = sqlcipher_rows_behind(row, 0);
	return e;
}

static enum err
cipher_item_put(void *k, enum store_item kind, struct store_blob key, struct store_blob value)
{
	struct cipher *c = k;

	if (key.n > ROW_CACHE_KEY_MAX - 2)
		return ERR_OUT_OF_RANGE;
	struct row_key row = sqlcipher_rows_key(TABLE_ITEM, (uint8_t)kind, key.bytes, key.n);
	return row_cache_write(c->cache, &row, value.n ? value.bytes : (const uint8_t *)"", value.n, true);
}

static enum err
cipher_item_drop(void *k, enum store_item kind, struct store_blob key, bool *was_out)
{
	const struct row_cache_row *old;
	struct cipher *c = k;
	enum err e = item_row(c, kind, key, &old);

	*was_out = e == ERR_OK && old->state == ROW_PRESENT;
	if (!*was_out)
		return e;
	struct row_key row = old->key; /* the write may move what old points to */
	return row_cache_write(c->cache, &row, NULL, 0, false);
}

static enum err
cipher_item_scan(void *k, enum store_item kind, struct store_blob after, bool falling, store_item_fn visit, void *arg)
{
	struct cipher *c = k;
	bool found, stop = false;
	struct stmt *s;
	enum err e = sqlcipher_rows_settle(c);

	if (e != ERR_OK)
		return e;
	if (!falling)
		s = db_stmt(c->db, "SELECT key, value FROM item WHERE kind = ?1 AND key > ?2 ORDER BY key");
	else if (after.n)
		s = db_stmt(c->db, "SELECT key, value FROM item WHERE kind = ?1 AND key < ?2 ORDER BY key DESC");
	else
		s = db_stmt(c->db, "SELECT key, value FROM item WHERE kind = ?1 ORDER BY key DESC");
	stmt_int(s, 1, kind);
	if (!falling || after.n)
		sqlcipher_rows_bind(s, 2, after);
	while ((e = stmt_row(s, &found)) == ERR_OK && found && !stop) {
		e = visit(arg, sqlcipher_rows_column(s, 0), sqlcipher_rows_column(s, 1), &stop);
		if (e != ERR_OK)
			break;
	}
	stmt_done(s);
	return e;
}

/* ── idempotency keys ── */

static enum err
cipher_key_get(void *k, const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob *row_out, bool *found_out)
{
	struct row_key own = sqlcipher_rows_key(TABLE_KEY, 0, key, IDEMPOTENCY_HASH_BYTES);
	struct cipher *c = k;
	const struct row_cache_row *row = row_cache_get(c->cache, &own);

	*found_out = row && row->state == ROW_PRESENT;
	if (*found_out) {
		*row_out = sqlcipher_rows_behind(row, sizeof(int64_t));
		return ERR_OK;
	}
	/* Almost always a new key: the index says so from memory. */
	return key_index_get(c->keys, key, &row_out->bytes, &row_out->n, found_out);
}

static enum err
cipher_key_put(void *k, const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob row, int64_t expires_at_ms)
{
	struct row_key own = sqlcipher_rows_key(TABLE_KEY, 0, key, IDEMPOTENCY_HASH_BYTES);
	struct cipher *c = k;
	size_t n;
	enum err e = sqlcipher_rows_put_together(c, &expires_at_ms, sizeof expires_at_ms, row, &n);
	return e == ERR_OK ? row_cache_write(c->cache, &own, c->room, n, false) : e;
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
	row_cache_close(c->cache);
	key_index_close(c->keys);
	logbook_close(c->log);
	db_close(c->db);
	mem_free(c);
}

static enum err
cipher_open(const struct store_options *options, void **kind_out)
{
	struct db_options how = {.cache_bytes = options->cache_bytes,
							 .wal_bytes_max = options->wal_bytes_max,
							 .must_exist = options->must_exist};
	struct cipher *c = mem_new(1, sizeof *c);
	enum err e = c ? ERR_OK : ERR_MEMORY;

	if (e == ERR_OK && strlen(options->path) >= sizeof c->path)
		e = ERR_OUT_OF_RANGE;
	if (e == ERR_OK)
		e = row_cache_open(CACHE_BYTES, &c->cache);
	if (e == ERR_OK)
		e = db_open(options->path, options->key, &how, &c->db);
	if (e == ERR_OK)
		e = store_schema_migrate(c->db);
	if (e == ERR_OK)
		e = key_index_open(c->db, options->idempotency_ttl_ms, &c->keys);
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
	.event_get = cipher_event_get,
	.event_scan = cipher_event_scan,
	.stream_scan = cipher_stream_scan,
	.streams_scan = cipher_streams_scan,
	.item_get = cipher_item_get,
	.item_put = cipher_item_put,
	.item_drop = cipher_item_drop,
	.item_scan = cipher_item_scan,
	.key_get = cipher_key_get,
	.key_put = cipher_key_put,
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
