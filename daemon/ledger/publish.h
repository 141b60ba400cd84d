/*
 * publish — the outbox: committed events to the herald: at least once, in order, in a bounded window.
 * Invariants: an entry is sent only after its commit and marked only after the herald's answer; one that was refused is
 *   told again alone (the herald holds later ones of its key back meanwhile); what can never be told is given up with
 * its reason after PUBLISH_TRIES_MAX, so that it holds nobody up. The event itself stays in the store. Source: design
 * 50, "Outbox"; 00, step 7.
 */
#ifndef DAEMON_LEDGER_PUBLISH_H
#define DAEMON_LEDGER_PUBLISH_H

#include <stdbool.h>

#include "daemon/base/err.h"

#define PUBLISH_WINDOW    1024
#define PUBLISH_TRIES_MAX 20

/* publish_open: begins behind what is already published. */
void publish_open(void);
/* publish_push: send what is new; after each commit and by timer. */
void publish_push(void);
/* publish_mark: in each batch: marks what the herald took; publish_marked: whether that lasted. */
enum err publish_mark(void) MUST;
void publish_marked(bool kept);
/* publish_tick: often: what is due again; each second the marks and the metrics. */
void publish_tick(bool second);

#endif
