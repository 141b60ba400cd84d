/*
 * recover — attempts without a result after a crash of ours or of the courier: find out, then send again or inquire.
 * Invariants: nothing is sent again before the courier told what it still runs; a card that was not opened is
 * dispatched again under the same attempt; one that was is sent under a new attempt with the same derived key, and only
 * to a processor that takes idempotent requests; else the outcome is unknown. Source: design 00, "After any crash".
 */
#ifndef DAEMON_LEDGER_RECOVER_H
#define DAEMON_LEDGER_RECOVER_H

#include <stdbool.h>

#include "daemon/base/err.h"
#include "daemon/wire/peer.h"

/* recover_start: flights for all rows without a result. Errors of the store. Once, after the store is open. */
enum err recover_start(void) MUST;
/* recover_later: some rows have no flight for want of room: look again each second. */
void recover_later(void);
void recover_courier(bool up);
void recover_running(struct call *call, const void *req); /* answers running */
void recover_tick(void);                                  /* each second */
/* Does this account's processor never move money twice for one derived key? */
bool recover_idempotent(const char *account);

#endif
