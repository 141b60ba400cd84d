/*
 * operation — what the payments' and refunds' resources share: asking the ledger and turning its answers into HTTP.
 */
#ifndef DAEMON_GATE_OPERATION_H
#define DAEMON_GATE_OPERATION_H

#include "daemon/gate/request.h"

#define OPERATION_READ_DEADLINE_MS 5000

/* limit, cursor, created_at.… and so on into an sp_list_query. */
extern const struct shape operation_list_query, operation_page_query;

/* The longest that a command waits here, and what the ledger is told to wait. */
uint32_t operation_deadline_ms(void);
uint32_t operation_wait_ms(void);

/*
 * operation_ask(r, ask)
 *   Send a command by `ask`, and again by the same function when the ledger dies before it answers: the idempotency key
 *   makes that safe, and tells us what became of the first one. r->state must keep what `ask` encodes.
 *   Returns   as ask: after anything but ERR_OK the caller answers r.
 */
enum err operation_ask(struct request *r, enum err (*ask)(struct request *r, uint32_t deadline_ms)) MUST;
/* First line of a command's callback: true when it will be asked again, and the answer e is not the last one. */
bool operation_again(struct request *r, enum err e) MUST;

/* The ledger's answer to payment_create: object, 202 or problem. */
void operation_payment_done(void *arg, enum err e, const void *payment_create_rep);
/* Start one: capture, void, refund. Frees r in every case, now or later. */
void operation_start(struct request *r, sp_operation_kind kind);
extern const struct shape operation_capture_shape, operation_void_shape, operation_refund_shape;

/*
 * operation_list(r, e, o, data, n, has_more, cursor): one page as a list object, or the problem.
 */
struct operation_page {
	const struct object *object;
	const pb_msgdesc_t *fields;
	const uint8_t *data;
	size_t bytes;
	bool has_more;
	const char *cursor;
};
void operation_list(struct request *r, enum err e, const struct operation_page *page);

#endif
