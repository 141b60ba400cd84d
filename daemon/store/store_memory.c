/*
 * The readable specification of a store: one sorted list of rows, and a journal of what to put back. Nothing is kept
 * when it is closed. Whatever another kind of store does, seen from outside it must do this.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/store/store_ops.h"

#define KEY_MAX 128

/* First byte of a key: which table. */
enum table { TABLE_PAYMENT = 1, TABLE_STREAM, TABLE_SEQUENCE, TABLE_ITEM, TABLE_KEY };

struct key {
	uint8_t bytes[KEY_MAX];
	size_t n;
};

struct row {
	struct key key;
	uint8_t *value; /* owned */
	size_t n;
};

/* What stood there before a write; value NULL: nothing did. */
struct journal {
	struct key key;
	uint8_t *value;
	size_t n;
};

struct record {
	char *text;
	size_t n;
	uint8_t hash[HASH_BYTES];
};

struct memory {
	struct row *rows; /* by key */
	size_t n_rows, rows_room;
	struct journal *journal;
	size_t n_journal, journal_room, journal_at_mark;
	/* the log: committed records, then those of the batch */
	struct record *records;
	size_t n_committed, n_records, records_room;
	struct tree tree; /* committed */
	char origin[NOTE_ORIGIN_MAX], install[40], proc[16], note[NOTE_BYTES_MAX];
	size_t note_bytes;
	uint64_t note_size;
};

/* ── keys ── */

static void
key_add(struct key *k, const void *bytes, size_t n)
{
	assert(k->n + n <= KEY_MAX);
	memcpy(k->bytes + k->n, bytes, n);
	k->n += n;
}

static void
key_add_number(struct key *k, uint64_t v, unsigned bytes)
{
	for (unsigned i = bytes; i-- > 0;)
		k->bytes[k->n++] = (uint8_t)(v >> 8 * i);
}

static struct key
key_of(enum table table, uint8_t sub)
{
	return (struct key){.bytes = {(uint8_t)table, sub}, .n = 2};
}

static uint64_t
number_of(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;
	while (bytes-- > 0)
		v = v << 8 | *p++;
	return v;
}

static int
compare(const struct key *a, const struct key *b)
{
	int c = memcmp(a->bytes, b->bytes, a->n < b->n ? a->n : b->n);
	return c ? c : (a->n > b->n) - (a->n < b->n);
}

/* Where the key stands, or would stand. */
static size_t
place(const struct memory *m, const struct key *k, bool *found_out)
{
	size_t low = 0, high = m->n_rows;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(&m->rows[middle].key, k) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found_out = low < m->n_rows && compare(&m->rows[low].key, k) == 0;
	return low;
}

/* Is this row of the table that the key begins with? */
static bool
same_table(const struct row *row, const struct key *prefix)
{
	return row->key.n >= 2 && memcmp(row->key.bytes, prefix->bytes, 2) == 0;
}

/* ── writing, with the way back ── */

static bool
grow(void **array, size_t *room, size_t n, size_t size)
{
	if (n < *room)
		return true;
	size_t more = *room ? *room * 2 : 64;
	void *p = mem_grow(*array, more * size);
	if (!p)
		return false;
	*array = p;
	*room = more;
	return true;
}

/* Takes ownership of value; NULL removes the row. Never fails: grow has been asked before. */
static void
set(struct memory *m, const struct key *k, uint8_t *value, size_t n)
{
	bool found;
	size_t at = place(m, k, &found);

	if (found && value) {
		mem_free(m->rows[at].value);
		m->rows[at].value = value;
		m->rows[at].n = n;
	} else if (found) {
		mem_free(m->rows[at].value);
		memmove(m->rows + at, m->rows + at + 1, (--m->n_rows - at) * sizeof *m->rows);
	} else if (value) {
		memmove(m->rows + at + 1, m->rows + at, (m->n_rows++ - at) * sizeof *m->rows);
		m->rows[at] = (struct row){.key = *k, .value = value, .n = n};
	}
}

