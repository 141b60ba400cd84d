#include "daemon/monitor/family.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/monitor/child.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/hub.h"
#include "policy/schema/wire.pb.h"

#define MEMBERS_MAX    32
#define START_TICK_MS  20 /* until it serves: start-up is waited for */
#define START_TICKS    500
#define TICK_MS        250
#define BACKOFF_MS     100
#define BACKOFF_MAX_MS 5000
#define LIFE_MS        30000 /* after which an earlier death is forgotten */
#define FAILS_MAX      5
#define HUNG_MS        30000 /* without a heartbeat: it will not come back by itself */
#define LEAVE_MS       1000  /* from closing its control socket to its end */
#define LOOK_TICKS     4
#define STOP_MS        5000

struct member {
	enum process process;
	unsigned index;
	pid_t pid; /* 0: not running */
	struct peer *control;
	struct page *page;
	int page_rw, page_ro;
	int64_t started_ms;
	uint32_t restarts, backoff_ms, fails;
	int64_t left_at_ms; /* when it closed its control socket; 0: it has not */
	bool ready, killed;
	struct event *again;
};

/* A link of two members: the epoch of its sockets, and whether somebody cut it. */
struct link {
	uint64_t epoch;
	bool cut;
};

static struct {
	struct site *site;
	struct event_base *base;
	struct hub hub;
	struct member members[MEMBERS_MAX];
	unsigned n;
	struct link links[MEMBERS_MAX][MEMBERS_MAX];
	uint64_t epoch;
	struct page *page; /* the monitor's own */
	int page_ro;
	struct event *tick;
	int statm; /* opened while /proc is open to us */
	unsigned ticks;
	bool served, notified, stopping, done;
	unsigned stop_phase;
	int64_t stop_until_ms, phase_until_ms;
	int status;
	struct health told;
} family;

static const char *
title_of(const struct member *m, char out[24])
{
	snprintf(out, 24, process_instances(m->process) > 1 ? "%s/%u" : "%s", process_name(m->process), m->index);
	return out;
}

/* ── pages ── */

/* Readers get a read-only description of the same memory; its size is sealed, so that nobody can cut it under a reader.
 */
static enum err
new_page(enum process process, unsigned index, struct page **page_out, int *rw_out, int *ro_out)
{
	char path[48];
	int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, sizeof(struct page)) != 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		return ERR_MEMORY;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*ro_out = open(path, O_RDONLY | O_CLOEXEC);
	struct page *p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*ro_out < 0 || p == MAP_FAILED)
		return ERR_MEMORY;
	p->magic = PAGE_MAGIC;
	p->bytes = sizeof *p;
	p->process = (uint32_t)process;
	p->index = index;
	atomic_store(&p->state, PAGE_STARTING);
	*page_out = p;
	*rw_out = fd;
	return ERR_OK;
}

static struct health
health(void)
{
	const struct page *pages[MEMBERS_MAX + 1];
	for (unsigned i = 0; i < family.n; i++)
		pages[i] = family.members[i].page;
	pages[family.n] = family.page;
	return page_health(pages, family.n + 1, clock_mono_ms());
}

/* ── gifts ── */

static enum err
give(const struct member *to, sp_gift what, const struct member *about, const char *name, int fd, uint64_t epoch)
{
	sp_give_req g = {.what = what, .epoch = epoch};
	if (about) {
		g.process = (uint32_t)about->process;
		g.index = about->index;
	}
	snprintf(g.name, sizeof g.name, "%s", name);
	return fd < 0 ? ERR_OK : hub_give(to->control, MSG_give, &g, fd);
}

/* For descriptors that were opened for this one gift. */
static enum err
give_and_close(const struct member *to, sp_gift what, const char *name, int fd)
{
	enum err e = give(to, what, NULL, name, fd, 0);
	if (fd >= 0)
		close(fd);
	return e;
}

