/* What runs, as the desk tells it; and the API's port as a stranger finds it. */
#include <errno.h>
#include <fcntl.h>
#include <mbedtls/ssl.h>
#include <netdb.h>
#include <poll.h>
#include <psa/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/ctl/ca.h"
#include "console/ctl/doctor.h"
#include "console/ctl/jail_round.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/wire/page.h"

#define PORT_MS       1000
#define PEM_BYTES_MAX ((size_t)1 << 16)

void
doctor_run_desk(const struct doctor *d, const char *arg, struct verdict *v)
{
	(void)arg;
	if (d->desk == ERR_OK) {
		doctor_ok(v, "it answers");
	} else if (d->desk == ERR_PERMISSION) {
		doctor_warn(v, "not checked: this user may not talk to the desk");
		doctor_next(v, "run sallyport doctor as root, or join the group %s", conf_text(d->conf, CONF_OFFICERS));
		v->unchecked = true;
	} else {
		doctor_fail(v,
					d->desk == ERR_NOT_RUNNING || d->desk == ERR_NOT_INITIALISED ? "nobody answers: it does not run"
																				 : "it does not answer: %s",
					err_title(d->desk));
		doctor_next(v, d->run->paths.dir[0] ? "sallyportd --dir %s" : "systemctl start sallyport; its directory is %s",
					d->run->paths.dir[0] ? d->run->paths.dir : d->run->paths.etc);
	}
}

void
doctor_run_state(const struct doctor *d, const char *arg, struct verdict *v)
{
	(void)arg;
	if (d->desk != ERR_OK) {
		doctor_blocked(v, "running.desk");
	} else if (d->status.state == PAGE_SERVING) {
		doctor_ok(v, "%s", d->status.line);
	} else {
		doctor_fail(v, "%s", d->status.line);
		doctor_next(v, "%s; man %s", d->status.next, d->status.runbook);
	}
}

void
doctor_run_processes(const struct doctor *d, const char *arg, struct verdict *v)
{
	(void)arg;
	if (d->desk != ERR_OK) {
		doctor_blocked(v, "running.desk");
		return;
	}
	for (pb_size_t i = 0; i < d->status.processes_count; i++) {
		const sp_process_view *p = &d->status.processes[i];
		if (p->pid)
			continue;
		doctor_fail(v, "%s/%u is not up", p->name, (unsigned)p->index);
		doctor_next(v, "sallyport status, and the journal of %s", p->name);
		return;
	}
	doctor_ok(v, "%u processes", (unsigned)d->status.processes_count);
}

void
doctor_run_restarts(const struct doctor *d, const char *arg, struct verdict *v)
{
	unsigned most = 0;
	const char *name = "";
	(void)arg;
	if (d->desk != ERR_OK) {
		doctor_blocked(v, "running.desk");
		return;
	}
	for (pb_size_t i = 0; i < d->status.processes_count; i++)
		if (d->status.processes[i].restarts > most)
			most = d->status.processes[i].restarts, name = d->status.processes[i].name;
	if (!most) {
		doctor_ok(v, "none since the start");
		return;
	}
	doctor_warn(v, "%s was started again %u times", name, most);
	doctor_next(v, "journalctl -u sallyport, for what it died of");
}

void
doctor_run_jails(const struct doctor *d, const char *arg, struct verdict *v)
{
	static struct jail_round round;
	char title[JAIL_TITLE_BYTES];
	(void)arg;
	if (d->desk != ERR_OK || jail_round_look(d->run, &round) != ERR_OK) {
		doctor_blocked(v, "running.desk");
		return;
	}
	for (size_t i = 0; i < round.n; i++) {
		const struct jail_row *row = &round.rows[i];
		if (!row->faults_n)
			continue;
		doctor_fail(v, "%s: %s", jail_round_title(row, title), row->faults[0].text);
		doctor_next(v, "sallyport jail tells all; %s", row->faults[0].next);
		return;
	}
	if (round.unseen) {
		doctor_warn(v, "not checked: %u processes may not be looked at by this user", round.unseen);
		doctor_next(v, "run sallyport doctor as root");
		v->unchecked = true;
		return;
	}
	doctor_ok(v, "%zu processes as declared, Landlock ABI %u", round.n - round.down, round.host.landlock_abi);
}

