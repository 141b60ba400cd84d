/*
 * gift — what a new child is handed over its control socket: descriptors for what it may use, and nothing it may not.
 */
#ifndef DAEMON_MONITOR_GIFT_H
#define DAEMON_MONITOR_GIFT_H

#include "daemon/base/err.h"
#include "daemon/monitor/member.h"

/* All functions: ERR_PEER_AWAY (it has died) · ERR_PEER_FULL (it does not read) · ERR_IO · ERR_MEMORY. None blocks. */

/* Everything but peers: configuration, pages, directory, listener, certificate files, PIN, by the kind of process. */
enum err gift_all(const struct member *to) MUST;
/* The certificate files as they are now, to a gate. */
enum err gift_tls(const struct member *to) MUST;
/* The PIN as it was read last, to the vault; nothing where there is none. */
enum err gift_pin(const struct member *to) MUST;
/* One end of the pair that links it with another member; fd is borrowed. */
enum err gift_peer(const struct member *to, const struct member *other, int fd, uint64_t epoch) MUST;

#endif
