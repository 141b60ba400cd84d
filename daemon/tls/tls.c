#include "daemon/tls/tls.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/tls/tls_failure.h"
#include "daemon/tls/tls_pool.h"

#define HANDSHAKE_BYTES_MAX 65536u
#define RAW_BYTES           4096u
#define DISCARD_BYTES_MAX   (1u << 20)
#define RECORD_BYTES_MAX    16384u

enum tls_phase { HANDSHAKE, OPEN, FINISHING, DISCARDING, DEAD };

struct tls {
	struct tls_server *server;
	struct event_base *base;
	const struct tls_hooks *hooks;
	void *arg;
	mbedtls_ssl_context ssl;
	struct event *readable, *writable;
	struct tls *next_step; /* in the queue of handshakes */
	struct buf in, out;
	size_t retry_bytes;   /* mbedTLS wants the same length again after WANT_WRITE */
	size_t counted_bytes; /* of the handshake, later of what is discarded */
	int fd;
	enum tls_phase phase;
	struct tls_errand step; /* a handshake step in the pool */
	int step_result;
	bool lent, abandoned;        /* lent: the pool's thread works on it; abandoned: free it when it comes back */
	bool queued, ended, blocked; /* blocked: the last write found the socket full */
	uint32_t flags;              /* what verification found wrong */
	enum err why;                /* of an end that is told from the loop */
	uint8_t fingerprint[TLS_FINGERPRINT_BYTES];
	int64_t peer_expires_at_s;
	/* Ciphertext as it came: one recv for header and body of a record, and a short read tells that nothing is left. */
	size_t raw_at, raw_n;
	bool drained_socket;
	uint8_t raw[RAW_BYTES];
};

/* Without a pool: one step of one handshake per turn of the loop, as a step costs milliseconds, a request microseconds.
 */
static struct {
	struct tls *first, *last;
	struct event *turn;
} steps;

/* ── bytes ── */

static int
take_bytes(void *arg, unsigned char *out, size_t n)
{
	struct tls *t = arg;

	if (t->raw_at == t->raw_n) {
		ssize_t got;

		if (t->drained_socket)
			return MBEDTLS_ERR_SSL_WANT_READ;
		got = recv(t->fd, t->raw, sizeof(t->raw), 0);
		if (got < 0)
			return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_CONN_EOF;
		if (got == 0)
			return 0;
		t->raw_at = 0;
		t->raw_n = (size_t)got;
		t->drained_socket = t->raw_n < sizeof(t->raw);
		if (t->phase == HANDSHAKE && (t->counted_bytes += t->raw_n) > HANDSHAKE_BYTES_MAX)
			return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
	}
	if (n > t->raw_n - t->raw_at)
		n = t->raw_n - t->raw_at;
	memcpy(out, t->raw + t->raw_at, n);
	t->raw_at += n;
	return (int)n;
}

static int
give_bytes(void *arg, const unsigned char *bytes, size_t n)
{
	struct tls *t = arg;
	ssize_t sent = send(t->fd, bytes, n, MSG_NOSIGNAL);

	if (sent >= 0)
		return (int)sent;
	if (errno == EAGAIN || errno == EINTR)
		return MBEDTLS_ERR_SSL_WANT_WRITE;
	return MBEDTLS_ERR_SSL_CONN_EOF;
}

static void
want(struct event *e, bool on)
{
	if (on)
		event_add(e, NULL);
	else
		event_del(e);
}

/* Runs for each certificate of the chain, the leaf last; the result of verification is left as it is. */
static int
note_certificate(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *t = arg;

	t->flags |= *flags;
	if (depth == 0)
		crypto_hash_sha256(t->fingerprint, crt->raw.p, crt->raw.len);
	return 0;
}

/* ── life ── */

static void
end(struct tls *t, enum err why)
{
	if (t->ended)
		return;
	t->ended = true;
	want(t->readable, false);
	if (why) {
		want(t->writable, false);
		t->phase = DEAD;
	}
	t->hooks->ended(t->arg, why);
}

static void
dequeue(struct tls *t)
{
	struct tls **at = &steps.first, *before = NULL;

	while (*at && *at != t) {
		before = *at;
		at = &(*at)->next_step;
	}
	if (!*at)
		return;
	*at = t->next_step;
	if (steps.last == t)
		steps.last = before;
	t->next_step = NULL;
	t->queued = false;
}

static bool
remember_peer(struct tls *t)
{
	const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&t->ssl);
	struct tm tm = {0};

	/* No certificate here would mean a resumption, which is off: nobody gets in without a name. */
	if (!crt || mbedtls_ssl_get_verify_result(&t->ssl) != 0)
		return false;
	crypto_hash_sha256(t->fingerprint, crt->raw.p, crt->raw.len);
	tm.tm_year = crt->valid_to.year - 1900;
	tm.tm_mon = crt->valid_to.mon - 1;
	tm.tm_mday = crt->valid_to.day;
	tm.tm_hour = crt->valid_to.hour;
	tm.tm_min = crt->valid_to.min;
	tm.tm_sec = crt->valid_to.sec;
	t->peer_expires_at_s = timegm(&tm);
	return true;
}

