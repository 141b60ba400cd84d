/*
 * payment — the law of a payment: decide what a command means, apply what happened. No clock, no ids, no I/O: all
 * given. Invariants: captured ≤ authorized ≤ amount; refunded ≤ captured; each sum is that of its succeeded operations;
 * at most one operation is open (pending, unknown or in review); an unknown outcome ends only by a processor's word or
 * a person; applying what decide gave never fails, and all events applied to an empty state give the stored state. A
 * payment's state is the message payment_state (policy/schema/event.proto): what is stored is what is decided upon.
 * Automatic capture happens in the processor's authorization call. If the processor says that it authorized without
 *   capturing, payment_wants_capture is true and the ledger follows with a CAPTURE command of its own.
 * Source: design "The authorization core"; API contract "States"; the tables in policy/transition.def.
 */
#ifndef DAEMON_DOMAIN_PAYMENT_H
#define DAEMON_DOMAIN_PAYMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "policy/schema/event.pb.h"
#include "policy/schema/wire.pb.h"

#define PAYMENT_OPERATIONS_MAX 128
#define PAYMENT_EVENTS_MAX     2 /* most that one command gives */

enum payment_command_kind {
#define TRANSITION(command, from, what) PAYMENT_##command,
#include "policy/transition.def"
#undef TRANSITION
	PAYMENT_COMMAND_MAX
};

/*
 * One command. Which members count (all text is borrowed until decide and append are over; NULL is ""):
 *   all       kind, at_ms, actor
 *   CREATE    payment (pay_…), attempt, amount_minor, currency, account, rule, detail with `requested`
 *   CAPTURE   operation (cap_…, new), attempt, amount_minor (0: all that is left), final, detail or NULL
 *   VOID      operation (voi_…, new), attempt
 *   REFUND    operation (ref_…, new), attempt, amount_minor (0: all that is left), reason, detail or NULL
 *   RESULT    result (courier's answer or an inquiry's; its operation "" or the payment's id is the authorization; its
 *             attempt is recorded), operation (cap_…, new: used if it says that an authorization also captured),
 *             expires_at_ms (used if an authorization succeeded)
 *   RETRY     operation ("" or the payment's id: the authorization), attempt (new)
 *   GIVE_UP   operation
 *   EXPIRE    –
 */
struct payment_command {
	enum payment_command_kind kind;
	int64_t at_ms;
	const char *actor;
	const char *payment, *operation, *attempt;
	int64_t amount_minor;
	uint32_t currency;
	bool final;
	const char *reason, *account, *rule;
	int64_t expires_at_ms;
	const sp_event_detail *detail;
	const sp_result_req *result;
};

/* What happened. detail is borrowed (from the command, or from the store's buffer when read back). */
struct payment_event {
	sp_event_type type;
	uint32_t version; /* in the payment's stream, from 1 */
	int64_t at_ms;
	sp_event_body body;
	const sp_event_detail *detail; /* of *_REQUESTED only; may be NULL for all but PAYMENT_REQUESTED */
};

/* The state is 50 KB: keep it on the heap (payment_new) and copy it with payment_copy, which moves only what is used.
 */
sp_payment_state *payment_new(void) __attribute__((malloc, warn_unused_result)); /* empty; free with mem_free */
void payment_clear(sp_payment_state *p);
void payment_copy(sp_payment_state *to, const sp_payment_state *from);

/*
 * payment_decide(state, cmd, events_out, n_out)
 *   What does the command do to the payment? state is only read (empty for CREATE); events_out has room for
 *   PAYMENT_EVENTS_MAX and is written only on ERR_OK. n_out 0: rightly nothing (a repeated or newsless result).
 *   Returns   ERR_OK · ERR_INVALID_STATE · ERR_OPERATION_IN_FLIGHT · ERR_AMOUNT_ABOVE · ERR_AMOUNT_OUT_OF_RANGE ·
 *             ERR_NOT_FOUND (no such operation) · ERR_LIMIT (128 operations) · ERR_OUT_OF_RANGE (a text that is too
 * long). Blocks    no.
 */
enum err payment_decide(const sp_payment_state *state, const struct payment_command *cmd,
						struct payment_event events_out[PAYMENT_EVENTS_MAX], unsigned *n_out) MUST;

/*
 * payment_apply(state, id, event): the state after the event. id is the payment's (the stream's). Events that decide
 * gave, in order, always apply. Returns ERR_OK · ERR_VERSION_CONFLICT (not the next version) · ERR_RECORD_CORRUPT (a
 * stored event that no decide gave); the state is to be thrown away then.
 */
enum err payment_apply(sp_payment_state *state, const char *id, const struct payment_event *event) MUST;

/* Derived from the operations: never stored as a fact of its own. STATUS_NONE for an empty state. */
sp_payment_status payment_status(const sp_payment_state *state);
/* May this command come now, amounts aside? (transition.def and "one operation in flight") */
enum err payment_allows(const sp_payment_state *state, enum payment_command_kind kind) MUST;
/* Actions a client may take now: CAPTURE, VOID, REFUND as operation kinds. Returns how many (≤ 3). */
unsigned payment_allowed_actions(const sp_payment_state *state, sp_operation_kind out[3]);
/* Authorized for automatic capture, and the processor did not capture in the same call. */
bool payment_wants_capture(const sp_payment_state *state);
/* What may still be captured or refunded, in minor units. */
int64_t payment_left_to_capture(const sp_payment_state *state);
int64_t payment_left_to_refund(const sp_payment_state *state);

/* The operation with this id ("" or the payment's own id: the authorization), or NULL. Borrowed from state. */
const sp_operation_state *payment_operation(const sp_payment_state *state, const char *id);
/* Its id as the API shows it: the payment's for the authorization. */
const char *payment_operation_id(const sp_payment_state *state, const sp_operation_state *op);
/* The one operation that is pending, unknown or in review, or NULL. */
const sp_operation_state *payment_open_operation(const sp_payment_state *state);
/* pending or unknown or in review */
bool payment_operation_open(const sp_operation_state *op);

const char *payment_status_name(sp_payment_status s);             /* "authorized"; "" outside the enum */
const char *payment_operation_status_name(sp_operation_status s); /* "succeeded" */
const char *payment_operation_kind_name(sp_operation_kind k);     /* "authorize", "capture", "void", "refund" */
const char *payment_command_name(enum payment_command_kind k);    /* "CAPTURE" */

#endif
