/*
 * What every kind of store must do. Each case runs over store_memory, the readable specification, and over
 * store_sqlcipher; the last one lets both do the same random work and compares all that can be read.
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
#include <pb_decode.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/domain/payment_event.h"
#include "daemon/store/store_impl.h"

#define TTL INT64_C(100000)
#define T0  INT64_C(1700000000000)

struct bench {
	const struct store_ops *ops;
	struct store *s;
	char dir[64], path[96];
	sp_payment_state *state;
	sp_event_detail *detail;
	int64_t at_ms;
};

#define OK(call) assert_string_equal(err_code(call), err_code(ERR_OK))

/* ── a store on the bench ── */

static void
open_store(struct bench *b)
{
	static const uint8_t key[32] = "the key of a test, 32 bytes long";
	struct store_options options = {.path = b->path,
									.key = key,
									.cache_bytes = 1 << 20,
									.wal_bytes_max = 1 << 20,
									.origin = "sallyport.test/a/ledger",
									.install = "test",
									.proc = "ledger",
									.idempotency_ttl_ms = TTL};
	OK(store_open(b->ops, &options, &b->s));
}

static int64_t last_ms = T0;

static struct bench *
bench_new(const struct store_ops *ops)
{
	struct bench *b = mem_new(1, sizeof *b);
	assert_non_null(b);
	b->ops = ops;
	b->at_ms = (last_ms += 100000); /* ids go forward in time, also from one case to the next */
	strcpy(b->dir, "/tmp/store-test-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof b->path, "%s/ledger.db", b->dir);
	b->state = payment_new();
	b->detail = mem_new(1, sizeof *b->detail);
	assert_non_null(b->state);
	assert_non_null(b->detail);
	b->detail->has_requested = true;
	strcpy(b->detail->requested.merchant, "demo");
	strcpy(b->detail->requested.client, "demo");
	open_store(b);
	return b;
}

static void
bench_free(struct bench *b)
{
	char path[128];

	store_close(b->s);
	static const char *const ends[] = {"", "-wal", "-shm"};
	for (unsigned i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", b->path, ends[i]);
		unlink(path);
	}
	rmdir(b->dir);
	mem_free(b->state);
	mem_free(b->detail);
	mem_free(b);
}

static int
setup(void **arg)
{
	*arg = bench_new(*arg);
	return 0;
}

static int
teardown(void **arg)
{
	bench_free(*arg);
	return 0;
}

/* ── commands in one line; each in the open batch ── */

static enum err
command(struct bench *b, const char *payment, struct payment_command *c)
{
	struct payment_event events[PAYMENT_EVENTS_MAX];
	unsigned n = 0;

	c->at_ms = ++b->at_ms;
	c->actor = "test";
	c->attempt = "att_1";
	if (c->kind == PAYMENT_CREATE)
		payment_clear(b->state);
	else
		OK(store_payment_load(b->s, payment, b->state));
	enum err e = payment_decide(b->state, c, events, &n);
	return e == ERR_OK ? store_payment_append(b->s, payment, b->state, events, n) : e;
}

static void
create(struct bench *b, int64_t amount_minor, struct id *out)
{
	id_new("pay", ++b->at_ms, out);
	struct payment_command c = {.kind = PAYMENT_CREATE,
								.payment = out->text,
								.amount_minor = amount_minor,
								.currency = 978,
								.account = "simulator",
								.rule = "default",
								.detail = b->detail};
	b->detail->requested.capture_method = sp_CAPTURE_MANUAL;
	OK(command(b, out->text, &c));
}

static enum err
result(struct bench *b, const char *payment, const char *operation, sp_outcome said)
{
	sp_result_req r = {.outcome = said, .attempt = "att_1", .reference = "sim-1"};
	struct payment_command c = {.kind = PAYMENT_RESULT, .result = &r, .expires_at_ms = b->at_ms + 1000};
	snprintf(r.operation, sizeof r.operation, "%s", operation);
	return command(b, payment, &c);
}

static enum err
request(struct bench *b, const char *payment, enum payment_command_kind kind, int64_t amount_minor, struct id *out)
{
	struct payment_command c = {.kind = kind, .amount_minor = amount_minor, .final = true, .reason = "because"};
	id_new(kind == PAYMENT_REFUND ? "ref" : "cap", ++b->at_ms, out);
	c.operation = out->text;
	return command(b, payment, &c);
}

/* authorized, captured and one refund of 10 */
static void
create_refunded(struct bench *b, struct id *payment, struct id *refund)
{
	struct id capture;

	create(b, 100, payment);
	OK(result(b, payment->text, "", sp_OUTCOME_APPROVED));
	OK(request(b, payment->text, PAYMENT_CAPTURE, 0, &capture));
	OK(result(b, payment->text, capture.text, sp_OUTCOME_APPROVED));
	OK(request(b, payment->text, PAYMENT_REFUND, 10, refund));
	OK(result(b, payment->text, refund->text, sp_OUTCOME_APPROVED));
}

static void
must_rebuild(struct bench *b)
{
	sp_ledger_rebuild_rep r;
	OK(store_rebuild(b->s, &r));
	if (r.differences)
		fail_msg("%s", r.first_difference);
}

/* ── cases ── */

static void
a_payment_comes_back_as_it_was(void **arg)
{
	struct bench *b = *arg;
	struct id payment, refund, of;
	sp_payment_view *v = mem_new(1, sizeof *v);

	assert_non_null(v);
	strcpy(b->detail->requested.description, "two tickets");
	memcpy(b->detail->metadata.bytes, "{\"a\":1}", 7);
	b->detail->metadata.size = 7;
	OK(store_begin(b->s));
	create_refunded(b, &payment, &refund);
	OK(store_commit(b->s));
	OK(store_payment_view(b->s, payment.text, v));
	assert_string_equal(v->id, payment.text);
	assert_int_equal(v->status, sp_STATUS_PARTIALLY_REFUNDED);
	assert_int_equal(v->amount_refunded_minor, 10);
	assert_string_equal(v->description, "two tickets");
	assert_int_equal(v->metadata.size, 7);
	assert_int_equal(v->version, 7);
	OK(store_refund_payment(b->s, refund.text, &of));
	assert_string_equal(of.text, payment.text);
	assert_int_equal(store_refund_payment(b->s, "ref_01ARZ3NDEKTSV4RRFFQ69G5FAV", &of), ERR_REFUND_NOT_FOUND);
	assert_int_equal(store_payment_view(b->s, "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV", v), ERR_PAYMENT_NOT_FOUND);
	assert_int_equal(store_payment_view(b->s, "tok_whatever", v), ERR_PAYMENT_NOT_FOUND);
	must_rebuild(b);
	mem_free(v);
}

/* Everything that is due, through all pages; the first is in `first`. */
static unsigned
due_at(struct bench *b, int64_t now_ms, struct id *first)
{
	struct store_due due = {.n = 0};
	unsigned n = 0;
	do {
		OK(store_due_list(b->s, now_ms, &due));
		if (n == 0 && due.n)
			*first = due.payments[0];
		n += due.n;
	} while (due.more);
	return n;
}

static void
only_what_can_still_be_captured_runs_out(void **arg)
{
	enum { MANY = STORE_DUE_MAX + 7 };
	struct bench *b = *arg;
	struct id payment, refund, capture, left, first;
	int64_t end_ms;

	OK(store_begin(b->s));
	create_refunded(b, &payment, &refund); /* nothing is left to run out */
	create(b, 100, &payment);              /* nobody has authorized it yet */
	create(b, 100, &left);
	OK(result(b, left.text, "", sp_OUTCOME_APPROVED));
	OK(store_payment_load(b->s, left.text, b->state));
	end_ms = b->state->expires_at_ms;
	/* part of it is captured: the rest runs out at the same time */
	OK(store_mark(b->s));
	struct payment_command part = {.kind = PAYMENT_CAPTURE, .amount_minor = 10, .operation = capture.text};
	id_new("cap", ++b->at_ms, &capture);
	OK(command(b, left.text, &part));
	OK(result(b, left.text, capture.text, sp_OUTCOME_APPROVED));
	OK(store_release(b->s));
	/* a command that is undone moves nothing */
	OK(store_mark(b->s));
	OK(request(b, left.text, PAYMENT_CAPTURE, 0, &capture));
	OK(result(b, left.text, capture.text, sp_OUTCOME_APPROVED));
	store_undo(b->s);
	OK(store_commit(b->s));
	assert_int_equal(due_at(b, end_ms - 1, &first), 0);
	assert_int_equal(due_at(b, end_ms, &first), 1);
	assert_string_equal(first.text, left.text);
	must_rebuild(b);
	/* many, in the order of their ends; then one of them is void and one has run out */
	OK(store_begin(b->s));
	for (unsigned i = 1; i < MANY; i++) {
		create(b, 100, &payment);
		OK(result(b, payment.text, "", sp_OUTCOME_APPROVED));
	}
	OK(store_commit(b->s));
	assert_int_equal(due_at(b, b->at_ms + 2000, &first), MANY);
	assert_string_equal(first.text, left.text);
	OK(store_begin(b->s));
	OK(request(b, payment.text, PAYMENT_VOID, 0, &capture));
	OK(result(b, payment.text, capture.text, sp_OUTCOME_APPROVED));
	b->at_ms = end_ms + 1;
	struct payment_command expire = {.kind = PAYMENT_EXPIRE};
	OK(command(b, left.text, &expire));
	OK(store_commit(b->s));
	assert_int_equal(due_at(b, b->at_ms + 5000, &first), MANY - 2);
	assert_string_not_equal(first.text, left.text);
	must_rebuild(b);
}

/* A store that was written before there was the index gets it when it is opened. */
static void
an_older_store_gets_its_index(void **arg)
{
	struct bench *b = *arg;
	struct id payment, first;
	bool was;

	OK(store_begin(b->s));
	for (unsigned i = 0; i < 1030; i++) {
		create(b, 100, &payment);
		if (i % 10 == 0)
			OK(result(b, payment.text, "", sp_OUTCOME_APPROVED));
	}
	OK(store_commit(b->s));
	struct store_due due = {.n = 0};
	OK(store_begin(b->s));
	do {
		OK(store_due_list(b->s, b->at_ms + 2000, &due));
		for (unsigned i = 0; i < due.n; i++) {
			OK(store_payment_load(b->s, due.payments[i].text, b->state));
			uint8_t stream[STORE_ID_BYTES];
			OK(id_pack("pay", due.payments[i].text, stream));
			OK(store_expiry_move(b->s, stream, b->state->expires_at_ms, 0));
		}
	} while (due.more);
	OK(b->s->ops->item_drop(b->s->kind, STORE_ITEM_SETTING, store_blob_of("expiry_index", 12), &was));
	assert_true(was);
	OK(store_commit(b->s));
	assert_int_equal(due_at(b, b->at_ms + 2000, &first), 0);
	sp_ledger_rebuild_rep r;
	OK(store_rebuild(b->s, &r));
	assert_true(r.differences > 0); /* and a rebuild would have told */
	store_close(b->s);
	open_store(b);
	assert_int_equal(due_at(b, b->at_ms + 2000, &first), 103);
	must_rebuild(b);
}

static void
an_undone_command_leaves_nothing_and_its_neighbours_stay(void **arg)
{
	struct bench *b = *arg;
	struct id kept, undone, later;
	struct leaf leaf = {.event = EVENT_PAYMENT_REQUESTED};
	sp_ledger_facts_rep facts = {0};
	struct checkpoint log;

	OK(store_begin(b->s));
	OK(store_mark(b->s));
	create(b, 100, &kept);
	OK(store_leaf(b->s, &leaf, NULL));
	OK(store_release(b->s));
	OK(store_mark(b->s));
	create(b, 200, &undone);
	OK(store_leaf(b->s, &leaf, NULL));
	store_undo(b->s);
	leaf.event = EVENT_PAYMENT_REFUSED;
	OK(store_leaf(b->s, &leaf, NULL));
	OK(store_mark(b->s));
	create(b, 300, &later);
	OK(store_release(b->s));
	OK(store_commit(b->s));
	OK(store_payment_load(b->s, kept.text, b->state));
	OK(store_payment_load(b->s, later.text, b->state));
	assert_int_equal(store_payment_load(b->s, undone.text, b->state), ERR_PAYMENT_NOT_FOUND);
	OK(store_facts(b->s, &facts));
	assert_int_equal(facts.payments, 2);
	assert_int_equal(facts.events, 4);
	store_log_position(b->s, &log);
	assert_int_equal(log.size, 2);
	must_rebuild(b);
}

static void
a_rolled_back_batch_leaves_nothing(void **arg)
{
	struct bench *b = *arg;
	struct id payment;
	struct leaf leaf = {.event = EVENT_PAYMENT_REQUESTED};
	struct idempotency_row row = {.expires_at_ms = T0 + TTL}, got;
	struct checkpoint log;
	bool found;

	OK(store_begin(b->s));
	create(b, 100, &payment);
	OK(store_leaf(b->s, &leaf, NULL));
	OK(store_idempotency_put(b->s, &row, T0));
	store_rollback(b->s);
	assert_int_equal(store_payment_load(b->s, payment.text, b->state), ERR_PAYMENT_NOT_FOUND);
	OK(store_idempotency_get(b->s, row.key, T0, &got, &found));
	assert_false(found);
	store_log_position(b->s, &log);
	assert_int_equal(log.size, 0);
	/* and the same work can be done now */
	OK(store_begin(b->s));
	create(b, 100, &payment);
	OK(store_idempotency_put(b->s, &row, T0));
	OK(store_commit(b->s));
	OK(store_idempotency_get(b->s, row.key, T0, &got, &found));
	assert_true(found);
	must_rebuild(b);
}

static void
two_writers_of_one_version_conflict(void **arg)
{
	struct bench *b = *arg;
	struct payment_command c = {.kind = PAYMENT_RETRY, .at_ms = T0, .actor = "test", .attempt = "att_2"};
	sp_payment_state *stale = payment_new();
	struct payment_event events[PAYMENT_EVENTS_MAX];
	struct id payment;
	unsigned n;

	assert_non_null(stale);
	OK(store_begin(b->s));
	create(b, 100, &payment);
	OK(store_commit(b->s));
	OK(store_payment_load(b->s, payment.text, stale));
	OK(payment_decide(stale, &c, events, &n));
	OK(store_begin(b->s));
	OK(result(b, payment.text, "", sp_OUTCOME_APPROVED));
	OK(store_mark(b->s));
	assert_int_equal(store_payment_append(b->s, payment.text, stale, events, n), ERR_VERSION_CONFLICT);
	store_undo(b->s);
	OK(store_commit(b->s));
	must_rebuild(b);
	mem_free(stale);
}

static void
keys_live_until_they_expire(void **arg)
{
	struct bench *b = *arg;
	struct idempotency_row row = {.key = "k1", .fingerprint = "f1", .expires_at_ms = T0 + TTL, .status = 202}, got;
	struct idempotency_row refund = {.key = "k2", .fingerprint = "f2", .expires_at_ms = T0 + 3 * TTL};
	bool found;

	id_new("pay", T0, &row.payment);
	id_new("ref", T0, &refund.operation);
	refund.payment = row.payment;
	strcpy(refund.code, "invalid_state");
	OK(store_begin(b->s));
	OK(store_idempotency_put(b->s, &row, T0));
	assert_int_equal(store_idempotency_put(b->s, &row, T0), ERR_DB_CONFLICT);
	OK(store_idempotency_put(b->s, &refund, T0));
	OK(store_commit(b->s));
	OK(store_idempotency_get(b->s, row.key, T0 + TTL - 1, &got, &found));
	assert_true(found);
	assert_memory_equal(&got, &row, sizeof row);
	OK(store_idempotency_get(b->s, row.key, T0 + TTL, &got, &found));
	assert_false(found);
	/* the key's next life, while its old row still stands */
	row.expires_at_ms = T0 + 2 * TTL;
	OK(store_begin(b->s));
	OK(store_idempotency_put(b->s, &row, T0 + TTL));
	OK(store_commit(b->s));
	OK(store_idempotency_get(b->s, row.key, T0 + TTL + 1, &got, &found));
	assert_true(found);
	assert_int_equal(got.expires_at_ms, T0 + 2 * TTL);
	OK(store_idempotency_get(b->s, refund.key, T0 + 3 * TTL - 1, &got, &found));
	assert_true(found);
	assert_memory_equal(&got, &refund, sizeof refund);
	/* longer than the store was opened for */
	row.expires_at_ms = T0 + 9 * TTL;
	OK(store_begin(b->s));
	assert_int_equal(store_idempotency_put(b->s, &row, T0), ERR_OUT_OF_RANGE);
	store_rollback(b->s);
}

/* Long traffic: nothing live is lost, nothing expired answers. */
static void
keys_come_and_go(void **arg)
{
	struct bench *b = *arg;
	struct idempotency_row got;
	bool found;
	int64_t now = T0;

	for (uint32_t i = 1; i < 400; i++) {
		struct idempotency_row row = {.fingerprint = "f", .expires_at_ms = now + TTL};
		memset(row.key, (int)(i * 37), sizeof row.key);
		memcpy(row.key + 8, &i, sizeof i);
		OK(store_begin(b->s));
		OK(store_idempotency_put(b->s, &row, now));
		OK(store_commit(b->s));
		/* one that was put 7 steps ago is alive, one of 12 steps ago is not */
		for (uint32_t back = 7; back <= 12 && i > back; back += 5) {
			uint32_t old = i - back;
			memset(row.key, (int)(old * 37), sizeof row.key);
			memcpy(row.key + 8, &old, sizeof old);
			OK(store_idempotency_get(b->s, row.key, now, &got, &found));
			assert_int_equal(found, back == 7);
		}
		now += TTL / 10;
		OK(store_between_batches(b->s));
	}
}

static enum err
collect_attempt(void *arg, const struct attempt *a)
{
	char *text = arg;
	strcat(text, a->derived_key);
	return strcmp(a->derived_key, "stop") == 0 ? ERR_INTERRUPTED : ERR_OK;
}

static void
attempts_stay_until_they_have_a_result(void **arg)
{
	struct bench *b = *arg;
	struct attempt a = {.kind = sp_JOB_AUTHORIZE,
						.state = ATTEMPT_PREPARED,
						.account = "simulator",
						.derived_key = "a",
						.tries = 1,
						.created_at_ms = T0,
						.next_try_ms = T0 + 1},
				   second = a, got;
	char seen[64] = "";

	id_new("pay", T0, &a.payment);
	id_new("att", T0, &a.id);
	second.payment = a.payment;
	id_new("att", T0 + 1, &second.id);
	strcpy(second.derived_key, "b");
	OK(store_begin(b->s));
	OK(store_attempt_put(b->s, &second));
	OK(store_attempt_put(b->s, &a));
	a.state = ATTEMPT_INQUIRING;
	OK(store_attempt_put(b->s, &a));
	OK(store_commit(b->s));
	OK(store_attempt_get(b->s, a.id.text, &got));
	assert_memory_equal(&got, &a, sizeof a);
	OK(store_attempt_list(b->s, collect_attempt, seen));
	assert_string_equal(seen, "ab");
	OK(store_begin(b->s));
	OK(store_attempt_finish(b->s, a.id.text));
	assert_int_equal(store_attempt_finish(b->s, a.id.text), ERR_NOT_FOUND);
	strcpy(second.derived_key, "stop");
	OK(store_attempt_put(b->s, &second));
	OK(store_commit(b->s));
	assert_int_equal(store_attempt_get(b->s, a.id.text, &got), ERR_NOT_FOUND);
	assert_int_equal(store_attempt_list(b->s, collect_attempt, seen), ERR_INTERRUPTED);
	assert_string_equal(seen, "abstop");
}

struct seen_entries {
	uint64_t sequence[32];
	char type[32][48];
	char key[128], data[2048];
	unsigned n;
};

static enum err
collect_entry(void *arg, const struct outbox_entry *e)
{
	struct seen_entries *seen = arg;
	assert_true(seen->n < 32);
	seen->sequence[seen->n] = e->sequence;
	strcpy(seen->type[seen->n++], e->type);
	strcpy(seen->key, e->partition_key);
	snprintf(seen->data, sizeof seen->data, "%.*s", (int)e->data_bytes, (const char *)e->data);
	return ERR_OK;
}

static void
the_outbox_tells_each_event_until_it_is_published(void **arg)
{
	struct bench *b = *arg;
	struct seen_entries seen = {.n = 0};
	sp_ledger_facts_rep facts = {0};
	struct id first, second;

	OK(store_begin(b->s));
	create(b, 100, &first);
	OK(store_outbox_list(b->s, 0, 10, collect_entry, &seen));
	assert_int_equal(seen.n, 0); /* nothing is told before it is committed */
	OK(store_commit(b->s));
	strcpy(b->detail->requested.order_id, "order-2");
	OK(store_begin(b->s));
	create(b, 200, &second);
	assert_int_equal(store_outbox_published(b->s, 3), ERR_NOT_FOUND); /* not committed yet */
	OK(store_commit(b->s));
	OK(store_outbox_list(b->s, 0, 10, collect_entry, &seen));
	assert_int_equal(seen.n, 4);
	assert_string_equal(seen.type[0], "payment.requested.v1");
	assert_string_equal(seen.type[1], "payment.processing.v1");
	assert_string_equal(seen.key, "order-2");
	assert_non_null(strstr(seen.data, second.text));
	assert_non_null(strstr(seen.data, "\"version\":2"));
	/* out of order, and once again */
	OK(store_begin(b->s));
	OK(store_outbox_published(b->s, 2));
	OK(store_outbox_published(b->s, 3));
	OK(store_outbox_published(b->s, 3));
	OK(store_commit(b->s));
	seen.n = 0;
	OK(store_outbox_list(b->s, 0, 10, collect_entry, &seen));
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.sequence[0], 1);
	assert_int_equal(seen.sequence[1], 4);
	OK(store_begin(b->s));
	OK(store_outbox_published(b->s, 1));
	store_rollback(b->s);
	OK(store_facts(b->s, &facts));
	assert_int_equal(facts.outbox, 2);
	assert_true(facts.outbox_oldest_ms >= (uint64_t)T0);
	OK(store_begin(b->s));
	OK(store_outbox_published(b->s, 1));
	OK(store_commit(b->s));
	seen.n = 0;
	OK(store_outbox_list(b->s, 0, 1, collect_entry, &seen));
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.sequence[0], 4);
	OK(store_outbox_list(b->s, 4, 10, collect_entry, &seen));
	assert_int_equal(seen.n, 1);
}

