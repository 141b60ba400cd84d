/*
 * Percentiles from counts per bucket, against the exact ones of the same times; and rows that are followed while others
 * come above them. SEED=n repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "console/tui/app.h"
#include "daemon/base/clock.h"

static uint64_t seed;

static uint64_t
draw(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned
bucket_of(uint64_t us)
{
	unsigned b = 0;
	while (b < PAGE_BUCKETS && us > page_bucket_us[b])
		b++;
	return b;
}

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static void
a_percentile_lies_in_the_bucket_of_the_exact_one(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		static uint64_t times[400];
		struct latency l = {0};
		uint64_t counts[LATENCY_BUCKETS] = {0};
		unsigned n = (unsigned)(1 + draw() % 400), looks = (unsigned)(1 + draw() % LATENCY_SAMPLES);

		/* what was there before the first look does not count */
		for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
			counts[b] = draw() % 1000;
		latency_sample(&l, counts, LATENCY_BUCKETS);
		for (unsigned i = 0; i < n; i++) {
			times[i] = draw() % (UINT64_C(1) << (1 + draw() % 25));
			counts[bucket_of(times[i])]++;
			if (i % (n / looks + 1) == n / looks)
				latency_sample(&l, counts, LATENCY_BUCKETS);
		}
		latency_sample(&l, counts, LATENCY_BUCKETS);
		qsort(times, n, sizeof *times, by_size);
		for (unsigned percent = 1; percent <= 100; percent++) {
			uint64_t exact = times[(n * percent + 99) / 100 - 1];
			assert_int_equal(bucket_of(latency_at(&l, percent)), bucket_of(exact));
		}
		assert_true(latency_at(&l, 50) <= latency_at(&l, 95) && latency_at(&l, 95) <= latency_at(&l, 99));
	}
}

static void
only_the_last_looks_count_and_a_new_process_takes_nothing_away(void **state)
{
	struct latency l = {0};
	uint64_t counts[LATENCY_BUCKETS] = {0};

	(void)state;
	assert_int_equal(latency_at(&l, 99), LATENCY_NONE);
	latency_sample(&l, counts, LATENCY_BUCKETS);
	assert_int_equal(latency_at(&l, 99), LATENCY_NONE);
	counts[9] = 100; /* 15 to 25 ms */
	latency_sample(&l, counts, LATENCY_BUCKETS);
	assert_int_equal(bucket_of(latency_at(&l, 50)), 9);
	for (unsigned i = 0; i < LATENCY_SAMPLES; i++) {
		counts[2]++; /* up to 1 ms */
		latency_sample(&l, counts, LATENCY_BUCKETS);
	}
	assert_int_equal(bucket_of(latency_at(&l, 99)), 2);
	/* the gate was started anew: its counts begin at nought, and three have come since */
	memset(counts, 0, sizeof counts);
	counts[4] = 300;
	latency_sample(&l, counts, LATENCY_BUCKETS);
	assert_int_equal(bucket_of(latency_at(&l, 99)), 4);
	/* a desk of another version sends fewer */
	latency_sample(&l, counts, 3);
}

static void
times_are_told_in_three_digits(void **state)
{
	static const struct {
		uint32_t us;
		const char *text;
	} rows[] = {{0, "0.0"},     {49, "0.0"},     {50, "0.1"},         {1449, "1.4"},       {99949, "99.9"},
				{99950, "100"}, {230400, "230"}, {25000000, "25000"}, {25000001, ">25 s"}, {LATENCY_NONE, "-"}};
	char out[LATENCY_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		latency_text(rows[i].us, out);
		assert_string_equal(out, rows[i].text);
	}
}

static void
a_row_stays_selected_when_others_come_above_it(void **state)
{
	static struct app a;
	const uint64_t before[] = {30, 20, 10}, after[] = {50, 40, 30, 20, 10}, gone[] = {90, 80, 70};

	(void)state;
	/* the top row is the newest, whatever comes */
	assert_true(app_follow(&a, before, 3));
	assert_true(app_follow(&a, after, 5));
	assert_int_equal(a.selected, 0);
	/* a row further down is followed, and so is the top one once it is open */
	a.selected = 1;
	assert_true(app_follow(&a, before, 3));
	assert_true(app_follow(&a, after, 5));
	assert_int_equal(a.selected, 3);
	a.selected = 0;
	a.open = true;
	assert_true(app_follow(&a, before, 3));
	assert_true(app_follow(&a, after, 5));
	assert_int_equal(a.selected, 2);
	/* it left the list while it was open: that is said, and it is found when it is back */
	assert_false(app_follow(&a, gone, 3));
	assert_false(app_follow(&a, NULL, 0));
	assert_true(app_follow(&a, after, 5));
	assert_int_equal(a.selected, 2);
	/* closed, the nearest place will do */
	a.open = false;
	assert_true(app_follow(&a, gone, 2));
	assert_int_equal(a.selected, 1);
	assert_true(app_follow(&a, NULL, 0));
	assert_int_equal(a.selected, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_percentile_lies_in_the_bucket_of_the_exact_one),
		cmocka_unit_test(only_the_last_looks_count_and_a_new_process_takes_nothing_away),
		cmocka_unit_test(times_are_told_in_three_digits),
		cmocka_unit_test(a_row_stays_selected_when_others_come_above_it),
	};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)clock_mono_us();
	seed = seed ? seed : 1;
	printf("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("tui/latency", tests, NULL, NULL);
}
