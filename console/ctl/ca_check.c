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
why_not(mbedtls_x509_crt *crt, mbedtls_x509_crt *root, mbedtls_pk_context *key)
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
	if (e == ERR_OK &&
		mbedtls_pk_parse_key(&key, (const unsigned char *)key_pem, strlen(key_pem) + 1, NULL, 0, draw, NULL) != 0) {
		*why = "its key can't be read: PEM without a passphrase";
		e = ERR_FILE_FORM;
	}
	if (e == ERR_OK && (*why = why_not(&crt, &root, &key)))
		e = ERR_FILE_FORM;
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&root);
	mbedtls_x509_crt_free(&crt);
	return e;
}