static enum err
write_row(struct memory *m, const struct key *k, const void *value, size_t n)
{
	uint8_t *copy = value ? mem_new(1, n ? n : 1) : NULL, *old = NULL;
	bool found;
	size_t at = place(m, k, &found);

	if (found && !(old = mem_new(1, m->rows[at].n ? m->rows[at].n : 1)))
		goto no_memory;
	if ((value && !copy) || !grow((void **)&m->journal, &m->journal_room, m->n_journal, sizeof *m->journal) ||
		!grow((void **)&m->rows, &m->rows_room, m->n_rows, sizeof *m->rows))
		goto no_memory;
	if (found)
		memcpy(old, m->rows[at].value, m->rows[at].n);
	m->journal[m->n_journal++] = (struct journal){.key = *k, .value = old, .n = found ? m->rows[at].n : 0};
	if (value)
		memcpy(copy, value, n);
	set(m, k, copy, n);
	return ERR_OK;
no_memory:
	mem_free(copy);
	mem_free(old);
	return ERR_MEMORY;
}

static void
put_back(struct memory *m, size_t until)
{
	while (m->n_journal > until) {
		struct journal *j = &m->journal[--m->n_journal];
		set(m, &j->key, j->value, j->n);
	}
}

static bool
read_row(const struct memory *m, const struct key *k, struct store_blob *out)
{
	bool found;
	size_t at = place(m, k, &found);

	if (found)
		*out = (struct store_blob){m->rows[at].value, m->rows[at].n};
	return found;
}

/* ── transactions ── */

static enum err
memory_begin(void *k)
{
	(void)k;
	return ERR_OK;
}

static void
drop_records(struct memory *m, size_t from)
{
	while (m->n_records > from)
		mem_free(m->records[--m->n_records].text);
}

static enum err
memory_commit(void *k)
{
	struct memory *m = k;

	while (m->n_journal > 0)
		mem_free(m->journal[--m->n_journal].value);
	for (; m->n_committed < m->n_records; m->n_committed++)
		tree_append(&m->tree, m->records[m->n_committed].hash);
	return ERR_OK;
}

static void
memory_rollback(void *k)
{
	struct memory *m = k;
	put_back(m, 0);
	drop_records(m, m->n_committed);
}

static enum err
memory_mark(void *k)
{
	struct memory *m = k;
	m->journal_at_mark = m->n_journal;
	return ERR_OK;
}

static enum err
memory_nothing(void *k)
{
	(void)k;
	return ERR_OK;
}

static void
memory_undo(void *k)
{
	struct memory *m = k;
	put_back(m, m->journal_at_mark);
}

/* ── payments: version, order hash, state ── */

static struct key
payment_key(const uint8_t id[STORE_ID_BYTES])
{
	struct key k = key_of(TABLE_PAYMENT, 0);
	key_add(&k, id, STORE_ID_BYTES);
	return k;
}

static void
payment_of(const struct row *r, struct store_payment_row *out)
{
	memcpy(out->id, r->key.bytes + 2, STORE_ID_BYTES);
	out->version = (uint32_t)number_of(r->value, 4);
	out->order_hash = (int64_t)number_of(r->value + 4, 8);
	out->state = (struct store_blob){r->value + 12, r->n - 12};
}

static enum err
memory_payment_get(void *k, const uint8_t id[STORE_ID_BYTES], struct store_blob *state_out, bool *found_out)
{
	struct key key = payment_key(id);
	struct store_blob row;

	*found_out = read_row(k, &key, &row);
	if (*found_out)
		*state_out = (struct store_blob){row.bytes + 12, row.n - 12};
	return ERR_OK;
}

static enum err
memory_payment_put(void *k, const struct store_payment_row *row, uint32_t was)
{
	struct key key = payment_key(row->id), head = {.n = 0};
	struct store_blob old;
	uint8_t *value = mem_new(1, 12 + row->state.n);
	uint32_t stands = read_row(k, &key, &old) ? (uint32_t)number_of(old.bytes, 4) : 0;

	if (!value)
		return ERR_MEMORY;
	key_add_number(&head, row->version, 4);
	key_add_number(&head, (uint64_t)row->order_hash, 8);
	memcpy(value, head.bytes, head.n);
	memcpy(value + 12, row->state.bytes, row->state.n);
	enum err e = stands == was ? write_row(k, &key, value, 12 + row->state.n) : ERR_VERSION_CONFLICT;
	mem_free(value);
	return e;
}