static enum err
collect_client(void *arg, const sp_client_view *c)
{
	strcat(arg, c->name);
	return ERR_OK;
}

static void
clients_are_found_by_certificate_and_name(void **arg)
{
	struct bench *b = *arg;
	sp_client_view c = {.name = "b", .cert_sha256 = "cert b", .scopes = 5, .merchants_count = 1, .merchants = {"demo"}};
	sp_client_view other = {.name = "a", .cert_sha256 = "cert a"}, *got = mem_new(1, sizeof *got);
	char seen[8] = "";
	bool more;

	assert_non_null(got);
	uint64_t epoch = store_clients_epoch(b->s);
	OK(store_begin(b->s));
	OK(store_client_put(b->s, &c));
	OK(store_client_put(b->s, &other));
	memcpy(other.cert_sha256, c.cert_sha256, sizeof c.cert_sha256);
	assert_int_equal(store_client_put(b->s, &other), ERR_CLIENT_EXISTS);
	OK(store_commit(b->s));
	assert_int_equal(store_clients_epoch(b->s), epoch + 2);
	OK(store_client_by_cert(b->s, c.cert_sha256, got));
	assert_memory_equal(got, &c, sizeof c);
	OK(store_client_list(b->s, "", 1, collect_client, seen, &more));
	assert_true(more);
	OK(store_client_list(b->s, "a", 5, collect_client, seen, &more));
	assert_false(more);
	assert_string_equal(seen, "ab");
	/* a new certificate puts the old one out of use */
	uint8_t before[32];
	memcpy(before, c.cert_sha256, 32);
	c.cert_sha256[0] ^= 1;
	OK(store_begin(b->s));
	OK(store_client_put(b->s, &c));
	OK(store_commit(b->s));
	assert_int_equal(store_client_by_cert(b->s, before, got), ERR_CLIENT_UNKNOWN);
	OK(store_client_by_cert(b->s, c.cert_sha256, got));
	assert_int_equal(store_client_by_name(b->s, "nobody", got), ERR_CLIENT_UNKNOWN);
	mem_free(got);
}