static enum err
give_pages(const struct member *to)
{
	struct member monitor = {.process = PROCESS_MONITOR};
	bool all = to->process == PROCESS_GATE || to->process == PROCESS_DESK || to->process == PROCESS_LEDGER;
	enum err e = give(to, sp_gift_GIFT_PAGE, to, "page", to->page_rw, 0);
	if (all && e == ERR_OK)
		e = give(to, sp_gift_GIFT_PAGE, &monitor, "page", family.page_ro, 0);
	for (unsigned i = 0; i < family.n && all && e == ERR_OK; i++)
		if (&family.members[i] != to)
			e = give(to, sp_gift_GIFT_PAGE, &family.members[i], "page", family.members[i].page_ro, 0);
	return e;
}

static enum err
give_conf(const struct member *to)
{
	struct buf text;
	buf_init(&text, 60000);
	enum err e = conf_dump(family.site->conf, &text);
	if (e == ERR_OK)
		e = give_and_close(to, sp_gift_GIFT_CONFIG, "sallyport.conf", site_memfd("conf", buf_at(&text), text.len));
	buf_clear(&text);
	return e;
}

static enum err
give_tls(const struct member *to)
{
	enum err e = give_and_close(to, sp_gift_GIFT_TLS_KEY, "server.key", site_tls(family.site, "server.key"));
	if (e == ERR_OK)
		e = give_and_close(to, sp_gift_GIFT_TLS_CERT, "server.crt", site_tls(family.site, "server.crt"));
	return e == ERR_OK
			   ? give_and_close(to, sp_gift_GIFT_TLS_CA, "clients-ca.crt", site_tls(family.site, "clients-ca.crt"))
			   : e;
}

static enum err
give_owner(const struct member *to)
{
	sp_give_req g = {.what = sp_gift_GIFT_OWNER, .number = family.site->owner};
	return hub_give(to->control, MSG_give, &g, -1);
}

/* Everything but peers: what this process and no other needs. */
static enum err
give_all(const struct member *to)
{
	const struct site *s = family.site;
	enum err e = give_conf(to);
	if (e == ERR_OK)
		e = give_pages(to);
	if (e == ERR_OK)
		e = give(to, sp_gift_GIFT_DIR, NULL, process_name(to->process), s->dirs[to->process], 0);
	if (e != ERR_OK)
		return e;
	switch (to->process) {
	case PROCESS_VAULT:
		/* one description for every life of the vault: back to its start */
		if (s->pin >= 0 && lseek(s->pin, 0, SEEK_SET) != 0)
			return ERR_IO;
		return give(to, sp_gift_GIFT_PIN, NULL, "hsm-pin", s->pin, 0);
	case PROCESS_GATE:
		e = give(to, sp_gift_GIFT_LISTEN, NULL, "api", s->gate[to->index], 0);
		return e == ERR_OK ? give_tls(to) : e;
	case PROCESS_DESK:
		e = give(to, sp_gift_GIFT_LISTEN, NULL, "desk", s->desk, 0);
		return e == ERR_OK ? give_owner(to) : e;
	default:
		return ERR_OK;
	}
}

/* ── links ── */

/* Nobody waits for a child that does not read its control socket. */
static void
end_member(struct member *m, const char *why)
{
	char title[24];
	if (!m->pid || m->killed)
		return;
	log_warn("killing a process", LOG_S("process", title_of(m, title)), LOG_S("why", why));
	m->killed = true;
	kill(m->pid, SIGKILL);
}

static void
link_members(unsigned a, unsigned b)
{
	struct member *x = &family.members[a], *y = &family.members[b];
	int fds[2];
	if (!x->pid || !y->pid || x->killed || y->killed || !msg_linked(x->process, y->process))
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
		log_warn("no socket pair", LOG_S("cause", strerror(errno)));
		return;
	}
	struct link *l = &family.links[a < b ? a : b][a < b ? b : a];
	*l = (struct link){.epoch = ++family.epoch};
	if (give(x, sp_gift_GIFT_PEER, y, "peer", fds[0], l->epoch) != ERR_OK)
		end_member(x, "its control socket is full or closed");
	if (give(y, sp_gift_GIFT_PEER, x, "peer", fds[1], l->epoch) != ERR_OK)
		end_member(y, "its control socket is full or closed");
	close(fds[0]);
	close(fds[1]);
}