static void read_plain(struct tls *t);

/* The part that costs milliseconds; touches nothing but t and its socket, so it may run in the pool's thread. */
static void
do_step(void *arg)
{
	struct tls *t = arg;

	t->drained_socket = false;
	t->step_result = mbedtls_ssl_handshake(&t->ssl);
}

static void
end_step(struct tls *t)
{
	int r = t->step_result;

	if (r == MBEDTLS_ERR_SSL_WANT_READ || r == MBEDTLS_ERR_SSL_WANT_WRITE) {
		want(t->readable, r == MBEDTLS_ERR_SSL_WANT_READ);
		want(t->writable, r == MBEDTLS_ERR_SSL_WANT_WRITE);
		return;
	}
	if (r == 0 && !remember_peer(t))
		r = MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE;
	if (r != 0) {
		struct tls_failure f = {.code = r,
								.flags = t->flags | mbedtls_ssl_get_verify_result(&t->ssl),
								.fingerprint = t->fingerprint,
								.fd = t->fd};

		end(t, tls_failure_explain(&f));
		return;
	}
	t->phase = OPEN;
	t->counted_bytes = 0;
	want(t->readable, true);
	want(t->writable, false);
	t->hooks->opened(t->arg);
	/* The first request often comes in one piece with the end of the handshake; no event will tell of it again. */
	if (t->raw_at < t->raw_n)
		read_plain(t);
}

static void
on_step_back(void *arg)
{
	struct tls *t = arg;

	t->lent = false;
	if (t->abandoned)
		tls_free(t);
	else
		end_step(t);
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	struct tls *t = steps.first;
	struct timeval now = {0, 0};

	(void)fd, (void)what, (void)arg;
	if (!t)
		return;
	dequeue(t);
	/* A timer and not event_active: the loop looks at the other descriptors before the next step. */
	if (steps.first)
		event_add(steps.turn, &now);
	do_step(t);
	end_step(t);
}

static void
queue_step(struct tls *t)
{
	struct timeval now = {0, 0};

	want(t->readable, false);
	want(t->writable, false);
	if (t->queued || t->lent)
		return;
	if (tls_pool_runs()) {
		t->lent = true;
		t->step = (struct tls_errand){.work = do_step, .back = on_step_back, .arg = t};
		tls_pool_lend(&t->step);
		return;
	}
	t->queued = true;
	if (steps.last)
		steps.last->next_step = t;
	else
		steps.first = t;
	steps.last = t;
	if (!evtimer_pending(steps.turn, NULL))
		event_add(steps.turn, &now);
}

/* After our own end: read and forget, so that the kernel does not answer late bytes with a reset. */
static void
discard(struct tls *t)
{
	for (;;) {
		ssize_t got = recv(t->fd, t->raw, sizeof(t->raw), 0);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got <= 0 || (t->counted_bytes += (size_t)got) > DISCARD_BYTES_MAX) {
			end(t, ERR_PEER_AWAY);
			return;
		}
	}
}

/* Fills tls_in; returns why it stopped: WANT_READ, BUFFER_TOO_SMALL for a full tls_in, or an end. */
static int
pull(struct tls *t, bool *more_out)
{
	for (;;) {
		uint8_t *at;
		int r;

		if (t->in.len >= TLS_IN_MAX || buf_room(&t->in, RAW_BYTES, &at))
			return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
		r = mbedtls_ssl_read(&t->ssl, at, RAW_BYTES);
		if (r > 0) {
			buf_added(&t->in, (size_t)r);
			*more_out = true;
			if (t->raw_at == t->raw_n && t->drained_socket && mbedtls_ssl_get_bytes_avail(&t->ssl) == 0)
				return MBEDTLS_ERR_SSL_WANT_READ;
			continue;
		}
		return r;
	}
}

static void
read_plain(struct tls *t)
{
	bool more = false;
	int r;

	t->drained_socket = false;
	r = pull(t, &more);
	want(t->readable, r == MBEDTLS_ERR_SSL_WANT_READ);
	if (r == MBEDTLS_ERR_SSL_WANT_READ || r == MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL) {
		if (more)
			t->hooks->bytes(t->arg);
		return;
	}
	/*
	 * The end, with perhaps some bytes before it. The owner hears of the bytes first, and of the end from the loop,
	 * because the first call may free us.
	 */
	t->why =
		r == 0 || r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || r == MBEDTLS_ERR_SSL_CONN_EOF ? ERR_OK : ERR_PROTOCOL;
	if (!more) {
		end(t, t->why);
		return;
	}
	event_active(t->readable, EV_TIMEOUT, 0);
	t->hooks->bytes(t->arg);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct tls *t = arg;

	(void)fd;
	if (what & EV_TIMEOUT)
		end(t, t->why);
	else if (t->phase == HANDSHAKE)
		queue_step(t);
	else if (t->phase == OPEN)
		read_plain(t);
	else
		discard(t);
}

