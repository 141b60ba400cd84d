/*
 * ledger — what all files of this process share: the open store, who we are, one scratch state.
 * Invariants: single-threaded; `state` is valid only inside one function of one command, nobody keeps it.
 */
#ifndef DAEMON_LEDGER_LEDGER_H
#define DAEMON_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/store/store.h"
#include "daemon/wire/peer.h"
#include "daemon/wire/proc.h"

struct ledger {
	struct store *store; /* NULL until the vault gave the keys */
	bool stopping;
	bool livemode;
	char install[40], node[64], origin[NOTE_ORIGIN_MAX];
	sp_payment_state *state; /* scratch, 50 KB */
};
extern struct ledger ledger;

/* ledger_closed: not open yet, or stopping: answers the call and says true. The first line of every answer function. */
bool ledger_closed(struct call *call);
/* NULL while it was never started (init has no courier and no herald). */
struct peer *ledger_vault(void);
struct peer *ledger_courier(void);
struct peer *ledger_herald(void);
bool ledger_has(const struct peer *p); /* there, and up */

#endif
