#include "daemon/ledger/pay.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/currency.h"
#include "daemon/base/mem.h"
#include "daemon/base/money.h"
#include "daemon/base/str.h"
#include "daemon/ledger/attempt.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/caller.h"
#include "daemon/ledger/command.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/facts.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"
#include "daemon/ledger/lsk.h"
#include "daemon/wire/ask.h"

#define FACTS_DEADLINE_MS 5000

/* The facts of the token that the command that runs now pays with. */
static struct facts facts;
static sp_event_detail detail;
static unsigned waiting;

/* ── the decision ── */

static enum err
check_request(const sp_payment_create_req *req)
{
	if (req->amount_minor < 1 || req->amount_minor > MONEY_MAX_MINOR)
		return ERR_AMOUNT_OUT_OF_RANGE;
	if (req->currency > UINT16_MAX || !currency_of((uint16_t)req->currency))
		return ERR_CURRENCY;
	if (facts.expires_at_ms && facts.expires_at_ms <= clock_wall_ms())
		return ERR_TOKEN_EXPIRED;
	return ERR_OK;
}

/* Accounts and default accounts of merchants change only by an officer's hand: they are read once. */
static struct routing_account accounts[64];
static struct merchant merchants[64];
static unsigned accounts_n;
static bool accounts_known;

void
pay_forget(void)
{
	accounts_known = false;
	memset(merchants, 0, sizeof merchants);
}