void
doctor_run_processors(const struct doctor *d, const char *arg, struct verdict *v)
{
	char since[CLOCK_TEXT_BYTES];
	(void)arg;
	if (d->desk != ERR_OK) {
		doctor_blocked(v, "running.desk");
		return;
	}
	for (pb_size_t i = 0; i < d->status.accounts_count; i++) {
		const sp_account_view *a = &d->status.accounts[i];
		if (!a->breaker)
			continue;
		clock_text(a->since_ms, since);
		doctor_fail(v, "processor %s does not answer (%u %s since %.19sZ)", a->account, (unsigned)a->failures,
					a->failures == 1 ? "failure" : "failures", since);
		doctor_next(v, "man %s", err_runbook(ERR_PROCESSOR_OUT));
		return;
	}
	if (d->status.accounts_count)
		doctor_ok(v, "%u of %u", (unsigned)d->status.accounts_count, (unsigned)d->status.accounts_count);
	else
		doctor_ok(v, "none was called since the start");
}

/* ── the API's port ── */

/* In numbers, as the type of `listen` has it; to connect, all addresses mean loopback. The caller frees. NULL: none. */
static struct addrinfo *
address_of(const char *listen_at, bool connect)
{
	char host[CONF_HOST_BYTES], port[CONF_PORT_BYTES];
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *at = NULL;
	if (conf_address(listen_at, host, port) != ERR_OK)
		return NULL;
	if (connect && strcmp(host, "0.0.0.0") == 0)
		snprintf(host, sizeof host, "127.0.0.1");
	if (connect && strcmp(host, "::") == 0)
		snprintf(host, sizeof host, "::1");
	return getaddrinfo(host, port, &hints, &at) == 0 ? at : NULL;
}

/* Could we listen there? 0 or errno. Nothing is listened for: nobody can connect to us. */
static int
try_bind(const struct addrinfo *at)
{
	const int on = 1;
	int why = 0, fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, at->ai_addr, at->ai_addrlen) != 0)
		why = errno;
	close(fd);
	return why;
}

/* The service may not take a port that only root may have: its unit leaves it no such right. */
static bool
is_root_port(const struct doctor *d, const char *listen_at)
{
	char least[128];
	long port = strtol(strrchr(listen_at, ':') + 1, NULL, 10);
	bool known = doctor_kernel("/proc/sys/net/ipv4/ip_unprivileged_port_start", least);
	return !d->run->paths.dir[0] && port < (known ? strtol(least, NULL, 10) : 1024);
}

void
doctor_run_address(const struct doctor *d, const char *arg, struct verdict *v)
{
	const char *listen_at = conf_text(d->conf, CONF_LISTEN);
	struct addrinfo *at = address_of(listen_at, false);
	int why = at ? try_bind(at) : EINVAL;
	(void)arg;
	if (at)
		freeaddrinfo(at);
	doctor_next(v, "another listen in the configuration; ss -ltnp shows what holds a port");
	if (d->desk == ERR_OK && strcmp(d->status.listen, listen_at) == 0)
		doctor_ok(v, "%s is ours", listen_at);
	else if (is_root_port(d, listen_at))
		doctor_fail(v, "%s: the service has no right to a port that is kept for root", listen_at);
	else if (why == 0)
		doctor_ok(v, "%s is free", listen_at);
	else if (why == EADDRINUSE && d->desk != ERR_OK && d->desk != ERR_NOT_RUNNING && d->desk != ERR_NOT_INITIALISED)
		doctor_blocked(v, "running.desk"); /* it may be ours: who knows does not answer us */
	else if (why == EADDRINUSE)
		doctor_fail(v, "%s: another program has it", listen_at);
	else if (why == EADDRNOTAVAIL)
		doctor_fail(v, "%s: this host has no such address", listen_at);
	else if (why == EACCES && geteuid() != 0)
		doctor_blocked(v, "to be root");
	else
		doctor_fail(v, "%s: %s", listen_at, strerror(why));
}

static int
wait_for(int fd, short what, int64_t until_ms)
{
	struct pollfd p = {.fd = fd, .events = what};
	int64_t left = until_ms - clock_mono_ms();
	return left <= 0 ? 0 : poll(&p, 1, (int)left);
}

/* Connects where `listen` says; on all addresses means loopback. -1: the verdict is filled in. */
static int
connect_port(const struct doctor *d, struct verdict *v)
{
	const char *listen_at = conf_text(d->conf, CONF_LISTEN);
	struct addrinfo *at = address_of(listen_at, true);
	int fd = -1, why = 0;
	socklen_t size = sizeof why;
	if (at)
		fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) != 0) {
		why = errno;
		if (why == EINPROGRESS && wait_for(fd, POLLOUT, clock_mono_ms() + PORT_MS) == 1)
			getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size);
	}
	if (at)
		freeaddrinfo(at);
	if (fd >= 0 && why == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	doctor_fail(v, "%s takes no connection: %s", listen_at, fd < 0 ? "no such address" : strerror(why));
	doctor_next(v, "see what holds the port: ss -ltnp; then listen in the configuration");
	return -1;
}