static enum err
memory_payment_scan(void *k, const struct store_payment_range *range, store_payment_fn visit, void *arg)
{
	const struct memory *m = k;
	struct key below = payment_key(range->below);
	struct store_payment_row row;
	bool found, stop = false;
	size_t at = place(m, &below, &found);
	enum err e = ERR_OK;

	while (at-- > 0 && e == ERR_OK && !stop && same_table(&m->rows[at], &below)) {
		payment_of(&m->rows[at], &row);
		if (memcmp(row.id, range->least, STORE_ID_BYTES) < 0)
			break;
		if (range->order_hash == 0 || range->order_hash == row.order_hash)
			e = visit(arg, &row, &stop);
	}
	return e;
}

/* ── events: by stream and version the row (sequence, type, time, payload), by sequence its key ── */

static struct key
stream_key(const uint8_t stream[STORE_ID_BYTES], uint32_t version)
{
	struct key k = key_of(TABLE_STREAM, 0);
	key_add(&k, stream, STORE_ID_BYTES);
	key_add_number(&k, version, 4);
	return k;
}

static struct key
sequence_key(uint64_t seq)
{
	struct key k = key_of(TABLE_SEQUENCE, 0);
	key_add_number(&k, seq, 8);
	return k;
}

static void
event_of(const struct row *r, struct store_event_row *out)
{
	memcpy(out->stream, r->key.bytes + 2, STORE_ID_BYTES);
	out->version = (uint32_t)number_of(r->key.bytes + 2 + STORE_ID_BYTES, 4);
	out->seq = number_of(r->value, 8);
	out->type = (uint32_t)number_of(r->value + 8, 4);
	out->at_ms = (int64_t)number_of(r->value + 12, 8);
	out->payload = (struct store_blob){r->value + 20, r->n - 20};
}

static enum err
memory_event_last(void *k, uint64_t *seq_out)
{
	const struct memory *m = k;
	struct key end = sequence_key(UINT64_MAX);
	bool found;
	size_t at = place(m, &end, &found);

	*seq_out = at > 0 && same_table(&m->rows[at - 1], &end) ? number_of(m->rows[at - 1].key.bytes + 2, 8) : 0;
	return ERR_OK;
}

static enum err
memory_event_add(void *k, const struct store_event_row *row)
{
	struct key by_stream = stream_key(row->stream, row->version), by_seq = sequence_key(row->seq), head = {.n = 0};
	struct store_blob there;

	if (read_row(k, &by_stream, &there) || read_row(k, &by_seq, &there))
		return ERR_VERSION_CONFLICT;
	uint8_t *value = mem_new(1, 20 + row->payload.n);
	if (!value)
		return ERR_MEMORY;
	key_add_number(&head, row->seq, 8);
	key_add_number(&head, row->type, 4);
	key_add_number(&head, (uint64_t)row->at_ms, 8);
	memcpy(value, head.bytes, head.n);
	memcpy(value + 20, row->payload.bytes, row->payload.n);
	enum err e = write_row(k, &by_stream, value, 20 + row->payload.n);
	if (e == ERR_OK)
		e = write_row(k, &by_seq, by_stream.bytes, by_stream.n);
	mem_free(value);
	return e;
}

static enum err
memory_event_get(void *k, const uint8_t stream[STORE_ID_BYTES], uint32_t version, struct store_blob *payload_out,
				 bool *found_out)
{
	struct key key = stream_key(stream, version);
	struct store_blob row;

	*found_out = read_row(k, &key, &row);
	if (*found_out)
		*payload_out = (struct store_blob){row.bytes + 20, row.n - 20};
	return ERR_OK;
}