struct heard {
	char text[64];
	unsigned n;
};

static enum err
hear(void *arg, const uint8_t *records, size_t n, bool *stop_out)
{
	struct heard *h = arg;
	(void)stop_out;
	assert_true(strlen(h->text) + n < sizeof h->text);
	strncat(h->text, (const char *)records, n);
	h->n++;
	return ERR_OK;
}

static const char *
of_second(struct store *s, uint64_t second)
{
	static struct heard h;
	h = (struct heard){"", 0};
	OK(store_requests_find(s, second, hear, &h));
	return h.text;
}

static void
what_became_of_requests_is_kept_by_their_second_and_bounded(void **arg)
{
	struct bench *b = *arg;

	OK(store_begin(b->s));
	OK(store_requests_put(b->s, 100, "abc", 3, 5000));
	OK(store_requests_put(b->s, 101, "de", 2, 5000));
	OK(store_requests_put(b->s, 100, "fg", 2, 5000));
	assert_string_equal(of_second(b->s, 100), "abcfg"); /* in the open batch too */
	OK(store_commit(b->s));
	OK(store_begin(b->s));
	OK(store_requests_put(b->s, 100, "h", 1, 6000)); /* slow ones come later */
	OK(store_commit(b->s));
	assert_string_equal(of_second(b->s, 100), "abcfgh");
	assert_string_equal(of_second(b->s, 101), "de");
	assert_string_equal(of_second(b->s, 99), "");
	assert_string_equal(of_second(b->s, 102), "");
	/* a batch that is lost leaves nothing, nor does its size */
	OK(store_begin(b->s));
	OK(store_requests_put(b->s, 101, "lost", 4, 6000));
	store_rollback(b->s);
	assert_string_equal(of_second(b->s, 101), "de");
	OK(store_begin(b->s));
	OK(store_requests_prune(b->s, 0, 8)); /* what is there has room */
	assert_string_equal(of_second(b->s, 100), "abcfgh");
	OK(store_requests_prune(b->s, 0, 5)); /* the oldest goes first */
	assert_string_equal(of_second(b->s, 100), "fgh");
	OK(store_requests_prune(b->s, 101, 8));
	assert_string_equal(of_second(b->s, 100), "");
	assert_string_equal(of_second(b->s, 101), "de");
	OK(store_requests_prune(b->s, 0, 0));
	assert_string_equal(of_second(b->s, 101), "");
	OK(store_commit(b->s));
}

