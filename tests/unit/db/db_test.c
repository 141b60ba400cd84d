/* db: keys, pragmas, savepoints, error mapping, a full disk, the WAL rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlcipher/sqlite3.h>

#include "daemon/base/mem.h"
#include "daemon/db/db.h"

#define OK(x) assert_int_equal((x), ERR_OK)

static const uint8_t key[32] = {7, 1, 2, 3};
static const char *const schema[] = {"CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE, c BLOB) STRICT"};
static char dir[64], path[96];

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/sallyport-db-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/t.db", dir);
	return 0;
}

static int
tear_down(void **state)
{
	static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
	char file[128];
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	return rmdir(dir);
}

static struct db *
opened(const struct db_options *o)
{
	struct db *d = NULL;
	OK(db_open(path, key, o, &d));
	OK(db_migrate(d, schema, 1));
	return d;
}

static enum err
put(struct db *d, int64_t a, const char *b)
{
	struct stmt *s = db_stmt(d, "INSERT INTO t(a, b, c) VALUES (?1, ?2, zeroblob(2000))");
	stmt_int(s, 1, a);
	stmt_text(s, 2, b);
	return stmt_run(s);
}

static int64_t
count(struct db *d)
{
	bool row = false;
	struct stmt *s = db_stmt(d, "SELECT count(*) FROM t");
	OK(stmt_row(s, &row));
	assert_true(row);
	int64_t n = col_int(s, 0);
	stmt_done(s);
	return n;
}

static bool
file_holds(const char *file, const char *needle)
{
	FILE *f = fopen(file, "rb");
	assert_non_null(f);
	char *bytes = calloc(1, 1 << 20);
	size_t n = fread(bytes, 1, 1 << 20, f);
	fclose(f);
	bool found = memmem(bytes, n, needle, strlen(needle)) != NULL;
	free(bytes);
	return found;
}

static void
a_wrong_key_is_refused_and_nothing_is_in_clear(void **state)
{
	(void)state;
	struct db *d = opened(NULL);
	OK(put(d, 1, "a-needle-that-is-not-there"));
	char wal[128];
	snprintf(wal, sizeof wal, "%s-wal", path);
	assert_false(file_holds(wal, "a-needle"));
	db_close(d);
	assert_false(file_holds(path, "a-needle"));
	assert_false(file_holds(path, "SQLite format"));

	uint8_t other[32] = {8};
	assert_int_equal(db_open(path, other, NULL, &d), ERR_DB_KEY);
	assert_null(d);
	d = opened(NULL);
	assert_int_equal(count(d), 1);
	assert_true(strncmp(db_cipher_version(d), "4.", 2) == 0);
	db_close(d);
}

static void
a_newer_file_is_refused(void **state)
{
	(void)state;
	struct db *d = opened(NULL);
	assert_int_equal(db_migrate(d, schema, 0), ERR_DB_VERSION);
	db_close(d);
}

static void
a_migration_that_fails_says_so_and_leaves_the_store_as_it_was(void **state)
{
	static const char *const next[] = {"CREATE TABLE u(a INTEGER)", "INSERT INTO t(a, b, c) VALUES (7, 'one', x'00')"};
	const char *const steps[] = {schema[0], next[0], next[1]};
	char said[4096];
	(void)state;
	struct db *d = opened(NULL);
	OK(db_begin(d));
	OK(put(d, 1, "one"));
	OK(db_commit(d));
	/* the log goes to stderr */
	int kept = dup(2), file = memfd_create("log", MFD_CLOEXEC);
	assert_true(kept >= 0 && file >= 0 && dup2(file, 2) == 2);
	enum err e = db_migrate(d, steps, 3);
	assert_int_equal(dup2(kept, 2), 2);
	ssize_t n = pread(file, said, sizeof said - 1, 0);
	close(file);
	close(kept);
	said[n > 0 ? n : 0] = 0;
	assert_int_equal(e, ERR_DB_MIGRATION);
	assert_non_null(strstr(said, "\"step\":3,\"of\":3,\"cause\":\"database_conflict\""));
	assert_non_null(strstr(said, "\"store\":\""));
	assert_non_null(strstr(said, "\"from\":1"));
	/* the version before goes on with it, and the mended step goes through */
	OK(db_migrate(d, schema, 1));
	assert_int_equal(count(d), 1);
	const char *const mended[] = {schema[0], next[0], "INSERT INTO t(a, b, c) VALUES (7, 'seven', x'00')"};
	OK(db_migrate(d, mended, 3));
	assert_int_equal(count(d), 2);
	db_close(d);
}

