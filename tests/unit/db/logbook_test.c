/* logbook: leaves and tree together, crash-atomicity, proofs at every size against the pure tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/db/logbook.h"

#define OK(x) assert_int_equal((x), ERR_OK)

static const uint8_t key[32] = {9};
static char dir[64], path[96];
static struct db *d;
static struct logbook *b;

static void
open_all(void)
{
	OK(db_open(path, key, NULL, &d));
	OK(db_migrate(d, &logbook_schema, 1));
	OK(logbook_open(d, "sallyport.x/a/vault", "x", "vault", &b));
}

static void
close_all(void)
{
	logbook_close(b);
	db_close(d);
}

static int
set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/sallyport-log-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/t.db", dir);
	return 0;
}

static int
tear_down(void **state)
{
	char cmd[128];
	(void)state;
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	return system(cmd);
}

static void
add(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct leaf l = {.event = EVENT_TOKENIZE, .object_id = "tok_x", .actor = ACTOR_CLIENT, .actor_id = "demo"};
		OK(logbook_add(b, &l, NULL));
	}
}

static void
batch(unsigned n)
{
	OK(db_begin(d));
	add(n);
	OK(logbook_write(b));
	OK(db_commit(d));
	logbook_committed(b);
}

static uint64_t
size_now(void)
{
	struct checkpoint c;
	logbook_position(b, &c);
	return c.size;
}

static void
an_undone_batch_leaves_nothing(void **state)
{
	(void)state;
	struct checkpoint before, after;
	uint64_t seq = 99;
	open_all();
	batch(3);
	logbook_position(b, &before);
	OK(db_begin(d));
	struct leaf l = {.event = EVENT_START, .object_id = "vault"};
	OK(logbook_add(b, &l, &seq));
	assert_int_equal(seq, 3);
	OK(logbook_write(b));
	db_rollback(d);
	logbook_undone(b);
	logbook_position(b, &after);
	assert_memory_equal(&before, &after, sizeof before);
	batch(1);
	assert_int_equal(size_now(), 4);
	close_all();
	open_all();
	assert_int_equal(size_now(), 4);
	close_all();
}

static void
a_dropped_command_takes_its_leaves_along(void **state)
{
	(void)state;
	uint64_t seq = 0;
	uint32_t count = 0;
	struct buf out;
	struct leaf l = {.event = EVENT_START, .object_id = "first"};
	open_all();
	OK(db_begin(d));
	OK(logbook_add(b, &l, NULL));
	size_t mark = logbook_queued(b);
	l.object_id = "gone";
	OK(logbook_add(b, &l, NULL));
	OK(logbook_add(b, &l, NULL));
	logbook_drop_after(b, mark);
	l.object_id = "second";
	OK(logbook_add(b, &l, &seq));
	assert_int_equal(seq, 1);
	OK(logbook_write(b));
	OK(db_commit(d));
	logbook_committed(b);
	buf_init(&out, 65536);
	OK(logbook_read(b, 0, 100, 60000, &out, &count));
	assert_int_equal(count, 2);
	assert_non_null(memmem(buf_at(&out), out.len, "second", 6));
	assert_null(memmem(buf_at(&out), out.len, "gone", 4));
	/* cut by size: one record fits, the next does not */
	buf_reset(&out);
	OK(logbook_read(b, 0, 100, 250, &out, &count));
	assert_int_equal(count, 1);
	buf_reset(&out);
	OK(logbook_read(b, 1, UINT32_MAX, 60000, &out, &count));
	assert_int_equal(count, 1);
	OK(logbook_read(b, 2, 5, 60000, &out, &count));
	assert_int_equal(count, 0);
	buf_clear(&out);
	close_all();
}

