#include "daemon/wire/hub.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/wire/frame.h"
#include "policy/schema/wire.pb.h"

#define READ_BYTES (32u << 10)
#define IN_MAX     (FRAME_BYTES_MAX + READ_BYTES)

/* ── build id ── */

static void
hash_row(crypto_generichash_state *h, const struct msg_row *row)
{
	crypto_generichash_update(h, (const void *)row->name, strlen(row->name) + 1);
	const uint32_t facts[] = {row->from,
							  (uint32_t)row->to,
							  row->bytes_max,
							  (uint32_t)row->kind,
							  (uint32_t)row->after_peer_loss,
							  row->request_bytes,
							  row->reply_bytes,
							  row->request->field_count,
							  row->request->largest_tag,
							  row->reply ? row->reply->field_count : 0,
							  row->reply ? row->reply->largest_tag : 0};
	crypto_generichash_update(h, (const void *)facts, sizeof facts);
}

void
hub_build_id(uint8_t out[HUB_BUILD_ID_BYTES])
{
	static uint8_t id[HUB_BUILD_ID_BYTES];
	static bool known;
	if (!known) {
		crypto_generichash_state h;
		crypto_generichash_init(&h, NULL, 0, sizeof id);
		crypto_generichash_update(&h, (const void *)PACKAGE_VERSION, sizeof PACKAGE_VERSION);
		for (unsigned i = 0; i < MSG_NUMBER_MAX; i++)
			if (msg_row_of(i))
				hash_row(&h, msg_row_of(i));
		crypto_generichash_final(&h, id, sizeof id);
		known = true;
	}
	memcpy(out, id, sizeof id);
}

/* ── loss ── */

static void
close_fds(struct peer *p)
{
	while (p->fds_n)
		close(p->fds[--p->fds_n]);
}

static void
close_socket(struct peer *p)
{
	event_free(p->readable);
	event_free(p->writable);
	close(p->fd);
	close_fds(p);
	p->readable = p->writable = NULL;
	p->fd = -1;
	p->serial++;
	p->up = p->doomed = p->hello_sent = p->mismatch = false;
	/* free, not just wipe: a burst's room goes back */
	buf_clear(&p->in);
	buf_clear(&p->out);
}

void
hub_detach(struct peer *p)
{
	struct hub *h = p->hub;
	bool was_up = p->up;
	if (p->fd < 0)
		return;
	close_socket(p);
	h->again = true;
	if (was_up && h->on_peer)
		h->on_peer(h->arg, p, false);
	peer_lose_asks(p, p->process == PROCESS_OFFICER);
	if (p->process == PROCESS_OFFICER && !p->closed) {
		p->closed = true;
		hub_unref(p);
	}
}

static void
cut_off(struct peer *p, enum err e)
{
	struct hub *h = p->hub;
	log_warn("peer cut off", LOG_S("peer", process_name(p->process)), LOG_I("index", p->index), LOG_E("cause", e));
	if (h->page)
		page_add(h->page, METRIC_PROTOCOL_ERRORS, 1);
	if (h->on_cut && p->process != PROCESS_OFFICER)
		h->on_cut(h->arg, p);
	hub_detach(p);
}

/* ── reading ── */

/* Only the control socket asks for descriptors: on any other the kernel drops what somebody attaches. */
static ssize_t
receive(struct peer *p, void *at, size_t n)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int) * 4)];
	} control;
	struct iovec iov = {at, n};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	if (!p->control)
		return recv(p->fd, at, n, MSG_DONTWAIT);
	ssize_t got = recvmsg(p->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return got;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		unsigned fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < fds; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (p->fds_n < HUB_FDS_MAX)
				p->fds[p->fds_n++] = fd;
			else
				close(fd);
		}
	}
	return got;
}

int
hub_take_fd(struct peer *p)
{
	if (p->fds_n == 0)
		return -1;
	int fd = p->fds[0];
	memmove(p->fds, p->fds + 1, --p->fds_n * sizeof *p->fds);
	return fd;
}

/* Every whole frame of the buffer. */
static enum err
dispatch_all(struct peer *p)
{
	struct frame f;
	uint64_t serial = p->serial;
	while (p->in.len > 0) {
		enum err e = frame_read(buf_at(&p->in), p->in.len, p->process, p->hub->self, &f);
		if (e == ERR_OK && f.bytes == 0)
			return ERR_OK;
		if (e == ERR_OK)
			e = peer_dispatch(p, &f);
		if (e != ERR_OK)
			return e;
		if (p->serial != serial) /* it was detached meanwhile */
			return ERR_OK;
		buf_eat(&p->in, f.bytes);
	}
	return ERR_OK;
}