static enum err
default_account(const char *merchant, const char **out)
{
	struct merchant *m = &merchants[(unsigned char)merchant[0] % 64];
	enum err e = strcmp(m->id, merchant) ? store_merchant_get(ledger.store, merchant, m) : ERR_OK;
	*out = !e && m->account[0] ? m->account : conf_text(proc_conf(), CONF_PROCESSOR);
	if (e)
		m->id[0] = 0;
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err
route(const struct command *c, const sp_payment_create_req *req, const struct routing_account **account_out,
	  const char **rule_out)
{
	const char *fallback;
	enum err e = default_account(c->merchant, &fallback);
	if (!e && !accounts_known)
		e = store_account_list(ledger.store, accounts, 64, &accounts_n);
	if (e)
		return e;
	accounts_known = true;
	const struct routing_query q = {.merchant = c->merchant,
									.origin = req->origin,
									.processor = req->processor,
									.bin = facts.card.bin,
									.currency = req->currency,
									.amount_minor = req->amount_minor,
									.livemode = ledger.livemode};
	e = routing_pick(&q, NULL, 0, accounts, accounts_n, fallback, account_out, rule_out);
	/* there is none that anybody could name: not the request's fault */
	return e == ERR_PROCESSOR_UNKNOWN && ledger.livemode && !accounts_n ? ERR_PROCESSOR_NONE : e;
}

/* Text that has the same bound on both sides needs no check, only a copy. */
#define TAKE(member) memcpy(r->member, req->member, sizeof r->member)

static void
fill_detail(const struct command *c, const sp_payment_create_req *req)
{
	sp_payment_requested *r = &detail.requested;
	memset(r, 0, sizeof *r);
	detail.has_requested = true;
	detail.metadata.size = req->metadata.size;
	memcpy(detail.metadata.bytes, req->metadata.bytes, req->metadata.size);
	memcpy(r->merchant, c->merchant, sizeof r->merchant);
	memcpy(r->client, c->client, sizeof r->client);
	r->has_card = true;
	r->card = facts.card;
	r->capture_method = req->capture_method;
	TAKE(token);
	TAKE(order_id);
	TAKE(origin);
	TAKE(customer);
	TAKE(statement_descriptor);
	TAKE(description);
	TAKE(network_transaction_id);
	memcpy(r->request_id, c->as->request_id, sizeof r->request_id);
	memcpy(r->traceparent, c->as->traceparent, sizeof r->traceparent);
	r->initiator_mit = req->initiator_mit;
	r->livemode = ledger.livemode;
	r->inline_card = req->inline_card;
}

static enum err
append_request(struct command *c, const sp_payment_create_req *req, const struct routing_account *account,
			   const char *rule)
{
	static struct payment_event events[PAYMENT_EVENTS_MAX];
	unsigned n = 0;
	char actor[80];
	int64_t now_ms = clock_wall_ms();

	id_new("pay", now_ms, &c->payment);
	id_new("att", now_ms, &c->attempt);
	fill_detail(c, req);
	snprintf(actor, sizeof actor, "client:%s", c->client);
	const struct payment_command cmd = {.kind = PAYMENT_CREATE,
										.at_ms = now_ms,
										.actor = actor,
										.payment = c->payment.text,
										.attempt = c->attempt.text,
										.amount_minor = req->amount_minor,
										.currency = req->currency,
										.account = account->id,
										.rule = rule,
										.detail = &detail};
	payment_clear(ledger.state);
	enum err e = payment_decide(ledger.state, &cmd, events, &n);
	if (!e)
		e = store_payment_append(ledger.store, c->payment.text, ledger.state, events, n);
	return e;
}

static enum err
put_attempt(struct command *c, const sp_payment_create_req *req, const struct routing_account *account)
{
	struct attempt a = {.id = c->attempt,
						.payment = c->payment,
						.kind = sp_JOB_AUTHORIZE,
						.state = ATTEMPT_PREPARED,
						.tries = 1,
						.created_at_ms = clock_wall_ms()};
	attempt_job(ledger.state, "", account->connector, &c->job);
	enum err e = str_set(c->job.attempt, sizeof c->job.attempt, c->attempt.text);
	if (!e)
		e = str_set(c->job.statement_descriptor, sizeof c->job.statement_descriptor, req->statement_descriptor);
	c->job.initiator_mit = req->initiator_mit;
	if (!e)
		e = str_set(a.account, sizeof a.account, account->id);
	if (!e)
		e = str_set(a.derived_key, sizeof a.derived_key, c->job.derived_key);
	return e ? e : store_attempt_put(ledger.store, &a);
}

static enum err
act(void *arg)
{
	struct command *c = arg;
	const sp_payment_create_req *req = c->req;
	const struct routing_account *account;
	const char *rule;
	enum err e = command_judge(c);
	if (e || c->replay)
		return e;
	if ((e = effects_allowed()) || (e = check_request(req)) || (e = route(c, req, &account, &rule)))
		return e;
	/* before anything of it is durable or a card is opened: it may come again under the same key */
	if ((e = effects_processor(account->id)))
		return e;
	if (flight_count() >= FLIGHT_MAX)
		return ERR_OVERLOADED;
	if ((e = append_request(c, req, account, rule)) || (e = put_attempt(c, req, account)))
		return e;
	if ((e = command_keep(c, ERR_OK)))
		return e;
	c->dispatch = true;
	return leaves_client(EVENT_PAYMENT_REQUESTED, c->as, c->client, c->payment.text, c->merchant, ERR_OK);
}

static enum err
refused(void *arg, enum err e)
{
	struct command *c = arg;
	c->payment = (struct id){""};
	if (c->replay || e == ERR_IDEMPOTENCY_BUSY)
		return ERR_OK;
	return leaves_client(EVENT_PAYMENT_REFUSED, c->as, c->client, "", c->merchant, e);
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

/* ── before it: who, and what the vault says of the token ── */

/* The request lives only while its call is dispatched: as `as` does, which points into it. */
static enum err
keep_request(struct command *c)
{
	const sp_payment_create_req *req = c->req;
	sp_payment_create_req *copy = mem_new(1, sizeof *copy);
	if (!copy)
		return ERR_MEMORY;
	*copy = *req;
	c->req = c->owned = copy;
	c->as = &copy->caller;
	return ERR_OK;
}

static void
run(struct command *c)
{
	const sp_payment_create_req *req = c->req;
	batch_run(&row, c, 2048 + req->metadata.size);
}

static void
facts_came(void *arg, enum err e, const void *rep)
{
	struct command *c = arg;
	const sp_token_facts_rep *r = rep;
	waiting--;
	if (!e && (!r || !r->has_token))
		e = ERR_INTERNAL;
	if (ledger.stopping)
		e = ERR_SHUTTING_DOWN;
	if (e) {
		command_refuse(c, e == ERR_PEER_AWAY || e == ERR_DEADLINE ? ERR_VAULT_AWAY : e);
		return;
	}
	facts_put(&r->token, clock_mono_ms());
	facts_from(&r->token, &facts);
	run(c);
}

static enum err
ask_facts(struct command *c)
{
	const sp_payment_create_req *create = c->req;
	sp_token_facts_req req = sp_token_facts_req_init_zero;
	if (waiting >= COMMAND_WAITING_MAX)
		return ERR_OVERLOADED;
	enum err e = str_set(req.token, sizeof req.token, create->token);
	if (!e)
		e = str_set(req.merchant, sizeof req.merchant, c->merchant);
	if (!e)
		e = keep_request(c);
	if (!e)
		e = ask_token_facts(ledger_vault(), &req, FACTS_DEADLINE_MS, facts_came, c);
	if (!e)
		waiting++;
	return e;
}

static enum err
check_caller(struct command *c, const sp_payment_create_req *req)
{
	const sp_client_view *client;
	const char *merchant;
	enum err e = caller_check(req->has_caller, &req->caller, CALLER_PAYMENTS_WRITE, &client);
	if (e)
		return e;
	/* an inline card was tokenized by this same client a moment ago: that asked for its own scope */
	if (!req->inline_card && !(client->scopes & (UINT64_C(1) << CALLER_TOKENS_USE)))
		return ERR_SCOPE;
	if ((e = caller_merchant(client, req->merchant, &merchant)))
		return e;
	if ((e = command_key(c, req->has_idem, &req->idem, client->name)))
		return e;
	c->as = &req->caller;
	if ((e = str_set(c->client, sizeof c->client, client->name)))
		return e;
	return str_set(c->merchant, sizeof c->merchant, merchant);
}

/* Without facts at hand: a repeat and a refusal need none, and may come while the vault is away. */
static enum err
facts_for(struct command *c, const sp_payment_create_req *req, bool *asked_out)
{
	*asked_out = false;
	if (facts_get(req->token, c->merchant, clock_mono_ms(), &facts))
		return ERR_OK;
	enum err e = command_judge(c);
	if (e || c->replay)
		return e;
	if (!(e = effects_allowed()) && !(e = ask_facts(c)))
		*asked_out = true;
	return e;
}

void
pay_create(struct call *call, const void *request)
{
	const sp_payment_create_req *req = request;
	struct command *c;
	bool asked = false;
	if (ledger_closed(call))
		return;
	enum err e = command_new(call, sp_KIND_AUTHORIZE, req, &c);
	if (e) {
		call_reply(call, e, NULL);
		return;
	}
	c->async = req->async;
	c->wait_ms = req->wait_ms;
	if ((e = check_caller(c, req)) || (e = facts_for(c, req, &asked))) {
		command_refuse(c, e);
		return;
	}
	if (!asked)
		run(c);
}
