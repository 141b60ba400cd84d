/*
 * officer_side — what officers' programs ask of the ledger, through the desk.
 * Invariants: nothing is changed without an officer's signature that the vault checked over a statement that says
 * exactly what is done, except `ledger_init`, once, while there is no merchant; reads are masked.
 */
#ifndef DAEMON_LEDGER_OFFICER_SIDE_H
#define DAEMON_LEDGER_OFFICER_SIDE_H

#include "daemon/wire/peer.h"

/* officer_side_opened: the store is open; an `init` that came too early is done now. */
void officer_side_opened(void);
/* Each answers the row of its name. */
void officer_side_init(struct call *call, const void *req);
void officer_side_client_add(struct call *call, const void *req);
void officer_side_client_list(struct call *call, const void *req);
void officer_side_payment_show(struct call *call, const void *req);
void officer_side_payment_search(struct call *call, const void *req);
void officer_side_audit_read(struct call *call, const void *req);
void officer_side_facts(struct call *call, const void *req);
void officer_side_rebuild(struct call *call, const void *req);

#endif
