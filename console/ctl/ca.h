/*
 * ca — the small-site certificate authority: makes its own root, the gate's server certificate and clients'.
 * Invariants: P-256 throughout; leaf certificates carry exactly one extended key usage; serial numbers are 128 random
 *   bits; key files are written 0600. Sites with a PKI bring their own CA and do not use this file.
 * Source: RFC 5280; CA/B baseline for serials (64 bits of entropy at least).
 */
#ifndef CONSOLE_CTL_CA_H
#define CONSOLE_CTL_CA_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/conf.h"

#define CA_PEM_BYTES 4096

struct mbedtls_x509_time;

/* Text with its NUL; wipe `key` when done. */
struct ca_pair {
	char key[CA_PEM_BYTES];
	char certificate[CA_PEM_BYTES];
};

enum ca_use { CA_USE_SERVER, CA_USE_CLIENT };

/* ca_make_root(name, days, out): a self-signed CA with path length 0. ERR_CRYPTO · ERR_RANDOM. */
enum err ca_make_root(const char *name, unsigned days, struct ca_pair *out) MUST;
/*
 * ca_issue(root, name, use, host, days, out)
 *   A key and a certificate signed by root. host: extra DNS name or address for a server (may be NULL or ""); localhost
 *   and 127.0.0.1 are always in. ERR_CRYPTO · ERR_RANDOM · ERR_FILE_FORM (root does not parse).
 */
enum err ca_issue(const struct ca_pair *root, const char *name, enum ca_use use, const char *host, unsigned days,
				  struct ca_pair *out) MUST;
/* The host that a server's certificate names for this value of `listen`: "" for all addresses, and for what is none. */
void ca_host_of(const char *listen, char host[CONF_HOST_BYTES]);
/* As ca_issue for a client, for the public key of a PKCS#10 request; out->key is "". ERR_FILE_FORM. */
enum err ca_sign_request(const struct ca_pair *root, const char *name, const char *csr_pem, unsigned days,
						 struct ca_pair *out) MUST;
/* A PEM file below etc, with its NUL. ERR_FILE_MISSING · ERR_FILE_FORM (too big) · ERR_PERMISSION · ERR_IO ·
 * ERR_MEMORY. */
enum err ca_read_pem(const char *etc, const char *name, char out[CA_PEM_BYTES]) MUST;
/* The small-site CA that init made, from ca/ below etc. ERR_FILE_MISSING · ERR_PERMISSION · ERR_IO · ERR_MEMORY. */
enum err ca_read_root(const char *etc, struct ca_pair *out) MUST;
/* SHA-256 of the certificate's DER, and its expiry in ms. ERR_FILE_FORM. */
enum err ca_fingerprint(const char *certificate_pem, uint8_t sha256_out[32], int64_t *not_after_ms_out) MUST;
/*
 * What a site brings (ca_check.c), as texts. *why: what is wrong with it, borrowed; ERR_FILE_FORM then.
 *   ca_check_authorities  one or more certificates, all of CAs, none expired
 *   ca_check_server       certificate (with its chain), its key, and the CA that it must lead to
 */
enum err ca_check_authorities(const char *pem, const char **why) MUST;
enum err ca_check_server(const char *certificate, const char *key, const char *authority, const char **why) MUST;

struct ca_client {
	uint32_t flags; /* of policy/client_certificate.def; 0: a gate would take it */
	bool unfit;     /* there is a key, and it is not this certificate's */
	uint8_t sha256[32];
	int64_t from_ms, until_ms;
	char subject[128], issuer[128]; /* "" for what does not fit */
};
/*
 * ca_check_client(pem, key, authority, out, why)
 *   What a gate would have against this client's certificate (with its chain), which `authority` should have issued.
 *   key: NULL, none was given. It does what mbedTLS does in a handshake, with the same profile.
 *   Returns ERR_OK (also for one that would be refused: see out) · ERR_FILE_FORM: *why says which text is unreadable.
 */
enum err ca_check_client(const char *pem, const char *key, const char *authority, struct ca_client *out,
						 const char **why) MUST;
/* A certificate's time, Unix ms; ERR_FILE_FORM for what is no date. */
enum err ca_time_ms(const struct mbedtls_x509_time *t, int64_t *ms_out) MUST;

#endif
