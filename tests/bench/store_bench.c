/*
 * store_bench — what the ledger's store does per payment, without any process around it.
 *
 * One payment is three commits, as on the road of one payment: (1) requested: idempotency look-up and row, two events,
 * read model, attempt row, leaf; (2) result: load, authorized and captured, read model, attempt gone, leaf, and the
 * view for the answer; (3) its four events listed for herald and marked as published. --group N puts N payments into
 * each transaction. All durable (WAL, synchronous = FULL). CPU per payment is the yardstick; wall-clock rates drift
 * with the machine.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "daemon/base/mem.h"
#include "daemon/store/store.h"

#define GROUP_MAX 256

struct bench {
	struct store *s;
	sp_payment_state *state;
	sp_event_detail *detail;
	sp_payment_view *view;
	struct id payment[GROUP_MAX], attempt[GROUP_MAX];
	uint64_t first_seq, last_seq;
	int64_t at_ms;
	bool orders;
	double *commit_ms;
	size_t n_commits, commits_room;
};

static void
must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "store_bench: %s: %s\n", what, err_code(e));
	exit(1);
}

static double
seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
commit(struct bench *b)
{
	double before = seconds(CLOCK_MONOTONIC);
	must(store_commit(b->s), "commit");
	if (b->n_commits < b->commits_room)
		b->commit_ms[b->n_commits++] = (seconds(CLOCK_MONOTONIC) - before) * 1e3;
	must(store_between_batches(b->s), "between batches");
}

static void
decide_and_append(struct bench *b, const char *id, const struct payment_command *c)
{
	struct payment_event events[PAYMENT_EVENTS_MAX];
	unsigned n;
	must(payment_decide(b->state, c, events, &n), "decide");
	must(store_payment_append(b->s, id, b->state, events, n), "append");
}

static void
leave_leaf(struct bench *b, enum audit_event event, const char *id)
{
	struct leaf l = {.event = event,
					 .actor = ACTOR_CLIENT,
					 .actor_id = "demo",
					 .object_id = id,
					 .merchant = "demo",
					 .request = "req_01ARZ3NDEKTSV4RRFFQ69G5FAV"};
	must(store_leaf(b->s, &l, NULL), "leaf");
}

static void
requested(struct bench *b, unsigned i)
{
	struct idempotency_row row = {.expires_at_ms = b->at_ms + 86400000}, old;
	struct attempt attempt = {
		.kind = sp_JOB_AUTHORIZE, .state = ATTEMPT_PREPARED, .tries = 1, .created_at_ms = b->at_ms};
	bool found;

	must(store_mark(b->s), "mark");
	randombytes_buf(row.key, sizeof row.key);
	randombytes_buf(row.fingerprint, sizeof row.fingerprint);
	must(store_idempotency_get(b->s, row.key, b->at_ms, &old, &found), "idempotency");
	id_new("pay", b->at_ms, &b->payment[i]);
	id_new("att", b->at_ms, &b->attempt[i]);
	if (b->orders)
		snprintf(b->detail->requested.order_id, sizeof b->detail->requested.order_id, "order-%08x",
				 randombytes_random());
	struct payment_command c = {.kind = PAYMENT_CREATE,
								.at_ms = b->at_ms,
								.actor = "client:demo",
								.payment = b->payment[i].text,
								.attempt = b->attempt[i].text,
								.amount_minor = 1999,
								.currency = 978,
								.account = "simulator",
								.rule = "default",
								.detail = b->detail};
	payment_clear(b->state);
	decide_and_append(b, b->payment[i].text, &c);
	row.payment = b->payment[i];
	must(store_idempotency_put(b->s, &row, b->at_ms), "idempotency");
	attempt.id = b->attempt[i];
	attempt.payment = b->payment[i];
	strcpy(attempt.account, "simulator");
	strcpy(attempt.derived_key, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	must(store_attempt_put(b->s, &attempt), "attempt");
	leave_leaf(b, EVENT_PAYMENT_REQUESTED, b->payment[i].text);
	must(store_release(b->s), "release");
}

static void
result(struct bench *b, unsigned i)
{
	sp_result_req r = {.outcome = sp_OUTCOME_APPROVED, .captured = true};
	struct id capture;

	must(store_mark(b->s), "mark");
	id_new("cap", b->at_ms, &capture);
	memcpy(r.attempt, b->attempt[i].text, sizeof r.attempt);
	strcpy(r.reference, "sim_01ARZ3NDEKTSV4RRFFQ69G5FAV");
	struct payment_command c = {.kind = PAYMENT_RESULT,
								.at_ms = b->at_ms,
								.actor = "processor:simulator",
								.operation = capture.text,
								.expires_at_ms = b->at_ms + 604800000,
								.result = &r};
	must(store_payment_load(b->s, b->payment[i].text, b->state), "load");
	decide_and_append(b, b->payment[i].text, &c);
	must(store_attempt_finish(b->s, b->attempt[i].text), "finish");
	leave_leaf(b, EVENT_PAYMENT_RESULT, b->payment[i].text);
	must(store_payment_view_of(b->s, b->state, b->view), "view");
	must(store_release(b->s), "release");
}

static enum err
published(void *arg, const struct outbox_entry *e)
{
	struct bench *b = arg;
	b->last_seq = e->sequence;
	return ERR_OK;
}

/* Three commits for each of `group` payments. */
static void
round_of(struct bench *b, unsigned group)
{
	b->at_ms += 3;
	must(store_begin(b->s), "begin");
	for (unsigned i = 0; i < group; i++)
		requested(b, i);
	commit(b);
	must(store_begin(b->s), "begin");
	for (unsigned i = 0; i < group; i++)
		result(b, i);
	commit(b);
	must(store_begin(b->s), "begin");
	must(store_outbox_list(b->s, b->first_seq, group * 4, published, b), "outbox");
	for (uint64_t seq = b->first_seq + 1; seq <= b->last_seq; seq++)
		must(store_outbox_published(b->s, seq), "published");
	b->first_seq = b->last_seq;
	commit(b);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void
open_store(struct bench *b, const char *path)
{
	static const uint8_t key[32] = "the key of a bench, of 32 bytes.";
	struct store_options options = {.path = path,
									.key = key,
									.cache_bytes = 8 << 20,
									.wal_bytes_max = 64 << 20,
									.origin = "sallyport.bench/a/ledger",
									.install = "bench",
									.proc = "ledger",
									.idempotency_ttl_ms = 86400000};
	must(store_open(&store_sqlcipher, &options, &b->s), "open");
}

static void
usage(void)
{
	puts("usage: store_bench [--db FILE] [--seconds S] [--group N] [--preload PAYMENTS] [--orders]\n"
		 "  --orders   each payment has an order id of its own (one more index entry)");
	exit(2);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"db", 1, NULL, 'd'},     {"seconds", 1, NULL, 's'},
											{"group", 1, NULL, 'g'},  {"preload", 1, NULL, 'p'},
											{"orders", 0, NULL, 'o'}, {0}};
	const char *path = "/tmp/store_bench.db";
	double for_s = 2;
	long group = 32, preload = 0;
	struct bench b = {.at_ms = 1700000000000, .commits_room = 1 << 20};
	char other[300];

	for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (o) {
		case 'd':
			path = optarg;
			break;
		case 's':
			for_s = atof(optarg);
			break;
		case 'g':
			group = atol(optarg);
			break;
		case 'p':
			preload = atol(optarg);
			break;
		case 'o':
			b.orders = true;
			break;
		default:
			usage();
		}
	}
	if (group < 1 || group > GROUP_MAX || sodium_init() < 0)
		usage();
	unlink(path);
	snprintf(other, sizeof other, "%s-wal", path);
	unlink(other);
	b.state = payment_new();
	b.detail = mem_new(1, sizeof *b.detail);
	b.view = mem_new(1, sizeof *b.view);
	b.commit_ms = mem_new(b.commits_room, sizeof *b.commit_ms);
	if (!b.state || !b.detail || !b.view || !b.commit_ms)
		must(ERR_MEMORY, "start");
	b.detail->has_requested = true;
	strcpy(b.detail->requested.merchant, "demo");
	strcpy(b.detail->requested.client, "demo");
	strcpy(b.detail->requested.token, "tok_01ARZ3NDEKTSV4RRFFQ69G5FAV");
	strcpy(b.detail->requested.request_id, "req_01ARZ3NDEKTSV4RRFFQ69G5FAV");
	b.detail->requested.has_card = true;
	strcpy(b.detail->requested.card.bin, "424242");
	strcpy(b.detail->requested.card.last4, "4242");
	open_store(&b, path);
	for (long done = 0; done < preload; done += GROUP_MAX)
		round_of(&b, GROUP_MAX);

	b.n_commits = 0;
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC), took;
	long done = 0;
	do {
		round_of(&b, (unsigned)group);
		done += group;
		took = seconds(CLOCK_MONOTONIC) - start;
	} while (took < for_s);
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	qsort(b.commit_ms, b.n_commits, sizeof *b.commit_ms, compare);

	sp_ledger_facts_rep facts = {0};
	must(store_facts(b.s, &facts), "facts");
	printf("{\"bench\":\"store\",\"group\":%ld,\"stored\":%ld,\"orders\":%s,\"payments\":%ld,\"payments_per_s\":%.0f,"
		   "\"cpu_us_per_payment\":%.1f,\"commit_p50_ms\":%.3f,\"commit_p99_ms\":%.3f,\"bytes_per_payment\":%.0f}\n",
		   group, preload, b.orders ? "true" : "false", done, (double)done / took, cpu * 1e6 / (double)done,
		   b.commit_ms[b.n_commits / 2], b.commit_ms[b.n_commits * 99 / 100],
		   (double)facts.db_bytes / (double)facts.payments);
	store_close(b.s);
	mem_free(b.state);
	mem_free(b.detail);
	mem_free(b.view);
	mem_free(b.commit_ms);
	unlink(path);
	return 0;
}
