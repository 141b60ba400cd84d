/*
 * effects — may something new be begun? One computation from all processes' pages, plus the state of our own disk.
 * Invariants: what this refuses is what status, readyz and the console show; results of attempts in flight never ask
 * it. A failed commit refuses effects at once; they return only after the reserve is held again and a probe committed.
 */
#ifndef DAEMON_LEDGER_EFFECTS_H
#define DAEMON_LEDGER_EFFECTS_H

#include <stdbool.h>

#include "daemon/base/err.h"

/* effects_open: hold the reserve of audit.reserve in our directory. ERR_IO. A full disk is no error: effects wait. */
enum err effects_open(void) MUST;
/* effects_allowed: ERR_OK or why not: ERR_VAULT_SEALED · ERR_HSM_AWAY · ERR_AUDIT_AWAY · ERR_NOT_READY · … */
enum err effects_allowed(void);
/* effects_processor: ERR_OK, or ERR_PROCESSOR_OUT: this account does not answer, as courier says on its page. */
enum err effects_processor(const char *account);
/* effects_failed: a commit failed with e; releases the reserve when the disk is full. */
void effects_failed(enum err e);
/* effects_probe: each second; probe commits a small transaction and is called only while effects are refused for the
 * disk. */
void effects_probe(enum err (*probe)(void));

#endif
