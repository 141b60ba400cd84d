/*
 * checkpoint — the log's size and root, signed by the vault with a proof that nothing before was changed.
 * Invariants: at most one question at a time and one per audit.checkpoint_every; what was signed is kept as a note.
 * Source: design 40, "Checkpoint and witness"; RFC 6962 2.1.2.
 */
#ifndef DAEMON_LEDGER_CHECKPOINT_H
#define DAEMON_LEDGER_CHECKPOINT_H

#include <stdbool.h>

/* checkpoint_open: what was signed before this start. */
void checkpoint_open(void);
/* checkpoint_tick: each second, and with now at a stop. */
void checkpoint_tick(bool now);
/* checkpoint_idle: nothing is being signed and nothing is left to sign. */
bool checkpoint_idle(void);

#endif