void
hub_read(struct peer *p)
{
	uint64_t serial = p->serial;
	size_t all = 0;
	while (p->fd >= 0 && p->serial == serial && all < HUB_TURN_BYTES) {
		uint8_t *at;
		enum err e = buf_room(&p->in, READ_BYTES, &at);
		if (e != ERR_OK) {
			cut_off(p, e);
			return;
		}
		ssize_t n = receive(p, at, READ_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			hub_detach(p);
			return;
		}
		buf_added(&p->in, (size_t)n);
		all += (size_t)n;
		if ((e = dispatch_all(p)) != ERR_OK) {
			cut_off(p, e);
			return;
		}
		if (n < (ssize_t)READ_BYTES && !p->control)
			return;
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	(void)fd, (void)what;
	hub_mark(p->hub);
	hub_read(p);
}

/* ── writing ── */

void
hub_dirty(struct peer *p)
{
	if (p->is_dirty)
		return;
	p->is_dirty = true;
	TAILQ_INSERT_TAIL(&p->hub->dirty, p, dirty_link);
}

static void
undirty(struct peer *p)
{
	if (p->is_dirty)
		TAILQ_REMOVE(&p->hub->dirty, p, dirty_link);
	p->is_dirty = false;
}

/* Straight to the socket: a new socket has room for it. */
static void
say_hello(struct peer *p)
{
	sp_hello_req hello = {
		.process = p->hub->self, .index = p->hub->index, .epoch = p->epoch, .build_id = {.size = HUB_BUILD_ID_BYTES}};
	const uint8_t *frame;
	size_t bytes;
	hub_build_id(hello.build_id.bytes);
	p->hello_sent = true;
	if (peer_encode(MSG_hello, &hello, &frame, &bytes) != ERR_OK ||
		send(p->fd, frame, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)bytes)
		return; /* it has gone: reading will tell */
}

static void
flush(struct peer *p)
{
	if (p->fd < 0)
		return;
	if (p->doomed) {
		cut_off(p, ERR_PEER_FULL);
		return;
	}
	if (!p->hello_sent)
		say_hello(p);
	if (p->out.len == 0 || (!p->up && !p->control))
		return;
	ssize_t n = send(p->fd, buf_at(&p->out), p->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		buf_eat(&p->out, (size_t)n);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		buf_reset(&p->out); /* end of file follows on the reading side, after its last answers */
		return;
	}
	if (p->out.len > 0)
		event_add(p->writable, NULL);
	else if (p->out.cap > HUB_TURN_BYTES)
		buf_clear(&p->out);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	(void)fd, (void)what;
	hub_mark(p->hub);
	hub_dirty(p);
}

enum err
hub_give(struct peer *p, enum msg number, const void *req, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	const uint8_t *frame;
	size_t bytes;
	if (p->fd < 0 || !p->control)
		return ERR_PEER_AWAY;
	flush(p);
	if (p->fd < 0)
		return ERR_PEER_AWAY;
	if (p->out.len > 0)
		return ERR_PEER_FULL;
	enum err e = peer_encode(number, req, &frame, &bytes);
	if (e != ERR_OK)
		return e;
	struct iovec iov = {(void *)(uintptr_t)frame, bytes};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
		m.msg_control = &control;
		m.msg_controllen = sizeof control.room;
	}
	ssize_t n = sendmsg(p->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n == (ssize_t)bytes ? ERR_OK : n < 0 && errno != EAGAIN ? ERR_PEER_AWAY : ERR_PEER_FULL;
}

/* ── the turn ── */

void
hub_mark(struct hub *h)
{
	if (h->turn_at_us == 0)
		h->turn_at_us = clock_mono_us();
}

static void
arm_timer(struct hub *h)
{
	struct deadline *d = deadline_first(&h->deadlines);
	if (!d || (d->due_ms == h->armed_ms && evtimer_pending(h->timer, NULL)))
		return;
	h->armed_ms = d->due_ms;
	int64_t wait = d->due_ms - clock_mono_ms();
	if (wait < 0)
		wait = 0;
	struct timeval tv = {wait / 1000, wait % 1000 * 1000};
	event_add(h->timer, &tv);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct hub *h = arg;
	(void)fd, (void)what;
	hub_mark(h);
	peer_expire(h, clock_mono_ms());
}

static void
note_turn(struct hub *h)
{
	if (h->turn_at_us && h->page) {
		uint64_t took = (uint64_t)(clock_mono_us() - h->turn_at_us);
		if (took > atomic_load_explicit(&h->page->value[METRIC_LOOP_MAX_US], memory_order_relaxed))
			page_set(h->page, METRIC_LOOP_MAX_US, took);
	}
	h->turn_at_us = 0;
}

void
hub_turn(struct hub *h)
{
	struct peer *p;
	h->again = false;
	if (h->on_turn)
		h->on_turn(h->arg);
	while ((p = TAILQ_FIRST(&h->dirty)) != NULL) {
		undirty(p);
		flush(p);
	}
	arm_timer(h);
	note_turn(h);
}

void
hub_once(struct hub *h)
{
	event_base_loop(h->base, EVLOOP_ONCE | (h->again ? EVLOOP_NONBLOCK : 0));
	hub_turn(h);
}

/* ── making and ending ── */

enum err
hub_open(struct hub *h, struct event_base *base, enum process self, unsigned index, const struct answer *answers)
{
	*h = (struct hub){.base = base, .self = self, .index = index};
	TAILQ_INIT(&h->peers);
	TAILQ_INIT(&h->dirty);
	for (; answers && answers->number != MSG_NONE; answers++) {
		bool ours = false;
		for (unsigned from = 0; from < PROCESS_MAX; from++)
			ours = ours || msg_allowed(answers->number, (enum process)from, self);
		if (!ours || h->answers[answers->number])
			return ERR_PROTOCOL;
		h->answers[answers->number] = answers->act;
	}
	h->timer = evtimer_new(base, on_timer, h);
	return h->timer ? ERR_OK : ERR_MEMORY;
}

static struct peer *
new_peer(struct hub *h, enum process process, unsigned index)
{
	struct peer *p = mem_new(1, sizeof *p);
	if (!p)
		return NULL;
	*p = (struct peer){.hub = h, .process = process, .index = index, .fd = -1, .refs = 1, .uid = UINT32_MAX};
	p->control = process == PROCESS_MONITOR || h->self == PROCESS_MONITOR;
	buf_init(&p->in, IN_MAX);
	buf_init(&p->out, HUB_OUT_HARD);
	TAILQ_INIT(&p->asks);
	TAILQ_INSERT_TAIL(&h->peers, p, link);
	return p;
}

struct peer *
hub_find(const struct hub *h, enum process process, unsigned index)
{
	for (struct peer *p = TAILQ_FIRST(&h->peers); p; p = TAILQ_NEXT(p, link))
		if (p->process == process && p->index == index && process != PROCESS_OFFICER)
			return p;
	return NULL;
}

struct peer *
hub_peer(struct hub *h, enum process process, unsigned index)
{
	struct peer *p = hub_find(h, process, index);
	return p ? p : new_peer(h, process, index);
}

struct peer *
hub_guest(struct hub *h, enum process process, uint32_t uid)
{
	struct peer *p = new_peer(h, process, 0);
	if (p)
		p->uid = uid;
	return p;
}

void
hub_unref(struct peer *p)
{
	if (--p->refs > 0)
		return;
	undirty(p);
	TAILQ_REMOVE(&p->hub->peers, p, link);
	peer_clear(p);
	mem_free(p);
}

enum err
hub_attach(struct peer *p, int fd, uint64_t epoch)
{
	/* its last answers may still be in the old socket */
	if (p->fd >= 0)
		hub_read(p);
	if (p->fd >= 0)
		hub_detach(p);
	p->readable = event_new(p->hub->base, fd, EV_READ | EV_PERSIST, on_readable, p);
	p->writable = event_new(p->hub->base, fd, EV_WRITE, on_writable, p);
	int flags = fcntl(fd, F_GETFL);
	if (!p->readable || !p->writable || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
		event_add(p->readable, NULL) != 0) {
		if (p->readable)
			event_free(p->readable);
		if (p->writable)
			event_free(p->writable);
		p->readable = p->writable = NULL;
		close(fd);
		return ERR_MEMORY;
	}
	p->fd = fd;
	p->epoch = epoch;
	peer_resend(p);
	hub_dirty(p);
	return ERR_OK;
}

void
hub_close(struct hub *h)
{
	struct peer *p, *next;
	for (p = TAILQ_FIRST(&h->peers); p; p = next) {
		next = TAILQ_NEXT(p, link);
		bool officer = p->process == PROCESS_OFFICER;
		if (p->fd >= 0)
			close_socket(p);
		peer_lose_asks(p, true);
		if (!officer || !p->closed)
			hub_unref(p); /* one with open calls is freed by the last of them */
	}
	if (h->timer)
		event_free(h->timer);
	h->timer = NULL;
	deadline_free(&h->deadlines);
}
