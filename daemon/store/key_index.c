#include "daemon/store/key_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/store/key_filter.h"

#define LOG_KEYS    KEY_FILTER_KEYS    /* a log with so many is folded */
#define BUCKETS     (2 * LOG_KEYS * 2) /* a fold may lag: a log can grow beyond LOG_KEYS, never to this */
#define SWEEP_PARTS 8                  /* a run goes in so many transactions */

const char key_index_schema[] =
	"CREATE TABLE idempotency_log_0(n INTEGER PRIMARY KEY, key BLOB NOT NULL, expires INTEGER NOT NULL,"
	" row BLOB NOT NULL) STRICT;"
	"CREATE TABLE idempotency_log_1(n INTEGER PRIMARY KEY, key BLOB NOT NULL, expires INTEGER NOT NULL,"
	" row BLOB NOT NULL) STRICT;"
	"CREATE TABLE idempotency_key(run INTEGER NOT NULL, key BLOB NOT NULL, row BLOB NOT NULL, PRIMARY KEY (run, key))"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE idempotency_run(run INTEGER PRIMARY KEY, free_after INTEGER NOT NULL, bloom BLOB NOT NULL) STRICT;";
/* Filters of ten bits per key were too blunt for a day of a million payments: each is made anew when it is loaded. */
const char key_index_sharper[] = "UPDATE idempotency_run SET bloom = x'';";

struct entry {
	uint8_t key[IDEMPOTENCY_HASH_BYTES];
	int64_t n; /* rowid in the log; 0: free */
};

/* One log's keys. */
struct log {
	struct entry *entries; /* [BUCKETS], open addressing: keys are uniform, their first bytes are the hash */
	unsigned count;
};

struct run {
	int64_t run, free_after_ms;
	unsigned slot; /* of its filter */
};

/* A run in the making: [0] of ordinary keys, [1] of long-lived ones. */
struct making {
	int64_t free_after_ms;
	unsigned count;
	uint8_t *filter; /* [KEY_FILTER_BYTES], owned */
};

struct fold {
	struct entry *sorted; /* the log's keys in order; NULL: nothing is folded */
	unsigned n, at;       /* all before `at` are in the runs, by committed transactions */
	unsigned log;
	int64_t run; /* number of the first of the two runs */
	struct making runs[2];
};

struct key_index {
	struct db *db;
	int64_t ttl_ms, last_n, next_run;
	struct log logs[2];
	unsigned active; /* which log takes new keys */
	struct fold fold;
	struct run *runs; /* oldest first */
	struct key_filters *filters;
	unsigned n_runs, runs_room;
	unsigned swept; /* parts of the run that is being swept */
	/* what the open transaction did */
	struct entry *added;
	unsigned n_added, added_room, folded_to;
	bool finished;
	uint8_t row[KEY_INDEX_ROW_MAX];
};

/* ── the index of a log ── */

static uint64_t
word(const uint8_t *key, unsigned at)
{
	uint64_t w;
	memcpy(&w, key + at, sizeof w);
	return w;
}

static struct entry *
place(const struct log *l, const uint8_t *key)
{
	size_t i = word(key, 0) & (BUCKETS - 1);
	while (l->entries[i].n != 0 && memcmp(l->entries[i].key, key, IDEMPOTENCY_HASH_BYTES) != 0)
		i = (i + 1) & (BUCKETS - 1);
	return &l->entries[i];
}

static void
log_add(struct log *l, const struct entry *e)
{
	struct entry *to = place(l, e->key);

	assert(l->count < BUCKETS / 2);
	l->count += to->n == 0;
	*to = *e; /* a later row of the same key takes the place of the earlier */
}

static enum err
add_run(struct key_index *x, int64_t run, int64_t free_after_ms, const uint8_t *filter)
{
	unsigned slot;

	if (x->n_runs == x->runs_room) {
		unsigned room = x->runs_room ? x->runs_room * 2 : 16;
		struct run *more = mem_grow(x->runs, room * sizeof *more);
		if (!more)
			return ERR_MEMORY;
		x->runs = more;
		x->runs_room = room;
	}
	enum err e = key_filters_add(x->filters, filter, &slot);
	if (e == ERR_OK)
		x->runs[x->n_runs++] = (struct run){run, free_after_ms, slot};
	return e;
}

/* ── opening ── */

