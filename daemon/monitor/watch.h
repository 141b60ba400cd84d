/*
 * watch — what the monitor does by the clock: says when all is ready, tells systemd the state, ends what hangs, mends
 * links that were cut.
 */
#ifndef DAEMON_MONITOR_WATCH_H
#define DAEMON_MONITOR_WATCH_H

#include "daemon/base/err.h"

/* ERR_MEMORY. Call it while /proc is still open to us. */
enum err watch_open(void) MUST;

#endif
