/*
 * gate — mutual TLS, HTTP, JSON: the one process that clients talk to.
 * What it alone holds: the TLS key. It holds no database, no other key, and no way to ask for a stored card.
 * Answers: clients_changed. Asks: tokenize (vault); client_of and every command and read of the API (ledger). Tells the
 * ledger whom it refused (ledger_note).
 * Jail: policy/jail_common.def + jail_gate.def; no file, no new socket but those that accept gives.
 * Gifts: one listening socket, TLS_CERT, TLS_KEY, TLS_CA; the monitor gives the latter three anew before a reload.
 * Signals: none of its own; stop and reload come from the monitor. Exit: 0 stopped, 1 failed.
 */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/gate/client_cache.h"
#include "daemon/gate/conn.h"
#include "daemon/gate/denied.h"
#include "daemon/gate/render.h"
#include "daemon/gate/shape.h"
#include "daemon/tls/tls_pool.h"
#include "daemon/wire/page_note.h"
#include "daemon/wire/proc.h"
#include "policy/schema/wire.pb.h"

#define FILE_BYTES_MAX      65536
#define CERTIFICATE_WARN_MS (INT64_C(30) * 24 * 3600 * 1000)

static struct event *look;
static int64_t certificate_ends_ms;

/* A gift's whole content with a NUL behind it, which mbedTLS wants of PEM. */
struct file {
	uint8_t *bytes;
	size_t n;
};

static void
file_clear(struct file *f)
{
	mem_free(f->bytes);
	*f = (struct file){0};
}

static enum err
file_read(int gift, struct file *out)
{
	int fd = proc_gift(gift, NULL);
	ssize_t got = 0;

	if (fd < 0)
		return ERR_FILE_MISSING;
	if ((out->bytes = mem_new(1, FILE_BYTES_MAX + 1)))
		while (out->n < FILE_BYTES_MAX &&
			   (got = pread(fd, out->bytes + out->n, FILE_BYTES_MAX - out->n, (off_t)out->n)) > 0)
			out->n += (size_t)got;
	close(fd);
	if (!out->bytes)
		return ERR_MEMORY;
	if (got < 0 || out->n == FILE_BYTES_MAX)
		return ERR_IO;
	out->n++;
	return ERR_OK;
}

/* PEM is parsed with its NUL, DER without. */
static size_t
length_of(const struct file *f)
{
	return f->bytes && strncmp((const char *)f->bytes, "-----", 5) == 0 ? f->n : f->n - 1;
}

/* Clients turn away from a certificate that has expired: no effect comes through, so that is what our state says. */
static void
show_certificate(void)
{
	int64_t left_ms = certificate_ends_ms - clock_wall_ms();
	char refused[PAGE_NOTE_BYTES];

	if (atomic_load(&proc_page()->state) == PAGE_STOPPING)
		return;
	if (left_ms <= 0)
		proc_state(PAGE_REFUSING, ERR_SERVER_CERTIFICATE);
	else
		proc_state(PAGE_SERVING, left_ms < CERTIFICATE_WARN_MS              ? ERR_SERVER_CERTIFICATE_ENDS
								 : page_note_get(proc_page(), refused) != 0 ? ERR_CONFIG_REFUSED
																			: ERR_OK);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	show_certificate();
}

static enum err
load_tls(void)
{
	struct file certificate = {0}, key = {0}, ca = {0};
	struct tls_server *server = NULL;
	enum err e;

	if (!(e = file_read(sp_gift_GIFT_TLS_CERT, &certificate)) && !(e = file_read(sp_gift_GIFT_TLS_KEY, &key)) &&
		!(e = file_read(sp_gift_GIFT_TLS_CA, &ca))) {
		struct tls_material m = {.certificate = certificate.bytes,
								 .certificate_bytes = length_of(&certificate),
								 .key = key.bytes,
								 .key_bytes = length_of(&key),
								 .client_ca = ca.bytes,
								 .client_ca_bytes = length_of(&ca),
								 .allow_1_2 = conf_bool(proc_conf(), CONF_TLS12)};

		e = tls_server_new(&m, &server);
	}
	file_clear(&certificate);
	file_clear(&key);
	file_clear(&ca);
	if (e)
		return e;
	conn_use(server);
	certificate_ends_ms = tls_server_expires_at_s(server) * 1000;
	page_set(proc_page(), METRIC_CERT_EXPIRY, (uint64_t)tls_server_expires_at_s(server));
	tls_server_release(server);
	return ERR_OK;
}

/* As many descriptors as connections may be configured; the soft limit that we inherit is often 1024. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("the limit of descriptors stays", LOG_I("limit", limit.rlim_cur));
}

static enum err
before_jail(void)
{
	enum err e;

	raise_descriptors();
	shape_open();
	render_livemode(strcmp(conf_text(proc_conf(), CONF_MODE), "live") == 0);
	return (e = tls_pool_open(proc_base())) ? e : load_tls();
}

static enum err
after_jail(void)
{
	const struct timeval every = {10, 0};
	int fd = proc_gift(sp_gift_GIFT_LISTEN, NULL);
	enum err e = fd < 0 ? ERR_FILE_MISSING : tls_pool_start();

	if (!e)
		e = conn_listen(fd);
	if (e)
		return e;
	look = event_new(proc_base(), -1, EV_PERSIST, on_look, NULL);
	if (!look || event_add(look, &every) != 0)
		return ERR_MEMORY;
	show_certificate();
	return ERR_OK;
}

/* New material when the monitor gave some; what does not load leaves the old in force. */
static void
on_reload(void)
{
	enum err e = load_tls();

	if (e && e != ERR_FILE_MISSING) {
		log_warn("TLS files kept as they were", LOG_E("cause", e));
		page_note_set(
			proc_page(), clock_wall_ms(),
			"tls/server.crt:1: certificate: the gate can't use what lies in tls/; allowed: a certificate, its "
			"own key and the CA of clients, in PEM");
		page_set(proc_page(), METRIC_CONFIG_REFUSED_AT, (uint64_t)clock_wall_ms() / 1000);
	} else if (!e) {
		log_info("TLS files loaded anew", LOG_S("file", "certificate, key, client CA"));
		page_note_clear(proc_page());
		page_set(proc_page(), METRIC_CONFIG_REFUSED_AT, 0);
	}
	show_certificate();
	client_cache_empty();
}

static void
exit_now(void)
{
	proc_exit(0);
}

static void
on_grace_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	log_warn("stopped with connections open", LOG_I("connections", conn_count()));
	proc_exit(0);
}

static void
on_stop(uint32_t grace_ms)
{
	struct timeval grace = {grace_ms / 1000, grace_ms % 1000 * 1000};

	(void)event_base_once(proc_base(), -1, EV_TIMEOUT, on_grace_over, NULL, &grace);
	denied_tell();
	conn_stop(exit_now);
}

static void
answer_clients_changed(struct call *call, const void *req)
{
	(void)call, (void)req;
	client_cache_empty();
}

int
main(int argc, char **argv)
{
	static const struct answer answers[] = {{MSG_clients_changed, answer_clients_changed}, {MSG_NONE, NULL}};
	static const struct proc_spec spec = {.self = PROCESS_GATE,
										  .answers = answers,
										  .before_jail = before_jail,
										  .after_jail = after_jail,
										  .on_reload = on_reload,
										  .on_stop = on_stop};

	return proc_run(&spec, argc, argv);
}
