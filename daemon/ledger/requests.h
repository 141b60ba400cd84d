/*
 * requests — what became of each HTTP request, for its own client and for officers.
 * Invariants: it is a help for people and no evidence (that is the log): it is kept in the group commits that come by,
 * never waited for, and refused before anything else when the disk is full; a client is told of its own requests alone.
 */
#ifndef DAEMON_LEDGER_REQUESTS_H
#define DAEMON_LEDGER_REQUESTS_H

#include "daemon/wire/peer.h"

void requests_notes(struct call *call, const void *req);
void requests_get(struct call *call, const void *req);
void requests_show(struct call *call, const void *req);

#endif
