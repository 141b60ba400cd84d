/*
 * desk — what the files of this process share.
 */
#ifndef DAEMON_DESK_DESK_H
#define DAEMON_DESK_DESK_H

#include <stdint.h>

/* The uid that owns DIR. */
uint32_t desk_owner(void);

#endif