static void
a_mark_undoes_one_command_only(void **state)
{
	(void)state;
	struct db *d = opened(NULL);
	OK(db_begin(d));
	assert_true(db_in_transaction(d));
	OK(db_mark(d));
	OK(put(d, 1, "one"));
	OK(db_mark_release(d));
	OK(db_mark(d));
	OK(put(d, 2, "two"));
	db_mark_undo(d);
	OK(db_mark(d));
	OK(put(d, 3, "three"));
	assert_int_equal(put(d, 4, "three"), ERR_DB_CONFLICT);
	OK(db_mark_release(d));
	OK(db_commit(d));
	assert_false(db_in_transaction(d));
	assert_int_equal(count(d), 2);
	OK(db_begin(d));
	OK(put(d, 9, "nine"));
	db_rollback(d);
	assert_int_equal(count(d), 2);
	db_close(d);
}

static void
a_bad_statement_fails_at_its_step(void **state)
{
	(void)state;
	struct db *d = opened(NULL);
	struct stmt *s = db_stmt(d, "SELECT x FROM nowhere");
	assert_non_null(s);
	stmt_int(s, 1, 1);
	assert_int_equal(stmt_run(s), ERR_DB);
	s = db_stmt(d, "INSERT INTO t(a) VALUES (?1)");
	stmt_int(s, 2, 1); /* no such parameter */
	assert_int_equal(stmt_run(s), ERR_DB);
	s = db_stmt(d, "INSERT INTO t(a) VALUES (?1)");
	stmt_int(s, 1, 1);
	OK(stmt_run(s));
	db_close(d);
}

static void
values_come_back(void **state)
{
	(void)state;
	struct db *d = opened(NULL);
	struct stmt *s = db_stmt(d, "INSERT INTO t VALUES (?1, ?2, ?3)");
	stmt_int(s, 1, INT64_MIN);
	stmt_text(s, 2, NULL);
	stmt_blob(s, 3, NULL, 0);
	OK(stmt_run(s));
	bool row;
	size_t n = 9;
	s = db_stmt(d, "SELECT a, b, c FROM t");
	OK(stmt_row(s, &row));
	assert_true(row);
	assert_true(col_int(s, 0) == INT64_MIN);
	assert_true(col_null(s, 1));
	assert_string_equal(col_text(s, 1), "");
	assert_false(col_null(s, 2));
	(void)col_blob(s, 2, &n);
	assert_int_equal(n, 0);
	OK(stmt_row(s, &row));
	assert_false(row);
	db_close(d);
}

