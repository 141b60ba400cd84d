/*
 * closing — the vault is told that an authorization is over: it wipes the security code and erases a single-use card.
 * Invariants: told after each final answer or `unknown`, and once more after a start for the newest payments, because
 * the message may have died with us; the vault does nothing twice. What is still missed ends with vault.cvc_ttl.
 * Source: PCI DSS 4.0.1 3.3.1 (no code after authorization); design 30, "Records".
 */
#ifndef DAEMON_LEDGER_CLOSING_H
#define DAEMON_LEDGER_CLOSING_H

#include <stdint.h>

/* created_at_ms: when the payment began. A security code that came later is not of this authorization. */
void closing_tell(const char *payment, const char *token, int64_t created_at_ms);
/* closing_start: from now on closing_tick goes through the newest payments, a page at a time. */
void closing_start(void);
void closing_tick(void); /* often */

#endif
