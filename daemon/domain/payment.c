#include "daemon/domain/payment.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "daemon/base/currency.h"
#include "daemon/base/money.h"
#include "daemon/base/str.h"
#include "daemon/domain/payment_event.h"

#define ON(status) (1u << sp_STATUS_##status)
#define ON_ANY     (~ON(NONE))

static const uint32_t may_come_in[PAYMENT_COMMAND_MAX] = {
#define TRANSITION(command, from, what) [PAYMENT_##command] = (from),
#include "policy/transition.def"
#undef TRANSITION
};

/* What a processor's word makes of an operation; sp_OP_NONE: nothing. */
static sp_operation_status
after(sp_operation_status before, sp_outcome said)
{
	static const struct {
		sp_operation_status before;
		sp_outcome said;
		sp_operation_status then;
	} table[] = {
#define OUTCOME(before, said, then) {sp_##before, sp_##said, sp_##then},
#include "policy/transition.def"
#undef OUTCOME
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].before == before && table[i].said == said)
			return table[i].then;
	return sp_OP_NONE;
}

/* ── the events of one decision, as they grow ── */

struct decision {
	const sp_payment_state *state;
	const struct payment_command *cmd;
	struct payment_event *events;
	unsigned n;
	enum err failed; /* the first text that did not fit */
};

static void
put(struct decision *d, char *to, size_t bytes, const char *from)
{
	enum err e = from ? str_set(to, bytes, from) : ERR_OK;
	if (e != ERR_OK && d->failed == ERR_OK)
		d->failed = e;
}
#define PUT(d, array, from) put(d, array, sizeof(array), from)

/* The next event, with what all have in common. operation NULL or "": the authorization. */
static struct payment_event *
next_event(struct decision *d, sp_event_type type, const char *operation, int64_t amount_minor)
{
	const struct payment_event_row *row = payment_event_row(type);
	assert(row && d->n < PAYMENT_EVENTS_MAX);
	struct payment_event *ev = &d->events[d->n];

	*ev = (struct payment_event){.type = type, .version = d->state->version + ++d->n, .at_ms = d->cmd->at_ms};
	ev->body.kind = row->kind;
	ev->body.status = row->status;
	ev->body.amount_minor = amount_minor;
	PUT(d, ev->body.actor, d->cmd->actor);
	PUT(d, ev->body.operation, operation);
	return ev;
}

/* ── one function per command; payment_allows has been asked before ── */

static enum err
decide_create(struct decision *d)
{
	const struct payment_command *c = d->cmd;

	if (c->amount_minor < 1 || c->amount_minor > MONEY_MAX_MINOR)
		return ERR_AMOUNT_OUT_OF_RANGE;
	if (c->currency > UINT16_MAX || !currency_of((uint16_t)c->currency))
		return ERR_CURRENCY;
	if (!c->detail || !c->detail->has_requested)
		return ERR_MISSING_MEMBER;

	struct payment_event *ev = next_event(d, sp_EV_PAYMENT_REQUESTED, NULL, c->amount_minor);
	ev->body.currency = c->currency;
	ev->detail = c->detail;
	PUT(d, ev->body.account, c->account);
	PUT(d, ev->body.rule, c->rule);
	ev = next_event(d, sp_EV_PAYMENT_PROCESSING, NULL, c->amount_minor);
	ev->body.currency = c->currency;
	PUT(d, ev->body.attempt, c->attempt);
	PUT(d, ev->body.account, c->account);
	return ERR_OK;
}

/* A new capture, void or refund. */
static enum err
request(struct decision *d, sp_event_type type, int64_t amount_minor)
{
	const struct payment_command *c = d->cmd;

	if (!c->operation || !*c->operation || payment_operation(d->state, c->operation))
		return ERR_EXISTS;
	if (d->state->operations_count >= PAYMENT_OPERATIONS_MAX)
		return ERR_LIMIT;
	struct payment_event *ev = next_event(d, type, c->operation, amount_minor);
	ev->body.currency = d->state->currency;
	ev->body.final = c->final;
	ev->detail = c->detail;
	PUT(d, ev->body.reason, c->reason);
	PUT(d, ev->body.attempt, c->attempt);
	PUT(d, ev->body.account, d->state->account);
	return ERR_OK;
}

