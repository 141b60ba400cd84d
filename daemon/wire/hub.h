/*
 * hub — all peers of one process: one loop, one turn at a time.
 * A turn: every descriptor that is ready is read and its frames dispatched → on_turn (group commit) → one write per
 * peer. Invariants: user code is called from the top of the loop only, never from inside a peer_… or call_… function.
 * Internal to daemon/wire, the monitor and tests; other rooms use proc.h and peer.h.
 */
#ifndef DAEMON_WIRE_HUB_H
#define DAEMON_WIRE_HUB_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"
#include "daemon/wire/deadline.h"
#include "daemon/wire/page.h"
#include "daemon/wire/peer.h"

#define HUB_ASKS_MAX       8192               /* open questions to one peer */
#define HUB_CALLS_MAX      (2 * HUB_ASKS_MAX) /* open questions from one peer; officers' programs: 64 */
#define HUB_OUT_MAX        (4u << 20)         /* no new questions to a peer above this, nor from it */
#define HUB_OUT_HARD       (64u << 20)        /* a peer that reads nothing at all is cut off here */
#define HUB_TURN_BYTES     (256u << 10)       /* read from one peer in one turn */
#define HUB_FDS_MAX        64
#define HUB_BUILD_ID_BYTES 16

TAILQ_HEAD(hub_asks, ask);
TAILQ_HEAD(hub_peers, peer);

struct hub {
	struct event_base *base; /* borrowed */
	enum process self;
	unsigned index;
	answer_fn answers[MSG_NUMBER_MAX];
	struct page *page; /* ours, or NULL */
	void *arg;         /* of the hooks */
	/* Hooks, each may be NULL. */
	void (*on_turn)(void *arg);
	void (*on_peer)(void *arg, struct peer *p, bool up);
	void (*on_cut)(void *arg, struct peer *p); /* we cut it off for breaking the protocol */
	/* Rows of the control socket; fds of `give` wait in the peer. */
	void (*on_control)(void *arg, struct peer *p, unsigned number, const void *req);

	struct deadlines deadlines;
	struct event *timer;
	int64_t armed_ms; /* for when */
	struct hub_peers peers, dirty;
	bool again; /* something was queued after the writes: do not sleep */
	int64_t turn_at_us;
};

struct peer {
	struct hub *hub;
	enum process process;
	unsigned index;
	uint64_t epoch;
	uint32_t uid;
	int fd;        /* -1: away */
	bool control;  /* a control socket: descriptors may come, frames do not wait for hello */
	bool up;       /* its hello came */
	bool mismatch; /* an officer's program of another build: each question but status gets ERR_BUILD_MISMATCH */
	bool doomed;   /* cut it off at the end of this turn */
	bool is_dirty, hello_sent, closed;
	unsigned refs; /* of an officer's peer: open calls and the hub */
	struct event *readable, *writable;
	struct buf in, out;
	struct ask **slots;
	uint16_t *free_slots;
	unsigned slots_n, free_n, asks_n, calls_n;
	size_t held_bytes; /* of questions kept for RESEND */
	uint64_t sequence, serial;
	struct hub_asks asks;
	int fds[HUB_FDS_MAX];
	unsigned fds_n;
	TAILQ_ENTRY(peer) link, dirty_link;
};

/* hub_open: h is the caller's, zeroed by this. answers ends with {MSG_NONE}. ERR_MEMORY · ERR_PROTOCOL (a row we may
 * not answer). */
enum err hub_open(struct hub *h, struct event_base *base, enum process self, unsigned index,
				  const struct answer *answers) MUST;
/* Peers are closed (questions end with ERR_PEER_AWAY) and freed. */
void hub_close(struct hub *h);
/* hub_turn: the end of a turn: on_turn, then all writes. The loop calls it after each round of events. */
void hub_turn(struct hub *h);
/* One round of events and its turn. Sleeps at most until the next event. */
void hub_once(struct hub *h);
/* The turn began no later than now: for loop_turn_max_us. */
void hub_mark(struct hub *h);

/* The peer of this process and index, made on first use. NULL: no memory. */
struct peer *hub_peer(struct hub *h, enum process process, unsigned index);
struct peer *hub_find(const struct hub *h, enum process process, unsigned index);
/* A peer of its own beside all others (officers' programs). */
struct peer *hub_guest(struct hub *h, enum process process, uint32_t uid);
/* Attach a connected stream socket (owned from here on); what was attached before is drained and lost. ERR_MEMORY. */
enum err hub_attach(struct peer *p, int fd, uint64_t epoch) MUST;
/* The socket is closed, questions that do not wait end with ERR_PEER_AWAY. */
void hub_detach(struct peer *p);
/* Control socket only: a tell that carries one descriptor (borrowed; -1 for none) now. ERR_PEER_AWAY · ERR_PEER_FULL ·
 * ERR_PROTOCOL. */
enum err hub_give(struct peer *p, enum msg number, const void *req, int fd) MUST;
/* The oldest descriptor that came over this control socket, or -1; the caller owns it. */
int hub_take_fd(struct peer *p);
/* Read what is there and dispatch it. For the blocking phase of a child before its loop. */
void hub_read(struct peer *p);
/* ── between hub.c and peer.c ── */

/* One whole frame. ERR_PROTOCOL: cut this peer off. */
struct frame;
enum err peer_dispatch(struct peer *p, const struct frame *f) MUST;
/* The socket has gone: questions end with ERR_PEER_AWAY, except those kept for RESEND unless `all`. */
void peer_lose_asks(struct peer *p, bool all);
/* A new socket: queue the kept questions again, in the order in which they were asked. */
void peer_resend(struct peer *p);
/* Questions whose time is over end with ERR_DEADLINE. */
void peer_expire(struct hub *h, int64_t mono_ms);
/* Release what the peer holds besides its socket. */
void peer_clear(struct peer *p);
/* Encode a message as a whole frame into shared scratch (wiped by peer_wipe_scratch). ERR_PROTOCOL: too big, our bug.
 */
enum err peer_encode(unsigned number, const void *req, const uint8_t **frame_out, size_t *bytes_out) MUST;
void peer_wipe_scratch(size_t bytes);
/* To be written at the end of this turn. */
void hub_dirty(struct peer *p);
/* One user less of an officer's peer; the last one frees it. */
void hub_unref(struct peer *p);

/* Which build this is: version and the whole message table. */
void hub_build_id(uint8_t out[HUB_BUILD_ID_BYTES]);

#endif
