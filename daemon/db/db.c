#include "daemon/db/db.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include <sqlcipher/sqlite3.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#define CACHE_BYTES_PRESET   ((size_t)8 << 20)
#define WAL_BYTES_PRESET     ((size_t)64 << 20)
#define CIPHER_VERSION_LEAST 40601
#define PAGE_BYTES           4096
#define WAL_FRAME_BYTES      (PAGE_BYTES + 24)
/* A passive checkpoint after each such share of the limit: small pauses often instead of a long one seldom. */
#define WAL_SHARE 8
#define STMTS_MAX 1024 /* a power of two */

struct stmt {
	const char *sql; /* a literal: its address is the key */
	sqlite3_stmt *s;
	struct db *db;
	int failed; /* SQLite's code of a failed prepare or bind; told at the next step */
};

struct db {
	sqlite3 *s;
	size_t wal_bytes_max;
	int wal_pages, wal_pages_passive; /* in the WAL now; of these, already copied */
	bool fatal;
	char cipher_version[48];
	unsigned stmts_n;
	struct stmt *stmts[STMTS_MAX]; /* open addressing by address */
};

/* ── the allocator: everything that SQLCipher frees is wiped ── */

static void *
heap_new(int n)
{
	return n > 0 ? malloc((size_t)n) : NULL;
}

static int
heap_size(void *p)
{
	return p ? (int)malloc_usable_size(p) : 0;
}

static void *
heap_grow(void *p, int n)
{
	if (p && (size_t)n <= malloc_usable_size(p))
		return p;
	/* realloc may move without wiping */
	void *q = malloc((size_t)n);
	if (q && p) {
		memcpy(q, p, malloc_usable_size(p));
		mem_free(p);
	}
	return q;
}

static int
heap_round(int n)
{
	return (n + 7) & ~7;
}

static int
heap_start(void *arg)
{
	(void)arg;
	return SQLITE_OK;
}

static void
heap_stop(void *arg)
{
	(void)arg;
}

static const sqlite3_mem_methods heap = {heap_new,   mem_free,   heap_grow, heap_size,
										 heap_round, heap_start, heap_stop, NULL};

/* ── errors ── */

/* A file that was to be there and is not: whoever took it away may bring an older one. */
static enum err
unopened(int code)
{
	return code == ENOENT ? ERR_ROLLBACK : code == EACCES ? ERR_FILE_RIGHTS : ERR_IO;
}

static enum err
err_of(struct db *d, int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return ERR_OK;
	case SQLITE_FULL:
		return ERR_DISK_FULL;
	case SQLITE_IOERR:
		if (code == SQLITE_IOERR_NOMEM)
			return ERR_MEMORY;
		if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)
			d->fatal = true;
		return ERR_IO;
	case SQLITE_CANTOPEN:
		return unopened(d->s ? sqlite3_system_errno(d->s) : 0);
	case SQLITE_READONLY:
		return ERR_IO;
	case SQLITE_NOTADB:
		return ERR_DB_KEY;
	case SQLITE_CONSTRAINT:
		return ERR_DB_CONFLICT;
	case SQLITE_NOMEM:
		return ERR_MEMORY;
	default:
		return ERR_DB;
	}
}

/* The text of SQLite's message can quote SQL, never a bound value; only its number is logged all the same. */
static enum err
told(struct db *d, int code, const char *sql)
{
	enum err e = err_of(d, code);
	if (e != ERR_OK && e != ERR_DB_CONFLICT)
		log_warn("database", LOG_E("cause", e), LOG_I("code", code), LOG_S("sql", sql));
	return e;
}

/* ── opening ── */

struct pragma {
	const char *set, *read, *want;
	bool may_be_silent; /* compiled out: then there is nothing to read back, and nothing to fear */
};