static void
merchants_accounts_and_settings(void **arg)
{
	struct bench *b = *arg;
	struct merchant m = {.id = "demo", .account = "simulator", .created_at_ms = T0}, got;
	struct routing_account accounts[2] = {{.id = "simulator", .connector = "simulator"},
										  {.id = "bank:de", .connector = "bank", .merchant = "demo", .livemode = true}};
	struct routing_account list[2];
	char text[8];
	unsigned n;

	OK(store_begin(b->s));
	OK(store_merchant_put(b->s, &m));
	OK(store_account_put(b->s, &accounts[0]));
	OK(store_account_put(b->s, &accounts[1]));
	OK(store_setting_put(b->s, "mode", "test"));
	OK(store_commit(b->s));
	OK(store_merchant_get(b->s, "demo", &got));
	assert_memory_equal(&got, &m, sizeof m);
	assert_int_equal(store_merchant_get(b->s, "other", &got), ERR_NOT_FOUND);
	OK(store_account_list(b->s, list, 2, &n));
	assert_int_equal(n, 2);
	assert_memory_equal(&list[0], &accounts[1], sizeof list[0]);
	OK(store_account_list(b->s, list, 1, &n));
	assert_int_equal(n, 1);
	OK(store_setting_get(b->s, "mode", text, sizeof text));
	assert_string_equal(text, "test");
	assert_int_equal(store_setting_get(b->s, "mode", text, 4), ERR_OUT_OF_RANGE);
	assert_int_equal(store_setting_get(b->s, "other", text, sizeof text), ERR_NOT_FOUND);
}

