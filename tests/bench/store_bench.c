/*
 * store_bench — what the ledger's store does per payment, without any process around it (see fill.h for what a payment
 * is). --group N puts N payments into each transaction. All durable (WAL, synchronous = FULL). CPU per payment is the
 * yardstick; wall-clock rates drift with the machine.
 */
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "tests/bench/fill.h"

#define COMMITS_MAX (1 << 20)

static struct {
	const char *path;
	double seconds;
	long group, preload;
	bool orders, keep;
} want = {.path = "/tmp/store_bench.db", .seconds = 2, .group = 32};

static double *commit_ms;
static size_t n_commits;

static double
seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
timed_commit(struct store *s)
{
	double before = seconds(CLOCK_MONOTONIC);
	fill_must(store_commit(s), "commit");
	if (n_commits < COMMITS_MAX)
		commit_ms[n_commits++] = (seconds(CLOCK_MONOTONIC) - before) * 1e3;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static struct store *
open_store(void)
{
	static const uint8_t key[32] = "the key of a bench, of 32 bytes.";
	struct store_options options = {.path = want.path,
									.key = key,
									.cache_bytes = 8 << 20,
									.wal_bytes_max = 64 << 20,
									.origin = "sallyport.bench/a/ledger",
									.install = "bench",
									.proc = "ledger",
									.idempotency_ttl_ms = 86400000};
	struct store *s;
	fill_must(store_open(&store_sqlcipher, &options, &s), "open");
	return s;
}

static void
forget(void)
{
	char other[300];
	unlink(want.path);
	snprintf(other, sizeof other, "%s-wal", want.path);
	unlink(other);
}

static void
usage(void)
{
	puts("usage: store_bench [--db FILE] [--seconds S] [--group N] [--preload PAYMENTS] [--orders] [--keep]\n"
		 "  --orders   each payment has an order id of its own (one more index entry)\n"
		 "  --keep     the file stays, and the next run with --keep goes on with what is in it");
	exit(2);
}

static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"db", 1, NULL, 'd'},
		{"seconds", 1, NULL, 's'},
		{"group", 1, NULL, 'g'},
		{"preload", 1, NULL, 'p'},
		{"orders", 0, NULL, 'o'},
		{"keep", 0, NULL, 'k'},
		{0},
	};
	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (o == 'd')
			want.path = optarg;
		else if (o == 's')
			want.seconds = atof(optarg);
		else if (o == 'g')
			want.group = atol(optarg);
		else if (o == 'p')
			want.preload = atol(optarg);
		else if (o == 'o')
			want.orders = true;
		else if (o == 'k')
			want.keep = true;
		else
			usage();
	}
	if (want.group < 1 || want.group > FILL_GROUP_MAX)
		usage();
}

static uint64_t
stored(struct store *s, uint64_t *bytes_out)
{
	sp_ledger_facts_rep facts = {0};
	fill_must(store_facts(s, &facts), "facts");
	*bytes_out = facts.db_bytes;
	return facts.payments;
}

static void
measure(struct store *s, struct fill *f)
{
	uint64_t bytes, before = stored(s, &bytes);
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC), took;
	long done = 0;

	n_commits = 0;
	do {
		fill_round(f, (unsigned)want.group);
		done += want.group;
		took = seconds(CLOCK_MONOTONIC) - start;
	} while (took < want.seconds);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	qsort(commit_ms, n_commits, sizeof *commit_ms, compare);
	uint64_t all = stored(s, &bytes);
	printf("{\"bench\":\"store\",\"group\":%ld,\"stored\":%llu,\"orders\":%s,\"payments\":%ld,\"payments_per_s\":%.0f,"
		   "\"cpu_us_per_payment\":%.1f,\"commit_p50_ms\":%.3f,\"commit_p99_ms\":%.3f,\"bytes_per_payment\":%.0f}\n",
		   want.group, (unsigned long long)before, want.orders ? "true" : "false", done, (double)done / took,
		   cpu * 1e6 / (double)done, commit_ms[n_commits / 2], commit_ms[n_commits * 99 / 100],
		   (double)bytes / (double)all);
}

int
main(int argc, char **argv)
{
	uint64_t bytes;

	read_options(argc, argv);
	if (sodium_init() < 0 || !(commit_ms = mem_new(COMMITS_MAX, sizeof *commit_ms)))
		fill_must(ERR_MEMORY, "start");
	if (!want.keep)
		forget();
	struct store *s = open_store();
	struct fill *f = fill_new(s, clock_wall_ms(), timed_commit);
	if (want.orders)
		fill_orders(f);
	while ((long)stored(s, &bytes) < want.preload)
		fill_round(f, FILL_GROUP_MAX);
	if (want.seconds > 0)
		measure(s, f);
	store_close(s);
	fill_free(f);
	mem_free(commit_ms);
	if (!want.keep)
		forget();
	return 0;
}
