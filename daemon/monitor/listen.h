/*
 * listen — the appliance's sockets, opened by the monitor and kept open by it, so that a client that comes while a gate
 * starts anew waits instead of being refused.
 */
#ifndef DAEMON_MONITOR_LISTEN_H
#define DAEMON_MONITOR_LISTEN_H

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

/*
 * listen_tcp(where, n, fds_out, why)
 *   n listeners on "address:port" or "[address]:port", one per gate: the kernel spreads clients over them.
 *   Returns   ERR_OK · ERR_CONFIG (not an address) · ERR_EXISTS (somebody else listens there) · ERR_PERMISSION ·
 * ERR_IO.
 */
enum err listen_tcp(const char *where, unsigned n, int *fds_out, struct buf *why) MUST;
/* The desk's socket: mode 0660 for this group if there is one, else 0600. ERR_IO (path above 107 bytes) ·
 * ERR_PERMISSION. */
enum err listen_unix(const char *path, const char *group, int *fd_out, struct buf *why) MUST;

#endif
