/*
 * tls_x25519 — the key exchange of TLS 1.3 done by libsodium instead of mbedTLS, which takes twenty times as long.
 * mbedTLS has no door for that in its packaged build, so two of its PSA driver functions are replaced at link time
 * (-Wl,--wrap, see room.mk); everything but X25519 goes on to mbedTLS as before.
 * Invariants: the same bytes as mbedTLS gives (a test compares both with RFC 7748's vectors); a shared secret of zeros,
 *   from a point of small order, is refused. A program without the two linker flags works, only slower.
 * Source: RFC 7748; measured: 3.5 ms instead of 2 ms of processor time for a handshake without it.
 */
#ifndef DAEMON_TLS_TLS_X25519_H
#define DAEMON_TLS_TLS_X25519_H

#include <stdint.h>

/* How many scalar multiplications libsodium has done: 0 says that the flags are missing. Naming it links the wraps in.
 */
uint64_t tls_x25519_count(void);

#endif
