#include "daemon/gate/conn.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/gate/http.h"
#include "daemon/gate/request.h"
#include "daemon/gate/source.h"
#include "daemon/tls/tls.h"
#include "daemon/wire/proc.h"

#define ACCEPT_PER_TURN  8
#define ANSWERS_PER_TURN 32
#define SWEEP_MS         50
#define LINGER_MS        2000

/* WORKING has no deadline of its own: what it waits for has one, in ask_*. */
enum phase {
	PHASE_HANDSHAKE,
	PHASE_IDLE,
	PHASE_READING,
	PHASE_WRITING,
	PHASE_LINGER,
	PHASE_TIMED,
	PHASE_WORKING = PHASE_TIMED
};

struct conn {
	struct tls *tls;
	struct http *http;
	struct request *request;
	struct source *from;
	/* In one queue per phase, oldest first: a phase has one duration, so only heads need looking at. */
	struct conn *before, *after;
	struct conn *next_later; /* has had its turn and has more to be read */
	enum phase phase;
	int64_t deadline_ms;
	bool later, pumping, close_after, half_closed, loopback;
	char ip[46];
};

static struct {
	struct tls_server *server;
	struct event *accept, *sweep, *more;
	struct conn *later;
	unsigned n;
	bool paused; /* accepting, until the next sweep */
	void (*stopped)(void);
	struct {
		struct conn *first, *last;
	} queue[PHASE_TIMED + 1];
} all;

/* ── deadlines ── */

static int64_t
duration_of(enum phase p)
{
	static const int keys[PHASE_TIMED] = {[PHASE_HANDSHAKE] = CONF_GATE_HANDSHAKE,
										  [PHASE_IDLE] = CONF_GATE_IDLE,
										  [PHASE_READING] = CONF_GATE_REQUEST,
										  [PHASE_WRITING] = CONF_GATE_REQUEST};

	return p == PHASE_LINGER ? LINGER_MS : conf_int(proc_conf(), (enum conf_key)keys[p]);
}

static void
leave_queue(struct conn *c)
{
	if (c->before)
		c->before->after = c->after;
	else
		all.queue[c->phase].first = c->after;
	if (c->after)
		c->after->before = c->before;
	else
		all.queue[c->phase].last = c->before;
	c->before = c->after = NULL;
}

static void
join_queue(struct conn *c, enum phase p)
{
	c->phase = p;
	c->deadline_ms = p < PHASE_TIMED ? clock_mono_ms() + duration_of(p) : INT64_MAX;
	c->before = all.queue[p].last;
	if (c->before)
		c->before->after = c;
	else
		all.queue[p].first = c;
	all.queue[p].last = c;
}

static void
enter(struct conn *c, enum phase p)
{
	if (c->phase == p && p != PHASE_IDLE)
		return;
	leave_queue(c);
	join_queue(c, p);
}

/* ── life ── */

static void
gauge(void)
{
	if (proc_page())
		page_set(proc_page(), METRIC_CONNECTIONS, all.n);
}

static void forget_later(struct conn *c);

static void
conn_free(struct conn *c)
{
	if (c->request)
		request_orphan(c->request);
	forget_later(c);
	leave_queue(c);
	tls_free(c->tls);
	http_free(c->http);
	if (c->from)
		source_leave(c->from);
	mem_free(c);
	all.n--;
	gauge();
	if (all.n == 0 && all.stopped)
		all.stopped();
}

void
conn_expect(struct conn *c, struct request *r)
{
	c->request = r;
}

static void
end_politely(struct conn *c)
{
	tls_finish(c->tls);
	enter(c, PHASE_LINGER);
}

static struct request_origin
origin_of(const struct conn *c)
{
	return (struct request_origin){.cert_sha256 = tls_fingerprint(c->tls),
								   .ip = c->ip,
								   .loopback = c->loopback,
								   .cert_expires_at_s = tls_peer_expires_at_s(c->tls)};
}

/* What an answer leaves behind: the next request, a wait, or the end. */
static void
settle(struct conn *c)
{
	if (c->close_after || (c->half_closed && tls_in(c->tls)->len == 0) || all.stopped)
		end_politely(c);
	else if (tls_waiting(c->tls) > 0)
		enter(c, PHASE_WRITING);
	else
		enter(c, http_began(c->http) ? PHASE_READING : PHASE_IDLE);
}

