/*
 * family — all children of the monitor: started, linked with each other, buried and started again.
 * Invariants: a child that dies is started again, at once the first time and then ever later (100 ms doubling to 5 s,
 *   forgotten after 30 s of life); each new life brings new sockets to everyone it is linked with, under a new epoch.
 * gift.c hands over what a child needs, watch.c looks after all, halt.c stops them, reload.c renews the configuration.
 */
#ifndef DAEMON_MONITOR_FAMILY_H
#define DAEMON_MONITOR_FAMILY_H

#include <event2/event.h>

#include "daemon/base/err.h"
#include "daemon/monitor/member.h"
#include "daemon/monitor/site.h"
#include "daemon/wire/hub.h"

#define FAMILY_MAX 32

/* A link of two members: the epoch of its sockets, and whether somebody cut it. */
struct family_link {
	uint64_t epoch;
	bool cut;
};

/* One per process: the monitor is nothing else. */
struct family {
	struct site *site; /* borrowed */
	struct event_base *base;
	struct hub hub;
	struct member members[FAMILY_MAX];
	unsigned n;
	struct family_link links[FAMILY_MAX][FAMILY_MAX]; /* [a][b] with a < b */
	uint64_t epoch;
	struct page *page; /* the monitor's own */
	int page_ro;
	bool served;   /* the ready line is out */
	bool notified; /* systemd knows */
	bool stopping, done;
	int status; /* to exit with */
};
extern struct family family;

/* family_open: a place and a page for each. ERR_MEMORY · ERR_LIMIT. s is borrowed for the life of the process. */
enum err family_open(struct site *s, struct event_base *base) MUST;
/* All are started, linked and let go. ERR_MEMORY (one could not be forked). */
enum err family_start(void) MUST;
/* Until it ends; the exit status. */
int family_run(void);

/* NULL when there is none. */
struct member *family_find(uint32_t process, uint32_t index);
/* New sockets between two members, if they have anything to say to each other and both live. */
void family_link(unsigned a, unsigned b);
bool family_all_ready(void);
/* The state of the whole, from all pages. */
struct health family_health(void);

#endif
