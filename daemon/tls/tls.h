/*
 * tls — one TLS connection of a server: mbedTLS on the descriptor, libevent's loop, plain bytes in and out.
 * Invariants: `opened` runs at most once and only after a client certificate was verified, whose SHA-256 is then known;
 *   a handshake has a byte cap and an absolute deadline; handshakes (milliseconds each) run in
 *   tls_pool's thread, or one step per turn of the loop, so that open connections are served meanwhile; nothing blocks;
 * plain bytes are wiped as they are eaten. Source: RFC 8446; measured: without TCP_NODELAY new connections stall for 40
 * ms.
 */
#ifndef DAEMON_TLS_TLS_H
#define DAEMON_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"
#include "daemon/tls/tls_server.h"

struct event_base;
struct tls;

#define TLS_FINGERPRINT_BYTES 32

/* Called from the loop, never from inside a tls_ function but tls_read_on. The others may call tls_free as their last
 * act. */
struct tls_hooks {
	void (*opened)(void *arg);  /* the handshake is over; the one hook that may not free */
	void (*bytes)(void *arg);   /* tls_in has more */
	void (*drained)(void *arg); /* all that was written has left */
	/*
	 * The other end has finished (ERR_OK: cleanly or not, no more bytes will come; what is written may still arrive),
	 * or the connection is dead: ERR_CERTIFICATE_MISSING · ERR_CERTIFICATE_INVALID · ERR_PROTOCOL (TLS broken) ·
	 * ERR_LIMIT (handshake too big) · ERR_PEER_AWAY (socket error). After any but ERR_OK only tls_free makes sense.
	 */
	void (*ended)(void *arg, enum err why);
};

/*
 * tls_new(server, base, fd, hooks, arg, out)
 *   Take over a connected, non-blocking socket and begin the handshake. server is held; fd is owned on success only.
 *   Returns   ERR_OK · ERR_MEMORY.
 */
enum err tls_new(struct tls_server *server, struct event_base *base, int fd, const struct tls_hooks *hooks, void *arg,
				 struct tls **out) MUST;
/* Sends close_notify if that does not block, closes the descriptor, wipes all (in the pool: when it comes back). NULL
 * is fine. */
void tls_free(struct tls *t);

bool tls_is_open(const struct tls *t);
/* SHA-256 of the client's certificate (DER); all zero before `opened`. Borrowed. */
const uint8_t *tls_fingerprint(const struct tls *t);
/* When the client's certificate expires, Unix seconds; 0 before `opened`. */
int64_t tls_peer_expires_at_s(const struct tls *t);
/* "TLSv1.3". Static. */
const char *tls_version(const struct tls *t);

/* What has arrived; the owner eats from it. At TLS_IN_MAX bytes the socket is not read until tls_read_on. */
#define TLS_IN_MAX 32768
struct buf *tls_in(struct tls *t);
/* Room was made in tls_in: go on reading. May run `bytes` or `ended` before it returns. */
void tls_read_on(struct tls *t);
/*
 * tls_write(t, bytes, n): encrypt and send; what the socket does not take is kept and sent later.
 *   Returns   ERR_OK · ERR_LIMIT (more than TLS_OUT_MAX is waiting) · ERR_PEER_AWAY (dead) · ERR_MEMORY.
 */
#define TLS_OUT_MAX (1u << 20)
enum err tls_write(struct tls *t, const void *bytes, size_t n) MUST;
/* Bytes that the socket has not taken yet. */
size_t tls_waiting(const struct tls *t);
/*
 * tls_finish(t): after what is waiting, close_notify and half-close; then drop what still comes, so that the last
 * answer is not lost to a reset, until the other end closes (`ended`) or the owner frees.
 */
void tls_finish(struct tls *t);

#endif
