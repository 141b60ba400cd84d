/*
 * member — one child of the monitor through all its lives: its page, its control socket, how it fares.
 */
#ifndef DAEMON_MONITOR_MEMBER_H
#define DAEMON_MONITOR_MEMBER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/err.h"
#include "daemon/wire/page.h"
#include "daemon/wire/peer.h"

struct member {
	enum process process;
	unsigned index;
	pid_t pid; /* 0: not running */
	struct peer *control;
	struct page *page;
	int page_rw, page_ro; /* its page for itself, and for those who read it */
	int64_t started_ms;
	uint32_t restarts, backoff_ms, fails;
	int64_t left_at_ms; /* when it closed its control socket; 0: it has not */
	bool ready, killed;
	struct event *again; /* its next start */
};

#define MEMBER_TITLE_BYTES 24
/* "vault", "gate/1". Returns out. */
const char *member_title(const struct member *m, char out[MEMBER_TITLE_BYTES]);
/* A page and its two descriptors, kept for ever. ERR_MEMORY. */
enum err member_page(enum process process, unsigned index, struct page **page_out, int *rw_out, int *ro_out) MUST;
/* Kill it, once; its death is found by SIGCHLD. Nobody waits for a child that does not do as it is told. */
void member_end(struct member *m, const char *why);

#endif