/* amount 0 is "all that is left". */
static enum err
amount_of(int64_t wanted, int64_t left, int64_t *out)
{
	if (wanted < 0 || wanted > MONEY_MAX_MINOR)
		return ERR_AMOUNT_OUT_OF_RANGE;
	if (left == 0)
		return ERR_INVALID_STATE;
	if (wanted > left)
		return ERR_AMOUNT_ABOVE;
	*out = wanted ? wanted : left;
	return ERR_OK;
}

static enum err
decide_capture(struct decision *d)
{
	int64_t amount = 0;
	enum err e = amount_of(d->cmd->amount_minor, payment_left_to_capture(d->state), &amount);
	return e == ERR_OK ? request(d, sp_EV_CAPTURE_REQUESTED, amount) : e;
}

static enum err
decide_void(struct decision *d)
{
	return request(d, sp_EV_VOID_REQUESTED, d->state->authorized_minor);
}

static enum err
decide_refund(struct decision *d)
{
	int64_t amount = 0;
	enum err e = amount_of(d->cmd->amount_minor, payment_left_to_refund(d->state), &amount);
	return e == ERR_OK ? request(d, sp_EV_REFUND_REQUESTED, amount) : e;
}

/* An approval must be about the amount that was asked for, and an unasked capture is not an authorization. */
static bool
contradicts(const sp_payment_state *state, const sp_operation_state *op, const sp_result_req *r)
{
	if (r->outcome != sp_OUTCOME_APPROVED)
		return false;
	if (op->status == sp_OP_DECLINED || op->status == sp_OP_FAILED)
		return true;
	return (r->amount_minor != 0 && r->amount_minor != op->amount_minor) ||
		   (op->kind == sp_KIND_AUTHORIZE && r->captured && state->capture_method != sp_CAPTURE_AUTOMATIC);
}

/* "captured" when nothing more can be, else "partially_captured". */
static sp_event_type
captured_type(const sp_payment_state *state, const sp_operation_state *capture)
{
	bool all = capture->amount_minor >= payment_left_to_capture(state);
	return capture->final || all ? sp_EV_PAYMENT_CAPTURED : sp_EV_PAYMENT_PARTIALLY_CAPTURED;
}

static void
put_result(struct decision *d, sp_event_body *b, const sp_operation_state *op)
{
	const sp_result_req *r = d->cmd->result;

	b->currency = d->state->currency;
	b->final = op->final;
	PUT(d, b->attempt, r->attempt);
	PUT(d, b->account, d->state->account);
	PUT(d, b->decline_code, r->decline_code);
	PUT(d, b->network_code, r->network_code);
	PUT(d, b->processor_code, r->processor_code);
	PUT(d, b->advice, r->advice);
	PUT(d, b->processor_reference, r->reference);
	if (r->cause != ERR_OK && r->cause < ERR_MAX)
		PUT(d, b->code, err_code((enum err)r->cause));
}

static enum err
decide_result(struct decision *d)
{
	const sp_payment_state *s = d->state;
	const sp_result_req *r = d->cmd->result;
	const sp_operation_state *op = r ? payment_operation(s, r->operation) : NULL;

	if (!op)
		return ERR_NOT_FOUND;
	sp_operation_status then = after(op->status, r->outcome);
	bool against = contradicts(s, op, r);
	if (then == sp_OP_NONE || op->contradicted)
		return ERR_OK; /* no news, or a person's business by now */
	if (against)
		then = sp_OP_NEEDS_REVIEW;

	sp_event_type type = payment_event_of(op->kind, then);
	if (op->kind == sp_KIND_CAPTURE && then == sp_OP_SUCCEEDED)
		type = captured_type(s, op);
	struct payment_event *ev = next_event(d, type, op->id, op->amount_minor);
	put_result(d, &ev->body, op);
	ev->body.contradicted = against;
	if (op->kind != sp_KIND_AUTHORIZE || then != sp_OP_SUCCEEDED)
		return ERR_OK;

	ev->body.expires_at_ms = d->cmd->expires_at_ms;
	if (!r->captured)
		return ERR_OK;
	if (!d->cmd->operation || !*d->cmd->operation)
		return ERR_MISSING_MEMBER;
	ev = next_event(d, sp_EV_PAYMENT_CAPTURED, d->cmd->operation, op->amount_minor);
	put_result(d, &ev->body, op);
	ev->body.final = true;
	return ERR_OK;
}

