/*
 * payment_view — the objects of the API made from a payment's state and its requested events. Pure.
 */
#ifndef DAEMON_DOMAIN_PAYMENT_VIEW_H
#define DAEMON_DOMAIN_PAYMENT_VIEW_H

#include "daemon/domain/payment.h"

/* payment_view_of: detail is that of the first event (`requested` and metadata), borrowed; out is written whole. */
void payment_view_of(const sp_payment_state *state, const sp_event_detail *detail, sp_payment_view *out);
/* payment_view_operation: body and detail are of the operation's requested event; both may be NULL (reason, metadata
 * empty). */
void payment_view_operation(const sp_payment_state *state, const sp_operation_state *op, const sp_event_body *body,
							const sp_event_detail *detail, sp_operation_view *out);

#endif
