/*
 * pay — the command that makes a payment: caller, key, facts of its token, decision, commit #1.
 * Source: design 00, "The road of one payment", steps 1 to 4.
 */
#ifndef DAEMON_LEDGER_PAY_H
#define DAEMON_LEDGER_PAY_H

#include "daemon/wire/peer.h"

void pay_create(struct call *call, const void *req); /* answers payment_create */

/* pay_forget: merchants or processor accounts changed. */
void pay_forget(void);

#endif
