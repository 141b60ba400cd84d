#include "tests/bench/fill.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"

struct fill {
	struct store *s;
	void (*commit)(struct store *s);
	sp_payment_state *state;
	sp_event_detail *detail;
	sp_payment_view *view;
	struct id payment[FILL_GROUP_MAX], attempt[FILL_GROUP_MAX];
	uint64_t first_seq, last_seq;
	int64_t at_ms;
	bool orders;
};

void
fill_must(enum err e, const char *what)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "fill: %s: %s\n", what, err_code(e));
	exit(1);
}

static void
plain_commit(struct store *s)
{
	fill_must(store_commit(s), "commit");
}

static void
set_detail(sp_event_detail *d)
{
	d->has_requested = true;
	strcpy(d->requested.merchant, "demo");
	strcpy(d->requested.client, "demo");
	strcpy(d->requested.token, "tok_01ARZ3NDEKTSV4RRFFQ69G5FAV");
	strcpy(d->requested.request_id, "req_01ARZ3NDEKTSV4RRFFQ69G5FAV");
	d->requested.has_card = true;
	strcpy(d->requested.card.bin, "424242");
	strcpy(d->requested.card.last4, "4242");
}

struct fill *
fill_new(struct store *s, int64_t at_ms, void (*commit)(struct store *s))
{
	struct fill *f = mem_new(1, sizeof *f);
	sp_ledger_facts_rep facts = {0};

	fill_must(f ? ERR_OK : ERR_MEMORY, "start");
	*f = (struct fill){.s = s, .commit = commit ? commit : plain_commit, .at_ms = at_ms};
	f->state = payment_new();
	f->detail = mem_new(1, sizeof *f->detail);
	f->view = mem_new(1, sizeof *f->view);
	fill_must(f->state && f->detail && f->view ? ERR_OK : ERR_MEMORY, "start");
	set_detail(f->detail);
	/* what is there is told already: the outbox is a position in the events */
	fill_must(store_facts(s, &facts), "facts");
	f->first_seq = facts.events;
	return f;
}

void
fill_free(struct fill *f)
{
	if (!f)
		return;
	mem_free(f->state);
	mem_free(f->detail);
	mem_free(f->view);
	mem_free(f);
}

void
fill_orders(struct fill *f)
{
	f->orders = true;
}

static void
decide_and_append(struct fill *f, const char *id, const struct payment_command *c)
{
	struct payment_event events[PAYMENT_EVENTS_MAX];
	unsigned n;
	fill_must(payment_decide(f->state, c, events, &n), "decide");
	fill_must(store_payment_append(f->s, id, f->state, events, n), "append");
}

static void
leave_leaf(struct fill *f, enum audit_event event, const char *id)
{
	struct leaf l = {.event = event,
					 .actor = ACTOR_CLIENT,
					 .actor_id = "demo",
					 .object_id = id,
					 .merchant = "demo",
					 .request = "req_01ARZ3NDEKTSV4RRFFQ69G5FAV"};
	fill_must(store_leaf(f->s, &l, NULL), "leaf");
}

static void
put_key(struct fill *f, unsigned i)
{
	struct idempotency_row row = {.expires_at_ms = f->at_ms + 86400000, .payment = f->payment[i]}, old;
	bool found;

	randombytes_buf(row.key, sizeof row.key);
	randombytes_buf(row.fingerprint, sizeof row.fingerprint);
	fill_must(store_idempotency_get(f->s, row.key, f->at_ms, &old, &found), "idempotency");
	fill_must(store_idempotency_put(f->s, &row, f->at_ms), "idempotency");
}

static void
put_attempt(struct fill *f, unsigned i)
{
	struct attempt attempt = {.kind = sp_JOB_AUTHORIZE,
							  .state = ATTEMPT_PREPARED,
							  .tries = 1,
							  .created_at_ms = f->at_ms,
							  .id = f->attempt[i],
							  .payment = f->payment[i]};

	strcpy(attempt.account, "simulator");
	strcpy(attempt.derived_key, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	fill_must(store_attempt_put(f->s, &attempt), "attempt");
}

static void
requested(struct fill *f, unsigned i)
{
	fill_must(store_mark(f->s), "mark");
	id_new("pay", f->at_ms, &f->payment[i]);
	id_new("att", f->at_ms, &f->attempt[i]);
	if (f->orders)
		snprintf(f->detail->requested.order_id, sizeof f->detail->requested.order_id, "order-%08x",
				 randombytes_random());
	struct payment_command c = {.kind = PAYMENT_CREATE,
								.at_ms = f->at_ms,
								.actor = "client:demo",
								.payment = f->payment[i].text,
								.attempt = f->attempt[i].text,
								.amount_minor = 1999,
								.currency = 978,
								.account = "simulator",
								.rule = "default",
								.detail = f->detail};
	payment_clear(f->state);
	decide_and_append(f, f->payment[i].text, &c);
	put_key(f, i);
	put_attempt(f, i);
	leave_leaf(f, EVENT_PAYMENT_REQUESTED, f->payment[i].text);
	fill_must(store_release(f->s), "release");
}

static void
result(struct fill *f, unsigned i)
{
	sp_result_req r = {.outcome = sp_OUTCOME_APPROVED, .captured = true};
	struct id capture;

	fill_must(store_mark(f->s), "mark");
	id_new("cap", f->at_ms, &capture);
	memcpy(r.attempt, f->attempt[i].text, sizeof r.attempt);
	strcpy(r.reference, "sim_01ARZ3NDEKTSV4RRFFQ69G5FAV");
	struct payment_command c = {.kind = PAYMENT_RESULT,
								.at_ms = f->at_ms,
								.actor = "processor:simulator",
								.operation = capture.text,
								.expires_at_ms = f->at_ms + 604800000,
								.result = &r};
	fill_must(store_payment_load(f->s, f->payment[i].text, f->state), "load");
	decide_and_append(f, f->payment[i].text, &c);
	fill_must(store_attempt_finish(f->s, f->attempt[i].text), "finish");
	leave_leaf(f, EVENT_PAYMENT_RESULT, f->payment[i].text);
	fill_must(store_payment_view_of(f->s, f->state, f->view), "view");
	fill_must(store_release(f->s), "release");
}

static enum err
published(void *arg, const struct outbox_entry *e)
{
	struct fill *f = arg;
	f->last_seq = e->sequence;
	return ERR_OK;
}

static void
commit(struct fill *f)
{
	f->commit(f->s);
	fill_must(store_between_batches(f->s), "between batches");
}

void
fill_round(struct fill *f, unsigned group)
{
	f->at_ms += 3;
	fill_must(store_begin(f->s), "begin");
	for (unsigned i = 0; i < group; i++)
		requested(f, i);
	commit(f);
	fill_must(store_begin(f->s), "begin");
	for (unsigned i = 0; i < group; i++)
		result(f, i);
	commit(f);
	fill_must(store_begin(f->s), "begin");
	fill_must(store_outbox_list(f->s, f->first_seq, group * 4, published, f), "outbox");
	for (uint64_t seq = f->first_seq + 1; seq <= f->last_seq; seq++)
		fill_must(store_outbox_published(f->s, seq), "published");
	f->first_seq = f->last_seq;
	commit(f);
}