static struct stmt *
log_stmt(struct key_index *x, unsigned log, unsigned which)
{
	static const char *const sql[2][4] = {
		{"SELECT n, key FROM idempotency_log_0 ORDER BY n",
		 "INSERT INTO idempotency_log_0(n, key, expires, row) VALUES (?1, ?2, ?3, ?4)",
		 "SELECT row, expires FROM idempotency_log_0 WHERE n = ?1", "DELETE FROM idempotency_log_0"},
		{"SELECT n, key FROM idempotency_log_1 ORDER BY n",
		 "INSERT INTO idempotency_log_1(n, key, expires, row) VALUES (?1, ?2, ?3, ?4)",
		 "SELECT row, expires FROM idempotency_log_1 WHERE n = ?1", "DELETE FROM idempotency_log_1"}};
	return db_stmt(x->db, sql[log][which]);
}
enum { LOG_LOAD, LOG_ADD, LOG_GET, LOG_CLEAR };

static enum err
load_log(struct key_index *x, unsigned log)
{
	struct stmt *s = log_stmt(x, log, LOG_LOAD);
	bool found;
	enum err e;

	while ((e = stmt_row(s, &found)) == ERR_OK && found) {
		struct entry entry = {.n = col_int(s, 0)};
		size_t n;
		const void *key = col_blob(s, 1, &n);
		if (n != sizeof entry.key || x->logs[log].count >= BUCKETS / 2) {
			e = ERR_RECORD_CORRUPT;
			break;
		}
		memcpy(entry.key, key, n);
		log_add(&x->logs[log], &entry);
		if (entry.n > x->last_n) {
			x->last_n = entry.n;
			x->active = log;
		}
	}
	stmt_done(s);
	return e;
}

/* A run whose filter is of another version gets one of ours from its keys. */
static enum err
make_filter(struct key_index *x, int64_t run, uint8_t *filter)
{
	struct stmt *s = db_stmt(x->db, "SELECT key FROM idempotency_key WHERE run = ?1");
	bool found;
	enum err e;

	stmt_int(s, 1, run);
	while ((e = stmt_row(s, &found)) == ERR_OK && found) {
		size_t n;
		const void *key = col_blob(s, 0, &n);
		if (n != IDEMPOTENCY_HASH_BYTES) {
			e = ERR_RECORD_CORRUPT;
			break;
		}
		key_filter_set(filter, key);
	}
	stmt_done(s);
	if (e != ERR_OK)
		return e;
	s = db_stmt(x->db, "UPDATE idempotency_run SET bloom = ?2 WHERE run = ?1");
	stmt_int(s, 1, run);
	stmt_blob(s, 2, filter, KEY_FILTER_BYTES);
	return stmt_run(s);
}

static enum err
load_run(struct key_index *x, int64_t run, uint8_t *filter)
{
	struct stmt *s = db_stmt(x->db, "SELECT free_after, bloom FROM idempotency_run WHERE run = ?1");
	int64_t free_after_ms = 0;
	bool found;
	size_t n = 0;

	stmt_int(s, 1, run);
	enum err e = stmt_row(s, &found);
	if (e == ERR_OK && found) {
		free_after_ms = col_int(s, 0);
		const void *stored = col_blob(s, 1, &n);
		if (n == KEY_FILTER_BYTES)
			memcpy(filter, stored, n);
		else
			memset(filter, 0, KEY_FILTER_BYTES);
	}
	stmt_done(s);
	if (e == ERR_OK && n != KEY_FILTER_BYTES)
		e = make_filter(x, run, filter);
	return e == ERR_OK ? add_run(x, run, free_after_ms, filter) : e;
}

static enum err
load_runs(struct key_index *x)
{
	uint8_t *filter = mem_new(1, KEY_FILTER_BYTES);
	enum err e = filter && (x->filters = key_filters_new()) ? ERR_OK : ERR_MEMORY;
	bool found = true;

	/* One after the other, and no statement open between them: a filter that is made anew writes. */
	while (e == ERR_OK && found) {
		struct stmt *s = db_stmt(x->db, "SELECT run FROM idempotency_run WHERE run >= ?1 ORDER BY run LIMIT 1");
		stmt_int(s, 1, x->next_run);
		e = stmt_row(s, &found);
		int64_t run = e == ERR_OK && found ? col_int(s, 0) : 0;
		stmt_done(s);
		if (e == ERR_OK && found)
			e = load_run(x, run, filter);
		if (e == ERR_OK && found)
			x->next_run = run + 1;
	}
	mem_free(filter);
	return e;
}