/* Take a page apart: its payments' ids, or operations' ids. */
static unsigned
ids_of(struct store_page *page, bool operations, char (*out)[32])
{
	pb_istream_t from = pb_istream_from_buffer(buf_at(page->data), page->data->len);
	sp_payment_view *p = mem_new(1, sizeof *p);
	sp_operation_view *o = mem_new(1, sizeof *o);
	unsigned n = 0;

	assert_non_null(p);
	assert_non_null(o);
	while (from.bytes_left > 0) {
		if (operations)
			assert_true(pb_decode_delimited(&from, sp_operation_view_fields, o));
		else
			assert_true(pb_decode_delimited(&from, sp_payment_view_fields, p));
		strcpy(out[n++], operations ? o->id : p->id);
	}
	assert_int_equal(n, page->count);
	mem_free(p);
	mem_free(o);
	return n;
}

static void
lists_go_from_new_to_old_by_pages(void **arg)
{
	struct bench *b = *arg;
	struct id made[25];
	char got[32][32];
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = 57344};
	sp_list_query q = sp_list_query_init_zero;
	unsigned n = 25;
	const char mine[][64] = {"demo"}, others[][64] = {"other"};

	buf_init(&data, 65536);
	OK(store_begin(b->s));
	for (unsigned i = 0; i < 25; i++) {
		b->detail->requested.order_id[0] = 0;
		if (i % 5 == 0)
			snprintf(b->detail->requested.order_id, sizeof b->detail->requested.order_id, "order-%u", i);
		create(b, 100 + i, &made[i]);
	}
	OK(store_commit(b->s));
	q.limit = 10;
	for (unsigned want[] = {10, 10, 5}, at = 0; at < 3; at++) {
		buf_reset(&data);
		OK(store_payment_list(b->s, &q, mine, 1, &page));
		assert_int_equal(ids_of(&page, false, got), want[at]);
		for (unsigned i = 0; i < want[at]; i++)
			assert_string_equal(got[i], made[--n].text);
		assert_int_equal(page.has_more, at < 2);
		strcpy(q.cursor, page.next_cursor);
	}
	q = (sp_list_query)sp_list_query_init_zero;
	buf_reset(&data);
	strcpy(q.order_id, "order-5");
	OK(store_payment_list(b->s, &q, mine, 1, &page));
	assert_int_equal(ids_of(&page, false, got), 1);
	assert_string_equal(got[0], made[5].text);
	buf_reset(&data);
	OK(store_payment_list(b->s, &q, others, 1, &page));
	assert_int_equal(page.count, 0);
	q = (sp_list_query)sp_list_query_init_zero;
	q.status = sp_STATUS_AUTHORIZED;
	OK(store_payment_list(b->s, &q, mine, 0, &page));
	assert_int_equal(page.count, 0);
	/* times are bounds: made[3] to made[5] without it */
	q = (sp_list_query)sp_list_query_init_zero;
	q.created_gte_ms = id_time_ms(&made[3]);
	q.created_lt_ms = id_time_ms(&made[5]);
	buf_reset(&data);
	OK(store_payment_list(b->s, &q, mine, 0, &page));
	assert_int_equal(ids_of(&page, false, got), 2);
	assert_string_equal(got[1], made[3].text);
	/* a page that is too small for all ends early and goes on from there */
	q = (sp_list_query)sp_list_query_init_zero;
	page.bytes_max = 600;
	n = 25;
	do {
		buf_reset(&data);
		OK(store_payment_list(b->s, &q, mine, 0, &page));
		unsigned some = ids_of(&page, false, got);
		assert_in_range(some, 1, 24);
		for (unsigned i = 0; i < some; i++)
			assert_string_equal(got[i], made[--n].text);
		strcpy(q.cursor, page.next_cursor);
	} while (page.has_more);
	assert_int_equal(n, 0);
	strcpy(q.cursor, "nonsense");
	assert_int_equal(store_payment_list(b->s, &q, mine, 0, &page), ERR_CURSOR);
	buf_clear(&data);
}

