/*
 * conn — the open connections: accept, limits, deadlines, one request at a time, answers in order.
 * Invariants: at most gate.connections in all and gate.connections_per_ip per address; every state but "the appliance
 * is working" has an absolute deadline; bytes of the next request wait, unparsed, until this one is answered.
 */
#ifndef DAEMON_GATE_CONN_H
#define DAEMON_GATE_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"
#include "daemon/tls/tls_server.h"

struct conn;
struct request;

/* conn_listen(fd): accept from this listening descriptor; takes it over. ERR_OK · ERR_MEMORY. */
enum err conn_listen(int fd) MUST;
/* New connections get this material from now on; held. */
void conn_use(struct tls_server *server);
/* No new connections, idle ones end now, the others with their answer; done runs when none is left. */
void conn_stop(void (*done)(void));
/* Was conn_stop called? Then every answer is the last of its connection, and says so. */
bool conn_stopping(void);
unsigned conn_count(void);

/* ── for requests ── */

/* The request that this connection waits for; NULL: none any more. */
void conn_expect(struct conn *c, struct request *r);
/* conn_answer(c, bytes, n, keep): the whole answer; then the next request, or the end when !keep. */
void conn_answer(struct conn *c, const void *bytes, size_t n, bool keep);

#endif
