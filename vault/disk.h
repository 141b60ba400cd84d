/*
 * disk — is there room for what must be written? New effects stop while the reserve is still there.
 * Invariants: effects are refused from the first failed write, or from little free space, until there is room again and
 * the reserve is held; what ends things (wipes, checkpoints, officers' reads) goes on out of the reserve. Source:
 * design 40 (fail closed).
 */
#ifndef VAULT_DISK_H
#define VAULT_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"

/* disk_open(bytes): the file `reserve` in the working directory. ERR_IO. A full disk is no error: disk_ok tells. */
enum err disk_open(uint64_t bytes) MUST;
void disk_close(void);
/* A write failed for want of room or by an error: give up the reserve and refuse. */
void disk_failed(void);
/* Once a second: looks at the free space, takes the reserve back. Free bytes to *free_out. */
void disk_check(uint64_t *free_out);
bool disk_ok(void);

#endif