static void
refunds_are_listed_by_payment_and_all_together(void **arg)
{
	struct bench *b = *arg;
	struct id payments[3], refunds[3], more;
	char got[32][32];
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = 57344};
	sp_list_query q = sp_list_query_init_zero;

	buf_init(&data, 65536);
	OK(store_begin(b->s));
	for (unsigned i = 0; i < 3; i++)
		create_refunded(b, &payments[i], &refunds[i]);
	OK(request(b, payments[0].text, PAYMENT_REFUND, 5, &more));
	OK(store_commit(b->s));
	OK(store_refund_list(b->s, "", &q, NULL, 0, &page));
	assert_int_equal(ids_of(&page, true, got), 4);
	assert_string_equal(got[0], more.text);
	assert_string_equal(got[1], refunds[2].text);
	assert_string_equal(got[3], refunds[0].text);
	q.limit = 1;
	buf_reset(&data);
	OK(store_refund_list(b->s, payments[0].text, &q, NULL, 0, &page));
	assert_int_equal(ids_of(&page, true, got), 1);
	assert_string_equal(got[0], more.text);
	assert_true(page.has_more);
	strcpy(q.cursor, page.next_cursor);
	buf_reset(&data);
	OK(store_refund_list(b->s, payments[0].text, &q, NULL, 0, &page));
	assert_int_equal(ids_of(&page, true, got), 1);
	assert_string_equal(got[0], refunds[0].text);
	assert_false(page.has_more);
	strcpy(q.cursor, refunds[2].text);
	buf_reset(&data);
	OK(store_refund_list(b->s, "", &q, NULL, 0, &page));
	assert_int_equal(ids_of(&page, true, got), 1);
	assert_string_equal(got[0], refunds[1].text);
	const char others[][64] = {"other"};
	assert_int_equal(store_refund_list(b->s, payments[0].text, &q, others, 1, &page), ERR_PAYMENT_NOT_FOUND);
	must_rebuild(b);
	buf_clear(&data);
}

static void
the_timeline_tells_each_step_and_where_it_led(void **arg)
{
	struct bench *b = *arg;
	static const sp_payment_status led_to[] = {sp_STATUS_CREATED,           sp_STATUS_PROCESSING, sp_STATUS_AUTHORIZED,
											   sp_STATUS_AUTHORIZED,        sp_STATUS_CAPTURED,   sp_STATUS_CAPTURED,
											   sp_STATUS_PARTIALLY_REFUNDED};
	struct id payment, refund;
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = 57344};
	sp_timeline_view v;
	char cursor[64] = "";
	unsigned step = 0;

	buf_init(&data, 65536);
	OK(store_begin(b->s));
	create_refunded(b, &payment, &refund);
	OK(store_commit(b->s));
	do {
		buf_reset(&data);
		OK(store_timeline(b->s, payment.text, 3, cursor, &page));
		pb_istream_t from = pb_istream_from_buffer(buf_at(&data), data.len);
		while (from.bytes_left > 0) {
			assert_true(pb_decode_delimited(&from, sp_timeline_view_fields, &v));
			assert_true(id_check("evt", v.id));
			assert_int_equal(v.sequence, step + 1);
			assert_int_equal(v.payment_status, led_to[step]);
			step++;
		}
		strcpy(cursor, page.next_cursor);
	} while (page.has_more);
	assert_int_equal(step, 7);
	assert_string_equal(v.type, "refund.succeeded.v1");
	assert_string_equal(v.operation, refund.text);
	assert_int_equal(store_timeline(b->s, "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV", 3, "", &page), ERR_PAYMENT_NOT_FOUND);
	assert_int_equal(store_timeline(b->s, payment.text, 3, "x", &page), ERR_CURSOR);
	buf_clear(&data);
}