static struct member *
find(uint32_t process, uint32_t index)
{
	for (unsigned i = 0; i < family.n; i++)
		if ((uint32_t)family.members[i].process == process && family.members[i].index == index)
			return &family.members[i];
	return NULL;
}

static struct member *
member_of(const struct peer *p)
{
	return find((uint32_t)p->process, p->index);
}

/* ── one life ── */

static enum err
begin(struct member *m)
{
	int fds[2];
	enum err e;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return ERR_MEMORY;
	e = child_start(family.site, m->process, m->index, fds[1], &m->pid);
	close(fds[1]);
	if (e != ERR_OK) {
		close(fds[0]);
		return e;
	}
	m->started_ms = clock_mono_ms();
	m->ready = m->killed = false;
	m->left_at_ms = 0;
	if ((e = hub_attach(m->control, fds[0], 0)) == ERR_OK)
		e = give_all(m);
	if (e != ERR_OK)
		end_member(m, "its gifts could not be given");
	return ERR_OK;
}

static void
send_go(struct member *m)
{
	sp_go_req go = {.index = m->index, .init = family.site->init, .restarts = m->restarts};
	snprintf(go.install, sizeof go.install, "%s", conf_text(family.site->conf, CONF_INSTALL));
	snprintf(go.node, sizeof go.node, "%s", conf_text(family.site->conf, CONF_NODE));
	if (!m->killed && hub_give(m->control, MSG_go, &go, -1) != ERR_OK)
		end_member(m, "its control socket is full or closed");
}

static void schedule(struct member *m);

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct member *m = arg;
	(void)fd, (void)what;
	if (family.stopping || m->pid)
		return;
	if (begin(m) != ERR_OK) {
		schedule(m);
		return;
	}
	for (unsigned i = 0; i < family.n; i++)
		if (&family.members[i] != m)
			link_members((unsigned)(m - family.members), i);
	send_go(m);
}

static void
schedule(struct member *m)
{
	struct timeval tv = {m->backoff_ms / 1000, m->backoff_ms % 1000 * 1000};
	m->backoff_ms = m->backoff_ms ? m->backoff_ms * 2 : BACKOFF_MS;
	if (m->backoff_ms > BACKOFF_MAX_MS)
		m->backoff_ms = BACKOFF_MAX_MS;
	event_add(m->again, &tv);
}

/* The ledger keeps what happened to its neighbours in its log. */
static void
tell_ledger(const struct member *m, enum err cause)
{
	enum {
#define EVENT(ID, name, log, kind, what) NUMBER_##ID,
#include "policy/event.def"
#undef EVENT
	};
	struct member *ledger = find(PROCESS_LEDGER, 0);
	sp_ledger_note_req note = {.event = NUMBER_L_PROCESS_DIED,
							   .process = (uint32_t)m->process,
							   .index = m->index,
							   .code = (uint32_t)cause,
							   .number = m->restarts};
	if (ledger == m || !ledger || !ledger->ready || tell_ledger_note(ledger->control, &note) != ERR_OK)
		return; /* it is in the journal in any case */
}

static void
give_up(const struct member *m, enum err cause)
{
	char title[24];
	fprintf(stderr, "sallyport: %s does not start: %s\nnext: %s\n", title_of(m, title), err_title(cause),
			err_next(cause));
	family.status = 1;
	family_stop();
}

