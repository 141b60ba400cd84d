/*
 * operate — capture, void and refund: the commands on a payment that exists.
 * Invariants: what the caller may not see is not found; an operation counts as sent from the commit of its row; one
 *   operation in flight per payment; a refusal that the payment's state explains is kept under its key.
 */
#ifndef DAEMON_LEDGER_OPERATE_H
#define DAEMON_LEDGER_OPERATE_H

#include "daemon/wire/peer.h"

void operate_answer(struct call *call, const void *req); /* answers payment_operate */
/* operate_capture_rest: our own capture, after an authorization for automatic capture that did not capture. */
void operate_capture_rest(const char *payment);

#endif
