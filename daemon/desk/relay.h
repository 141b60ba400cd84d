/*
 * relay — officers' requests on their way to vault and ledger: bytes in, the caller's uid behind them, bytes out.
 * Invariants: what may be relayed is what policy/messages.def lets an officer send to another process, nothing else;
 * the uid that arrives is the kernel's, whatever the program wrote into field 15: in protobuf the last value counts.
 */
#ifndef DAEMON_DESK_RELAY_H
#define DAEMON_DESK_RELAY_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/wire/peer.h"

#define RELAY_DEADLINE_MS 60000u /* a rebuild of the read models or an export's page; programs have shorter ones */
#define RELAY_UID_BYTES   6u     /* tag and five bytes of varint */

/* relay_rows(rows, max): one {number, relay_answer} per row that is relayed. Returns how many. */
size_t relay_rows(struct answer *rows, size_t max);
/* answer_fn of all of them. */
void relay_answer(struct call *call, const void *req);
/* relay_uid(uid, out): field 15 as a varint. Returns its bytes. */
size_t relay_uid(uint32_t uid, uint8_t out[RELAY_UID_BYTES]);
/* relay_deny: a leaf in the vault's log, at most a few a second: a program was refused. object: what it wanted. */
void relay_deny(uint32_t uid, enum err why, const char *object);

#endif
