#include "daemon/store/sqlcipher_rows.h"

#include <string.h>

/* ── small steps ── */

void
sqlcipher_rows_bind(struct stmt *s, int at, struct store_blob b)
{
	stmt_blob(s, at, b.n ? b.bytes : (const uint8_t *)"", b.n);
}

struct store_blob
sqlcipher_rows_column(struct stmt *s, int at)
{
	struct store_blob b;
	b.bytes = col_blob(s, at, &b.n);
	return b;
}

/*
 * A full disk ends a transaction behind our back. What came after would be a transaction of its own, each statement,
 * and half a batch would stand: so every write looks first.
 */
enum err
sqlcipher_rows_still_open(struct cipher *c)
{
	if (db_in_transaction(c->db))
		return ERR_OK;
	return c->broke != ERR_OK ? c->broke : ERR_DB;
}

static enum err
run(struct cipher *c, struct stmt *s)
{
	enum err e = sqlcipher_rows_still_open(c);

	if (e != ERR_OK) {
		stmt_done(s);
		return e;
	}
	e = stmt_run(s);
	if (e != ERR_OK && e != ERR_DB_CONFLICT)
		c->broke = e;
	return e;
}

/* ── keys and rows in the cache: numbers in the machine's order, they never leave it ── */

struct row_key
sqlcipher_rows_key(enum table table, uint8_t sub, const void *bytes, size_t n)
{
	struct row_key k = {.n = (uint8_t)(n + 2), .bytes = {(uint8_t)table, sub}};
	memcpy(k.bytes + 2, bytes, n);
	return k;
}

struct row_key
sqlcipher_rows_event_key(const uint8_t stream[STORE_ID_BYTES], uint32_t version)
{
	uint8_t bytes[STORE_ID_BYTES + sizeof version];
	memcpy(bytes, stream, STORE_ID_BYTES);
	memcpy(bytes + STORE_ID_BYTES, &version, sizeof version);
	return sqlcipher_rows_key(TABLE_EVENT, 0, bytes, sizeof bytes);
}

/* head, then body; into c->room */
enum err
sqlcipher_rows_put_together(struct cipher *c, const void *head, size_t n, struct store_blob body, size_t *n_out)
{
	if (n + body.n > sizeof c->room)
		return ERR_OUT_OF_RANGE;
	memcpy(c->room, head, n);
	memcpy(c->room + n, body.bytes, body.n);
	*n_out = n + body.n;
	return ERR_OK;
}

struct store_blob
sqlcipher_rows_behind(const struct row_cache_row *row, size_t head)
{
	return (struct store_blob){row->value + head, row->n - head};
}

/* ── reading through ── */

enum err
sqlcipher_rows_plain(struct cipher *c, struct stmt *s, size_t *n_out)
{
	return sqlcipher_rows_put_together(c, "", 0, sqlcipher_rows_column(s, 0), n_out);
}

enum err
sqlcipher_rows_payment(struct cipher *c, struct stmt *s, size_t *n_out)
{
	const struct payment_head head = {.version = (uint32_t)col_int(s, 1), .order_hash = col_int(s, 2)};
	return sqlcipher_rows_put_together(c, &head, sizeof head, sqlcipher_rows_column(s, 0), n_out);
}

enum err
sqlcipher_rows_event(struct cipher *c, struct stmt *s, size_t *n_out)
{
	const struct event_head head = {
		.seq = (uint64_t)col_int(s, 1), .type = (uint32_t)col_int(s, 2), .at_ms = col_int(s, 3)};
	return sqlcipher_rows_put_together(c, &head, sizeof head, sqlcipher_rows_column(s, 0), n_out);
}

/* *row_out is never NULL on ERR_OK: present or absent. */
enum err
sqlcipher_rows_load(struct cipher *c, const struct row_key *key, struct stmt *s, load_fn how,
					const struct row_cache_row **row_out)
{
	bool found = false;
	size_t n = 0;
	enum err e = stmt_row(s, &found);

	if (e == ERR_OK && found)
		e = how(c, s, &n);
	stmt_done(s);
	return e == ERR_OK ? row_cache_note(c->cache, key, found ? c->room : NULL, n, row_out) : e;
}

/* ── writing behind ── */