static void
leaves_make_one_tree(void **arg)
{
	struct bench *b = *arg;
	struct leaf leaf = {.event = EVENT_PAYMENT_REQUESTED, .object_id = "pay_x"};
	struct checkpoint log;
	struct tree tree = {0};
	struct buf out;
	uint32_t count = 0;
	uint8_t hash[HASH_BYTES], root[HASH_BYTES], proof[PROOF_MAX][HASH_BYTES];
	uint64_t seq = 0;
	size_t n = 0;

	buf_init(&out, 65536);
	for (unsigned batch = 0; batch < 3; batch++) {
		OK(store_begin(b->s));
		for (unsigned i = 0; i < 4; i++)
			OK(store_leaf(b->s, &leaf, &seq));
		OK(store_commit(b->s));
	}
	assert_int_equal(seq, 11);
	OK(store_log_read(b->s, 0, 100, 60000, &out, &count));
	assert_int_equal(count, 12);
	const uint8_t *p = buf_at(&out);
	for (uint64_t i = 0; i < count; i++) {
		size_t bytes = (size_t)p[2] << 8 | p[3];
		tree_leaf_hash(p + 4, bytes, hash);
		OK(store_log_hash(b->s, i, root));
		assert_memory_equal(hash, root, HASH_BYTES);
		tree_append(&tree, hash);
		p += 4 + bytes;
	}
	store_log_position(b->s, &log);
	tree_root(&tree, root);
	assert_int_equal(log.size, 12);
	assert_memory_equal(log.root, root, HASH_BYTES);
	assert_string_equal(log.origin, "sallyport.test/a/ledger");
	uint8_t old_root[HASH_BYTES];
	OK(store_log_root(b->s, 5, old_root));
	OK(store_log_consistency(b->s, 5, 12, proof, &n));
	OK(tree_check_consistency(5, old_root, 12, root, (const uint8_t(*)[HASH_BYTES])proof, n));
	assert_int_equal(store_log_hash(b->s, 12, hash), ERR_OUT_OF_RANGE);
	buf_clear(&out);
}

static void
rebuild_finds_a_changed_row(void **arg)
{
	struct bench *b = *arg;
	sp_ledger_rebuild_rep r;
	struct id payment, refund;
	struct store_payment_row row = {0};
	size_t n;

	OK(store_begin(b->s));
	create_refunded(b, &payment, &refund);
	create(b, 5, &refund);
	OK(store_commit(b->s));
	must_rebuild(b);
	/* one cent more than the events say */
	OK(store_payment_load(b->s, payment.text, b->state));
	b->state->refunded_minor++;
	OK(event_codec_put_state(b->state, b->s->bytes, sizeof b->s->bytes, &n));
	OK(id_pack("pay", payment.text, row.id));
	row.version = b->state->version;
	row.state = store_blob_of(b->s->bytes, n);
	OK(store_begin(b->s));
	OK(b->s->ops->payment_put(b->s->kind, &row, row.version));
	OK(store_commit(b->s));
	OK(store_rebuild(b->s, &r));
	assert_int_equal(r.objects, 2);
	assert_int_equal(r.events, 9);
	assert_int_equal(r.differences, 1);
	assert_non_null(strstr(r.first_difference, payment.text));
}

static void
a_rebuild_in_steps_lets_work_go_on(void **arg)
{
	struct bench *b = *arg;
	struct store_rebuild *r;
	sp_ledger_rebuild_rep rep;
	struct id payment, refund;
	unsigned steps = 0;
	bool done = false;

	OK(store_begin(b->s));
	for (unsigned i = 0; i < 5; i++)
		create_refunded(b, &payment, &refund);
	OK(store_commit(b->s));
	OK(store_rebuild_begin(b->s, &r));
	while (!done) {
		OK(store_rebuild_step(r, 1, &done));
		if (++steps <= 3) {
			OK(store_begin(b->s));
			create_refunded(b, &payment, &refund);
			OK(store_commit(b->s));
		}
	}
	store_rebuild_end(r, &rep);
	assert_int_equal(rep.objects, 8);
	assert_int_equal(rep.differences, 0);
	OK(store_rebuild_begin(b->s, &r));
	store_rebuild_end(r, NULL);
}

/* ── only where something is kept ── */

static void
all_is_there_after_it_was_closed(void **arg)
{
	struct bench *b = *arg;
	struct id payment, refund;
	struct idempotency_row row = {.key = "k", .fingerprint = "f", .expires_at_ms = T0 + TTL}, got;
	sp_client_view c = {.name = "a", .cert_sha256 = "cert a"};
	struct leaf leaf = {.event = EVENT_PAYMENT_REQUESTED};
	sp_ledger_facts_rep before = {0}, after = {0};
	bool found;

	OK(store_begin(b->s));
	create_refunded(b, &payment, &refund);
	OK(store_idempotency_put(b->s, &row, T0));
	OK(store_client_put(b->s, &c));
	OK(store_leaf(b->s, &leaf, NULL));
	OK(store_commit(b->s));
	OK(store_begin(b->s));
	OK(store_outbox_published(b->s, 1));
	OK(store_outbox_published(b->s, 3));
	OK(store_commit(b->s));
	OK(store_facts(b->s, &before));
	assert_int_equal(before.outbox, 5);
	store_close(b->s);
	open_store(b);
	OK(store_facts(b->s, &after));
	assert_int_equal(after.payments, before.payments);
	assert_int_equal(after.events, 7);
	assert_int_equal(after.leaves, 1);
	assert_int_equal(after.clients, 1);
	assert_int_equal(after.outbox, 6); /* 3 was told out of order: it is told again */
	assert_int_equal(store_clients_epoch(b->s), 1);
	OK(store_idempotency_get(b->s, row.key, T0 + 1, &got, &found));
	assert_true(found);
	must_rebuild(b);
	OK(store_begin(b->s));
	create(b, 7, &payment);
	OK(store_commit(b->s));
	must_rebuild(b);
}

/* ── both kinds side by side ── */

static uint64_t seed;

static unsigned
draw(unsigned below)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (unsigned)(seed % below);
}

#define PAYMENTS 40

struct random_step {
	unsigned what, payment, amount, outcome;
	struct id fresh;
};

