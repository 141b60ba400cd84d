#include "console/ctl/ca.h"

#include <arpa/inet.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "console/ctl/ctl.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"

#define ORGANIZATION "Sallyport"
#define DAY_MS       (24LL * 3600 * 1000)

/* mbedTLS wants a callback; libsodium's generator is already seeded and never blocks here. */
static int
draw(void *arg, unsigned char *out, size_t n)
{
	(void)arg;
	randombytes_buf(out, n);
	return 0;
}

static void
x509_time(int64_t ms, char out[16])
{
	char text[CLOCK_TEXT_BYTES];
	clock_text(ms, text);
	/* 2026-11-21T10:46:00.123Z → 20261121104600 */
	snprintf(out, 16, "%.4s%.2s%.2s%.2s%.2s%.2s", text, text + 5, text + 8, text + 11, text + 14, text + 17);
}

static int
make_key(mbedtls_pk_context *key)
{
	int rc = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
	if (rc == 0)
		rc = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), draw, NULL);
	return rc;
}

static int
set_basics(mbedtls_x509write_cert *w, const char *issuer, const char *subject, unsigned days)
{
	unsigned char serial[16];
	char from[16], to[16];
	int64_t now = clock_wall_ms();

	randombytes_buf(serial, sizeof serial);
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, always 16 bytes */
	x509_time(now - 3600 * 1000, from);    /* clocks of clients may lag a little */
	x509_time(now + (int64_t)days * DAY_MS, to);
	mbedtls_x509write_crt_set_version(w, MBEDTLS_X509_CRT_VERSION_3);
	mbedtls_x509write_crt_set_md_alg(w, MBEDTLS_MD_SHA256);
	int rc = mbedtls_x509write_crt_set_serial_raw(w, serial, sizeof serial);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_validity(w, from, to);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_subject_name(w, subject);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_issuer_name(w, issuer);
	return rc;
}

/* One extended key usage: what a certificate is not for, it can't be used for. */
static int
set_use(mbedtls_x509write_cert *w, enum ca_use use)
{
	mbedtls_asn1_sequence eku = {0};
	eku.buf.tag = MBEDTLS_ASN1_OID;
	if (use == CA_USE_SERVER) {
		eku.buf.p = (unsigned char *)(uintptr_t)MBEDTLS_OID_SERVER_AUTH;
		eku.buf.len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH);
	} else {
		eku.buf.p = (unsigned char *)(uintptr_t)MBEDTLS_OID_CLIENT_AUTH;
		eku.buf.len = MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH);
	}
	int rc = mbedtls_x509write_crt_set_ext_key_usage(w, &eku);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_basic_constraints(w, 0, -1);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_key_usage(w, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
	return rc;
}

