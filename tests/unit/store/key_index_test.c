/*
 * The index of idempotency keys against a plain list of what was put into it: through folds, rollbacks, restarts and
 * the sweeping of expired runs every key is found with its newest row, and no other. SEED=n repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/store/key_filter.h"
#include "daemon/store/key_index.h"

#define KEYS  60000
#define BATCH 400
#define TTL   1000000

#define OK(call) assert_string_equal(err_code(call), err_code(ERR_OK))

static char dir[64], path[96];
static struct db *db;
static struct key_index *x;
static uint64_t seed;

static uint64_t
draw(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static void
open_index(void)
{
	static const uint8_t key[32] = "the key of a test, 32 bytes long";
	const char *const migrations[] = {key_index_schema};
	struct db_options options = {.cache_bytes = 4 << 20, .wal_bytes_max = 8 << 20};

	OK(db_open(path, key, &options, &db));
	OK(db_migrate(db, migrations, 1));
	OK(key_index_open(db, TTL, &x));
}

static void
close_index(void)
{
	key_index_close(x);
	db_close(db);
}

/* What was put: the key and the row are functions of a number, the newest number of a key is its row. */
struct put {
	uint64_t key;
	uint32_t row;
	int64_t expires;
};

static void
key_of(uint64_t n, uint8_t out[IDEMPOTENCY_HASH_BYTES])
{
	uint64_t a = (n + 1) * UINT64_C(0x9e3779b97f4a7c15), b = (a ^ a >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
	a ^= b >> 27;
	memcpy(out, &a, 8);
	memcpy(out + 8, &b, 8);
}

static void
must_find(const struct put *p)
{
	uint8_t key[IDEMPOTENCY_HASH_BYTES];
	const uint8_t *row;
	size_t n;
	bool found;

	key_of(p->key, key);
	OK(key_index_get(x, key, &row, &n, &found));
	assert_true(found);
	assert_int_equal(n, sizeof p->row);
	assert_memory_equal(row, &p->row, n);
}

static void
must_not_find(uint64_t key_number)
{
	uint8_t key[IDEMPOTENCY_HASH_BYTES];
	const uint8_t *row;
	size_t n;
	bool found;

	key_of(key_number, key);
	OK(key_index_get(x, key, &row, &n, &found));
	assert_false(found);
}

static int64_t
count_rows(const char *sql)
{
	struct stmt *s = db_stmt(db, sql);
	bool found;
	OK(stmt_row(s, &found));
	int64_t n = col_int(s, 0);
	stmt_done(s);
	return n;
}

static void
every_key_is_found_through_folds_rollbacks_and_restarts(void **arg)
{
	static struct put puts[KEYS];
	uint32_t n = 0;
	bool more = true;

	(void)arg;
	open_index();
	while (n < KEYS) {
		bool drop = draw() % 8 == 0;
		uint32_t before = n;
		OK(db_begin(db));
		for (unsigned i = 0; i < BATCH && n < KEYS; i++, n++) {
			uint8_t key[IDEMPOTENCY_HASH_BYTES];
			/* most are new; a few are those of earlier rows, and one in ten lives long */
			puts[n] = (struct put){.key = n, .row = n, .expires = draw() % 10 ? TTL : 3 * TTL};
			key_of(puts[n].key, key);
			OK(key_index_add(x, key, (const uint8_t *)&puts[n].row, sizeof puts[n].row, puts[n].expires));
		}
		OK(key_index_fold(x, 0));
		if (drop) {
			db_rollback(db);
			key_index_rolled_back(x);
			n = before;
		} else {
			OK(db_commit(db));
			key_index_committed(x);
		}
		if (draw() % 20 == 0) {
			close_index();
			open_index();
		}
		for (unsigned i = 0; i < 50 && n > 0; i++)
			must_find(&puts[draw() % n]);
		for (unsigned i = 0; i < 50; i++)
			must_not_find(KEYS + draw() % 1000000);
	}
	for (uint32_t i = 0; i < n; i++)
		must_find(&puts[i]);
	assert_in_range(key_index_runs(x), 4, 16);
	/* Ordinary runs go when their time is over; what lives long, and the logs, stay. */
	unsigned runs = key_index_runs(x);
	while (more)
		OK(key_index_sweep(x, TTL + 1, &more));
	assert_in_range(key_index_runs(x), 1, runs - 1);
	for (uint32_t i = 0; i < n; i++)
		if (puts[i].expires > TTL)
			must_find(&puts[i]);
	for (more = true; more;)
		OK(key_index_sweep(x, 3 * TTL + 1, &more));
	assert_int_equal(key_index_runs(x), 0);
	close_index();
	open_index();
	assert_int_equal(count_rows("SELECT count(*) FROM idempotency_run"), 0);
	close_index();
}

static void
the_newest_row_of_a_key_wins_wherever_the_older_is(void **arg)
{
	(void)arg;
	unlink(path);
	open_index();
	uint8_t key[IDEMPOTENCY_HASH_BYTES];
	struct put again = {.key = 7};

	for (uint32_t round = 0; round < 6; round++) {
		/* the key once, then enough others to push it from the log into a run */
		again.row = round;
		OK(db_begin(db));
		key_of(again.key, key);
		OK(key_index_add(x, key, (const uint8_t *)&again.row, sizeof again.row, TTL));
		OK(key_index_fold(x, 0));
		OK(db_commit(db));
		key_index_committed(x);
		must_find(&again);
		for (uint32_t i = 0; i < 9000; i += BATCH) {
			OK(db_begin(db));
			for (uint32_t k = 0; k < BATCH; k++) {
				uint32_t row = 0;
				key_of(1000 + round * 10000 + i + k, key);
				OK(key_index_add(x, key, (const uint8_t *)&row, sizeof row, TTL));
			}
			OK(key_index_fold(x, 0));
			OK(db_commit(db));
			key_index_committed(x);
		}
		must_find(&again);
	}
	assert_true(key_index_runs(x) >= 1);
	close_index();
}

static void
what_has_expired_is_not_folded_and_what_was_cut_short_is_forgotten(void **arg)
{
	(void)arg;
	unlink(path);
	open_index();
	for (uint32_t i = 0; i < 10000; i += BATCH) {
		OK(db_begin(db));
		for (uint32_t k = 0; k < BATCH; k++) {
			uint8_t key[IDEMPOTENCY_HASH_BYTES];
			uint32_t row = i + k;
			key_of(i + k, key);
			OK(key_index_add(x, key, (const uint8_t *)&row, sizeof row, i + k < 4000 ? 10 : TTL));
		}
		OK(key_index_fold(x, 20));
		OK(db_commit(db));
		key_index_committed(x);
	}
	/* in the middle of a fold: its rows stand under a run that nobody knows */
	assert_int_equal(key_index_runs(x), 0);
	int64_t begun = count_rows("SELECT count(*) FROM idempotency_key");
	assert_in_range(begun, 1, 8192);
	close_index();
	open_index();
	assert_int_equal(count_rows("SELECT count(*) FROM idempotency_key"), 0);
	for (uint32_t i = 4000; i < 10000; i += 97)
		must_find(&(struct put){.key = i, .row = i});
	close_index();
}

/* A store of an older version has blunter filters, or none: its keys are found all the same, and once they were loaded
 * they are ours. */
static void
filters_of_another_version_are_made_anew(void **arg)
{
	(void)arg;
	unlink(path);
	open_index();
	for (uint32_t i = 0; i < 30000; i += BATCH) {
		OK(db_begin(db));
		for (uint32_t k = 0; k < BATCH; k++) {
			uint8_t key[IDEMPOTENCY_HASH_BYTES];
			uint32_t row = i + k;
			key_of(i + k, key);
			OK(key_index_add(x, key, (const uint8_t *)&row, sizeof row, TTL));
		}
		OK(key_index_fold(x, 0));
		OK(db_commit(db));
		key_index_committed(x);
	}
	unsigned runs = key_index_runs(x);
	assert_in_range(runs, 3, 4);
	OK(db_begin(db));
	OK(stmt_run(db_stmt(db, "UPDATE idempotency_run SET bloom = CASE run WHEN 1 THEN x'' ELSE zeroblob(10240) END")));
	OK(db_commit(db));
	for (unsigned round = 0; round < 2; round++) {
		close_index();
		open_index();
		assert_int_equal(key_index_runs(x), runs);
		for (uint32_t i = 0; i < 30000; i += 7)
			must_find(&(struct put){.key = i, .row = i});
		assert_int_equal(count_rows("SELECT count(*) FROM idempotency_run WHERE length(bloom) = 20480"), runs);
	}
	close_index();
}

/* Through groups that fill, lose some of their runs and take others: no key of a run that stands is denied, hardly
 * another is confirmed, and a run that went confirms nothing. */
static void
filters_of_many_runs_answer_as_one(void **arg)
{
	enum { RUNS = 70, PER_RUN = 8192 };
	static uint8_t filter[KEY_FILTER_BYTES];
	struct key_filters *f = key_filters_new();
	unsigned slots[RUNS], confirmed = 0, asked = 0;
	uint8_t key[IDEMPOTENCY_HASH_BYTES];

	(void)arg;
	assert_non_null(f);
	for (uint64_t run = 0; run < RUNS; run++) {
		memset(filter, 0, sizeof filter);
		for (uint64_t i = 0; i < PER_RUN; i++) {
			key_of(run * PER_RUN + i, key);
			key_filter_set(filter, key);
		}
		OK(key_filters_add(f, filter, &slots[run]));
		if (run == 40) {
			key_filters_drop(f, slots[3]); /* its place is taken by the next */
			slots[3] = UINT32_MAX;
		}
	}
	for (uint64_t run = 0; run < RUNS; run++)
		for (uint64_t i = 0; i < PER_RUN; i += 101) {
			key_of(run * PER_RUN + i, key);
			bool any = key_filters_ask(f, key);
			if (run == 3)
				confirmed += any, asked++;
			else
				assert_true(any && key_filters_said(f, slots[run]));
		}
	for (uint64_t i = 0; i < 20000; i++, asked++) {
		key_of(RUNS * PER_RUN + i, key);
		confirmed += key_filters_ask(f, key);
	}
	/* 69 runs, each wrong once in 15,000: one answer in 217; three times that is a fault, not chance. */
	assert_in_range(confirmed, 1, asked / 70);
	for (unsigned run = 0; run < RUNS; run++)
		if (run != 3)
			key_filters_drop(f, slots[run]);
	key_of(0, key);
	assert_false(key_filters_ask(f, key));
	key_filters_free(f);
}

/* Ids are keys of rows: 26 characters are 16 bytes and back, and what has more than 128 bits is none. */
static void
ids_are_packed_and_unpacked(void **arg)
{
	uint8_t bytes[16], again[16];
	struct id id, back;

	(void)arg;
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t a = draw(), b = draw();
		memcpy(bytes, &a, 8);
		memcpy(bytes + 8, &b, 8);
		id_unpack("pay", bytes, &id);
		assert_true(id_check("pay", id.text));
		OK(id_pack("pay", id.text, again));
		assert_memory_equal(bytes, again, sizeof bytes);
	}
	for (unsigned i = 0; i < 1000; i++) {
		id_new("cap", 1700000000000 + i, &id);
		OK(id_pack("cap", id.text, bytes));
		id_unpack("cap", bytes, &back);
		assert_string_equal(back.text, id.text);
	}
	assert_int_equal(id_pack("pay", "pay_80000000000000000000000000", bytes), ERR_ID_FORM);
	assert_int_equal(id_pack("pay", "cap_01ARZ3NDEKTSV4RRFFQ69G5FAV", bytes), ERR_ID_FORM);
	assert_int_equal(id_pack("pay", "pay_01ARZ3NDEKTSV4RRFFQ69G5FA", bytes), ERR_ID_FORM);
	assert_int_equal(id_pack("pay", "", bytes), ERR_ID_FORM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_packed_and_unpacked),
		cmocka_unit_test(every_key_is_found_through_folds_rollbacks_and_restarts),
		cmocka_unit_test(the_newest_row_of_a_key_wins_wherever_the_older_is),
		cmocka_unit_test(what_has_expired_is_not_folded_and_what_was_cut_short_is_forgotten),
		cmocka_unit_test(filters_of_another_version_are_made_anew),
		cmocka_unit_test(filters_of_many_runs_answer_as_one),
	};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)clock_mono_us();
	seed = seed ? seed : 1;
	printf("SEED=%llu\n", (unsigned long long)seed);
	strcpy(dir, "/tmp/key-index-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/keys.db", dir);
	int failed = cmocka_run_group_tests_name("store/key_index", tests, NULL, NULL);
	static const char *const ends[] = {"", "-wal", "-shm"};
	for (unsigned i = 0; i < 3; i++) {
		char file[128];
		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
	rmdir(dir);
	return failed;
}