static void
log_death(const struct member *m, int status, enum err cause, int64_t lived_ms)
{
	char title[24];
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	log_warn("process ended", LOG_S("process", title_of(m, title)), LOG_I("pid", m->pid), LOG_I("signal", sig),
			 LOG_I("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1), LOG_E("cause", cause),
			 LOG_I("lived_ms", lived_ms), LOG_I("again_in_ms", family.stopping ? -1 : (int64_t)m->backoff_ms));
	if (sig == SIGSYS)
		log_warn("it made a system call that its jail does not have", LOG_S("process", title),
				 LOG_S("next", "the kernel's log names the call (audit, syscall=); a test installation's journal does "
							   "too. Rows: policy/jail_*.def"));
}

/* What it said in its page, or what child_start's exit statuses mean. */
static enum err
cause_of(const struct member *m, int status)
{
	enum err cause = (enum err)atomic_load(&m->page->cause);
	if (m->ready || cause != ERR_OK || !WIFEXITED(status))
		return cause;
	return WEXITSTATUS(status) == 127 ? ERR_FILE_MISSING : WEXITSTATUS(status) == 126 ? ERR_PERMISSION : ERR_INTERNAL;
}

static void
bury(struct member *m, int status)
{
	int64_t lived = clock_mono_ms() - m->started_ms;
	enum err cause = cause_of(m, status);
	bool early = !m->ready;
	if (lived > LIFE_MS)
		m->backoff_ms = 0;
	if (!family.stopping || status != 0)
		log_death(m, status, cause, lived);
	m->pid = 0;
	m->ready = false;
	hub_detach(m->control);
	if (family.stopping)
		return;
	/* its page is ours until it lives again */
	m->restarts++;
	atomic_store(&m->page->restarts, m->restarts);
	atomic_store(&m->page->pid, 0);
	atomic_store(&m->page->state, PAGE_STARTING);
	m->fails = early ? m->fails + 1 : 0;
	tell_ledger(m, cause);
	if (m->fails >= FAILS_MAX && !family.served && !family.notified)
		give_up(m, cause == ERR_OK ? ERR_INTERNAL : cause);
	else
		schedule(m);
}

/* ── stopping ── */

static const enum process stop_order[][3] = {
	{PROCESS_GATE, PROCESS_DESK, PROCESS_MAX},
	{PROCESS_COURIER, PROCESS_HERALD, PROCESS_MAX},
	{PROCESS_LEDGER, PROCESS_MAX},
	{PROCESS_VAULT, PROCESS_MAX},
	{PROCESS_HSM, PROCESS_MAX},
};
static const uint32_t stop_ms[] = {1500, 1500, 1000, 500, 500};
#define PHASES (sizeof stop_order / sizeof *stop_order)

static bool
in_phase(const struct member *m, unsigned phase)
{
	for (const enum process *p = stop_order[phase]; *p != PROCESS_MAX; p++)
		if (*p == m->process)
			return true;
	return false;
}

static unsigned
alive_in(unsigned phase)
{
	unsigned n = 0;
	for (unsigned i = 0; i < family.n; i++)
		n += family.members[i].pid && (phase == PHASES || in_phase(&family.members[i], phase));
	return n;
}

static void
stop_phase(unsigned phase)
{
	sp_stop_req stop = {.grace_ms = stop_ms[phase]};
	family.stop_phase = phase;
	family.phase_until_ms = clock_mono_ms() + stop_ms[phase];
	for (unsigned i = 0; i < family.n; i++) {
		struct member *m = &family.members[i];
		if (m->pid && in_phase(m, phase) && hub_give(m->control, MSG_stop, &stop, -1) != ERR_OK)
			end_member(m, "it does not read that it shall stop");
	}
}

/* Called at each death and each tick: on to the next phase when the last one is over or out of time. */
static void
go_on_stopping(void)
{
	while (!family.done) {
		if (alive_in(family.stop_phase) > 0) {
			if (clock_mono_ms() < family.phase_until_ms)
				return;
			for (unsigned i = 0; i < family.n; i++)
				if (in_phase(&family.members[i], family.stop_phase))
					end_member(&family.members[i], "it did not stop in time");
			family.phase_until_ms = INT64_MAX; /* the kernel ends it; its death brings us here again */
			return;
		}
		if (family.stop_phase + 1 == PHASES) {
			family.done = true;
			event_base_loopbreak(family.base);
		} else {
			stop_phase(family.stop_phase + 1);
		}
	}
}

void
family_stop(void)
{
	if (family.stopping) { /* asked twice: at once */
		for (unsigned i = 0; i < family.n; i++)
			end_member(&family.members[i], "asked to stop at once");
		return;
	}
	family.stopping = true;
	atomic_store(&family.page->cause, ERR_SHUTTING_DOWN);
	atomic_store(&family.page->state, PAGE_STOPPING);
	sd_notify(0, "STOPPING=1\nSTATUS=stopping");
	log_info("stopping", LOG_I("processes", alive_in(PHASES)));
	stop_phase(0);
	go_on_stopping();
}

/* ── what children say ── */

static void
on_ready(struct member *m, const sp_ready_req *r)
{
	char title[24];
	m->ready = true;
	m->fails = 0;
	log_info("process ready", LOG_S("process", title_of(m, title)), LOG_I("pid", m->pid), LOG_S("jail", r->jail));
}

static void
on_hung(const struct member *from, const sp_hung_req *h)
{
	struct member *m = find(h->process, 0);
	/* only of a socket that is still in use: an old complaint must not kill the new broker */
	if (from->process != PROCESS_VAULT || !m || m->process != PROCESS_HSM ||
		family.links[m < from ? m - family.members : from - family.members]
					[m < from ? from - family.members : m - family.members]
						.epoch != h->epoch)
		return;
	end_member(m, "the vault says that it hangs");
}

/* The outer one of the two is taken to be the breaker and starts anew; the inner one only gets a new socket. */
static void
on_cut(struct member *from, const sp_cut_req *c)
{
	struct member *other = find(c->process, c->index);
	if (!other || other == from)
		return;
	unsigned a = (unsigned)(from - family.members), b = (unsigned)(other - family.members);
	struct link *l = &family.links[a < b ? a : b][a < b ? b : a];
	if (l->epoch != c->epoch)
		return;
	if (other->process > from->process)
		end_member(other, "it broke the protocol");
	else
		l->cut = true;
}

static void
on_control(void *arg, struct peer *p, unsigned number, const void *req)
{
	struct member *m = member_of(p);
	(void)arg;
	if (!m)
		return;
	if (number == MSG_ready)
		on_ready(m, req);
	else if (number == MSG_hung)
		on_hung(m, req);
	else if (number == MSG_cut)
		on_cut(m, req);
}

static void
on_peer(void *arg, struct peer *p, bool up)
{
	struct member *m = member_of(p);
	(void)arg;
	/* most likely it has just died of something that its status will tell: no signal of ours over that */
	if (m && !up)
		m->left_at_ms = clock_mono_ms();
}

static void
on_breach(void *arg, struct peer *p)
{
	struct member *m = member_of(p);
	(void)arg;
	if (m)
		end_member(m, "it broke the protocol");
}

/* ── signals and time ── */

static void
on_child(evutil_socket_t fd, short what, void *arg)
{
	pid_t pid;
	int status;
	(void)fd, (void)what, (void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < family.n; i++)
			if (family.members[i].pid == pid)
				bury(&family.members[i], status);
	if (family.stopping)
		go_on_stopping();
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what, (void)arg;
	if (number == SIGHUP)
		family_reload();
	else
		family_stop();
}

static bool
all_ready(void)
{
	for (unsigned i = 0; i < family.n; i++)
		if (!family.members[i].ready)
			return false;
	return true;
}

static void
set_tick(unsigned ms)
{
	const struct timeval tv = {0, ms * 1000};
	event_add(family.tick, &tv);
}

static void
say_ready(struct health h)
{
	const struct member *desk = find(PROCESS_DESK, 0);
	if (family.served)
		return;
	if (family.site->init ? !(desk && desk->ready) : !(all_ready() && h.state == PAGE_SERVING))
		return;
	family.served = true;
	set_tick(TICK_MS);
	if (family.site->init)
		printf("ready for init: %s/desk.sock\n", family.site->run);
	else
		printf("ready: %s serves on https://%s (%u processes)\n", family.site->state,
			   conf_text(family.site->conf, CONF_LISTEN), family.n + 1);
	fflush(stdout);
}

static void
tell_systemd(struct health h)
{
	char line[256];
	if (h.state != family.told.state || h.cause != family.told.cause) {
		family.told = h;
		health_line(h, line, sizeof line);
		sd_notifyf(0, "STATUS=%s", line);
		log_info("state", LOG_S("now", page_state_word(h.state)), LOG_E("cause", h.cause),
				 LOG_S("process", process_name(h.process)));
	}
	/* a sealed appliance is up too: it waits for its officers, not for systemd */
	if (!family.notified && all_ready()) {
		family.notified = true;
		sd_notify(0, "READY=1");
	}
	sd_notify(0, "WATCHDOG=1");
}

static void
look_after(void)
{
	int64_t now = clock_mono_ms();
	for (unsigned i = 0; i < family.n; i++) {
		struct member *m = &family.members[i];
		if (m->ready && now - atomic_load(&m->page->heartbeat_mono_ms) > HUNG_MS)
			end_member(m, "its loop has stood still");
		if (m->left_at_ms && now - m->left_at_ms > LEAVE_MS)
			end_member(m, "its control socket is closed");
		for (unsigned k = i + 1; k < family.n; k++)
			if (family.links[i][k].cut)
				link_members(i, k);
	}
}

static void
note_memory(void)
{
	char text[64];
	unsigned long all, resident;
	ssize_t n = pread(family.statm, text, sizeof text - 1, 0);
	if (n <= 0)
		return;
	text[n] = 0;
	if (sscanf(text, "%lu %lu", &all, &resident) == 2)
		atomic_store(&family.page->rss_bytes, (uint64_t)resident * 4096);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	atomic_store(&family.page->heartbeat_mono_ms, clock_mono_ms());
	note_memory();
	if (family.stopping) {
		go_on_stopping();
		return;
	}
	struct health h = health();
	say_ready(h);
	tell_systemd(h);
	if (++family.ticks == START_TICKS)
		set_tick(TICK_MS); /* sealed: somebody has to come, which takes longer than that */
	if (family.ticks % LOOK_TICKS == 0)
		look_after();
}

void
family_reload(void)
{
	struct buf problems, held, text;
	sp_reload_req req = sp_reload_req_init_zero;
	struct conf *c = conf_new();
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
	buf_init(&problems, 16384);
	buf_init(&held, 2048);
	buf_init(&text, sizeof req.config.bytes);
	enum err e = c ? conf_load(c, family.site->etc, &problems) : ERR_MEMORY;
	if (e == ERR_OK)
		e = conf_reload(family.site->conf, c, &held);
	if (e == ERR_OK)
		e = conf_dump(family.site->conf, &text);
	if (e == ERR_OK) {
		req.config.size = (pb_size_t)text.len;
		memcpy(req.config.bytes, buf_at(&text), text.len);
		uint8_t end = 0;
		if (held.len && buf_add(&held, &end, 1) == ERR_OK)
			log_warn("these keys need a restart", LOG_S("keys", (const char *)buf_at(&held)));
		for (unsigned i = 0; i < family.n; i++) {
			struct member *m = &family.members[i];
			if (m->pid && m->process == PROCESS_GATE && give_tls(m) != ERR_OK)
				log_warn("a certificate file could not be given", LOG_I("gate", m->index));
			if (m->pid && hub_give(m->control, MSG_reload, &req, -1) != ERR_OK)
				log_warn("reload not delivered", LOG_S("process", process_name(m->process)));
		}
		log_info("configuration reloaded", LOG_I("bytes", text.len));
	} else {
		char first[200];
		snprintf(first, sizeof first, "%.*s", (int)(problems.len < 190 ? problems.len : 190),
				 problems.len ? (const char *)buf_at(&problems) : "");
		log_warn("configuration refused, the old one stays", LOG_E("cause", e), LOG_S("first", first),
				 LOG_S("next", "sallyport config check"));
	}
	buf_clear(&problems);
	buf_clear(&held);
	buf_clear(&text);
	conf_free(c);
	sd_notify(0, "READY=1");
}

/* ── the whole ── */

static enum err
add_member(enum process process, unsigned index)
{
	struct member *m = &family.members[family.n];
	if (family.n == MEMBERS_MAX)
		return ERR_LIMIT;
	*m = (struct member){.process = process, .index = index};
	m->control = hub_peer(&family.hub, process, index);
	m->again = evtimer_new(family.base, on_again, m);
	if (!m->control || !m->again)
		return ERR_MEMORY;
	family.n++;
	return new_page(process, index, &m->page, &m->page_rw, &m->page_ro);
}

static enum err
add_members(void)
{
	enum err e = ERR_OK;
	for (unsigned p = 0; p < PROCESS_OFFICER && e == ERR_OK; p++) {
		unsigned n = !site_runs(family.site, (enum process)p) ? 0 : p == PROCESS_GATE ? family.site->gates : 1;
		for (unsigned i = 0; i < n && e == ERR_OK; i++)
			e = add_member((enum process)p, i);
	}
	return e;
}

static enum err
watch_signals(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP};
	const struct timeval tick = {0, START_TICK_MS * 1000};
	struct event *child = evsignal_new(family.base, SIGCHLD, on_child, NULL);
	if (!child || event_add(child, NULL) != 0)
		return ERR_MEMORY;
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct event *ev = evsignal_new(family.base, signals[i], on_signal, NULL);
		if (!ev || event_add(ev, NULL) != 0)
			return ERR_MEMORY;
	}
	family.tick = event_new(family.base, -1, EV_PERSIST, on_tick, NULL);
	return family.tick && event_add(family.tick, &tick) == 0 ? ERR_OK : ERR_MEMORY;
}

