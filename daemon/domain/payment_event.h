/*
 * payment_event — names of events and their JSON for the outside.
 * Source: policy/payment_event.def; CloudEvents 1.0 ("data").
 */
#ifndef DAEMON_DOMAIN_PAYMENT_EVENT_H
#define DAEMON_DOMAIN_PAYMENT_EVENT_H

#include "daemon/base/buf.h"
#include "daemon/domain/payment.h"

struct payment_event_row {
	sp_event_type type;
	const char *name;       /* "payment.authorized" */
	const char *cloud_type; /* "payment.authorized.v1" */
	const char *what;
	sp_operation_kind kind;
	sp_operation_status status;
};

/* The row, or NULL for a number that is not in the table. Static. */
const struct payment_event_row *payment_event_row(sp_event_type type);
/* The type that means "an operation of this kind now has this status"; EV_NONE when there is none. */
sp_event_type payment_event_of(sp_operation_kind kind, sp_operation_status status);
/*
 * payment_event_json: appends the CloudEvent's data, one JSON object without line feeds: the payment as far as it never
 *   changes (id, merchant, order, amount, account), its version after the event, and the operation. The same event
 * gives the same bytes however often it is delivered; sums and status as they are now are read from the payment.
 *   Returns ERR_OK · ERR_LIMIT · ERR_MEMORY.
 */
enum err payment_event_json(const sp_payment_state *state, const struct payment_event *event, struct buf *out) MUST;

#endif
