/*
 * bus_memory — what the sink in memory holds, for the contract tests of all sinks.
 */
#ifndef DAEMON_HERALD_BUS_MEMORY_H
#define DAEMON_HERALD_BUS_MEMORY_H

#include <stddef.h>

#define BUS_MEMORY_MAX 1024

size_t bus_memory_count(void);
/* The i-th event, in the order in which it came. Borrowed. */
const char *bus_memory_event(size_t i);

#endif