static void
continue_sending(struct conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (tls_write(c->tls, go_on, sizeof(go_on) - 1))
		c->close_after = true;
}

/* One request at most; false when there is nothing more to do now. */
static bool
feed(struct conn *c)
{
	struct request_origin from = origin_of(c);
	struct buf *in = tls_in(c->tls);
	enum http_step step;
	size_t eaten;
	enum err why;

	if (in->len == 0)
		return false;
	step = http_feed(c->http, buf_at(in), in->len, &eaten, &why);
	buf_eat(in, eaten);
	switch (step) {
	case HTTP_MORE:
		return false;
	case HTTP_CONTINUE:
		/* A client that did not wait has sent its body already and needs no leave. */
		if (in->len == 0)
			continue_sending(c);
		return !c->close_after;
	case HTTP_WHOLE:
		enter(c, PHASE_WORKING);
		request_begin(c, c->http, &from);
		return true;
	case HTTP_REFUSED:
		enter(c, PHASE_WORKING);
		request_refuse(c, why, &from);
		return false;
	}
	return false;
}

/* A client that sends many requests at once must not keep the loop: the rest waits until the others had a turn. */
static void
put_off(struct conn *c)
{
	struct timeval now = {0, 0};

	if (c->later)
		return;
	c->later = true;
	c->next_later = all.later;
	all.later = c;
	event_add(all.more, &now);
}

static void
forget_later(struct conn *c)
{
	struct conn **at = &all.later;

	if (!c->later)
		return;
	while (*at && *at != c)
		at = &(*at)->next_later;
	if (*at)
		*at = c->next_later;
	c->later = false;
}

/* Works through what has arrived, one request after the other, as long as each is answered at once. */
static void
pump(struct conn *c)
{
	unsigned answers = 0;

	if (c->pumping)
		return;
	c->pumping = true;
	while (!c->request && !c->close_after && tls_waiting(c->tls) == 0) {
		if (answers++ == ANSWERS_PER_TURN) {
			put_off(c);
			break;
		}
		if (!feed(c))
			break;
	}
	c->pumping = false;
	if (!c->request)
		settle(c);
	if (c->phase != PHASE_LINGER)
		tls_read_on(c->tls); /* may free c: last */
}

static void
on_more(evutil_socket_t fd, short what, void *arg)
{
	struct conn *rest = all.later;

	(void)fd, (void)what, (void)arg;
	/* Those who are put off again wait for the next turn. A pump may free its connection, but no other. */
	all.later = NULL;
	while (rest) {
		struct conn *c = rest;

		rest = c->next_later;
		c->later = false;
		pump(c);
	}
}

void
conn_answer(struct conn *c, const void *bytes, size_t n, bool keep)
{
	if (!keep)
		c->close_after = true;
	if (n == 0 || tls_write(c->tls, bytes, n))
		c->close_after = true;
	c->request = NULL;
	if (!c->close_after)
		http_next(c->http);
	pump(c);
}

/* ── what TLS tells ── */

static void
on_opened(void *arg)
{
	if (proc_page())
		page_add(proc_page(), METRIC_HANDSHAKES, 1);
	enter(arg, PHASE_IDLE);
}

static void
on_bytes(void *arg)
{
	struct conn *c = arg;

	if (c->phase == PHASE_IDLE)
		enter(c, PHASE_READING);
	pump(c);
}

static void
on_drained(void *arg)
{
	pump(arg);
}

static void
on_ended(void *arg, enum err why)
{
	struct conn *c = arg;

	if (c->phase == PHASE_HANDSHAKE && proc_page())
		page_add(proc_page(), METRIC_HANDSHAKES_FAILED, 1);
	/* A client may say that it has sent all and still wait for its answer. */
	if (why == ERR_OK && (c->request || tls_waiting(c->tls) > 0) && c->phase != PHASE_LINGER) {
		c->half_closed = true;
		return;
	}
	conn_free(c);
}

static const struct tls_hooks hooks = {
	.opened = on_opened, .bytes = on_bytes, .drained = on_drained, .ended = on_ended};

/* ── deadlines come due ── */