static enum err
memory_event_scan(void *k, uint64_t after_seq, store_event_fn visit, void *arg)
{
	const struct memory *m = k;
	struct key from = sequence_key(after_seq + 1), key = {.n = 0};
	struct store_event_row row;
	bool found, stop = false;
	size_t at = place(m, &from, &found);
	enum err e = ERR_OK;

	for (; at < m->n_rows && same_table(&m->rows[at], &from) && e == ERR_OK && !stop; at++) {
		key.n = 0;
		key_add(&key, m->rows[at].value, m->rows[at].n);
		size_t event = place(m, &key, &found);
		assert(found);
		event_of(&m->rows[event], &row);
		e = visit(arg, &row, &stop);
	}
	return e;
}

/* Rows from `from` on while their keys begin with `prefix_n` bytes of it. */
static enum err
scan_streams(const struct memory *m, const struct key *from, size_t prefix_n, store_event_fn visit, void *arg)
{
	struct store_event_row row;
	bool found, stop = false;
	size_t at = place(m, from, &found);
	enum err e = ERR_OK;

	for (; at < m->n_rows && memcmp(m->rows[at].key.bytes, from->bytes, prefix_n) == 0 && e == ERR_OK && !stop; at++) {
		event_of(&m->rows[at], &row);
		e = visit(arg, &row, &stop);
	}
	return e;
}

static enum err
memory_stream_scan(void *k, const uint8_t stream[STORE_ID_BYTES], uint32_t after_version, store_event_fn visit,
				   void *arg)
{
	struct key from = stream_key(stream, after_version + 1);
	return scan_streams(k, &from, 2 + STORE_ID_BYTES, visit, arg);
}

static enum err
memory_streams_scan(void *k, const uint8_t after[STORE_ID_BYTES], store_event_fn visit, void *arg)
{
	struct key from = stream_key(after, UINT32_MAX);
	return scan_streams(k, &from, 2, visit, arg);
}

/* ── items ── */

static struct key
item_key(enum store_item kind, struct store_blob key)
{
	struct key k = key_of(TABLE_ITEM, (uint8_t)kind);
	key_add(&k, key.bytes, key.n);
	return k;
}

static enum err
memory_item_get(void *k, enum store_item kind, struct store_blob key, struct store_blob *value_out, bool *found_out)
{
	struct key item = item_key(kind, key);
	*found_out = read_row(k, &item, value_out);
	return ERR_OK;
}

static enum err
memory_item_put(void *k, enum store_item kind, struct store_blob key, struct store_blob value)
{
	struct key item = item_key(kind, key);
	return write_row(k, &item, value.bytes, value.n);
}

static enum err
memory_item_drop(void *k, enum store_item kind, struct store_blob key, bool *was_out)
{
	struct key item = item_key(kind, key);
	struct store_blob old;

	*was_out = read_row(k, &item, &old);
	return *was_out ? write_row(k, &item, NULL, 0) : ERR_OK;
}

static enum err
memory_item_scan(void *k, enum store_item kind, struct store_blob after, bool falling, store_item_fn visit, void *arg)
{
	const struct memory *m = k;
	struct key from = item_key(kind, after);
	bool found, stop = false;
	enum err e = ERR_OK;

	if (falling && after.n == 0)
		from = key_of(TABLE_ITEM, (uint8_t)(kind + 1)); /* the end of this kind is the begin of the next */
	const struct key table = key_of(TABLE_ITEM, (uint8_t)kind);
	size_t at = place(m, &from, &found);
	at = falling ? at - 1 : at + found; /* below 0 wraps round and ends the loop */
	for (; at < m->n_rows && same_table(&m->rows[at], &table) && e == ERR_OK && !stop; at += falling ? (size_t)-1 : 1) {
		const struct row *r = &m->rows[at];
		e = visit(arg, (struct store_blob){r->key.bytes + 2, r->key.n - 2}, (struct store_blob){r->value, r->n}, &stop);
	}
	return e;
}

/* ── idempotency keys: expiry, row ── */

static struct key
idempotency_key(const uint8_t *key)
{
	struct key k = key_of(TABLE_KEY, 0);
	key_add(&k, key, IDEMPOTENCY_HASH_BYTES);
	return k;
}