/* A fold that a crash cut short begins anew: what it had written is nobody's. */
static enum err
drop_leftovers(struct key_index *x)
{
	struct stmt *s = db_stmt(x->db, "SELECT 1 FROM idempotency_key WHERE run >= ?1 LIMIT 1");
	bool found = false;

	stmt_int(s, 1, x->next_run);
	enum err e = stmt_row(s, &found);
	stmt_done(s);
	if (e != ERR_OK || !found)
		return e;
	s = db_stmt(x->db, "DELETE FROM idempotency_key WHERE run >= ?1");
	stmt_int(s, 1, x->next_run);
	return stmt_run(s);
}

enum err
key_index_open(struct db *d, int64_t ttl_ms, struct key_index **out)
{
	struct key_index *x = mem_new(1, sizeof *x);
	enum err e = x ? ERR_OK : ERR_MEMORY;

	*out = x;
	if (e != ERR_OK)
		return e;
	x->db = d;
	x->ttl_ms = ttl_ms;
	x->next_run = 1;
	for (unsigned i = 0; i < 2 && e == ERR_OK; i++) {
		x->logs[i].entries = mem_new(BUCKETS, sizeof(struct entry));
		e = x->logs[i].entries ? load_log(x, i) : ERR_MEMORY;
	}
	if (e == ERR_OK)
		e = load_runs(x);
	if (e == ERR_OK)
		e = drop_leftovers(x);
	if (e != ERR_OK) {
		key_index_close(x);
		*out = NULL;
	}
	return e;
}

static void
end_fold(struct key_index *x)
{
	mem_free(x->fold.sorted);
	for (unsigned i = 0; i < 2; i++)
		mem_free(x->fold.runs[i].filter);
	x->fold = (struct fold){0};
}

void
key_index_close(struct key_index *x)
{
	if (!x)
		return;
	end_fold(x);
	key_filters_free(x->filters);
	for (unsigned i = 0; i < 2; i++)
		mem_free(x->logs[i].entries);
	mem_free(x->runs);
	mem_free(x->added);
	mem_free(x);
}

/* ── looking up, newest first ── */

static enum err
take_row(struct key_index *x, struct stmt *s, const uint8_t **row_out, size_t *n_out, bool *found_out)
{
	enum err e = stmt_row(s, found_out);

	if (e == ERR_OK && *found_out) {
		const void *row = col_blob(s, 0, n_out);
		if (*n_out > sizeof x->row)
			e = ERR_RECORD_CORRUPT;
		else
			memcpy(x->row, row, *n_out);
		*row_out = x->row;
	}
	stmt_done(s);
	return e;
}

enum err
key_index_get(struct key_index *x, const uint8_t key[IDEMPOTENCY_HASH_BYTES], const uint8_t **row_out, size_t *n_out,
			  bool *found_out)
{
	enum err e = ERR_OK;

	*found_out = false;
	for (unsigned i = 0; i < 2; i++) {
		unsigned log = i == 0 ? x->active : 1 - x->active;
		const struct entry *there = place(&x->logs[log], key);
		if (there->n == 0)
			continue;
		struct stmt *s = log_stmt(x, log, LOG_GET);
		stmt_int(s, 1, there->n);
		return take_row(x, s, row_out, n_out, found_out);
	}
	if (!key_filters_ask(x->filters, key))
		return ERR_OK;
	for (unsigned i = x->n_runs; i-- > 0 && e == ERR_OK && !*found_out;) {
		if (!key_filters_said(x->filters, x->runs[i].slot))
			continue;
		struct stmt *s = db_stmt(x->db, "SELECT row FROM idempotency_key WHERE run = ?1 AND key = ?2");
		stmt_int(s, 1, x->runs[i].run);
		stmt_blob(s, 2, key, IDEMPOTENCY_HASH_BYTES);
		e = take_row(x, s, row_out, n_out, found_out);
	}
	return e;
}

/* ── adding ── */

