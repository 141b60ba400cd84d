#include "daemon/tls/tls_failure.h"

#include <arpa/inet.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/str.h"

#define FINGERPRINT_BYTES 32
#define LINES_PER_MINUTE  30u

static uint64_t failed;

uint64_t
tls_failure_count(void)
{
	return failed;
}

static const struct {
	uint32_t flag;
	const char *why, *remedy;
} verdicts[] = {
#define VERDICT(flags, why, remedy) {flags, why, remedy},
#include "policy/client_certificate.def"
#undef VERDICT
};

/* A flood of bad handshakes must not become a flood of lines: what was left out is counted in the next line. */
static bool
may_log(uint64_t *left_out)
{
	static int64_t minute;
	static unsigned lines;
	static uint64_t skipped;
	int64_t now = clock_mono_ms() / 60000;

	if (now != minute) {
		minute = now;
		lines = 0;
	}
	if (++lines > LINES_PER_MINUTE) {
		skipped++;
		return false;
	}
	*left_out = skipped;
	skipped = 0;
	return true;
}

static void
name_peer(int fd, char *out, socklen_t bytes)
{
	struct sockaddr_storage from = {0};
	socklen_t n = sizeof(from);
	const struct sockaddr_in *v4 = (const void *)&from;
	const struct sockaddr_in6 *v6 = (const void *)&from;

	*out = '\0';
	if (getpeername(fd, (struct sockaddr *)&from, &n) == 0)
		(void)inet_ntop(from.ss_family, from.ss_family == AF_INET6 ? (const void *)&v6->sin6_addr : &v4->sin_addr, out,
						bytes);
}

static void
log_failure(const struct tls_failure *f, const char *why, const char *remedy)
{
	char hex[2 * FINGERPRINT_BYTES + 1] = "", peer[INET6_ADDRSTRLEN];
	uint64_t left_out;

	failed++;
	if (!may_log(&left_out))
		return;
	if (!sodium_is_zero(f->fingerprint, FINGERPRINT_BYTES))
		str_hex(f->fingerprint, FINGERPRINT_BYTES, hex);
	name_peer(f->fd, peer, sizeof(peer));
	log_info("handshake failed", LOG_S("why", why), LOG_S("from", peer), LOG_S("certificate_sha256", hex),
			 LOG_S("remedy", remedy), LOG_I("not_logged_before", left_out));
}

enum err
tls_failure_explain(const struct tls_failure *f)
{
	char text[96];

	switch (f->code) {
	case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
		log_failure(f, "no client certificate", "connect with a certificate that has a client record");
		return ERR_CERTIFICATE_MISSING;
	case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
		log_failure(f, "TLS version not taken", "use TLS 1.3");
		return ERR_PROTOCOL;
	case MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL:
		log_failure(f, "handshake too big", "send a shorter certificate chain");
		return ERR_LIMIT;
	case MBEDTLS_ERR_SSL_CONN_EOF:
	case 0:
		/* A port scan or a health check of a load balancer; clients also do so when they refuse us. */
		log_failure(f, "closed by the client", "if it was no port check: let the client trust the CA in ca.crt");
		return ERR_PEER_AWAY;
	default:
		break;
	}
	if (f->code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED || f->code == MBEDTLS_ERR_SSL_BAD_CERTIFICATE) {
		for (size_t i = 0; i < sizeof(verdicts) / sizeof(*verdicts); i++) {
			if (f->flags != UINT32_MAX && (f->flags & verdicts[i].flag)) {
				log_failure(f, verdicts[i].why, verdicts[i].remedy);
				return ERR_CERTIFICATE_INVALID;
			}
		}
		log_failure(f, "client certificate not accepted", "use one issued by a CA in tls/clients-ca.crt");
		return ERR_CERTIFICATE_INVALID;
	}
	mbedtls_strerror(f->code, text, sizeof(text));
	log_failure(f, text, "speak TLS 1.3 on this port");
	return ERR_PROTOCOL;
}