/* Order matters: exclusive before WAL keeps the index of the WAL in our own memory instead of a mapped file. */
static const struct pragma pragmas[] = {
	{"PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "2", false},
	{"PRAGMA mmap_size = 0", "PRAGMA mmap_size", "0", true},
	{"PRAGMA locking_mode = EXCLUSIVE", "PRAGMA locking_mode", "exclusive", false},
	{"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal", false},
	{"PRAGMA synchronous = FULL", "PRAGMA synchronous", "2", false},
	{"PRAGMA trusted_schema = OFF", "PRAGMA trusted_schema", "0", false},
	{"PRAGMA cell_size_check = ON", "PRAGMA cell_size_check", "1", false},
	{"PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "1", false},
	{"PRAGMA page_size", "PRAGMA page_size", "4096", false},
};

/* The first column of the first row as text; "" when there is none. */
static int
ask_text(sqlite3 *s, const char *sql, char *out, size_t out_bytes)
{
	sqlite3_stmt *q = NULL;
	out[0] = '\0';
	int code = sqlite3_prepare_v2(s, sql, -1, &q, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(q);
	if (code == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(q, 0);
		snprintf(out, out_bytes, "%s", text ? text : "");
	}
	int end = sqlite3_finalize(q);
	return code == SQLITE_ROW || code == SQLITE_DONE ? end : code;
}

static enum err
set_pragmas(struct db *d)
{
	char seen[32];
	for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++) {
		const struct pragma *p = &pragmas[i];
		enum err e = told(d, ask_text(d->s, p->set, seen, sizeof seen), p->set);
		if (e == ERR_OK)
			e = told(d, ask_text(d->s, p->read, seen, sizeof seen), p->read);
		if (e != ERR_OK)
			return e;
		if (strcmp(seen, p->want) != 0 && !(p->may_be_silent && seen[0] == '\0')) {
			log_warn("mandatory pragma refused", LOG_S("pragma", p->read), LOG_S("value", seen));
			return ERR_DB;
		}
	}
	return ERR_OK;
}

static enum err
set_limits(struct db *d)
{
	static const struct {
		int option, value;
	} rows[] = {
		{SQLITE_DBCONFIG_DEFENSIVE, 1},
		{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
		{SQLITE_DBCONFIG_DQS_DML, 0},
		{SQLITE_DBCONFIG_DQS_DDL, 0},
		{SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
		{SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
		{SQLITE_DBCONFIG_ENABLE_VIEW, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int is = -1;
		int code = sqlite3_db_config(d->s, rows[i].option, rows[i].value, &is);
		if (code != SQLITE_OK || is != rows[i].value)
			return ERR_DB;
	}
	sqlite3_limit(d->s, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(d->s, SQLITE_LIMIT_WORKER_THREADS, 0);
	return ERR_OK;
}

/* "x'<64 hex>'" is how SQLCipher is told that these are the key's bytes and no passphrase to be stretched. */
static enum err
set_key(struct db *d, const uint8_t key[32])
{
	char text[3 + 64 + 1] = "x'";
	str_hex(key, 32, text + 2);
	text[66] = '\'';
	int code = sqlite3_key_v2(d->s, "main", text, 67);
	mem_wipe(text, sizeof text);
	return told(d, code, "key");
}

static enum err
check_version(struct db *d)
{
	int a = 0, b = 0, c = 0;
	enum err e =
		told(d, ask_text(d->s, "PRAGMA cipher_version", d->cipher_version, sizeof d->cipher_version), "cipher_version");
	if (e != ERR_OK)
		return e;
	if (sscanf(d->cipher_version, "%d.%d.%d", &a, &b, &c) != 3 || a * 10000 + b * 100 + c < CIPHER_VERSION_LEAST) {
		log_warn("SQLCipher is too old", LOG_S("version", d->cipher_version));
		return ERR_DB;
	}
	return ERR_OK;
}

static int
wal_grew(void *arg, sqlite3 *s, const char *name, int pages)
{
	struct db *d = arg;
	(void)s;
	(void)name;
	/* It begins anew after a checkpoint that reached its end. */
	if (pages < d->wal_pages)
		d->wal_pages_passive = 0;
	d->wal_pages = pages;
	return SQLITE_OK;
}

enum err
db_warm(void)
{
	static bool done;
	struct db *d = NULL;
	static const uint8_t key[32] = {1};
	enum err e;
	if (done)
		return ERR_OK;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &heap) != SQLITE_OK ||
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK || sqlite3_initialize() != SQLITE_OK)
		return ERR_DB;
	done = true;
	if (!(d = mem_new(1, sizeof *d)))
		return ERR_MEMORY;
	e = err_of(d, sqlite3_open_v2(":memory:", &d->s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
	if (e == ERR_OK)
		e = set_key(d, key);
	if (e == ERR_OK)
		e = check_version(d);
	/* For the whole process: it would write lines of its own to our stderr. What it says we learn from its codes. */
	if (e == ERR_OK)
		e = err_of(d, sqlite3_exec(d->s, "PRAGMA cipher_log_level = NONE", NULL, NULL, NULL));
	sqlite3_close(d->s);
	mem_free(d);
	return e;
}

static enum err prepare_ends(struct db *d);

static enum err
set_up(struct db *d, const uint8_t key[32], const struct db_options *o)
{
	char text[64];
	enum err e = set_key(d, key);
	/* Before the first read. Half the price of SHA-512 where the CPU has SHA instructions, and as good for 4 KiB pages.
	 */
	if (e == ERR_OK)
		e = told(d, ask_text(d->s, "PRAGMA cipher_hmac_algorithm = HMAC_SHA256", text, sizeof text),
				 "cipher_hmac_algorithm");
	if (e == ERR_OK)
		e = check_version(d);
	if (e == ERR_OK)
		e = set_limits(d);
	/* Before the first read, or the index of an existing WAL would be a file that is mapped and shared. */
	if (e == ERR_OK)
		e = told(d, ask_text(d->s, "PRAGMA locking_mode = EXCLUSIVE", text, sizeof text), "locking_mode");
	/* The first read: says "not a database" when the key is not the file's. */
	if (e == ERR_OK)
		e = told(d, ask_text(d->s, "SELECT count(*) FROM sqlite_schema", text, sizeof text), "open");
	if (e == ERR_OK)
		e = set_pragmas(d);
	if (e != ERR_OK)
		return e;
	size_t cache = o && o->cache_bytes ? o->cache_bytes : CACHE_BYTES_PRESET;
	snprintf(text, sizeof text, "PRAGMA cache_size = -%zu", cache / 1024);
	e = told(d, sqlite3_exec(d->s, text, NULL, NULL, NULL), text);
	/* Ours to checkpoint, between batches; what it frees of the file it gives back to the disk. */
	sqlite3_wal_autocheckpoint(d->s, 0);
	sqlite3_wal_hook(d->s, wal_grew, d);
	return e;
}

enum err
db_open(const char *path, const uint8_t key[32], const struct db_options *options, struct db **out)
{
	struct db *d = NULL;
	enum err e = db_warm();
	*out = NULL;
	if (e != ERR_OK)
		return e;
	if (!(d = mem_new(1, sizeof *d)))
		return ERR_MEMORY;
	d->wal_bytes_max = options && options->wal_bytes_max ? options->wal_bytes_max : WAL_BYTES_PRESET;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_NOFOLLOW |
				(options && options->must_exist ? 0 : SQLITE_OPEN_CREATE);
	e = told(d, sqlite3_open_v2(path, &d->s, flags, NULL), "open");
	if (e == ERR_OK)
		e = set_up(d, key, options);
	if (e == ERR_OK)
		e = prepare_ends(d);
	if (e == ERR_OK)
		*out = d;
	else
		db_close(d);
	return e;
}

void
db_close(struct db *d)
{
	if (!d)
		return;
	db_rollback(d);
	for (unsigned i = 0; i < STMTS_MAX; i++)
		if (d->stmts[i]) {
			sqlite3_finalize(d->stmts[i]->s);
			mem_free(d->stmts[i]);
		}
	/* The last connection's close checkpoints and removes the WAL; a failure leaves the WAL, which the next start
	 * reads. */
	if (d->s)
		(void)told(d, sqlite3_close(d->s), "close");
	mem_free(d);
}

/* ── transactions ── */

static enum err
run_text(struct db *d, const char *sql)
{
	return told(d, sqlite3_exec(d->s, sql, NULL, NULL, NULL), sql);
}

/* What a step says of a row or a table means nothing to who reads it: that the step failed does, and which. A disk that
 * is full stays one, since that is what has to be mended. */
static enum err
unmigrated(struct db *d, enum err e, unsigned from, unsigned at, unsigned to)
{
	const char *path = sqlite3_db_filename(d->s, "main"), *name = path ? strrchr(path, '/') : NULL;
	enum err said = e == ERR_DB || e == ERR_DB_CONFLICT ? ERR_DB_MIGRATION : e;
	log_fatal("a store could not be brought to this version; it is as it was", LOG_S("store", name ? name + 1 : "?"),
			  LOG_I("from", from), LOG_I("step", at < to ? at + 1 : to), LOG_I("of", to), LOG_E("cause", e),
			  LOG_S("next", err_next(said)));
	return said;
}

enum err
db_migrate(struct db *d, const char *const *migrations, unsigned n)
{
	char text[64];
	unsigned at = 0;
	enum err e = told(d, ask_text(d->s, "PRAGMA user_version", text, sizeof text), "user_version");
	if (e != ERR_OK)
		return e;
	if (sscanf(text, "%u", &at) != 1)
		return ERR_DB;
	if (at > n)
		return ERR_DB_VERSION;
	if (at == n)
		return ERR_OK;
	unsigned from = at;
	e = db_begin(d);
	while (e == ERR_OK && at < n && (e = run_text(d, migrations[at])) == ERR_OK)
		at++;
	if (e == ERR_OK) {
		snprintf(text, sizeof text, "PRAGMA user_version = %u", n);
		e = run_text(d, text);
	}
	if (e == ERR_OK)
		e = db_commit(d);
	if (e == ERR_OK)
		return ERR_OK;
	db_rollback(d);
	return unmigrated(d, e, from, at, n);
}

/*
 * Prepared at open: to end a transaction must need no memory, or one that failed for want of it would stay open and
 * take its rows into the next.
 */
static const char begin_sql[] = "BEGIN IMMEDIATE", commit_sql[] = "COMMIT", rollback_sql[] = "ROLLBACK",
				  mark_sql[] = "SAVEPOINT command", release_sql[] = "RELEASE command",
				  undo_sql[] = "ROLLBACK TO command";

static enum err
prepare_ends(struct db *d)
{
	static const char *const all[] = {begin_sql, commit_sql, rollback_sql, mark_sql, release_sql, undo_sql};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (!db_stmt(d, all[i])->s)
			return ERR_MEMORY;
	return ERR_OK;
}

enum err
db_begin(struct db *d)
{
	return stmt_run(db_stmt(d, begin_sql));
}

enum err
db_commit(struct db *d)
{
	enum err e = stmt_run(db_stmt(d, commit_sql));
	if (e != ERR_OK)
		db_rollback(d);
	return e;
}

void
db_rollback(struct db *d)
{
	/* SQLITE_FULL and I/O errors may have rolled back by themselves. */
	if (!d->s || !db_in_transaction(d))
		return;
	/* What is not rolled back would be committed with whatever comes next: better no process than that. */
	if (stmt_run(db_stmt(d, rollback_sql)) != ERR_OK || db_in_transaction(d))
		d->fatal = true;
}

bool
db_in_transaction(const struct db *d)
{
	return sqlite3_get_autocommit(d->s) == 0;
}

enum err
db_mark(struct db *d)
{
	return stmt_run(db_stmt(d, mark_sql));
}

enum err
db_mark_release(struct db *d)
{
	return stmt_run(db_stmt(d, release_sql));
}

void
db_mark_undo(struct db *d)
{
	/* After an error that ended the transaction there is no savepoint any more. */
	if (!db_in_transaction(d))
		return;
	if (stmt_run(db_stmt(d, undo_sql)) != ERR_OK || stmt_run(db_stmt(d, release_sql)) != ERR_OK)
		d->fatal = true;
}

/* ── statements ── */

/* A statement for when there is no memory for one: its step says so. */
static struct stmt no_memory = {.failed = SQLITE_NOMEM};

struct stmt *
db_stmt(struct db *d, const char *sql)
{
	size_t at = ((uintptr_t)sql * UINT64_C(0x9E3779B97F4A7C15)) >> 54;
	static_assert(STMTS_MAX == 1 << (64 - 54), "the hash gives as many bits as the table has");
	for (; d->stmts[at]; at = (at + 1) % STMTS_MAX)
		if (d->stmts[at]->sql == sql) {
			stmt_done(d->stmts[at]);
			return d->stmts[at];
		}
	/* Literals are finite: this is a caller that makes SQL by hand, which nobody may. */
	assert(d->stmts_n < STMTS_MAX / 2);
	struct stmt *s = mem_new(1, sizeof *s);
	if (!s) {
		no_memory.db = d;
		no_memory.sql = sql;
		return &no_memory;
	}
	s->sql = sql;
	s->db = d;
	s->failed = sqlite3_prepare_v3(d->s, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->s, NULL);
	if (s->failed != SQLITE_OK) {
		/* Not kept in the table as prepared: the next fetch tries again (it may have been memory). */
		log_warn("statement", LOG_I("code", s->failed), LOG_S("sql", sql));
	}
	d->stmts[at] = s;
	d->stmts_n++;
	return s;
}

static void
note_failure(struct stmt *s, int code)
{
	if (code != SQLITE_OK && s->failed == SQLITE_OK)
		s->failed = code;
}

void
stmt_int(struct stmt *s, int at, int64_t v)
{
	if (s->s)
		note_failure(s, sqlite3_bind_int64(s->s, at, v));
}

void
stmt_text(struct stmt *s, int at, const char *text)
{
	if (s->s)
		note_failure(s, sqlite3_bind_text(s->s, at, text, -1, SQLITE_TRANSIENT));
}

void
stmt_blob(struct stmt *s, int at, const void *bytes, size_t n)
{
	/* A NULL pointer would bind NULL: an empty blob is another thing. */
	if (s->s)
		note_failure(s,
					 n <= INT_MAX ? sqlite3_bind_blob(s->s, at, n ? bytes : "", (int)n, SQLITE_STATIC) : SQLITE_TOOBIG);
}

void
stmt_null(struct stmt *s, int at)
{
	if (s->s)
		note_failure(s, sqlite3_bind_null(s->s, at));
}

enum err
stmt_row(struct stmt *s, bool *row_out)
{
	*row_out = false;
	/* After that nothing may be built on this handle, least of all a COMMIT. */
	if (s->db->fatal)
		return ERR_IO;
	int code = s->failed;
	if (code == SQLITE_OK)
		code = sqlite3_step(s->s);
	if (code == SQLITE_ROW) {
		*row_out = true;
		return ERR_OK;
	}
	enum err e = told(s->db, code, s->sql);
	stmt_done(s);
	return e;
}

enum err
stmt_run(struct stmt *s)
{
	bool row = false;
	enum err e = stmt_row(s, &row);
	if (e == ERR_OK && row) {
		/* Some statements answer with a row that says nothing (a pragma, RETURNING): run them to their end. */
		while (e == ERR_OK && row)
			e = stmt_row(s, &row);
	}
	stmt_done(s);
	return e;
}

int64_t
col_int(struct stmt *s, int at)
{
	return sqlite3_column_int64(s->s, at);
}

const char *
col_text(struct stmt *s, int at)
{
	const char *text = (const char *)sqlite3_column_text(s->s, at);
	return text ? text : "";
}

const void *
col_blob(struct stmt *s, int at, size_t *n_out)
{
	const void *bytes = sqlite3_column_blob(s->s, at);
	*n_out = (size_t)sqlite3_column_bytes(s->s, at);
	return bytes;
}

bool
col_null(struct stmt *s, int at)
{
	return sqlite3_column_type(s->s, at) == SQLITE_NULL;
}

void
stmt_done(struct stmt *s)
{
	if (s->s) {
		sqlite3_reset(s->s);
		/* What was borrowed must not be reachable any longer. */
		sqlite3_clear_bindings(s->s);
		s->failed = SQLITE_OK;
	} else if (s != &no_memory) {
		s->failed = sqlite3_prepare_v3(s->db->s, s->sql, -1, SQLITE_PREPARE_PERSISTENT, &s->s, NULL);
	}
}

uint64_t
db_changes(struct db *d)
{
	return (uint64_t)sqlite3_changes64(d->s);
}

uint64_t
db_changes_all(struct db *d)
{
	return (uint64_t)sqlite3_total_changes64(d->s);
}

/* ── the WAL ── */

size_t
db_wal_bytes(struct db *d)
{
	return d->wal_pages > 0 ? 32 + (size_t)d->wal_pages * WAL_FRAME_BYTES : 0;
}

bool
db_fatal(const struct db *d)
{
	return d->fatal;
}

enum err
db_between_batches(struct db *d)
{
	assert(!db_in_transaction(d));
	size_t fresh = (size_t)(d->wal_pages - d->wal_pages_passive) * WAL_FRAME_BYTES;
	bool full = db_wal_bytes(d) > d->wal_bytes_max;
	if (!full && fresh < d->wal_bytes_max / WAL_SHARE)
		return ERR_OK;
	int pages = 0, copied = 0;
	int code = sqlite3_wal_checkpoint_v2(d->s, "main", full ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE,
										 &pages, &copied);
	/* Busy: a read of our own is open. The next batch tries again. */
	if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED)
		return ERR_OK;
	if (code == SQLITE_OK) {
		d->wal_pages = full ? 0 : d->wal_pages;
		d->wal_pages_passive = full ? 0 : copied;
	}
	return told(d, code, "checkpoint");
}

const char *
db_cipher_version(struct db *d)
{
	return d->cipher_version;
}
