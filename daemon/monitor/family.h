/*
 * family — all children of the monitor: started, linked with each other, watched, started again, stopped in order.
 * Invariants: a child that dies is started again, at once the first time and then ever later (100 ms doubling to 5 s,
 *   forgotten after 30 s of life); each new life brings new sockets to everyone it is linked with, under a new epoch.
 */
#ifndef DAEMON_MONITOR_FAMILY_H
#define DAEMON_MONITOR_FAMILY_H

#include <event2/event.h>

#include "daemon/base/err.h"
#include "daemon/monitor/site.h"

/* family_open: a place and a page for each. ERR_MEMORY · ERR_LIMIT. There is one family per process. */
enum err family_open(struct site *s, struct event_base *base) MUST;
/* All are started, linked and let go. ERR_MEMORY (one could not be forked). */
enum err family_start(void) MUST;
/* Until it ends; the exit status. */
int family_run(void);
/* SIGHUP: read the configuration again; a bad one is logged and the old one kept. */
void family_reload(void);
/* Stop in order, gates first, within 5 s. The second time: at once. */
void family_stop(void);

#endif
