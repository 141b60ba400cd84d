/*
 * bus — what a sink of events has to do; one file bus_<name>.c per sink, ending in `const struct bus bus_<name>`.
 * Invariants: at least once, and in the order of `put` per partition key; `done` runs exactly once per accepted entry
 * and says ERR_OK only when the sink has it for good. A sink never blocks on a peer or on the network. bus_memory is
 * the readable specification.
 */
#ifndef DAEMON_HERALD_BUS_H
#define DAEMON_HERALD_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/conf.h"
#include "daemon/base/err.h"

/* Borrowed for the length of `put`. */
struct bus_entry {
	uint64_t sequence;
	const char *id, *type, *key; /* key: entries of one key stay in order */
	const char *event;           /* the CloudEvent as one line of JSON, without its newline; no NUL inside */
	size_t event_bytes;
};

typedef void (*bus_done_fn)(void *arg, enum err e);

struct bus {
	const char *name;
	bool (*wanted)(const struct conf *conf);
	enum err (*open)(const struct conf *conf);
	/* ERR_OK: done will run, not inside this call (earlier entries' may). Anything else: nothing was taken. */
	enum err (*put)(const struct bus_entry *entry, bus_done_fn done, void *arg);
	/* The turn of the loop ends: make the batch durable and answer for it. */
	void (*turn)(void);
	/* Files were rotated, addresses changed. */
	enum err (*reload)(const struct conf *conf);
	void (*close)(void);
};

#define BUS(name) extern const struct bus bus_##name;
#include "daemon/herald/bus.def"
#undef BUS
extern const struct bus bus_memory; /* for tests: no row, so no installation has it */

/* The i-th sink from 0, NULL past the last. Static. */
const struct bus *bus_at(size_t i);

#endif
