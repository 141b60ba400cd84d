/*
 * attempt — one try of one operation: from its committed row to the courier, and what is done when nothing comes back.
 * Invariants: the courier gets a job only after the row is durable and, for a card, after the vault took the grant; no
 *   answer within the deadline is `unknown`, never a guess; what was surely never sent is `not charged`.
 *   Deadlines nest: processor 20 < courier 22 < ledger 24 < gate 25 s (the first is configuration, the others follow).
 */
#ifndef DAEMON_LEDGER_ATTEMPT_H
#define DAEMON_LEDGER_ATTEMPT_H

#include "daemon/ledger/command.h"
#include "daemon/ledger/flight.h"

/*
 * attempt_job: the courier's job of this operation ("" is the authorization), all but the attempt's id and what only
 * the request knows (statement descriptor, initiator).
 */
void attempt_job(const sp_payment_state *state, const char *operation, const char *connector, sp_job_req *out);
/* attempt_connector: "stripe" of "stripe:eu"; out holds 32 bytes. */
void attempt_connector(const char *account, char out[32]);
/* attempt_patience_ms: from the dispatch to `unknown`. */
int64_t attempt_patience_ms(void);
/* attempt_begin: after commit #1: the flight starts; the call is answered now (async) or waits. Frees c. */
void attempt_begin(struct command *c);
/* attempt_replay: answers from the object as it is now. Frees c. */
void attempt_replay(struct command *c);
/* attempt_dispatch: to the vault (a card) or to the courier. */
void attempt_dispatch(struct flight *f);
/* attempt_again: another attempt of the same operation under the same derived key, in a commit of its own. */
void attempt_again(struct flight *f);
/* attempt_conclude: what we conclude without a processor's word: NOT_CHARGED (never sent) or UNKNOWN. */
void attempt_conclude(struct flight *f, sp_outcome outcome, enum err cause);
/* attempt_answer: the waiting gate, if any, gets the object as it is now. */
void attempt_answer(struct flight *f, enum err cause);
/* attempt_unpark: the courier may take more: those that wait for it, oldest first. */
void attempt_unpark(void);
/* attempt_courier: it came or went. */
void attempt_courier(bool up);
/* attempt_tick: often: deadlines, waits, what is due again. */
void attempt_tick(void);
/* attempt_stop: every waiting gate gets `processing`. */
void attempt_stop(void);

#endif