enum err
key_index_add(struct key_index *x, const uint8_t key[IDEMPOTENCY_HASH_BYTES], const uint8_t *row, size_t n,
			  int64_t expires_at_ms)
{
	if (n > KEY_INDEX_ROW_MAX)
		return ERR_OUT_OF_RANGE;
	if (x->logs[x->active].count + x->n_added >= BUCKETS / 2)
		return ERR_LIMIT;
	if (x->n_added == x->added_room) {
		unsigned room = x->added_room ? x->added_room * 2 : 256;
		struct entry *more = mem_grow(x->added, room * sizeof *more);
		if (!more)
			return ERR_MEMORY;
		x->added = more;
		x->added_room = room;
	}
	struct entry *e = &x->added[x->n_added];
	struct stmt *s = log_stmt(x, x->active, LOG_ADD);
	memcpy(e->key, key, sizeof e->key);
	e->n = x->last_n + 1 + x->n_added;
	stmt_int(s, 1, e->n);
	stmt_blob(s, 2, key, IDEMPOTENCY_HASH_BYTES);
	stmt_int(s, 3, expires_at_ms);
	stmt_blob(s, 4, row, n);
	enum err err = stmt_run(s);
	if (err == ERR_OK)
		x->n_added++;
	return err;
}

unsigned
key_index_added(const struct key_index *x)
{
	return x->n_added;
}

void
key_index_drop_after(struct key_index *x, unsigned n)
{
	assert(n <= x->n_added);
	x->n_added = n;
}

/* ── folding a full log ── */

static int
by_key(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return memcmp(x->key, y->key, sizeof x->key);
}

/* A full log makes room: the other one takes over. Between transactions only. */
static enum err
begin_fold(struct key_index *x)
{
	const struct log *l = &x->logs[x->active];
	struct fold f = {.log = x->active, .run = x->next_run};

	f.sorted = mem_new(l->count, sizeof *f.sorted);
	f.runs[0].filter = mem_new(1, KEY_FILTER_BYTES);
	f.runs[1].filter = mem_new(1, KEY_FILTER_BYTES);
	if (!f.sorted || !f.runs[0].filter || !f.runs[1].filter) {
		mem_free(f.sorted);
		mem_free(f.runs[0].filter);
		mem_free(f.runs[1].filter);
		return ERR_MEMORY;
	}
	for (size_t i = 0; i < BUCKETS; i++)
		if (l->entries[i].n != 0)
			f.sorted[f.n++] = l->entries[i];
	qsort(f.sorted, f.n, sizeof *f.sorted, by_key);
	x->fold = f;
	x->active = 1 - x->active;
	return ERR_OK;
}

static enum err
fold_one(struct key_index *x, const struct entry *entry, int64_t now_ms)
{
	struct stmt *s = log_stmt(x, x->fold.log, LOG_GET);
	const uint8_t *row;
	size_t n;
	bool found;

	stmt_int(s, 1, entry->n);
	enum err e = stmt_row(s, &found);
	int64_t expires = e == ERR_OK && found ? col_int(s, 1) : 0;
	if (e == ERR_OK && found) {
		row = col_blob(s, 0, &n);
		e = n <= sizeof x->row ? ERR_OK : ERR_RECORD_CORRUPT;
		if (e == ERR_OK)
			memcpy(x->row, row, n);
	}
	stmt_done(s);
	if (e != ERR_OK || expires <= now_ms)
		return e;
	unsigned which = expires - now_ms > x->ttl_ms;
	struct making *m = &x->fold.runs[which];
	s = db_stmt(x->db, "INSERT INTO idempotency_key(run, key, row) VALUES (?1, ?2, ?3)");
	stmt_int(s, 1, x->fold.run + which);
	stmt_blob(s, 2, entry->key, sizeof entry->key);
	stmt_blob(s, 3, x->row, n);
	e = stmt_run(s);
	/* Bits and bounds that a rollback leaves behind are harmless: the same keys come again. */
	key_filter_set(m->filter, entry->key);
	m->count++;
	if (expires > m->free_after_ms)
		m->free_after_ms = expires;
	return e;
}

static enum err
finish_fold(struct key_index *x)
{
	enum err e = ERR_OK;

	for (unsigned i = 0; i < 2 && e == ERR_OK; i++) {
		const struct making *m = &x->fold.runs[i];
		if (m->count == 0)
			continue;
		struct stmt *s = db_stmt(x->db, "INSERT INTO idempotency_run(run, free_after, bloom) VALUES (?1, ?2, ?3)");
		stmt_int(s, 1, x->fold.run + i);
		stmt_int(s, 2, m->free_after_ms);
		stmt_blob(s, 3, m->filter, KEY_FILTER_BYTES);
		e = stmt_run(s);
	}
	if (e == ERR_OK)
		e = stmt_run(log_stmt(x, x->fold.log, LOG_CLEAR));
	x->finished = e == ERR_OK;
	return e;
}

