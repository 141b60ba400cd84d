/*
 * tls_pool — one thread beside the loop that does handshakes, a step at a time, so that nobody else waits for them.
 * A piece of work is lent to the thread and comes back to the loop; in between nobody else touches what it works on.
 * Invariants: `work` runs in the thread, `back` in the loop, each once per lending and in this order; the order of
 *   lending is kept. Without tls_pool_start nothing is lent and the loop does the work itself.
 */
#ifndef DAEMON_TLS_TLS_POOL_H
#define DAEMON_TLS_TLS_POOL_H

#include <stdbool.h>

#include "daemon/base/err.h"

struct event_base;

struct tls_errand {
	void (*work)(void *arg);
	void (*back)(void *arg);
	void *arg;
	struct tls_errand *next;
};

/* What needs descriptors: before the jail. ERR_OK · ERR_MEMORY. */
enum err tls_pool_open(struct event_base *base) MUST;
/* The thread itself: in the jail, whose rules it inherits. ERR_OK · ERR_MEMORY. */
enum err tls_pool_start(void) MUST;
bool tls_pool_runs(void);
/* The errand is borrowed until `back` runs. */
void tls_pool_lend(struct tls_errand *e);

#endif
