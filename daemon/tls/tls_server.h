/*
 * tls_server — what a listener shows and demands: its certificate, its key, the CA of its clients, the versions it
 * takes. Invariants: a client certificate is always required; there is no session resumption (after a TLS 1.3
 * resumption mbedTLS has no peer certificate, so nobody would know who is calling); one set of material is immutable, a
 * reload makes another one and connections keep theirs until they end. Source: RFC 8446, RFC 5280, RFC 7525 for the
 * TLS 1.2 choice.
 */
#ifndef DAEMON_TLS_TLS_SERVER_H
#define DAEMON_TLS_TLS_SERVER_H

#include <mbedtls/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

/* PEM or DER, each as it stands in its file (PEM with the NUL counted in). Borrowed; the caller wipes the key. */
struct tls_material {
	const uint8_t *certificate, *key, *client_ca;
	size_t certificate_bytes, key_bytes, client_ca_bytes;
	bool allow_1_2; /* ECDHE with AEAD only */
};

struct tls_server; /* counted; tls_server_release */

/*
 * tls_server_new(m, out)
 *   Parse and check: the key must fit the certificate, the CA must hold at least one certificate.
 *   Returns   ERR_OK · ERR_FILE_FORM (a log line says which file and why) · ERR_MEMORY · ERR_RANDOM.
 *   Blocks    no.
 */
enum err tls_server_new(const struct tls_material *m, struct tls_server **out) MUST;
struct tls_server *tls_server_hold(struct tls_server *s);
void tls_server_release(struct tls_server *s); /* NULL is fine */
/* When our own certificate expires, Unix seconds. */
int64_t tls_server_expires_at_s(const struct tls_server *s);
const mbedtls_ssl_config *tls_server_config(const struct tls_server *s);

#endif
