/*
 * inquire — asking processors for outcomes that are not known, on a schedule that survives a restart.
 * Invariants: one inquiry per payment at a time; the schedule is in the attempt's row; at most INQUIRE_BATCH in flight
 *   at once, so that an outage of a processor does not take the room of new payments; while one is known not to answer
 *   (effects_processor) its inquiries wait.
 */
#ifndef DAEMON_LEDGER_INQUIRE_H
#define DAEMON_LEDGER_INQUIRE_H

#include <stdint.h>

#define INQUIRE_BATCH 64

/* inquire_at: a row is due at this wall time. */
void inquire_at(int64_t wall_ms);
/* inquire_tick: each tick: sends what is due. */
void inquire_tick(void);

#endif
