/* The gate's certificate and key, and the CA of clients. */
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <string.h>

#include "console/ctl/ca.h"
#include "console/ctl/doctor.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"

#define PEM_BYTES_MAX ((size_t)1 << 18) /* clients-ca.crt may hold many */
#define WARN_DAYS     30
#define DAY_MS        (24LL * 3600 * 1000)
#define PARSE_CHECK   "tls.certificate"

static const char *
check_of(const char *file)
{
	return strcmp(file, "server.crt") == 0 ? PARSE_CHECK : "tls.clients_ca";
}

/* false: the verdict is filled in. The caller has inited crt and frees it. */
static bool
load(const struct doctor *d, const char *file, mbedtls_x509_crt *crt, char path[PATH_BYTES], struct verdict *v)
{
	char name[64], *pem;
	size_t n;
	snprintf(name, sizeof name, "tls/%s", file);
	if (ctl_path(path, d->run->paths.etc, name) != ERR_OK || !(pem = doctor_read(path, PEM_BYTES_MAX, &n, v)))
		return false;
	int rc = mbedtls_x509_crt_parse(crt, (const unsigned char *)pem, n + 1);
	mem_free(pem);
	if (rc == 0)
		return true;
	if (rc > 0)
		doctor_fail(v, "%d certificates in %s can't be read", rc, path);
	else
		doctor_fail(v, "%s holds no certificate that can be read", path);
	doctor_next(v, "put a PEM certificate into %s", path);
	return false;
}

void
doctor_tls_parses(const struct doctor *d, const char *arg, struct verdict *v)
{
	char path[PATH_BYTES];
	mbedtls_x509_crt crt;
	unsigned n = 0;
	mbedtls_x509_crt_init(&crt);
	if (load(d, arg, &crt, path, v)) {
		for (const mbedtls_x509_crt *c = &crt; c; c = c->next)
			n++;
		doctor_ok(v, n == 1 ? "%u certificate" : "%u certificates", n);
	}
	mbedtls_x509_crt_free(&crt);
}

static int64_t
ms_of(const mbedtls_x509_time *t)
{
	int64_t ms = 0;
	return ca_time_ms(t, &ms) == ERR_OK ? ms : 0;
}

void
doctor_tls_expiry(const struct doctor *d, const char *arg, struct verdict *v)
{
	char path[PATH_BYTES];
	mbedtls_x509_crt crt;
	int64_t now = clock_wall_ms(), first = INT64_MAX, from = INT64_MIN;
	mbedtls_x509_crt_init(&crt);
	if (!load(d, arg, &crt, path, v)) {
		doctor_blocked(v, check_of(arg));
		goto out;
	}
	for (const mbedtls_x509_crt *c = &crt; c; c = c->next) {
		if (ms_of(&c->valid_to) < first)
			first = ms_of(&c->valid_to);
		if (ms_of(&c->valid_from) > from)
			from = ms_of(&c->valid_from);
	}
	long long days = (first - now) / DAY_MS;
	if (first <= now)
		doctor_fail(v, "%s expired %lld days ago", path, -days);
	else if (from > now)
		doctor_fail(v, "%s is not valid yet, or the clock is wrong", path);
	else if (days < WARN_DAYS)
		doctor_warn(v, "%s expires in %lld days", path, days);
	else
		doctor_ok(v, "valid for %lld days more", days);
	if (v->result != DOCTOR_OK && strcmp(arg, "server.crt") == 0)
		doctor_next(v, "sallyport%s%s certificate renew, or put a new one into %s and systemctl reload sallyport",
					d->run->paths.dir[0] ? " --dir " : "", d->run->paths.dir, path);
	else if (v->result != DOCTOR_OK)
		doctor_next(v, "put a new certificate into %s, then systemctl reload sallyport (or SIGHUP to sallyportd)",
					path);
out:
	mbedtls_x509_crt_free(&crt);
}

void
doctor_tls_key(const struct doctor *d, const char *arg, struct verdict *v)
{
	char path[PATH_BYTES], *pem = NULL;
	mbedtls_x509_crt crt;
	mbedtls_pk_context key;
	size_t n = 0;
	(void)arg;
	mbedtls_x509_crt_init(&crt);
	mbedtls_pk_init(&key);
	if (!load(d, "server.crt", &crt, path, v)) {
		doctor_blocked(v, PARSE_CHECK);
		goto out;
	}
	if (ctl_path(path, d->run->paths.etc, "tls/server.key") != ERR_OK ||
		!(pem = doctor_read(path, PEM_BYTES_MAX, &n, v)))
		goto out;
	if (mbedtls_pk_parse_key(&key, (const unsigned char *)pem, n + 1, NULL, 0, doctor_draw, NULL) != 0)
		doctor_fail(v, "%s holds no key that can be read", path);
	else if (mbedtls_pk_check_pair(&crt.pk, &key, doctor_draw, NULL) != 0)
		doctor_fail(v, "%s is not the key of tls/server.crt", path);
	else
		doctor_ok(v, "it fits the certificate");
	if (v->result != DOCTOR_OK)
		doctor_next(v, "put the key and its certificate into %s/tls, both of one pair", d->run->paths.etc);
out:
	if (pem)
		mem_wipe(pem, n);
	mem_free(pem);
	mbedtls_pk_free(&key);
	mbedtls_x509_crt_free(&crt);
}

void
doctor_tls_key_mode(const struct doctor *d, const char *arg, struct verdict *v)
{
	char path[PATH_BYTES];
	struct stat st;
	(void)arg;
	if (ctl_path(path, d->run->paths.etc, "tls/server.key") != ERR_OK)
		return;
	if (stat(path, &st) != 0) {
		doctor_blocked(v, "tls.key");
	} else if (!(st.st_mode & 077) && st.st_uid == d->owner) {
		doctor_ok(v, "mode %04o", (unsigned)st.st_mode & 07777u);
	} else {
		doctor_fail(v, "%s has mode %04o and belongs to the user %u", path, (unsigned)st.st_mode & 07777u,
					(unsigned)st.st_uid);
		doctor_next(v, "chown %u %s && chmod 0600 %s, then get a new key", (unsigned)d->owner, path, path);
	}
}