/* Sends from t->out until it is empty or the socket is full. */
static enum err
flush(struct tls *t)
{
	t->blocked = false;
	while (t->out.len > 0) {
		size_t n = t->retry_bytes ? t->retry_bytes : t->out.len < RECORD_BYTES_MAX ? t->out.len : RECORD_BYTES_MAX;
		int r = mbedtls_ssl_write(&t->ssl, buf_at(&t->out), n);

		if (r == MBEDTLS_ERR_SSL_WANT_WRITE || r == MBEDTLS_ERR_SSL_WANT_READ) {
			t->retry_bytes = n;
			t->blocked = true;
			return ERR_OK;
		}
		t->retry_bytes = 0;
		if (r <= 0)
			return ERR_PEER_AWAY;
		buf_eat(&t->out, (size_t)r);
	}
	return ERR_OK;
}

static void
half_close(struct tls *t)
{
	(void)mbedtls_ssl_close_notify(&t->ssl);
	shutdown(t->fd, SHUT_WR);
	t->phase = DISCARDING;
	t->counted_bytes = 0;
	buf_clear(&t->out);
	want(t->writable, false);
	if (!t->ended)
		want(t->readable, true);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct tls *t = arg;

	(void)fd, (void)what;
	if (t->phase == HANDSHAKE) {
		queue_step(t);
		return;
	}
	if (flush(t)) {
		t->ended = false; /* the owner may have heard of a clean end before; this one is final */
		end(t, ERR_PEER_AWAY);
		return;
	}
	want(t->writable, t->blocked);
	if (t->blocked)
		return;
	if (t->phase == FINISHING)
		half_close(t);
	else
		t->hooks->drained(t->arg);
}

enum err
tls_new(struct tls_server *server, struct event_base *base, int fd, const struct tls_hooks *hooks, void *arg,
		struct tls **out)
{
	struct tls *t = mem_new(1, sizeof(*t));
	int on = 1;

	*out = NULL;
	if (!t)
		return ERR_MEMORY;
	t->base = base;
	t->hooks = hooks;
	t->arg = arg;
	t->fd = -1;
	t->server = tls_server_hold(server);
	mbedtls_ssl_init(&t->ssl);
	buf_init(&t->in, TLS_IN_MAX + RAW_BYTES);
	buf_init(&t->out, TLS_OUT_MAX);
	if (!steps.turn)
		steps.turn = evtimer_new(base, on_step, NULL);
	t->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, t);
	t->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, t);
	if (!steps.turn || !t->readable || !t->writable || mbedtls_ssl_setup(&t->ssl, tls_server_config(server)) != 0) {
		tls_free(t);
		return ERR_MEMORY;
	}
	t->fd = fd;
	mbedtls_ssl_set_bio(&t->ssl, t, give_bytes, take_bytes, NULL);
	mbedtls_ssl_set_verify(&t->ssl, note_certificate, t);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	want(t->readable, true);
	*out = t;
	return ERR_OK;
}

void
tls_free(struct tls *t)
{
	if (!t)
		return;
	if (t->lent) {
		/* Not ours to free until the thread gives it back; it is told nothing any more. */
		t->abandoned = true;
		return;
	}
	if (t->queued)
		dequeue(t);
	if (t->phase == OPEN && !t->blocked)
		(void)mbedtls_ssl_close_notify(&t->ssl);
	if (t->readable)
		event_free(t->readable);
	if (t->writable)
		event_free(t->writable);
	mbedtls_ssl_free(&t->ssl);
	if (t->fd >= 0)
		close(t->fd);
	buf_clear(&t->in);
	buf_clear(&t->out);
	tls_server_release(t->server);
	mem_free(t);
}

bool
tls_is_open(const struct tls *t)
{
	return t->phase == OPEN;
}

const uint8_t *
tls_fingerprint(const struct tls *t)
{
	return t->fingerprint;
}

int64_t
tls_peer_expires_at_s(const struct tls *t)
{
	return t->peer_expires_at_s;
}

const char *
tls_version(const struct tls *t)
{
	return mbedtls_ssl_get_version(&t->ssl);
}

struct buf *
tls_in(struct tls *t)
{
	return &t->in;
}

void
tls_read_on(struct tls *t)
{
	if (t->phase == OPEN && !t->ended && !event_pending(t->readable, EV_READ, NULL))
		read_plain(t);
}

enum err
tls_write(struct tls *t, const void *bytes, size_t n)
{
	enum err e;

	if (t->phase != OPEN)
		return ERR_PEER_AWAY;
	if ((e = buf_add(&t->out, bytes, n)))
		return e;
	if (t->blocked)
		return ERR_OK;
	if ((e = flush(t)))
		return e;
	if (t->blocked)
		want(t->writable, true);
	return ERR_OK;
}

size_t
tls_waiting(const struct tls *t)
{
	return t->out.len;
}

void
tls_finish(struct tls *t)
{
	if (t->phase != OPEN)
		return;
	want(t->readable, false);
	buf_clear(&t->in);
	t->phase = FINISHING;
	if (!t->blocked)
		half_close(t);
}
