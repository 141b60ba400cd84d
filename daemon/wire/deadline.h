/*
 * deadline — a binary heap of moments: one timer for all questions of a process instead of one each.
 * Invariants: the first entry is the next due; an entry knows its place, so that it can be taken out at once.
 */
#ifndef DAEMON_WIRE_DEADLINE_H
#define DAEMON_WIRE_DEADLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct deadline {
	int64_t due_ms; /* clock_mono_ms */
	size_t place;   /* 1-based; 0: not in a heap */
};
struct deadlines {
	struct deadline **heap; /* owned array of borrowed entries, [0] unused */
	size_t count, room;
};

/* ERR_MEMORY. The entry must not be in a heap yet and must stay where it is. */
enum err deadline_add(struct deadlines *h, struct deadline *d, int64_t due_ms) MUST;
/* Taken out; nothing happens when it is in none. */
void deadline_remove(struct deadlines *h, struct deadline *d);
/* The next one, or NULL. */
struct deadline *deadline_first(const struct deadlines *h);
void deadline_free(struct deadlines *h);

#endif
