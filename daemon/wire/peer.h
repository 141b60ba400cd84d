/*
 * peer — the other end of one Unix stream socket: frames in, frames out, questions and their answers.
 * Invariants: nothing here blocks; every question's callback runs exactly once (answer, loss or deadline); a peer that
 *   breaks the protocol is closed and this process lives; past its output cap a peer takes no new questions, but
 *   answers and control still go out.
 *
 * A frame, big-endian:
 *   0        4        6      8                16
 *   | length | number | err  | correlation id | protobuf … |
 *   length counts what follows the first 4 bytes. number: enum msg, top bit set on an answer. err: enum err of an
 * answer, 0 in a request. An answer with err ≠ 0 may still carry a body (say, the payment that was declined).
 */
#ifndef DAEMON_WIRE_PEER_H
#define DAEMON_WIRE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/wire/msg.h"

struct peer;
struct call;

/*
 * The answer to a question. rep is the decoded sp_<name>_rep or NULL when no body came (ERR_PEER_AWAY, ERR_DEADLINE, a
 * refusal without body); it lives until the callback returns: copy what is kept. e is ERR_OK or the refusal.
 */
typedef void (*peer_done_fn)(void *arg, enum err e, const void *rep);

/*
 * peer_ask(p, number, req, deadline_ms, done, arg)
 *   Encode and queue one question. Use the typed ask_<name> below instead.
 *   deadline_ms   from now; > 0
 *   Returns       ERR_OK: done will run exactly once, later. Anything else: done will never run.
 *                 ERR_PEER_AWAY (no socket, and the row is not RESEND: RESEND rows wait for the peer until the
 *                 deadline) · ERR_PEER_FULL · ERR_MEMORY · ERR_PROTOCOL (not our row, or too big: our bug).
 *   Blocks        no.
 */
enum err peer_ask(struct peer *p, enum msg number, const void *req, uint32_t deadline_ms, peer_done_fn done,
				  void *arg) MUST;
/* One-way. ERR_OK · ERR_PEER_AWAY · ERR_PEER_FULL · ERR_MEMORY · ERR_PROTOCOL. */
enum err peer_tell(struct peer *p, enum msg number, const void *req) MUST;
/* Already encoded bytes (desk's relay): like peer_ask, but the answer comes as bytes too. */
typedef void (*peer_raw_done_fn)(void *arg, enum err e, const uint8_t *rep, size_t rep_bytes);
enum err peer_ask_raw(struct peer *p, enum msg number, const uint8_t *req, size_t req_bytes, uint32_t deadline_ms,
					  peer_raw_done_fn done, void *arg) MUST;

bool peer_up(const struct peer *p);
enum process peer_process(const struct peer *p);
unsigned peer_index(const struct peer *p);
uint64_t peer_epoch(const struct peer *p);
/* The uid at the other end (SO_PEERCRED at connect), for desk's listener's peers. */
uint32_t peer_uid(const struct peer *p);
/* Bytes queued towards it: stop taking new work when above your mark. */
size_t peer_queued(const struct peer *p);

/*
 * An answering side. answer_<name>(call, req): req lives until the function returns; call until call_reply. Each call
 * of an ASK row is replied to exactly once, now or later; a reply to a peer that has gone is dropped. TELL rows get
 * call == NULL's peer through call_peer only: they must not be replied to (call is freed after the function returns).
 */
typedef void (*answer_fn)(struct call *call, const void *req);
struct answer {
	enum msg number;
	answer_fn act;
};
/* call_reply(call, e, rep): rep NULL or the sp_<name>_rep to encode now; frees call. Never fails towards the caller. */
void call_reply(struct call *call, enum err e, const void *rep);
void call_reply_raw(struct call *call, enum err e, const uint8_t *rep, size_t rep_bytes);
struct peer *call_peer(const struct call *call);
enum msg call_number(const struct call *call);
/* The undecoded request, while the answer function runs (desk). */
const uint8_t *call_bytes(const struct call *call, size_t *bytes_out);

#endif