void
ca_host_of(const char *listen, char host[CONF_HOST_BYTES])
{
	char port[CONF_PORT_BYTES];
	if (conf_address(listen, host, port) != ERR_OK || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
		host[0] = 0;
}

static int
set_names(mbedtls_x509write_cert *w, const char *host)
{
	static const unsigned char loopback[4] = {127, 0, 0, 1};
	unsigned char address[16];
	mbedtls_x509_san_list extra = {0}, local = {0}, ip = {0};

	ip.node.type = MBEDTLS_X509_SAN_IP_ADDRESS;
	ip.node.san.unstructured_name.p = (unsigned char *)(uintptr_t)loopback;
	ip.node.san.unstructured_name.len = sizeof loopback;
	local.node.type = MBEDTLS_X509_SAN_DNS_NAME;
	local.node.san.unstructured_name.p = (unsigned char *)(uintptr_t) "localhost";
	local.node.san.unstructured_name.len = strlen("localhost");
	local.next = &ip;
	if (host && host[0]) {
		bool four = inet_pton(AF_INET, host, address) == 1;
		if (four || inet_pton(AF_INET6, host, address) == 1) {
			extra.node.type = MBEDTLS_X509_SAN_IP_ADDRESS;
			extra.node.san.unstructured_name.p = address;
			extra.node.san.unstructured_name.len = four ? 4 : 16;
		} else {
			extra.node.type = MBEDTLS_X509_SAN_DNS_NAME;
			extra.node.san.unstructured_name.p = (unsigned char *)(uintptr_t)host;
			extra.node.san.unstructured_name.len = strlen(host);
		}
		extra.next = &local;
	}
	return mbedtls_x509write_crt_set_subject_alternative_name(w, host && host[0] ? &extra : &local);
}

static int
write_pair(mbedtls_x509write_cert *w, mbedtls_pk_context *key, struct ca_pair *out)
{
	int rc = mbedtls_x509write_crt_pem(w, (unsigned char *)out->certificate, sizeof out->certificate, draw, NULL);
	if (rc == 0 && key)
		rc = mbedtls_pk_write_key_pem(key, (unsigned char *)out->key, sizeof out->key);
	return rc;
}

enum err
ca_make_root(const char *name, unsigned days, struct ca_pair *out)
{
	mbedtls_x509write_cert w;
	mbedtls_pk_context key;
	char subject[160];

	memset(out, 0, sizeof *out);
	mbedtls_x509write_crt_init(&w);
	mbedtls_pk_init(&key);
	snprintf(subject, sizeof subject, "CN=%s CA,O=" ORGANIZATION, name);
	int rc = make_key(&key);
	if (rc == 0) {
		mbedtls_x509write_crt_set_subject_key(&w, &key);
		mbedtls_x509write_crt_set_issuer_key(&w, &key);
		rc = set_basics(&w, subject, subject, days);
	}
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_basic_constraints(&w, 1, 0);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_key_usage(&w, MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN);
	if (rc == 0)
		rc = mbedtls_x509write_crt_set_subject_key_identifier(&w);
	if (rc == 0)
		rc = write_pair(&w, &key, out);
	mbedtls_x509write_crt_free(&w);
	mbedtls_pk_free(&key);
	return rc == 0 ? ERR_OK : ERR_CRYPTO;
}

static enum err
issue(const struct ca_pair *root, const char *name, enum ca_use use, const char *host, unsigned days,
	  mbedtls_pk_context *subject_key, bool write_key, struct ca_pair *out)
{
	mbedtls_x509write_cert w;
	mbedtls_x509_crt ca;
	mbedtls_pk_context ca_key;
	char issuer[256], subject[160];
	enum err e = ERR_FILE_FORM;

	mbedtls_x509write_crt_init(&w);
	mbedtls_x509_crt_init(&ca);
	mbedtls_pk_init(&ca_key);
	if (mbedtls_x509_crt_parse(&ca, (const unsigned char *)root->certificate, strlen(root->certificate) + 1) != 0 ||
		mbedtls_pk_parse_key(&ca_key, (const unsigned char *)root->key, strlen(root->key) + 1, NULL, 0, draw, NULL) !=
			0 ||
		mbedtls_x509_dn_gets(issuer, sizeof issuer, &ca.subject) <= 0)
		goto out;
	e = ERR_CRYPTO;
	snprintf(subject, sizeof subject, "CN=%s,O=" ORGANIZATION, name);
	mbedtls_x509write_crt_set_subject_key(&w, subject_key);
	mbedtls_x509write_crt_set_issuer_key(&w, &ca_key);
	if (set_basics(&w, issuer, subject, days) != 0 || set_use(&w, use) != 0)
		goto out;
	if (use == CA_USE_SERVER && set_names(&w, host) != 0)
		goto out;
	if (mbedtls_x509write_crt_set_authority_key_identifier(&w) != 0 ||
		write_pair(&w, write_key ? subject_key : NULL, out) != 0)
		goto out;
	e = ERR_OK;
out:
	mbedtls_x509write_crt_free(&w);
	mbedtls_x509_crt_free(&ca);
	mbedtls_pk_free(&ca_key);
	return e;
}

enum err
ca_issue(const struct ca_pair *root, const char *name, enum ca_use use, const char *host, unsigned days,
		 struct ca_pair *out)
{
	mbedtls_pk_context key;
	enum err e = ERR_CRYPTO;

	memset(out, 0, sizeof *out);
	mbedtls_pk_init(&key);
	if (make_key(&key) == 0)
		e = issue(root, name, use, host, days, &key, true, out);
	mbedtls_pk_free(&key);
	return e;
}

enum err
ca_sign_request(const struct ca_pair *root, const char *name, const char *csr_pem, unsigned days, struct ca_pair *out)
{
	mbedtls_x509_csr csr;
	enum err e = ERR_FILE_FORM;

	memset(out, 0, sizeof *out);
	mbedtls_x509_csr_init(&csr);
	if (mbedtls_x509_csr_parse(&csr, (const unsigned char *)csr_pem, strlen(csr_pem) + 1) == 0)
		e = issue(root, name, CA_USE_CLIENT, NULL, days, &csr.pk, false, out);
	mbedtls_x509_csr_free(&csr);
	return e;
}

enum err
ca_time_ms(const struct mbedtls_x509_time *t, int64_t *ms_out)
{
	char text[CLOCK_TEXT_BYTES + 16];

	snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", t->year, t->mon, t->day, t->hour, t->min, t->sec);
	return clock_parse(text, ms_out) == ERR_OK ? ERR_OK : ERR_FILE_FORM;
}

enum err
ca_fingerprint(const char *pem, uint8_t sha256_out[32], int64_t *not_after_ms_out)
{
	mbedtls_x509_crt crt;
	enum err e = ERR_FILE_FORM;

	mbedtls_x509_crt_init(&crt);
	if (mbedtls_x509_crt_parse(&crt, (const unsigned char *)pem, strlen(pem) + 1) == 0) {
		crypto_hash_sha256(sha256_out, crt.raw.p, crt.raw.len);
		e = ca_time_ms(&crt.valid_to, not_after_ms_out);
	}
	mbedtls_x509_crt_free(&crt);
	return e;
}

enum err
ca_read_pem(const char *etc, const char *name, char out[CA_PEM_BYTES])
{
	char path[PATH_BYTES], *text;
	size_t n;
	enum err e = ctl_path(path, etc, name);

	if (e == ERR_OK)
		e = ctl_read_file(path, CA_PEM_BYTES - 1, &text, &n);
	if (e != ERR_OK)
		return e;
	memcpy(out, text, n + 1);
	mem_wipe(text, n);
	mem_free(text);
	return ERR_OK;
}

enum err
ca_read_root(const char *etc, struct ca_pair *out)
{
	memset(out, 0, sizeof *out);
	enum err e = ca_read_pem(etc, "ca/ca.key", out->key);
	return e == ERR_OK ? ca_read_pem(etc, "ca/ca.crt", out->certificate) : e;
}
