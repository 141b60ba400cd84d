/*
 * read — what clients may look at: payments, refunds, timelines, themselves.
 * Invariants: an object of another merchant and one that is not there get the same answer; nothing is told that is not
 *   durable yet (batch_read).
 */
#ifndef DAEMON_LEDGER_READ_H
#define DAEMON_LEDGER_READ_H

#include "daemon/wire/peer.h"

/* Each answers the row of its name. */
void read_client_of(struct call *call, const void *req);
void read_payment_get(struct call *call, const void *req);
void read_payment_list(struct call *call, const void *req);
void read_payment_events(struct call *call, const void *req);
void read_refund_get(struct call *call, const void *req);
void read_refund_list(struct call *call, const void *req);

#endif
