/*
 * notes — what other processes tell for the log, each from its own closed list.
 * Invariants: a sender can leave only the events of its row; at most NOTES_PER_SECOND_MAX are
 *   kept in a second, so that nobody can fill the log.
 */
#ifndef DAEMON_LEDGER_NOTES_H
#define DAEMON_LEDGER_NOTES_H

#include "daemon/wire/peer.h"

#define NOTES_PER_SECOND_MAX 64

void notes_answer(struct call *call, const void *req); /* answers ledger_note */

#endif
