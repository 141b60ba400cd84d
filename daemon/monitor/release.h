/*
 * release — which programs this appliance runs, and whether others have been installed since it started.
 * Invariants: what runs is what was opened at the start (site.binaries), restarts of a child included; this only looks.
 */
#ifndef DAEMON_MONITOR_RELEASE_H
#define DAEMON_MONITOR_RELEASE_H

#include <stdbool.h>

#include "daemon/monitor/site.h"

/* Remembers what is installed now. Call it while /proc is open to us. s is borrowed for the life of the process. */
void release_open(const struct site *s);
/* Are other programs installed than those at the start? The same ones installed again are no others. */
bool release_replaced(void);

#endif
