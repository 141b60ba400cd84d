/*
 * outage — does each processor account answer? Counts what calls came to, keeps a breaker per account, probes one that
 * is open, and tells it on our page: the ledger refuses new authorizations by it, status, gate and console show it.
 * Invariants: at most PAGE_ACCOUNTS accounts are watched, and one probe of each is under way; a decline and an error
 * that the processor told are answers; what a test value played says nothing; jobs that are here go on as if it did not
 * exist.
 */
#ifndef DAEMON_COURIER_OUTAGE_H
#define DAEMON_COURIER_OUTAGE_H

#include "daemon/courier/gw.h"

/* Every account starts closed. */
void outage_open(void);
/*
 * outage_saw: a call of this account, begun at began_mono_ms, came to this.
 *   answer   borrowed: the connector's last word about it, or what we concluded (UNKNOWN, ERR_DEADLINE)
 */
void outage_saw(const char *account, const struct gw *gw, int64_t began_mono_ms, const struct gw_answer *answer);

#endif