static enum err
write_payment(struct cipher *c, const struct row_cache_row *row)
{
	struct stmt *s =
		db_stmt(c->db, "INSERT INTO payment(id, version, order_hash, state) VALUES (?1, ?2, ?3, ?4) "
					   "ON CONFLICT (id) DO UPDATE SET version = excluded.version, state = excluded.state");
	struct payment_head head;

	memcpy(&head, row->value, sizeof head);
	stmt_blob(s, 1, row->key.bytes + 2, STORE_ID_BYTES);
	stmt_int(s, 2, head.version);
	if (head.order_hash)
		stmt_int(s, 3, head.order_hash);
	else
		stmt_null(s, 3);
	sqlcipher_rows_bind(s, 4, sqlcipher_rows_behind(row, sizeof head));
	return run(c, s);
}

static enum err
write_event(struct cipher *c, const struct row_cache_row *row)
{
	struct stmt *s =
		db_stmt(c->db, "INSERT INTO event(seq, stream, version, type, at, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
	struct event_head head;
	uint32_t version;

	memcpy(&head, row->value, sizeof head);
	memcpy(&version, row->key.bytes + 2 + STORE_ID_BYTES, sizeof version);
	stmt_int(s, 1, (int64_t)head.seq);
	stmt_blob(s, 2, row->key.bytes + 2, STORE_ID_BYTES);
	stmt_int(s, 3, version);
	stmt_int(s, 4, head.type);
	stmt_int(s, 5, head.at_ms);
	sqlcipher_rows_bind(s, 6, sqlcipher_rows_behind(row, sizeof head));
	enum err e = run(c, s);
	return e == ERR_DB_CONFLICT ? ERR_VERSION_CONFLICT : e;
}

static enum err
write_item(struct cipher *c, const struct row_cache_row *row)
{
	struct stmt *s = row->state == ROW_PRESENT
						 ? db_stmt(c->db, "REPLACE INTO item(kind, key, value) VALUES (?1, ?2, ?3)")
						 : db_stmt(c->db, "DELETE FROM item WHERE kind = ?1 AND key = ?2");

	stmt_int(s, 1, row->key.bytes[1]);
	sqlcipher_rows_bind(s, 2, (struct store_blob){row->key.bytes + 2, row->key.n - 2u});
	if (row->state == ROW_PRESENT)
		sqlcipher_rows_bind(s, 3, sqlcipher_rows_behind(row, 0));
	return run(c, s);
}

static enum err
write_key(struct cipher *c, const struct row_cache_row *row)
{
	struct store_blob body = sqlcipher_rows_behind(row, sizeof(int64_t));
	int64_t expires_at_ms;

	memcpy(&expires_at_ms, row->value, sizeof expires_at_ms);
	enum err e = sqlcipher_rows_still_open(c);
	if (e == ERR_OK)
		e = key_index_add(c->keys, row->key.bytes + 2, body.bytes, body.n, expires_at_ms);
	if (e != ERR_OK)
		c->broke = e;
	return e;
}

/* Table by table, so that each B-tree's pages and statement are used while they are warm. */
enum err
sqlcipher_rows_flush(struct cipher *c)
{
	static enum err (*const write[])(struct cipher *, const struct row_cache_row *) = {[TABLE_PAYMENT] = write_payment,
																					   [TABLE_EVENT] = write_event,
																					   [TABLE_ITEM] = write_item,
																					   [TABLE_KEY] = write_key};
	for (uint8_t table = TABLE_PAYMENT; table <= TABLE_KEY; table++) {
		struct row_cache_row *row;
		for (size_t at = 0; (row = row_cache_next(c->cache, table, &at)) != NULL;) {
			enum err e = write[table](c, row);
			if (e != ERR_OK)
				return e;
			row_cache_stored(row);
		}
	}
	return ERR_OK;
}

/*
 * Before a scan: what was written must be in the database. In the middle of a command that wrote, the database is first
 * brought to what it was at the mark, and a real savepoint remembers that.
 */
enum err
sqlcipher_rows_settle(struct cipher *c)
{
	enum err e = ERR_OK;

	if (!c->in_batch)
		return ERR_OK;
	if (c->marked && !c->savepoint && row_cache_wrote_since_mark(c->cache)) {
		row_cache_swap(c->cache);
		e = sqlcipher_rows_flush(c);
		if (e == ERR_OK)
			e = db_mark(c->db);
		row_cache_swap(c->cache);
		c->savepoint = e == ERR_OK;
		c->keys_at_savepoint = key_index_added(c->keys);
	}
	return e == ERR_OK ? sqlcipher_rows_flush(c) : e;
}