static enum err
decide_retry(struct decision *d)
{
	static const sp_event_type types[] = {[sp_KIND_AUTHORIZE] = sp_EV_PAYMENT_PROCESSING,
										  [sp_KIND_CAPTURE] = sp_EV_CAPTURE_PROCESSING,
										  [sp_KIND_VOID] = sp_EV_VOID_PROCESSING,
										  [sp_KIND_REFUND] = sp_EV_REFUND_PROCESSING};
	const sp_operation_state *op = payment_operation(d->state, d->cmd->operation);

	if (!op)
		return ERR_NOT_FOUND;
	if (op->status != sp_OP_PENDING)
		return ERR_INVALID_STATE;
	struct payment_event *ev = next_event(d, types[op->kind], op->id, op->amount_minor);
	ev->body.currency = d->state->currency;
	PUT(d, ev->body.attempt, d->cmd->attempt);
	PUT(d, ev->body.account, d->state->account);
	return ERR_OK;
}

static enum err
decide_give_up(struct decision *d)
{
	const sp_operation_state *op = payment_operation(d->state, d->cmd->operation);

	if (!op)
		return ERR_NOT_FOUND;
	if (op->status != sp_OP_UNKNOWN)
		return ERR_INVALID_STATE;
	struct payment_event *ev = next_event(d, payment_event_of(op->kind, sp_OP_NEEDS_REVIEW), op->id, op->amount_minor);
	ev->body.currency = d->state->currency;
	PUT(d, ev->body.account, d->state->account);
	return ERR_OK;
}

static enum err
decide_expire(struct decision *d)
{
	const sp_payment_state *s = d->state;

	if (payment_left_to_capture(s) == 0 || s->expires_at_ms == 0 || d->cmd->at_ms < s->expires_at_ms)
		return ERR_INVALID_STATE;
	struct payment_event *ev = next_event(d, sp_EV_PAYMENT_EXPIRED, NULL, payment_left_to_capture(s));
	ev->body.currency = s->currency;
	return ERR_OK;
}

enum err
payment_allows(const sp_payment_state *state, enum payment_command_kind kind)
{
	static const bool begins_operation[PAYMENT_COMMAND_MAX] = {
		[PAYMENT_CAPTURE] = true, [PAYMENT_VOID] = true, [PAYMENT_REFUND] = true, [PAYMENT_EXPIRE] = true};
	const sp_operation_state *open = payment_open_operation(state);

	/* "Wait" is a better answer than "never", so the open operation is looked at first. */
	if (begins_operation[kind] && open && open->status != sp_OP_NEEDS_REVIEW)
		return ERR_OPERATION_IN_FLIGHT;
	if (begins_operation[kind] && open)
		return ERR_INVALID_STATE;
	return may_come_in[kind] & 1u << payment_status(state) ? ERR_OK : ERR_INVALID_STATE;
}

enum err
payment_decide(const sp_payment_state *state, const struct payment_command *cmd,
			   struct payment_event events_out[PAYMENT_EVENTS_MAX], unsigned *n_out)
{
	static enum err (*const decide[PAYMENT_COMMAND_MAX])(struct decision *) = {
		[PAYMENT_CREATE] = decide_create,   [PAYMENT_RESULT] = decide_result,   [PAYMENT_RETRY] = decide_retry,
		[PAYMENT_GIVE_UP] = decide_give_up, [PAYMENT_CAPTURE] = decide_capture, [PAYMENT_VOID] = decide_void,
		[PAYMENT_REFUND] = decide_refund,   [PAYMENT_EXPIRE] = decide_expire};
	struct decision d = {.state = state, .cmd = cmd, .events = events_out};

	*n_out = 0;
	enum err e = payment_allows(state, cmd->kind);
	if (e == ERR_OK)
		e = decide[cmd->kind](&d);
	if (e == ERR_OK)
		e = d.failed;
	if (e == ERR_OK)
		*n_out = d.n;
	return e;
}

unsigned
payment_allowed_actions(const sp_payment_state *state, sp_operation_kind out[3])
{
	unsigned n = 0;

	if (payment_allows(state, PAYMENT_CAPTURE) == ERR_OK && payment_left_to_capture(state) > 0)
		out[n++] = sp_KIND_CAPTURE;
	if (payment_allows(state, PAYMENT_VOID) == ERR_OK)
		out[n++] = sp_KIND_VOID;
	if (payment_allows(state, PAYMENT_REFUND) == ERR_OK && payment_left_to_refund(state) > 0)
		out[n++] = sp_KIND_REFUND;
	return n;
}
