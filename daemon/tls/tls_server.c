#include "daemon/tls/tls_server.h"

#include <mbedtls/error.h>
#include <psa/crypto.h>
#include <sodium.h>
#include <time.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/tls/tls_x25519.h"

struct tls_server {
	unsigned users;
	mbedtls_ssl_config config;
	mbedtls_x509_crt certificate, client_ca;
	mbedtls_pk_context key;
};

/* libsodium's generator reads the kernel's and needs no state of ours in the jail. */
static int
fill_random(void *arg, unsigned char *out, size_t n)
{
	(void)arg;
	randombytes_buf(out, n);
	return 0;
}

static enum err
refuse_file(const char *file, int code)
{
	char why[96];

	mbedtls_strerror(code, why, sizeof(why));
	log_warn("TLS file refused", LOG_S("file", file), LOG_S("why", why));
	return code == MBEDTLS_ERR_X509_ALLOC_FAILED || code == MBEDTLS_ERR_PK_ALLOC_FAILED ? ERR_MEMORY : ERR_FILE_FORM;
}

static enum err
parse_material(struct tls_server *s, const struct tls_material *m)
{
	int r;

	/* A positive result counts certificates that did not parse: a chain with a hole is refused, not shortened. */
	if ((r = mbedtls_x509_crt_parse(&s->certificate, m->certificate, m->certificate_bytes)) != 0)
		return refuse_file("certificate", r < 0 ? r : MBEDTLS_ERR_X509_INVALID_FORMAT);
	if ((r = mbedtls_x509_crt_parse(&s->client_ca, m->client_ca, m->client_ca_bytes)) != 0)
		return refuse_file("client CA", r < 0 ? r : MBEDTLS_ERR_X509_INVALID_FORMAT);
	if ((r = mbedtls_pk_parse_key(&s->key, m->key, m->key_bytes, NULL, 0, fill_random, NULL)) != 0)
		return refuse_file("key", r);
	if ((r = mbedtls_pk_check_pair(&s->certificate.pk, &s->key, fill_random, NULL)) != 0)
		return refuse_file("key (does not fit the certificate)", r);
	return ERR_OK;
}

static const int suites_1_3[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256, MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
								 MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, 0};
static const int suites_both[] = {MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
								  MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
								  MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
								  MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
								  MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
								  MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
								  MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
								  MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
								  MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
								  0};
static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519, MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
								  MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, 0};
/* http/1.0 stands here only because a client that offers nothing else would be turned away before HTTP could answer. */
static const char *protocols[] = {"http/1.1", "http/1.0", NULL};

static enum err
configure(struct tls_server *s, bool allow_1_2)
{
	mbedtls_ssl_config *c = &s->config;

	if (mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
									MBEDTLS_SSL_PRESET_DEFAULT) != 0)
		return ERR_MEMORY;
	mbedtls_ssl_conf_rng(c, fill_random, NULL);
	mbedtls_ssl_conf_min_tls_version(c, allow_1_2 ? MBEDTLS_SSL_VERSION_TLS1_2 : MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_max_tls_version(c, MBEDTLS_SSL_VERSION_TLS1_3);
	mbedtls_ssl_conf_ciphersuites(c, allow_1_2 ? suites_both : suites_1_3);
	mbedtls_ssl_conf_groups(c, groups);
	mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
	mbedtls_ssl_conf_ca_chain(c, &s->client_ca, NULL);
	mbedtls_ssl_conf_tls13_key_exchange_modes(c, MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL);
	if (mbedtls_ssl_conf_alpn_protocols(c, protocols) != 0 ||
		mbedtls_ssl_conf_own_cert(c, &s->certificate, &s->key) != 0)
		return ERR_MEMORY;
	return ERR_OK;
}

enum err
tls_server_new(const struct tls_material *m, struct tls_server **out)
{
	struct tls_server *s = NULL;
	enum err e;

	*out = NULL;
	/* naming the second pulls its file, and with it the faster key exchange, out of the library */
	if (psa_crypto_init() != PSA_SUCCESS || tls_x25519_count() == UINT64_MAX)
		return ERR_RANDOM;
	if (!(s = mem_new(1, sizeof(*s))))
		return ERR_MEMORY;
	s->users = 1;
	mbedtls_ssl_config_init(&s->config);
	mbedtls_x509_crt_init(&s->certificate);
	mbedtls_x509_crt_init(&s->client_ca);
	mbedtls_pk_init(&s->key);
	if ((e = parse_material(s, m)) || (e = configure(s, m->allow_1_2)))
		tls_server_release(s);
	else
		*out = s;
	return e;
}

struct tls_server *
tls_server_hold(struct tls_server *s)
{
	s->users++;
	return s;
}

void
tls_server_release(struct tls_server *s)
{
	if (!s || --s->users > 0)
		return;
	mbedtls_ssl_config_free(&s->config);
	mbedtls_x509_crt_free(&s->certificate);
	mbedtls_x509_crt_free(&s->client_ca);
	mbedtls_pk_free(&s->key);
	mem_free(s);
}

int64_t
tls_server_expires_at_s(const struct tls_server *s)
{
	const mbedtls_x509_time *t = &s->certificate.valid_to;
	struct tm tm = {.tm_year = t->year - 1900,
					.tm_mon = t->mon - 1,
					.tm_mday = t->day,
					.tm_hour = t->hour,
					.tm_min = t->min,
					.tm_sec = t->sec};

	return timegm(&tm);
}

const mbedtls_ssl_config *
tls_server_config(const struct tls_server *s)
{
	return &s->config;
}
