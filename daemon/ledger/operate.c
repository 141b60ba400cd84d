#include "daemon/ledger/operate.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/money.h"
#include "daemon/base/str.h"
#include "daemon/ledger/attempt.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/caller.h"
#include "daemon/ledger/command.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"

/* What each operation needs and leaves. */
static const struct kind {
	const char *prefix;
	enum payment_command_kind command;
	enum caller_scope scope;
	enum audit_event event;
	sp_job_kind job;
} kinds[] = {
	[sp_KIND_CAPTURE] = {"cap", PAYMENT_CAPTURE, CALLER_PAYMENTS_WRITE, EVENT_CAPTURE_REQUESTED, sp_JOB_CAPTURE},
	[sp_KIND_VOID] = {"voi", PAYMENT_VOID, CALLER_PAYMENTS_WRITE, EVENT_VOID_REQUESTED, sp_JOB_VOID},
	[sp_KIND_REFUND] = {"ref", PAYMENT_REFUND, CALLER_REFUNDS_WRITE, EVENT_REFUND_REQUESTED, sp_JOB_REFUND},
};

static const struct kind *
kind_of(sp_operation_kind k)
{
	return (size_t)k < sizeof kinds / sizeof *kinds && kinds[k].prefix ? &kinds[k] : NULL;
}

/* ── inside the batch ── */

static enum err
append(struct command *c, const sp_payment_operate_req *req, const struct kind *k)
{
	static struct payment_event events[PAYMENT_EVENTS_MAX];
	static sp_event_detail detail;
	unsigned n = 0;
	char actor[80];
	int64_t now_ms = clock_wall_ms();

	id_new(k->prefix, now_ms, &c->operation);
	id_new("att", now_ms, &c->attempt);
	detail.has_requested = false;
	detail.metadata.size = req->metadata.size;
	memcpy(detail.metadata.bytes, req->metadata.bytes, req->metadata.size);
	snprintf(actor, sizeof actor, "%s%s", c->as ? "client:" : "", c->client);
	const struct payment_command cmd = {.kind = k->command,
										.at_ms = now_ms,
										.actor = actor,
										.payment = c->payment.text,
										.operation = c->operation.text,
										.attempt = c->attempt.text,
										.amount_minor = req->amount_minor,
										.final = req->final,
										.reason = req->reason,
										.detail = req->metadata.size ? &detail : NULL};
	enum err e = payment_decide(ledger.state, &cmd, events, &n);
	if (!e)
		e = store_payment_append(ledger.store, c->payment.text, ledger.state, events, n);
	return e;
}

static enum err
put_attempt(struct command *c, const struct kind *k)
{
	char connector[32];
	struct attempt a = {.id = c->attempt,
						.payment = c->payment,
						.operation = c->operation,
						.kind = k->job,
						.state = ATTEMPT_SENT,
						.tries = 1,
						.created_at_ms = clock_wall_ms()};
	attempt_connector(ledger.state->account, connector);
	attempt_job(ledger.state, c->operation.text, connector, &c->job);
	enum err e = str_set(c->job.attempt, sizeof c->job.attempt, c->attempt.text);
	if (!e)
		e = str_set(a.account, sizeof a.account, ledger.state->account);
	if (!e)
		e = str_set(a.derived_key, sizeof a.derived_key, c->job.derived_key);
	return e ? e : store_attempt_put(ledger.store, &a);
}

/* The payment, if this caller may know of it. */
static enum err
load_seen(struct command *c, const sp_payment_operate_req *req)
{
	const sp_client_view *client;
	enum err e = store_payment_load(ledger.store, req->payment, ledger.state);
	if (e)
		return e;
	if (c->as) {
		if ((e = caller_find(c->as->cert_sha256, &client)))
			return e;
		if (!caller_sees(client, ledger.state->merchant))
			return ERR_PAYMENT_NOT_FOUND;
	}
	memcpy(c->merchant, ledger.state->merchant, sizeof c->merchant);
	return str_set(c->payment.text, sizeof c->payment.text, req->payment);
}