/* With the daemon away nobody listens: that is the desk's check to tell. */
static bool
is_running(const struct doctor *d, struct verdict *v)
{
	if (d->desk == ERR_OK)
		return true;
	doctor_blocked(v, "running.desk");
	return false;
}

void
doctor_run_port(const struct doctor *d, const char *arg, struct verdict *v)
{
	(void)arg;
	if (!is_running(d, v))
		return;
	int fd = connect_port(d, v);
	if (fd < 0)
		return;
	close(fd);
	doctor_ok(v, "%s", conf_text(d->conf, CONF_LISTEN));
}

struct talk {
	int fd;
	int64_t until_ms;
};

static int
talk_send(void *arg, const unsigned char *bytes, size_t n)
{
	const struct talk *t = arg;
	if (wait_for(t->fd, POLLOUT, t->until_ms) != 1)
		return MBEDTLS_ERR_SSL_TIMEOUT;
	ssize_t put = send(t->fd, bytes, n, MSG_NOSIGNAL);
	return put >= 0 ? (int)put : errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int
talk_recv(void *arg, unsigned char *bytes, size_t n)
{
	const struct talk *t = arg;
	if (wait_for(t->fd, POLLIN, t->until_ms) != 1)
		return MBEDTLS_ERR_SSL_TIMEOUT;
	ssize_t got = recv(t->fd, bytes, n, 0);
	return got > 0 ? (int)got : got < 0 && errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
}

/* SHA-256 of the certificate that is presented; false: none came. */
static bool
presented(int fd, uint8_t sha256_out[32])
{
	struct talk t = {fd, clock_mono_ms() + PORT_MS};
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config conf;
	const mbedtls_x509_crt *peer = NULL;
	mbedtls_ssl_init(&ssl);
	mbedtls_ssl_config_init(&conf);
	int rc = psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
	if (rc == 0)
		rc = mbedtls_ssl_config_defaults(&conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
										 MBEDTLS_SSL_PRESET_DEFAULT);
	/* whose it is is compared, not trusted */
	mbedtls_ssl_conf_authmode(&conf, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_rng(&conf, doctor_draw, NULL);
	if (rc == 0)
		rc = mbedtls_ssl_setup(&ssl, &conf);
	if (rc == 0)
		rc = mbedtls_ssl_set_hostname(&ssl, NULL);
	mbedtls_ssl_set_bio(&ssl, &t, talk_send, talk_recv, NULL);
	while (rc == 0 || rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE) {
		if (mbedtls_ssl_is_handshake_over(&ssl))
			break;
		rc = mbedtls_ssl_handshake_step(&ssl);
	}
	if (rc == 0 && (peer = mbedtls_ssl_get_peer_cert(&ssl)))
		crypto_hash_sha256(sha256_out, peer->raw.p, peer->raw.len);
	mbedtls_ssl_free(&ssl);
	mbedtls_ssl_config_free(&conf);
	return peer != NULL;
}

void
doctor_run_tls(const struct doctor *d, const char *arg, struct verdict *v)
{
	char path[PATH_BYTES], *pem = NULL;
	uint8_t shown[32], installed[32];
	int64_t not_after;
	size_t n;
	(void)arg;
	if (!is_running(d, v))
		return;
	int fd = connect_port(d, v);
	if (fd < 0) {
		doctor_blocked(v, "api.port");
		return;
	}
	bool came = presented(fd, shown);
	close(fd);
	if (!came) {
		doctor_fail(v, "%s does not speak TLS", conf_text(d->conf, CONF_LISTEN));
		doctor_next(v, "sallyport status, and see what holds the port: ss -ltnp");
		return;
	}
	if (ctl_path(path, d->run->paths.etc, "tls/server.crt") != ERR_OK ||
		!(pem = doctor_read(path, PEM_BYTES_MAX, &n, v)) || ca_fingerprint(pem, installed, &not_after) != ERR_OK) {
		doctor_blocked(v, "tls.certificate");
	} else if (memcmp(shown, installed, sizeof shown) == 0) {
		doctor_ok(v, "the one in tls/server.crt");
	} else {
		doctor_warn(v, "another certificate is presented than tls/server.crt");
		doctor_next(v, "systemctl reload sallyport, or SIGHUP to sallyportd");
	}
	mem_free(pem);
}
