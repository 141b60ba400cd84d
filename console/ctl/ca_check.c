/* Certificates that a site brings: what a client or a gate would stumble over is told before anything is made. */
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <sodium.h>
#include <string.h>

#include "console/ctl/ca.h"

static int
draw(void *arg, unsigned char *out, size_t n)
{
	(void)arg;
	randombytes_buf(out, n);
	return 0;
}

static enum err
parse(mbedtls_x509_crt *crt, const char *pem, const char *none, const char **why)
{
	if (mbedtls_x509_crt_parse(crt, (const unsigned char *)pem, strlen(pem) + 1) == 0)
		return ERR_OK;
	*why = none;
	return ERR_FILE_FORM;
}

static enum err
parse_key(mbedtls_pk_context *key, const char *pem, const char **why)
{
	if (mbedtls_pk_parse_key(key, (const unsigned char *)pem, strlen(pem) + 1, NULL, 0, draw, NULL) == 0)
		return ERR_OK;
	*why = "the certificate's key can't be read: PEM without a passphrase";
	return ERR_FILE_FORM;
}

enum err
ca_check_authorities(const char *pem, const char **why)
{
	mbedtls_x509_crt crt;
	mbedtls_x509_crt_init(&crt);
	enum err e = parse(&crt, pem, "it holds no PEM certificate that can be read", why);
	for (const mbedtls_x509_crt *c = &crt; e == ERR_OK && c; c = c->next) {
		if (!c->MBEDTLS_PRIVATE(ca_istrue))
			*why = "a certificate in it is not a CA's", e = ERR_FILE_FORM;
		else if (mbedtls_x509_time_is_past(&c->valid_to))
			*why = "a certificate in it has expired", e = ERR_FILE_FORM;
	}
	mbedtls_x509_crt_free(&crt);
	return e;
}

static const char *
server_why_not(mbedtls_x509_crt *crt, mbedtls_x509_crt *root, mbedtls_pk_context *key)
{
	uint32_t flags = 0;
	if (mbedtls_pk_check_pair(&crt->pk, key, draw, NULL) != 0)
		return "the key is not the certificate's";
	if (mbedtls_x509_time_is_past(&crt->valid_to))
		return "it has expired";
	if (mbedtls_x509_time_is_future(&crt->valid_from))
		return "it is not valid yet, or the clock is wrong";
	if (mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_SERVER_AUTH,
												  MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0)
		return "it may not be a server's (extended key usage)";
	if (mbedtls_x509_crt_verify(crt, root, NULL, NULL, &flags, NULL, NULL) != 0)
		return "it does not lead to the CA that clients would verify it with (--server-ca)";
	return NULL;
}

enum err
ca_check_server(const char *certificate, const char *key_pem, const char *authority, const char **why)
{
	mbedtls_x509_crt crt, root;
	mbedtls_pk_context key;
	mbedtls_x509_crt_init(&crt);
	mbedtls_x509_crt_init(&root);
	mbedtls_pk_init(&key);
	enum err e = parse(&crt, certificate, "it holds no PEM certificate that can be read", why);
	if (e == ERR_OK)
		e = parse(&root, authority, "the CA that clients verify it with can't be read", why);
	if (e == ERR_OK)
		e = parse_key(&key, key_pem, why);
	if (e == ERR_OK && (*why = server_why_not(&crt, &root, &key)))
		e = ERR_FILE_FORM;
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&root);
	mbedtls_x509_crt_free(&crt);
	return e;
}

/* A certificate may hold keys of which TLS 1.3 has no signature: its owner can't prove with them who it is (RFC 8446
 * 4.2.3). */
static bool
can_sign(const mbedtls_x509_crt *crt)
{
	if (mbedtls_pk_get_type(&crt->pk) != MBEDTLS_PK_ECKEY)
		return mbedtls_pk_can_do(&crt->pk, MBEDTLS_PK_RSA);
	mbedtls_ecp_group_id group = mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(crt->pk));
	return group == MBEDTLS_ECP_DP_SECP256R1 || group == MBEDTLS_ECP_DP_SECP384R1 || group == MBEDTLS_ECP_DP_SECP521R1;
}

/* As mbedTLS has it of a client in a handshake: the chain to the CA of clients, and what the key may be used for. */
static uint32_t
client_flags(mbedtls_x509_crt *crt, mbedtls_x509_crt *root)
{
	uint32_t flags = 0;
	if (mbedtls_x509_crt_verify(crt, root, NULL, NULL, &flags, NULL, NULL) != 0 && flags == 0)
		flags = MBEDTLS_X509_BADCERT_OTHER;
	if (mbedtls_x509_crt_check_key_usage(crt, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0)
		flags |= MBEDTLS_X509_BADCERT_KEY_USAGE;
	if (mbedtls_x509_crt_check_extended_key_usage(crt, MBEDTLS_OID_CLIENT_AUTH,
												  MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0)
		flags |= MBEDTLS_X509_BADCERT_EXT_KEY_USAGE;
	return can_sign(crt) ? flags : flags | MBEDTLS_X509_BADCERT_BAD_KEY;
}

static enum err
describe(const mbedtls_x509_crt *crt, struct ca_client *out)
{
	crypto_hash_sha256(out->sha256, crt->raw.p, crt->raw.len);
	/* half a name would be another one: what does not fit is left out */
	if (mbedtls_x509_dn_gets(out->subject, sizeof out->subject, &crt->subject) < 0)
		out->subject[0] = 0;
	if (mbedtls_x509_dn_gets(out->issuer, sizeof out->issuer, &crt->issuer) < 0)
		out->issuer[0] = 0;
	enum err e = ca_time_ms(&crt->valid_from, &out->from_ms);
	return e == ERR_OK ? ca_time_ms(&crt->valid_to, &out->until_ms) : e;
}

enum err
ca_check_client(const char *pem, const char *key_pem, const char *authority, struct ca_client *out, const char **why)
{
	mbedtls_x509_crt crt, root;
	mbedtls_pk_context key;
	memset(out, 0, sizeof *out);
	mbedtls_x509_crt_init(&crt);
	mbedtls_x509_crt_init(&root);
	mbedtls_pk_init(&key);
	enum err e = parse(&crt, pem, "it holds no PEM certificate with an ECDSA or RSA key that can be read", why);
	if (e == ERR_OK)
		e = parse(&root, authority, "the CA of clients can't be read", why);
	if (e == ERR_OK && key_pem)
		e = parse_key(&key, key_pem, why);
	if (e == ERR_OK && (e = describe(&crt, out)) != ERR_OK)
		*why = "its dates are none";
	if (e == ERR_OK) {
		out->flags = client_flags(&crt, &root);
		out->unfit = key_pem && mbedtls_pk_check_pair(&crt.pk, &key, draw, NULL) != 0;
	}
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&root);
	mbedtls_x509_crt_free(&crt);
	return e;
}
