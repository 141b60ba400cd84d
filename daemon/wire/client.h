/*
 * client — a blocking conversation with desk, for commands and the console (never for a process of the appliance).
 * Invariants: every call has a deadline; an answer is decoded into the caller's struct; no descriptor is received.
 */
#ifndef DAEMON_WIRE_CLIENT_H
#define DAEMON_WIRE_CLIENT_H

#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/wire/msg.h"

struct client;

/* client_open: connects to DIR/run/desk.sock (path ≤ 107 bytes). ERR_NOT_RUNNING · ERR_PERMISSION · ERR_NOT_INITIALISED
 * (no DIR) · ERR_MEMORY. */
enum err client_open(const char *socket_path, uint32_t deadline_ms, struct client **out) MUST;
void client_close(struct client *c); /* NULL is fine */
/*
 * client_ask: one question, one answer. rep is the caller's sp_<name>_rep, zeroed unless a body came.
 *   Returns the answer's err, or ERR_DEADLINE · ERR_PEER_AWAY (desk went away) · ERR_PROTOCOL · ERR_BUILD_MISMATCH.
 */
enum err client_ask(struct client *c, enum msg number, const void *req, void *rep, uint32_t deadline_ms) MUST;
int client_fd(const struct client *c);

#endif
