/*
 * story — what became of each request, told to the ledger a moment later in one message for many.
 * Invariants: no answer waits for it; it holds nothing that the client sent but its trace, and that only without what
 * could be a card number; only requests of a known client are kept. At most STORY_WAITING wait, then they go at once.
 */
#ifndef DAEMON_GATE_STORY_H
#define DAEMON_GATE_STORY_H

#include "daemon/gate/request.h"

/* With the answer, before r is released. */
void story_keep(const struct request *r, int status);
/* What waits goes to the ledger now: who asks it next is answered with it. */
void story_flush(void);

#endif