static enum err
memory_key_get(void *k, const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob *row_out, bool *found_out)
{
	struct key own = idempotency_key(key);
	struct store_blob row;

	*found_out = read_row(k, &own, &row);
	if (*found_out)
		*row_out = (struct store_blob){row.bytes + 8, row.n - 8};
	return ERR_OK;
}

static enum err
memory_key_put(void *k, const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob row, int64_t expires_at_ms)
{
	struct key own = idempotency_key(key), head = {.n = 0};
	uint8_t *value = mem_new(1, 8 + row.n);

	if (!value)
		return ERR_MEMORY;
	key_add_number(&head, (uint64_t)expires_at_ms, 8);
	memcpy(value, head.bytes, head.n);
	memcpy(value + 8, row.bytes, row.n);
	enum err e = write_row(k, &own, value, 8 + row.n);
	mem_free(value);
	return e;
}

static enum err
memory_between_batches(void *k, int64_t now_ms)
{
	struct memory *m = k;
	const struct key first = key_of(TABLE_KEY, 0);
	bool found;

	for (size_t at = place(m, &first, &found); at < m->n_rows && same_table(&m->rows[at], &first);) {
		struct key key = m->rows[at].key;
		if ((int64_t)number_of(m->rows[at].value, 8) < now_ms)
			set(m, &key, NULL, 0);
		else
			at++;
	}
	return ERR_OK;
}

/* ── the log ── */

static enum err
memory_leaf(void *k, const struct leaf *l, uint64_t *seq_out)
{
	struct memory *m = k;
	struct leaf whole = *l;
	char text[LEAF_BYTES_MAX];
	size_t n = 0;

	whole.seq = m->n_records;
	whole.wall_ms = clock_wall_ms();
	whole.mono_ms = clock_mono_ms();
	whole.install = m->install;
	whole.proc = m->proc;
	enum err e = leaf_encode(&whole, text, &n);
	if (e != ERR_OK)
		return e;
	if (!grow((void **)&m->records, &m->records_room, m->n_records, sizeof *m->records))
		return ERR_MEMORY;
	struct record *r = &m->records[m->n_records];
	if (!(r->text = mem_new(1, n)))
		return ERR_MEMORY;
	memcpy(r->text, text, n);
	r->n = n;
	tree_leaf_hash(text, n, r->hash);
	if (seq_out)
		*seq_out = whole.seq;
	m->n_records++;
	return ERR_OK;
}

static size_t
memory_leaves_queued(void *k)
{
	const struct memory *m = k;
	return m->n_records - m->n_committed;
}

static void
memory_leaves_drop_after(void *k, size_t n)
{
	struct memory *m = k;
	drop_records(m, m->n_committed + n);
}

static void
memory_log_position(void *k, struct checkpoint *out)
{
	const struct memory *m = k;
	memcpy(out->origin, m->origin, sizeof out->origin);
	out->size = m->tree.size;
	tree_root(&m->tree, out->root);
}

static enum err
memory_log_read(void *k, uint64_t from, uint32_t limit, size_t bytes_max, struct buf *out, uint32_t *count_out)
{
	const struct memory *m = k;
	enum err e = ERR_OK;

	*count_out = 0;
	for (; from < m->n_committed && *count_out < limit && e == ERR_OK; from++) {
		const struct record *r = &m->records[from];
		const uint8_t head[4] = {0, 0, (uint8_t)(r->n >> 8), (uint8_t)r->n};
		if (bytes_max < r->n + sizeof head)
			break;
		bytes_max -= r->n + sizeof head;
		e = buf_add(out, head, sizeof head);
		if (e == ERR_OK)
			e = buf_add(out, r->text, r->n);
		*count_out += e == ERR_OK;
	}
	return e;
}

static enum err
memory_log_hash(void *k, uint64_t i, uint8_t out[HASH_BYTES])
{
	const struct memory *m = k;
	if (i >= m->n_committed)
		return ERR_OUT_OF_RANGE;
	memcpy(out, m->records[i].hash, HASH_BYTES);
	return ERR_OK;
}

