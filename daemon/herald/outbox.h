/*
 * outbox — the ledger's outbox entries on their way to every sink.
 * Invariants: an entry is acknowledged when every sink has it; entries of one partition key reach a sink in the order
 * of their sequence, also when one of them had to be refused and comes again; an entry that can't be written as an
 * event is refused alone and holds nobody up.
 */
#ifndef DAEMON_HERALD_OUTBOX_H
#define DAEMON_HERALD_OUTBOX_H

#include <stdint.h>

#include "daemon/base/conf.h"
#include "daemon/base/err.h"
#include "daemon/wire/peer.h"

#define OUTBOX_HOLD_MS 60000 /* a refused entry holds later ones of its key back for so long at most */

/* outbox_open: opens the sinks that the configuration wants. */
enum err outbox_open(const struct conf *conf) MUST;
void outbox_reload(const struct conf *conf);
/* answer_fn of `publish`. */
void outbox_answer(struct call *call, const void *req);
/* The turn of the loop ends. */
void outbox_turn(void);
void outbox_close(void);

/*
 * outbox_take(order, key, sequence, now_ms): may this entry pass? outbox_failed: it was refused, later ones have to
 * wait. (The rule of order, apart so that it can be tested.)
 */
struct outbox_order {
	struct {
		uint64_t sequence; /* oldest refused entry; 0: none */
		int64_t at_ms;
	} held[256]; /* by hash of the key; two keys in one place wait for each other, which costs time and nothing else */
};
bool outbox_take(struct outbox_order *o, const char *key, uint64_t sequence, int64_t now_ms);
void outbox_failed(struct outbox_order *o, const char *key, uint64_t sequence, int64_t now_ms);

#endif
