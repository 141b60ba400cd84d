#include "daemon/domain/payment.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/money.h"
#include "daemon/domain/payment_event.h"

/* All before the operations; of those only the used ones are ever touched. */
#define HEAD_BYTES offsetof(sp_payment_state, operations)

sp_payment_state *
payment_new(void)
{
	return mem_new(1, sizeof(sp_payment_state));
}

void
payment_clear(sp_payment_state *p)
{
	memset(p, 0, HEAD_BYTES);
}

void
payment_copy(sp_payment_state *to, const sp_payment_state *from)
{
	memcpy(to, from, HEAD_BYTES + from->operations_count * sizeof from->operations[0]);
}

/* ── what a state says ── */

static sp_payment_status
status_after_authorization(const sp_payment_state *s)
{
	bool voided = false;

	for (size_t i = 1; i < s->operations_count; i++) {
		const sp_operation_state *op = &s->operations[i];
		/* A refund in doubt leaves the payment as it was; a capture or void in doubt does not. */
		if (op->kind == sp_KIND_REFUND)
			continue;
		if (op->status == sp_OP_UNKNOWN)
			return sp_STATUS_UNKNOWN;
		if (op->status == sp_OP_NEEDS_REVIEW)
			return sp_STATUS_NEEDS_REVIEW;
		voided = voided || (op->kind == sp_KIND_VOID && op->status == sp_OP_SUCCEEDED);
	}
	if (voided)
		return sp_STATUS_VOIDED;
	if (s->refunded_minor > 0)
		return s->refunded_minor == s->captured_minor ? sp_STATUS_REFUNDED : sp_STATUS_PARTIALLY_REFUNDED;
	if (s->captured_minor > 0)
		return s->released || s->captured_minor == s->authorized_minor ? sp_STATUS_CAPTURED
																	   : sp_STATUS_PARTIALLY_CAPTURED;
	return s->expired ? sp_STATUS_EXPIRED : sp_STATUS_AUTHORIZED;
}

sp_payment_status
payment_status(const sp_payment_state *s)
{
	if (s->operations_count == 0)
		return sp_STATUS_NONE;
	switch (s->operations[0].status) {
	case sp_OP_PENDING:
		return s->operations[0].attempts ? sp_STATUS_PROCESSING : sp_STATUS_CREATED;
	case sp_OP_SUCCEEDED:
		return status_after_authorization(s);
	case sp_OP_DECLINED:
		return sp_STATUS_DECLINED;
	case sp_OP_FAILED:
		return sp_STATUS_FAILED;
	case sp_OP_UNKNOWN:
		return sp_STATUS_UNKNOWN;
	default:
		return sp_STATUS_NEEDS_REVIEW;
	}
}

bool
payment_wants_capture(const sp_payment_state *s)
{
	if (s->capture_method != sp_CAPTURE_AUTOMATIC || payment_status(s) != sp_STATUS_AUTHORIZED)
		return false;
	/* Any capture that was tried, declined ones too, ends the automatism. */
	return s->operations_count == 1;
}

/* of minus taken; the books never let it be less than nothing */
static int64_t
left(const sp_payment_state *s, int64_t of, int64_t taken)
{
	uint16_t currency = (uint16_t)s->currency;
	struct money rest = {0, currency};

	if (money_sub((struct money){of, currency}, (struct money){taken, currency}, &rest) != ERR_OK)
		return 0;
	return rest.minor;
}

int64_t
payment_left_to_capture(const sp_payment_state *s)
{
	return s->released ? 0 : left(s, s->authorized_minor, s->captured_minor);
}

int64_t
payment_left_to_refund(const sp_payment_state *s)
{
	return left(s, s->captured_minor, s->refunded_minor);
}

static size_t
index_of(const sp_payment_state *s, const char *id)
{
	if (!id || !*id || strcmp(id, s->id) == 0)
		return 0;
	for (size_t i = 1; i < s->operations_count; i++)
		if (strcmp(s->operations[i].id, id) == 0)
			return i;
	return s->operations_count;
}

const sp_operation_state *
payment_operation(const sp_payment_state *s, const char *id)
{
	size_t i = index_of(s, id);
	return i < s->operations_count ? &s->operations[i] : NULL;
}

const char *
payment_operation_id(const sp_payment_state *s, const sp_operation_state *op)
{
	return *op->id ? op->id : s->id;
}

bool
payment_operation_open(const sp_operation_state *op)
{
	return op->status == sp_OP_PENDING || op->status == sp_OP_UNKNOWN || op->status == sp_OP_NEEDS_REVIEW;
}

const sp_operation_state *
payment_open_operation(const sp_payment_state *s)
{
	for (size_t i = s->operations_count; i-- > 0;)
		if (payment_operation_open(&s->operations[i]))
			return &s->operations[i];
	return NULL;
}

/* ── what an event makes of it ── */

static void
begin(sp_payment_state *s, const char *id, const struct payment_event *ev)
{
	const sp_payment_requested *r = &ev->detail->requested;

	payment_clear(s);
	snprintf(s->id, sizeof s->id, "%s", id);
	s->created_at_ms = ev->at_ms;
	memcpy(s->merchant, r->merchant, sizeof s->merchant);
	memcpy(s->client, r->client, sizeof s->client);
	memcpy(s->token, r->token, sizeof s->token);
	memcpy(s->order_id, r->order_id, sizeof s->order_id);
	memcpy(s->traceparent, r->traceparent, sizeof s->traceparent);
	memcpy(s->account, ev->body.account, sizeof s->account);
	s->amount_minor = ev->body.amount_minor;
	s->currency = ev->body.currency;
	s->capture_method = r->capture_method;
	s->livemode = r->livemode;
}