/* Every leaf hash through the logbook, every tree through tree.c: two ways that must meet. */
static void
proofs_hold_at_many_sizes(void **state)
{
	(void)state;
	open_all();
	static uint8_t hash[1400][HASH_BYTES], root[1401][HASH_BYTES];
	struct tree t = {.size = 0};
	while (size_now() < 1400)
		batch((unsigned)(1400 - size_now() < 97 ? 1400 - size_now() : 97));
	tree_root(&t, root[0]);
	for (unsigned i = 0; i < 1400; i++) {
		OK(logbook_hash(b, i, hash[i]));
		tree_append(&t, hash[i]);
		tree_root(&t, root[i + 1]);
		uint8_t mine[HASH_BYTES];
		OK(logbook_root(b, i + 1, mine));
		assert_memory_equal(mine, root[i + 1], HASH_BYTES);
	}
	uint8_t proof[PROOF_MAX][HASH_BYTES];
	size_t n;
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t size = 1 + (unsigned)rand() % 1400, old = 1 + (unsigned)rand() % (unsigned)size;
		OK(logbook_consistency(b, old, size, proof, &n));
		OK(tree_check_consistency(old, root[old], size, root[size], (const uint8_t(*)[HASH_BYTES])proof, n));
		OK(logbook_inclusion(b, old - 1, size, proof, &n));
		OK(tree_check_inclusion(old - 1, size, hash[old - 1], (const uint8_t(*)[HASH_BYTES])proof, n, root[size]));
	}
	assert_int_equal(logbook_consistency(b, 1, 1401, proof, &n), ERR_OUT_OF_RANGE);
	assert_int_equal(logbook_inclusion(b, 1400, 1400, proof, &n), ERR_OUT_OF_RANGE);
	close_all();
	open_all();
	uint8_t again[HASH_BYTES];
	OK(logbook_root(b, 1400, again));
	assert_memory_equal(again, root[1400], HASH_BYTES);
	close_all();
}

static void
run(const char *sql)
{
	OK(stmt_run(db_stmt(d, sql)));
}

static void
a_changed_or_missing_leaf_is_refused(void **state)
{
	(void)state;
	struct logbook *other;
	open_all();
	batch(600);
	static const char *const harm[] = {
		"DELETE FROM leaf WHERE seq = 599",
		"UPDATE leaf SET record = CAST('{}' AS BLOB) WHERE seq = 598",
		"INSERT INTO leaf(seq, record) VALUES (600, CAST('{}' AS BLOB))",
		"DELETE FROM tile WHERE level = 0 AND idx = 1",
		"UPDATE tile SET root = zeroblob(32) WHERE level = 0 AND idx = 0",
		"UPDATE tree SET root = zeroblob(32)",
		"UPDATE tree SET size = size - 1",
		"DELETE FROM tree",
	};
	for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
		OK(db_begin(d));
		run(harm[i]);
		assert_int_equal(logbook_open(d, "o", "x", "vault", &other), ERR_CRYPTO);
		db_rollback(d);
	}
	OK(logbook_open(d, "o", "x", "vault", &other));
	logbook_close(other);
	close_all();
}

/* A child that commits batches is killed at a random moment: what is there afterwards is whole. */
static void
a_kill_leaves_a_whole_log(void **state)
{
	(void)state;
	uint64_t last = 0;
	for (int round = 0; round < 8; round++) {
		pid_t child = fork();
		if (child == 0) {
			open_all();
			for (;;)
				batch(1 + (unsigned)rand() % 40);
		}
		usleep(20000 + (unsigned)rand() % 60000);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		open_all();
		assert_true(size_now() >= last);
		last = size_now();
		bool row;
		struct stmt *s = db_stmt(d, "SELECT count(*) FROM leaf");
		OK(stmt_row(s, &row));
		assert_int_equal(col_int(s, 0), last);
		stmt_done(s);
		close_all();
	}
	assert_true(last > 0);
}

static void
a_checkpoint_is_kept(void **state)
{
	(void)state;
	char note[NOTE_BYTES_MAX];
	size_t bytes;
	uint64_t size;
	open_all();
	OK(logbook_checkpoint_get(b, note, &bytes, &size));
	assert_int_equal(bytes, 0);
	OK(logbook_checkpoint_set(b, "hello\n", 6, 1));
	OK(logbook_checkpoint_set(b, "again\n", 6, 2));
	close_all();
	open_all();
	OK(logbook_checkpoint_get(b, note, &bytes, &size));
	assert_string_equal(note, "again\n");
	assert_int_equal(size, 2);
	close_all();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_undone_batch_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_dropped_command_takes_its_leaves_along, set_up, tear_down),
		cmocka_unit_test_setup_teardown(proofs_hold_at_many_sizes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_changed_or_missing_leaf_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_kill_leaves_a_whole_log, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_checkpoint_is_kept, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("logbook", tests, NULL, NULL);
}
