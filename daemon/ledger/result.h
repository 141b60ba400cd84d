/*
 * result — how an operation ended: commit #2, then the courier's ack, then the waiting gate's answer.
 * Invariants: a result is acknowledged only when it is durable; the same result again changes nothing; results are
 *   written even while effects are refused (into the released reserve) and are kept and tried again until they are.
 * Source: design 00, step 6; 40, "Fail closed, without losing what was charged".
 */
#ifndef DAEMON_LEDGER_RESULT_H
#define DAEMON_LEDGER_RESULT_H

#include "daemon/wire/peer.h"
#include "policy/schema/wire.pb.h"

void result_answer(struct call *call, const void *req); /* answers result */
/* result_settle: commit this outcome; call (may be NULL) gets the ack. False: no memory, and nothing will come of it.
 */
bool result_settle(const sp_result_req *r, struct call *call);
/* result_again: those whose commit failed, each second. */
void result_again(void);

#endif