static void
a_full_disk_is_told_and_rolls_back(void **state)
{
	(void)state;
	if (mount("none", dir, "tmpfs", 0, "size=1m") != 0)
		skip(); /* not root */
	struct db *d = opened(NULL);
	OK(put(d, 0, "before"));
	enum err e = db_begin(d);
	int64_t n = 1;
	char text[32];
	for (; e == ERR_OK && n < 5000; n++) {
		snprintf(text, sizeof text, "%d", (int)n);
		e = put(d, n, text);
		if (e == ERR_OK && n % 20 == 0) {
			e = db_commit(d);
			if (e == ERR_OK)
				e = db_begin(d);
		}
	}
	assert_int_equal(e, ERR_DISK_FULL);
	db_rollback(d);
	assert_false(db_in_transaction(d));
	assert_false(db_fatal(d));
	int64_t kept = count(d);
	assert_true(kept >= 1 && kept % 20 == 1);
	/* Room comes back: so does the database. */
	OK(mount("none", dir, "tmpfs", MS_REMOUNT, "size=8m") == 0 ? ERR_OK : ERR_IO);
	OK(put(d, -1, "after"));
	assert_int_equal(count(d), kept + 1);
	db_close(d);
	d = opened(NULL);
	assert_int_equal(count(d), kept + 1);
	db_close(d);
	assert_int_equal(umount(dir), 0);
}

/* A disk whose fsync fails when told to: SQLite's own methods, but for one. */
static bool sync_fails;
static int (*real_open)(sqlite3_vfs *, sqlite3_filename, sqlite3_file *, int, int *);
static int (*real_sync)(sqlite3_file *, int);
/* Databases and journals have tables of their own. */
static struct {
	const sqlite3_io_methods *of;
	sqlite3_io_methods is;
} methods[4];

static int
bad_sync(sqlite3_file *f, int flags)
{
	return sync_fails ? SQLITE_IOERR_FSYNC : real_sync(f, flags);
}

static int
open_bad(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *f, int flags, int *out)
{
	int code = real_open(v, name, f, flags, out);
	for (int i = 0; code == SQLITE_OK && f->pMethods && i < 4; i++) {
		if (!methods[i].of) {
			methods[i].of = f->pMethods;
			methods[i].is = *f->pMethods;
			real_sync = f->pMethods->xSync;
			methods[i].is.xSync = bad_sync;
		}
		if (methods[i].of == f->pMethods) {
			f->pMethods = &methods[i].is;
			break;
		}
	}
	return code;
}

static void
a_failed_fsync_is_told_apart(void **state)
{
	(void)state;
	OK(db_warm());
	sqlite3_vfs *v = sqlite3_vfs_find(NULL);
	real_open = v->xOpen;
	v->xOpen = open_bad;
	struct db *d = opened(NULL);
	OK(put(d, 1, "one"));
	assert_false(db_fatal(d));
	sync_fails = true;
	assert_int_equal(put(d, 2, "two"), ERR_IO);
	assert_true(db_fatal(d));
	sync_fails = false;
	assert_true(db_fatal(d)); /* for good: nobody knows what is on the disk */
	v->xOpen = real_open;
	db_close(d);
	d = opened(NULL);
	assert_true(count(d) >= 1);
	db_close(d);
}

static void
the_wal_stays_below_its_bound(void **state)
{
	(void)state;
	struct db_options o = {.wal_bytes_max = 256 << 10};
	struct db *d = opened(&o);
	char text[32], wal[128];
	size_t most = 0;
	snprintf(wal, sizeof wal, "%s-wal", path);
	for (int i = 0; i < 600; i++) {
		snprintf(text, sizeof text, "%d", i);
		OK(put(d, i, text));
		OK(db_between_batches(d));
		struct stat st;
		assert_int_equal(stat(wal, &st), 0);
		if ((size_t)st.st_size > most)
			most = (size_t)st.st_size;
	}
	assert_in_range(most, 4096, o.wal_bytes_max + (32 << 10));
	db_close(d);
	d = opened(&o);
	assert_int_equal(count(d), 600);
	db_close(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_wrong_key_is_refused_and_nothing_is_in_clear, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_newer_file_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_migration_that_fails_says_so_and_leaves_the_store_as_it_was, set_up,
										tear_down),
		cmocka_unit_test_setup_teardown(a_mark_undoes_one_command_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_bad_statement_fails_at_its_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(values_come_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_disk_is_told_and_rolls_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_failed_fsync_is_told_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_wal_stays_below_its_bound, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