static void
add_operation(sp_payment_state *s, const struct payment_event *ev)
{
	sp_operation_state *op = &s->operations[s->operations_count++];

	memset(op, 0, sizeof *op);
	memcpy(op->id, ev->body.operation, sizeof op->id);
	op->kind = ev->body.kind;
	op->status = sp_OP_PENDING;
	op->amount_minor = ev->body.amount_minor;
	op->created_at_ms = ev->at_ms;
	op->final = ev->body.final;
	op->requested_version = ev->version;
}

/* Sums move only here. False: the event does not fit the books. */
static bool
book(sp_payment_state *s, const sp_operation_state *op)
{
	uint16_t currency = (uint16_t)s->currency;
	struct money amount = {op->amount_minor, currency}, sum;
	struct {
		int64_t *sum, most;
	} line;

	switch (op->kind) {
	case sp_KIND_AUTHORIZE:
		line.sum = &s->authorized_minor, line.most = s->amount_minor;
		break;
	case sp_KIND_CAPTURE:
		line.sum = &s->captured_minor, line.most = s->authorized_minor;
		break;
	case sp_KIND_REFUND:
		line.sum = &s->refunded_minor, line.most = s->captured_minor;
		break;
	default: /* a void moves nothing */
		return s->captured_minor == 0;
	}
	if (money_add((struct money){*line.sum, currency}, amount, &sum) != ERR_OK || sum.minor > line.most)
		return false;
	*line.sum = sum.minor;
	return true;
}

static bool
change_operation(sp_payment_state *s, sp_operation_state *op, const struct payment_event *ev)
{
	const sp_event_body *b = &ev->body;

	if (b->status == sp_OP_SUCCEEDED && (!payment_operation_open(op) || !book(s, op)))
		return false;
	if (b->status == sp_OP_PENDING && op->status != sp_OP_PENDING)
		return false;
	op->status = b->status;
	op->updated_at_ms = ev->at_ms;
	op->contradicted = b->contradicted;
	if (b->status == sp_OP_PENDING) {
		if (*b->attempt) {
			op->attempts++;
			memcpy(op->attempt, b->attempt, sizeof op->attempt);
		}
		return true;
	}
	memcpy(op->decline_code, b->decline_code, sizeof op->decline_code);
	memcpy(op->network_code, b->network_code, sizeof op->network_code);
	memcpy(op->processor_code, b->processor_code, sizeof op->processor_code);
	memcpy(op->advice, b->advice, sizeof op->advice);
	if (*b->processor_reference)
		memcpy(op->processor_reference, b->processor_reference, sizeof op->processor_reference);
	if (b->status == sp_OP_SUCCEEDED && op->kind == sp_KIND_AUTHORIZE)
		s->expires_at_ms = b->expires_at_ms;
	if (b->status == sp_OP_SUCCEEDED && (op->kind == sp_KIND_VOID || (op->kind == sp_KIND_CAPTURE && op->final)))
		s->released = true;
	return true;
}

/* Requests make an operation, and so does a capture that came with its authorization. */
static bool
makes_operation(const struct payment_event *ev)
{
	switch (ev->type) {
	case sp_EV_PAYMENT_REQUESTED:
	case sp_EV_CAPTURE_REQUESTED:
	case sp_EV_VOID_REQUESTED:
	case sp_EV_REFUND_REQUESTED:
	case sp_EV_PAYMENT_CAPTURED:
		return true;
	default:
		return false;
	}
}

static enum err
apply_to_operation(sp_payment_state *s, const struct payment_event *ev)
{
	const struct payment_event_row *row = payment_event_row(ev->type);
	size_t at = s->operations_count ? index_of(s, ev->body.operation) : 0;
	bool new = at == s->operations_count;

	if (ev->body.kind != row->kind || ev->body.status != row->status)
		return ERR_RECORD_CORRUPT;
	if (new && (!makes_operation(ev) || at == PAYMENT_OPERATIONS_MAX || ev->body.amount_minor < 1))
		return ERR_RECORD_CORRUPT;
	if (!new && row->kind != s->operations[at].kind)
		return ERR_RECORD_CORRUPT;
	if (new)
		add_operation(s, ev);
	if (change_operation(s, &s->operations[at], ev))
		return ERR_OK;
	s->operations_count -= new;
	return ERR_RECORD_CORRUPT;
}

enum err
payment_apply(sp_payment_state *s, const char *id, const struct payment_event *ev)
{
	const struct payment_event_row *row = payment_event_row(ev->type);
	enum err e = ERR_OK;

	if (!row)
		return ERR_RECORD_CORRUPT;
	if (ev->version != s->version + 1)
		return ERR_VERSION_CONFLICT;
	if ((ev->type == sp_EV_PAYMENT_REQUESTED) != (s->operations_count == 0))
		return ERR_RECORD_CORRUPT;
	if (ev->type == sp_EV_PAYMENT_REQUESTED) {
		if (!ev->detail || !ev->detail->has_requested || ev->body.kind != sp_KIND_AUTHORIZE ||
			ev->body.amount_minor < 1)
			return ERR_RECORD_CORRUPT;
		begin(s, id, ev);
	}
	if (row->kind != sp_KIND_NONE) {
		e = apply_to_operation(s, ev);
	} else if (ev->type == sp_EV_PAYMENT_EXPIRED) {
		s->expired = s->released = true;
	} else {
		e = ERR_RECORD_CORRUPT; /* reversed, settled: nothing makes them yet */
	}
	if (e != ERR_OK)
		return e;
	s->version = ev->version;
	s->updated_at_ms = ev->at_ms;
	return ERR_OK;
}