static enum err
memory_log_root(void *k, uint64_t size, uint8_t out[HASH_BYTES])
{
	const struct memory *m = k;
	struct tree t = {0};

	if (size > m->n_committed)
		return ERR_OUT_OF_RANGE;
	for (uint64_t i = 0; i < size; i++)
		tree_append(&t, m->records[i].hash);
	tree_root(&t, out);
	return ERR_OK;
}

static enum err
memory_log_consistency(void *k, uint64_t old_size, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
					   size_t *n_out)
{
	return tree_consistency(old_size, size, memory_log_hash, k, proof_out, n_out);
}

static enum err
memory_note_get(void *k, char note_out[NOTE_BYTES_MAX], size_t *bytes_out, uint64_t *size_out)
{
	const struct memory *m = k;
	memcpy(note_out, m->note, m->note_bytes);
	*bytes_out = m->note_bytes;
	*size_out = m->note_size;
	return ERR_OK;
}

static enum err
memory_note_set(void *k, const char *note, size_t bytes, uint64_t size)
{
	struct memory *m = k;
	if (bytes > sizeof m->note)
		return ERR_OUT_OF_RANGE;
	memcpy(m->note, note, bytes);
	m->note_bytes = bytes;
	m->note_size = size;
	return ERR_OK;
}

static uint64_t
memory_bytes(void *k)
{
	const struct memory *m = k;
	uint64_t n = 0;
	for (size_t i = 0; i < m->n_rows; i++)
		n += m->rows[i].key.n + m->rows[i].n;
	return n;
}

/* ── opening ── */

static void
memory_close(void *k)
{
	struct memory *m = k;

	while (m->n_journal > 0)
		mem_free(m->journal[--m->n_journal].value);
	for (size_t i = 0; i < m->n_rows; i++)
		mem_free(m->rows[i].value);
	drop_records(m, 0);
	mem_free(m->rows);
	mem_free(m->journal);
	mem_free(m->records);
	mem_free(m);
}

static void
copy_text(char *to, size_t bytes, const char *from)
{
	size_t n = from ? strnlen(from, bytes - 1) : 0;
	memcpy(to, from ? from : "", n);
	to[n] = 0;
}

static enum err
memory_open(const struct store_options *options, void **kind_out)
{
	struct memory *m = mem_new(1, sizeof *m);

	if (!m)
		return ERR_MEMORY;
	copy_text(m->origin, sizeof m->origin, options->origin);
	copy_text(m->install, sizeof m->install, options->install);
	copy_text(m->proc, sizeof m->proc, options->proc);
	*kind_out = m;
	return ERR_OK;
}

const struct store_ops store_memory = {
	.name = "memory",
	.open = memory_open,
	.close = memory_close,
	.begin = memory_begin,
	.commit = memory_commit,
	.rollback = memory_rollback,
	.mark = memory_mark,
	.release = memory_nothing,
	.undo = memory_undo,
	.between_batches = memory_between_batches,
	.payment_get = memory_payment_get,
	.payment_put = memory_payment_put,
	.payment_scan = memory_payment_scan,
	.event_last = memory_event_last,
	.event_add = memory_event_add,
	.event_get = memory_event_get,
	.event_scan = memory_event_scan,
	.stream_scan = memory_stream_scan,
	.streams_scan = memory_streams_scan,
	.item_get = memory_item_get,
	.item_put = memory_item_put,
	.item_drop = memory_item_drop,
	.item_scan = memory_item_scan,
	.key_get = memory_key_get,
	.key_put = memory_key_put,
	.leaf = memory_leaf,
	.leaves_queued = memory_leaves_queued,
	.leaves_drop_after = memory_leaves_drop_after,
	.log_position = memory_log_position,
	.log_read = memory_log_read,
	.log_hash = memory_log_hash,
	.log_root = memory_log_root,
	.log_consistency = memory_log_consistency,
	.note_get = memory_note_get,
	.note_set = memory_note_set,
	.bytes = memory_bytes,
};