static void
expire(struct conn *c)
{
	struct request_origin from = origin_of(c);

	if (c->phase == PHASE_READING) {
		enter(c, PHASE_WORKING);
		request_refuse(c, ERR_REQUEST_TIMEOUT, &from);
	} else if (c->phase == PHASE_IDLE) {
		end_politely(c);
	} else {
		if (c->phase == PHASE_HANDSHAKE && proc_page())
			page_add(proc_page(), METRIC_HANDSHAKES_FAILED, 1);
		conn_free(c);
	}
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	int64_t now = clock_mono_ms();

	(void)fd, (void)what, (void)arg;
	for (int p = 0; p < PHASE_TIMED; p++)
		while (all.queue[p].first && all.queue[p].first->deadline_ms <= now)
			expire(all.queue[p].first);
	if (all.paused && !all.stopped) {
		all.paused = false;
		event_add(all.accept, NULL);
	}
}

/* ── accept ── */

static struct conn *
conn_new(int fd, const struct sockaddr_storage *from)
{
	struct http_limits limits = {.head_bytes_max = HTTP_HEAD_BYTES_MAX,
								 .target_bytes_max = HTTP_TARGET_BYTES_MAX,
								 .body_bytes_max = (size_t)conf_int(proc_conf(), CONF_GATE_BODY),
								 .headers_max = HTTP_HEADERS_MAX};
	struct source_name name;
	struct source *source;
	struct conn *c = NULL;

	source_name(from, &name);
	if (all.n >= (unsigned)conf_int(proc_conf(), CONF_GATE_CONNECTIONS) ||
		!(source = source_enter(&name, (unsigned)conf_int(proc_conf(), CONF_GATE_PER_IP))))
		return NULL;
	if (!(c = mem_new(1, sizeof(*c))) || !(c->http = http_new(&limits)) ||
		tls_new(all.server, proc_base(), fd, &hooks, c, &c->tls)) {
		if (c)
			http_free(c->http);
		mem_free(c);
		source_leave(source);
		return NULL;
	}
	c->from = source;
	c->loopback = name.loopback;
	memcpy(c->ip, name.text, sizeof(c->ip));
	join_queue(c, PHASE_HANDSHAKE);
	all.n++;
	gauge();
	return c;
}

static void
pause_accepting(int why)
{
	static int64_t told_at_ms;
	int64_t now = clock_mono_ms();

	event_del(all.accept);
	all.paused = true;
	if (told_at_ms && now - told_at_ms < 60000)
		return;
	told_at_ms = now;
	log_warn("no connections can be taken", LOG_S("why", strerror(why)), LOG_I("connections", all.n));
}

static void
on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	(void)what, (void)arg;
	for (unsigned i = 0; i < ACCEPT_PER_TURN; i++) {
		struct sockaddr_storage from = {0};
		socklen_t from_bytes = sizeof(from);
		int client = accept4(fd, (struct sockaddr *)&from, &from_bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client < 0) {
			/* Out of descriptors or memory: the listener stays readable, so look again at the next sweep and not at
			 * once. */
			if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
				pause_accepting(errno);
			return;
		}
		if (conn_new(client, &from))
			continue;
		close(client);
		if (proc_page())
			page_add(proc_page(), METRIC_REFUSED_CONNECTIONS, 1);
	}
}

enum err
conn_listen(int fd)
{
	struct timeval every = {0, SWEEP_MS * 1000};

	all.accept = event_new(proc_base(), fd, EV_READ | EV_PERSIST, on_acceptable, NULL);
	all.sweep = event_new(proc_base(), -1, EV_PERSIST, on_sweep, NULL);
	all.more = event_new(proc_base(), -1, 0, on_more, NULL);
	if (!all.accept || !all.sweep || !all.more || evutil_make_socket_nonblocking(fd) || event_add(all.accept, NULL) ||
		event_add(all.sweep, &every))
		return ERR_MEMORY;
	return ERR_OK;
}

void
conn_use(struct tls_server *server)
{
	tls_server_hold(server);
	tls_server_release(all.server);
	all.server = server;
}

void
conn_stop(void (*done)(void))
{
	struct conn *next;

	all.stopped = done;
	if (all.accept)
		event_del(all.accept);
	for (struct conn *c = all.queue[PHASE_HANDSHAKE].first; c; c = next) {
		next = c->after;
		conn_free(c);
	}
	for (struct conn *c = all.queue[PHASE_IDLE].first; c; c = next) {
		next = c->after;
		end_politely(c);
	}
	if (all.n == 0)
		done();
}

bool
conn_stopping(void)
{
	return all.stopped != NULL;
}

unsigned
conn_count(void)
{
	return all.n;
}
