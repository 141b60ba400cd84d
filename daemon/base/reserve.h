/*
 * reserve — disk kept back in a file, so that what must be written can be written when the disk is full.
 * Invariants: a held reserve has its blocks (fallocate), so releasing it really frees that much; holding it again is
 * what tells that there is room again. One reserve per process, in its own directory. Source: design 40, "Fail closed,
 * without losing what was charged".
 */
#ifndef DAEMON_BASE_RESERVE_H
#define DAEMON_BASE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct reserve {
	int fd;         /* -1: not open */
	uint64_t bytes; /* what is to be held */
	bool held;
};

/*
 * reserve_open(r, path, bytes)
 *   Open or make the file (0600) and hold it.
 *   Returns ERR_OK · ERR_DISK_FULL (open, not held: call reserve_hold later) · ERR_IO. Blocks: on the disk.
 */
enum err reserve_open(struct reserve *r, const char *path, uint64_t bytes) MUST;
/* reserve_hold: nothing to do when held. ERR_DISK_FULL (no block is kept then) · ERR_IO. */
enum err reserve_hold(struct reserve *r) MUST;
/* reserve_release: gives the room to whoever writes next. */
void reserve_release(struct reserve *r);
void reserve_close(struct reserve *r);

#endif