enum err
key_index_fold(struct key_index *x, int64_t now_ms)
{
	struct fold *f = &x->fold;
	/* Twice what came in, so that a fold is over long before the other log is full; all of it if that is near. */
	bool hurry = x->logs[x->active].count + x->n_added > LOG_KEYS;
	unsigned some = hurry ? f->n : 2 * x->n_added;
	enum err e = ERR_OK;

	if (!f->sorted || (some == 0 && f->n > 0))
		return ERR_OK;
	x->folded_to = f->at;
	for (; some > 0 && x->folded_to < f->n && e == ERR_OK; some--)
		e = fold_one(x, &f->sorted[x->folded_to++], now_ms);
	if (e == ERR_OK && x->folded_to == f->n)
		e = finish_fold(x);
	return e;
}

static void
adopt_runs(struct key_index *x)
{
	struct fold *f = &x->fold;

	for (unsigned i = 0; i < 2; i++) {
		struct making *m = &f->runs[i];
		if (m->count == 0)
			continue;
		/* Without memory for its filter the keys would be lost from sight: stopping is the only honest answer. */
		if (add_run(x, f->run + i, m->free_after_ms, m->filter) != ERR_OK)
			abort();
		x->next_run = f->run + i + 1;
	}
	memset(x->logs[f->log].entries, 0, BUCKETS * sizeof(struct entry));
	x->logs[f->log].count = 0;
	end_fold(x);
}

void
key_index_committed(struct key_index *x)
{
	for (unsigned i = 0; i < x->n_added; i++)
		log_add(&x->logs[x->active], &x->added[i]);
	x->last_n += x->n_added;
	if (x->finished)
		adopt_runs(x);
	else if (x->fold.sorted && x->folded_to > x->fold.at)
		x->fold.at = x->folded_to;
	x->n_added = x->folded_to = 0;
	x->finished = false;
	/* Without memory now it is tried again after the next commit; the log has room for as many keys again. */
	if (!x->fold.sorted && x->logs[x->active].count >= LOG_KEYS)
		(void)!begin_fold(x);
}

void
key_index_rolled_back(struct key_index *x)
{
	x->n_added = x->folded_to = 0;
	x->finished = false;
}

/* ── expired runs ── */

enum err
key_index_sweep(struct key_index *x, int64_t now_ms, bool *more_out)
{
	unsigned at = 0;

	while (at < x->n_runs && now_ms <= x->runs[at].free_after_ms)
		at++;
	*more_out = at < x->n_runs;
	if (!*more_out)
		return ERR_OK;
	/* Keys are uniform: their first byte cuts the run into equal parts. 17 bytes of 0xff are above every key. */
	struct run *r = &x->runs[at];
	uint8_t below[IDEMPOTENCY_HASH_BYTES + 1];
	memset(below, 0xff, sizeof below);
	bool last = ++x->swept == SWEEP_PARTS;
	if (!last)
		below[0] = (uint8_t)(x->swept * (256 / SWEEP_PARTS));
	enum err e = db_begin(x->db);
	if (e != ERR_OK)
		return e;
	struct stmt *s = db_stmt(x->db, "DELETE FROM idempotency_key WHERE run = ?1 AND key < ?2");
	stmt_int(s, 1, r->run);
	stmt_blob(s, 2, below, last ? sizeof below : 1);
	e = stmt_run(s);
	if (e == ERR_OK && last) {
		s = db_stmt(x->db, "DELETE FROM idempotency_run WHERE run = ?1");
		stmt_int(s, 1, r->run);
		e = stmt_run(s);
	}
	if (e == ERR_OK)
		e = db_commit(x->db);
	if (e != ERR_OK) {
		db_rollback(x->db);
		x->swept--;
		return e;
	}
	if (last) {
		x->swept = 0;
		key_filters_drop(x->filters, r->slot);
		memmove(r, r + 1, (--x->n_runs - at) * sizeof *r);
	}
	return ERR_OK;
}

unsigned
key_index_runs(const struct key_index *x)
{
	return x->n_runs;
}
