/*
 * tls_failure — why a handshake failed, in words that help the person at the other end.
 * The alert tells a developer nothing ("bad record mac"), so the reason stands in our log with the certificate's
 * SHA-256, the address and a remedy. Invariants: at most 30 lines a minute; what was left out is counted in the next
 * one.
 */
#ifndef DAEMON_TLS_TLS_FAILURE_H
#define DAEMON_TLS_TLS_FAILURE_H

#include <stdint.h>

#include "daemon/base/err.h"

struct tls_failure {
	int code;                   /* mbedTLS' error; 0: the other end closed */
	uint32_t flags;             /* MBEDTLS_X509_BADCERT_… of the chain */
	const uint8_t *fingerprint; /* 32 bytes, zero when no certificate was seen */
	int fd;                     /* for the address */
};

/*
 * tls_failure_explain(f)
 *   Returns   ERR_CERTIFICATE_MISSING · ERR_CERTIFICATE_INVALID · ERR_PROTOCOL · ERR_LIMIT (too big) · ERR_PEER_AWAY.
 */
enum err tls_failure_explain(const struct tls_failure *f) MUST;
/* Failed handshakes since the start. */
uint64_t tls_failure_count(void);

#endif