static enum err
act(void *arg)
{
	struct command *c = arg;
	const sp_payment_operate_req *req = c->req;
	const struct kind *k = kind_of(c->kind);
	enum err e;
	if (c->keyed && ((e = command_judge(c)) || c->replay))
		return e;
	if ((e = load_seen(c, req)) || (c->as && (e = effects_allowed())))
		return e;
	if (req->amount_minor < 0 || req->amount_minor > MONEY_MAX_MINOR)
		return ERR_AMOUNT_OUT_OF_RANGE;
	if (flight_count() >= FLIGHT_MAX)
		return ERR_OVERLOADED;
	if (flight_of_payment(c->payment.text))
		return ERR_OPERATION_IN_FLIGHT;
	if ((e = append(c, req, k)) || (e = put_attempt(c, k)) || (e = command_keep(c, ERR_OK)))
		return e;
	if (!c->as)
		return leaves_process(k->event, "ledger", c->operation.text, ERR_OK, 0);
	return leaves_client(k->event, c->as, c->client, c->kind == sp_KIND_VOID ? c->payment.text : c->operation.text,
						 c->merchant, ERR_OK);
}

static enum err
refused(void *arg, enum err e)
{
	struct command *c = arg;
	if (!c->as || e == ERR_IDEMPOTENCY_BUSY)
		return ERR_OK;
	/* a payment that this caller may not know of is no object of its leaf, and nothing to keep under its key */
	enum err f = c->payment.text[0] ? command_keep(c, e) : ERR_OK;
	return f ? f : leaves_client(EVENT_PAYMENT_REFUSED, c->as, c->client, c->payment.text, c->merchant, e);
}

static void
done(void *arg, enum err e)
{
	struct command *c = arg;
	if (e)
		command_refuse(c, e);
	else if (c->replay)
		attempt_replay(c);
	else
		attempt_begin(c);
}

static const struct batch_row row = {act, refused, done};

static enum err
check_caller(struct command *c, const sp_payment_operate_req *req, const struct kind *k)
{
	const sp_client_view *client;
	enum err e = caller_check(req->has_caller, &req->caller, k->scope, &client);
	if (e || (e = command_key(c, req->has_idem, &req->idem, client->name)))
		return e;
	c->as = &req->caller;
	return str_set(c->client, sizeof c->client, client->name);
}

void
operate_answer(struct call *call, const void *request)
{
	const sp_payment_operate_req *req = request;
	const struct kind *k = kind_of(req->kind);
	struct command *c;
	if (ledger_closed(call))
		return;
	enum err e = k ? command_new(call, req->kind, req, &c) : ERR_NOT_SUPPORTED;
	if (e) {
		call_reply(call, e, NULL);
		return;
	}
	c->async = req->async;
	c->wait_ms = req->wait_ms;
	if ((e = check_caller(c, req, k))) {
		command_refuse(c, e);
		return;
	}
	batch_run(&row, c, 2048 + req->metadata.size);
}

/* ── our own capture ── */

static void
rest_done(void *arg, enum err e)
{
	struct command *c = arg;
	if (!e) {
		attempt_begin(c);
		return;
	}
	/* the payment stays authorized: a client can capture it */
	log_warn("an automatic capture could not be begun", LOG_S("payment", c->payment.text), LOG_E("cause", e));
	command_free(c);
}

static const struct batch_row rest_row = {act, NULL, rest_done};

void
operate_capture_rest(const char *payment)
{
	static sp_payment_operate_req req;
	struct command *c;
	req = (sp_payment_operate_req)sp_payment_operate_req_init_zero;
	req.final = true;
	if (str_set(req.payment, sizeof req.payment, payment) || command_new(NULL, sp_KIND_CAPTURE, &req, &c) != ERR_OK)
		return;
	memcpy(c->client, "ledger", sizeof "ledger");
	batch_run(&rest_row, c, 1024);
}
