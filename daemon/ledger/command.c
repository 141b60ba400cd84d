#include "daemon/ledger/command.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/ledger/lsk.h"

static unsigned live;

enum err
command_new(struct call *call, sp_operation_kind kind, const void *req, struct command **out)
{
	*out = NULL;
	if (live >= FLIGHT_MAX)
		return ERR_OVERLOADED;
	struct command *c = mem_new(1, sizeof *c);
	if (!c)
		return ERR_MEMORY;
	c->call = call;
	c->kind = kind;
	c->req = req;
	c->started_us = clock_mono_us();
	live++;
	*out = c;
	return ERR_OK;
}

void
command_free(struct command *c)
{
	assert(!c->call);
	mem_free(c->owned);
	mem_free(c);
	live--;
}

enum err
command_key(struct command *c, bool has, const sp_idem *idem, const char *client)
{
	if (!has || !idem->key[0])
		return ERR_IDEMPOTENCY_MISSING;
	lsk_key(client, idem->key, c->key);
	lsk_fingerprint(idem->route, idem->body_sha256, idem->card_digest.bytes, idem->card_digest.size, c->fingerprint);
	c->keyed = true;
	return ERR_OK;
}

bool
command_waited_for(const struct idempotency_row *row)
{
	const struct flight *f = flight_of_payment(row->payment.text);
	return f && f->waiting && !strcmp(f->job.operation, row->operation.text);
}

enum err
command_judge(struct command *c)
{
	int64_t now_ms = clock_wall_ms();
	enum err e = store_idempotency_get(ledger.store, c->key, now_ms, &c->row, &c->has_row);
	if (e)
		return e;
	switch (idempotency_judge(c->has_row ? &c->row : NULL, c->fingerprint, now_ms,
							  c->has_row && command_waited_for(&c->row))) {
	case IDEMPOTENCY_FRESH:
		c->has_row = false;
		return ERR_OK;
	case IDEMPOTENCY_BUSY:
		return ERR_IDEMPOTENCY_BUSY;
	case IDEMPOTENCY_REUSED:
		return ERR_IDEMPOTENCY_REUSED;
	case IDEMPOTENCY_REPLAY:
		break;
	}
	c->replay = true;
	c->payment = c->row.payment;
	c->operation = c->row.operation;
	return ERR_OK;
}

enum err
command_keep(struct command *c, enum err e)
{
	if (!c->keyed || (e && !idempotency_keeps(e)))
		return ERR_OK;
	int64_t now_ms = clock_wall_ms();
	struct idempotency_row row = {
		.expires_at_ms = now_ms + idempotency_ttl_ms(c->kind, conf_int(proc_conf(), CONF_IDEM_TTL)),
		.payment = c->payment,
		.operation = e ? (struct id){""} : c->operation,
		.status = (uint16_t)(e          ? err_http(e)
							 : c->async ? 202
										: 0),
	};
	memcpy(row.key, c->key, sizeof row.key);
	memcpy(row.fingerprint, c->fingerprint, sizeof row.fingerprint);
	if (e && str_set(row.code, sizeof row.code, err_code(e)))
		return ERR_INTERNAL;
	return store_idempotency_put(ledger.store, &row, now_ms);
}

/* One answer's worth of views: 36 KB that no stack needs to carry. */
static sp_payment_create_rep rep;
_Static_assert(sizeof(sp_payment_create_rep) == sizeof(sp_payment_operate_rep) &&
				   offsetof(sp_payment_create_rep, http_status) == offsetof(sp_payment_operate_rep, http_status) &&
				   offsetof(sp_payment_create_rep, operation) == offsetof(sp_payment_operate_rep, operation),
			   "both commands have one shape of answer");

static enum err
views_of(const char *payment, const char *operation, sp_operation_status *status_out)
{
	/* metadata's 16 KB arrays need no zeroing: their size says how much counts */
	rep.has_payment = rep.has_operation = false;
	enum err e = store_payment_load(ledger.store, payment, ledger.state);
	if (e)
		return e;
	const sp_operation_state *op = payment_operation(ledger.state, operation);
	if (!op)
		return ERR_INTERNAL;
	*status_out = op->status;
	if ((e = store_payment_view_of(ledger.store, ledger.state, &rep.payment)))
		return e;
	rep.has_payment = true;
	if (op->kind != sp_KIND_AUTHORIZE) {
		if ((e = store_operation_view_of(ledger.store, ledger.state, op, &rep.operation)))
			return e;
		rep.has_operation = true;
	}
	return ERR_OK;
}

void
command_answer(struct call *call, const char *payment, const char *operation, const struct idempotency_row *row,
			   bool replayed, enum err cause)
{
	sp_operation_status status = sp_OP_NONE;
	unsigned http = 0;
	enum err e = views_of(payment, operation, &status);
	if (e) {
		call_reply(call, e, NULL);
		return;
	}
	const sp_operation_state *op = payment_operation(ledger.state, operation);
	e = idempotency_answer(row, op->kind, status, &http);
	/* the first answer names what happened; a repeat shows a payment that is being looked after */
	if (!replayed && status == sp_OP_UNKNOWN) {
		e = ERR_PAYMENT_UNKNOWN;
		http = (unsigned)err_http(e);
	}
	/* a processor's own error is ERR_PROCESSOR_ERROR; what never got so far says what it was */
	if (!replayed && status == sp_OP_FAILED && cause) {
		e = cause;
		http = (unsigned)err_http(e);
	}
	rep.replayed = replayed;
	rep.http_status = http;
	if (replayed)
		page_add(proc_page(), METRIC_REPLAYED, 1);
	call_reply(call, e, &rep);
}

void
command_refuse(struct command *c, enum err e)
{
	struct call *call = c->call;
	sp_operation_status status;
	c->call = NULL;
	/* the payment goes with a refusal that its state explains: allowed_actions stand in it */
	bool explains =
		(e == ERR_INVALID_STATE || e == ERR_OPERATION_IN_FLIGHT || e == ERR_AMOUNT_ABOVE) && c->payment.text[0];
	if (call && explains && views_of(c->payment.text, "", &status) == ERR_OK) {
		rep.has_operation = false;
		rep.replayed = c->replay;
		rep.http_status = (unsigned)err_http(e);
		call_reply(call, e, &rep);
	} else if (call) {
		call_reply(call, e, NULL);
	}
	command_free(c);
}