/* One step on one store; its error is part of what is compared. */
static enum err
random_step(struct bench *b, const struct random_step *step, struct id *payments)
{
	struct payment_command c = {.amount_minor = step->amount, .final = step->amount % 2, .operation = step->fresh.text};
	sp_result_req r = {.outcome = (sp_outcome)step->outcome, .attempt = "att_1"};
	const char *payment = payments[step->payment].text;

	if (store_payment_load(b->s, payment, b->state) == ERR_OK && b->state->operations_count)
		strcpy(r.operation, b->state->operations[b->state->operations_count - 1].id);
	static const enum payment_command_kind kinds[] = {PAYMENT_CAPTURE, PAYMENT_VOID, PAYMENT_REFUND, PAYMENT_RETRY};
	c.kind = step->what < 4 ? kinds[step->what] : PAYMENT_RESULT;
	c.result = &r;
	c.expires_at_ms = T0 * 2;
	return command(b, payment, &c);
}

static void
compare_stores(struct bench *a, struct bench *b)
{
	sp_ledger_facts_rep fa = {0}, fb = {0};
	struct buf da, db;
	struct store_page pa = {.data = &da, .bytes_max = 57344}, pb = {.data = &db, .bytes_max = 57344};
	sp_list_query q = {.limit = 100};

	buf_init(&da, 1 << 20);
	buf_init(&db, 1 << 20);
	OK(store_facts(a->s, &fa));
	OK(store_facts(b->s, &fb));
	fa.db_bytes = fb.db_bytes = 0;
	assert_memory_equal(&fa, &fb, sizeof fa);
	OK(store_payment_list(a->s, &q, NULL, 0, &pa));
	OK(store_payment_list(b->s, &q, NULL, 0, &pb));
	OK(store_refund_list(a->s, "", &q, NULL, 0, &pa));
	OK(store_refund_list(b->s, "", &q, NULL, 0, &pb));
	assert_int_equal(da.len, db.len);
	assert_memory_equal(buf_at(&da), buf_at(&db), da.len);
	buf_clear(&da);
	buf_clear(&db);
}

static size_t
length_of_list(struct bench *b)
{
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = 57344};
	sp_list_query q = {.limit = 100};

	buf_init(&data, 1 << 20);
	OK(store_payment_list(b->s, &q, NULL, 0, &page));
	size_t n = data.len;
	buf_clear(&data);
	return n;
}

static void
random_work_leaves_both_kinds_the_same(void **arg)
{
	struct bench *both[2] = {bench_new(&store_memory), bench_new(&store_sqlcipher)};
	struct id payments[PAYMENTS];
	unsigned done = 0;

	(void)arg;
	both[1]->at_ms = both[0]->at_ms;
	for (unsigned i = 0; i < PAYMENTS; i++)
		id_new("pay", T0 + i, &payments[i]);
	for (unsigned batch = 0; batch < 120; batch++) {
		unsigned n = 1 + draw(12);
		bool drop = draw(8) == 0;
		for (unsigned k = 0; k < 2; k++)
			OK(store_begin(both[k]->s));
		while (n-- > 0) {
			struct random_step step = {draw(12), draw(PAYMENTS), draw(40), 1 + draw(7), {""}};
			bool undo = draw(6) == 0, look = draw(4) == 0;
			size_t lengths[2];
			enum err e[2];
			id_new(step.what == 2 ? "ref" : "cap", T0 + batch, &step.fresh);
			if (batch < 4)
				step.what = 12;
			for (unsigned k = 0; k < 2; k++) {
				struct payment_command c = {.kind = PAYMENT_CREATE,
											.amount_minor = 100,
											.currency = 978,
											.account = "simulator",
											.detail = both[k]->detail};
				OK(store_mark(both[k]->s));
				if (store_payment_load(both[k]->s, payments[step.payment].text, both[k]->state) ==
					ERR_PAYMENT_NOT_FOUND)
					e[k] = command(both[k], payments[step.payment].text, &c);
				else
					e[k] = random_step(both[k], &step, payments);
				/* a list in the middle of a command sees what it wrote, and undo takes it back all the same */
				lengths[k] = look ? length_of_list(both[k]) : 0;
				if (e[k] != ERR_OK || undo)
					store_undo(both[k]->s);
				else
					OK(store_release(both[k]->s));
			}
			assert_int_equal(e[0], e[1]);
			assert_int_equal(lengths[0], lengths[1]);
			done += e[0] == ERR_OK;
		}
		for (unsigned k = 0; k < 2; k++) {
			if (drop)
				store_rollback(both[k]->s);
			else
				OK(store_commit(both[k]->s));
			OK(store_between_batches(both[k]->s));
		}
		compare_stores(both[0], both[1]);
	}
	assert_true(done > 100);
	must_rebuild(both[0]);
	must_rebuild(both[1]);
	bench_free(both[0]);
	bench_free(both[1]);
}

#define ON(ops, f) cmocka_unit_test_prestate_setup_teardown(f, setup, teardown, (void *)(uintptr_t)(ops))
#define BOTH(f)    ON(&store_memory, f), ON(&store_sqlcipher, f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(a_payment_comes_back_as_it_was),
		BOTH(an_undone_command_leaves_nothing_and_its_neighbours_stay),
		BOTH(only_what_can_still_be_captured_runs_out),
		ON(&store_sqlcipher, an_older_store_gets_its_index),
		BOTH(a_rolled_back_batch_leaves_nothing),
		BOTH(two_writers_of_one_version_conflict),
		BOTH(keys_live_until_they_expire),
		BOTH(keys_come_and_go),
		BOTH(attempts_stay_until_they_have_a_result),
		BOTH(the_outbox_tells_each_event_until_it_is_published),
		BOTH(clients_are_found_by_certificate_and_name),
		BOTH(merchants_accounts_and_settings),
		BOTH(what_became_of_requests_is_kept_by_their_second_and_bounded),
		BOTH(lists_go_from_new_to_old_by_pages),
		BOTH(refunds_are_listed_by_payment_and_all_together),
		BOTH(the_timeline_tells_each_step_and_where_it_led),
		BOTH(leaves_make_one_tree),
		BOTH(rebuild_finds_a_changed_row),
		BOTH(a_rebuild_in_steps_lets_work_go_on),
		ON(&store_sqlcipher, all_is_there_after_it_was_closed),
		cmocka_unit_test(random_work_leaves_both_kinds_the_same),
	};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)clock_mono_us();
	seed = seed ? seed : 1;
	printf("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("store/contract", tests, NULL, NULL);
}
