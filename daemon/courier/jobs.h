/*
 * jobs — from a job of the ledger to its result: redeem the card, call the connector, report until the ledger has it.
 * Invariants: at most JOBS_MAX at once; an attempt runs once here however often its job comes; every accepted job ends
 *   in at least one result, and a result is kept until the ledger acknowledges it; a clear card is in guarded memory
 *   from the vault's answer until the connector's first one. What can't be known is reported as unknown, never guessed.
 */
#ifndef DAEMON_COURIER_JOBS_H
#define DAEMON_COURIER_JOBS_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/wire/peer.h"

#define JOBS_MAX         1024u
#define JOBS_DEADLINE_MS 22000u /* deadlines nest: processor 20 < courier 22 < ledger 24 < gate 25 s */
#define JOBS_TRIES_MAX   3u     /* calls of one job, while the processor can't be reached */
#define JOBS_ARENA_BYTES (256u * 1024u)

/* jobs_open: opens every connector. After the jail. */
enum err jobs_open(void) MUST;
void jobs_reload(void);
/* answer_fn of `job`. */
void jobs_answer(struct call *call, const void *req);
/* The ledger is there (again): tell it which attempts still run here. */
void jobs_list(struct peer *ledger);
/* Take nothing new; finished() runs once, when nothing runs any more or grace_ms have passed. */
void jobs_stop(uint32_t grace_ms, void (*finished)(void));
size_t jobs_count(void);

#endif