enum err
family_open(struct site *s, struct event_base *base)
{
	static const struct answer none[] = {{MSG_NONE, NULL}};
	int rw;
	const struct passwd *pw = getpwuid(geteuid());
	family.site = s;
	family.base = base;
	family.told.state = PAGE_STOPPING; /* so that the first state is told */
	enum err e = hub_open(&family.hub, base, PROCESS_MONITOR, 0, none);
	if (e == ERR_OK)
		e = new_page(PROCESS_MONITOR, 0, &family.page, &rw, &family.page_ro);
	if (e == ERR_OK)
		e = add_members();
	if (e == ERR_OK)
		e = watch_signals();
	if (e != ERR_OK)
		return e;
	family.hub.page = family.page;
	family.hub.on_control = on_control;
	family.hub.on_peer = on_peer;
	family.hub.on_cut = on_breach;
	atomic_store(&family.page->pid, (uint32_t)getpid());
	atomic_store(&family.page->started_at_ms, clock_wall_ms());
	atomic_store(&family.page->heartbeat_mono_ms, clock_mono_ms());
	snprintf(family.page->user, sizeof family.page->user, "%.31s", pw ? pw->pw_name : "?");
	snprintf(family.page->jail, sizeof family.page->jail, "%s",
			 s->root ? "setuid, setgid, kill only" : "no new privileges");
	family.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	note_memory();
	atomic_store(&family.page->state, PAGE_SERVING);
	return ERR_OK;
}

enum err
family_start(void)
{
	enum err e = ERR_OK;
	/* all are born before the first is told to go: nobody finds a neighbour missing at its start */
	for (unsigned i = 0; i < family.n && e == ERR_OK; i++)
		e = begin(&family.members[i]);
	for (unsigned i = 0; i < family.n && e == ERR_OK; i++)
		for (unsigned k = i + 1; k < family.n; k++)
			link_members(i, k);
	for (unsigned i = 0; i < family.n && e == ERR_OK; i++)
		send_go(&family.members[i]);
	return e;
}

int
family_run(void)
{
	while (!family.done)
		hub_once(&family.hub);
	log_info("stopped", LOG_I("status", family.status));
	return family.status;
}
