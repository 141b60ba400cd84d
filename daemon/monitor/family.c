#include "daemon/monitor/family.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/monitor/child.h"
#include "daemon/monitor/gift.h"
#include "daemon/monitor/halt.h"
#include "daemon/monitor/reload.h"
#include "daemon/monitor/watch.h"
#include "daemon/wire/ask.h"
#include "policy/schema/wire.pb.h"

#define BACKOFF_MS     100
#define BACKOFF_MAX_MS 5000
#define LIFE_MS        30000 /* after which an earlier death is forgotten */
#define FAILS_MAX      5

struct family family;

struct health
family_health(void)
{
	const struct page *pages[FAMILY_MAX + 1];
	for (unsigned i = 0; i < family.n; i++)
		pages[i] = family.members[i].page;
	pages[family.n] = family.page;
	return page_health(pages, family.n + 1, clock_mono_ms());
}

/* ── links ── */

void
family_link(unsigned a, unsigned b)
{
	struct member *x = &family.members[a], *y = &family.members[b];
	int fds[2];
	if (!x->pid || !y->pid || x->killed || y->killed || !msg_linked(x->process, y->process))
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
		log_warn("no socket pair", LOG_S("cause", strerror(errno)));
		return;
	}
	struct family_link *l = &family.links[a < b ? a : b][a < b ? b : a];
	*l = (struct family_link){.epoch = ++family.epoch};
	if (gift_peer(x, y, fds[0], l->epoch) != ERR_OK)
		member_end(x, "its control socket is full or closed");
	if (gift_peer(y, x, fds[1], l->epoch) != ERR_OK)
		member_end(y, "its control socket is full or closed");
	close(fds[0]);
	close(fds[1]);
}

struct member *
family_find(uint32_t process, uint32_t index)
{
	for (unsigned i = 0; i < family.n; i++)
		if ((uint32_t)family.members[i].process == process && family.members[i].index == index)
			return &family.members[i];
	return NULL;
}

static struct member *
member_of(const struct peer *p)
{
	return family_find((uint32_t)p->process, p->index);
}

bool
family_all_ready(void)
{
	for (unsigned i = 0; i < family.n; i++)
		if (!family.members[i].ready)
			return false;
	return true;
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
		e = gift_all(m);
	if (e != ERR_OK)
		member_end(m, "its gifts could not be given");
	return ERR_OK;
}

static void
send_go(struct member *m)
{
	sp_go_req go = {.index = m->index, .init = family.site->init, .restarts = m->restarts};
	snprintf(go.install, sizeof go.install, "%s", conf_text(family.site->conf, CONF_INSTALL));
	snprintf(go.node, sizeof go.node, "%s", conf_text(family.site->conf, CONF_NODE));
	if (!m->killed && hub_give(m->control, MSG_go, &go, -1) != ERR_OK)
		member_end(m, "its control socket is full or closed");
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
			family_link((unsigned)(m - family.members), i);
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
	struct member *ledger = family_find(PROCESS_LEDGER, 0);
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
	char title[MEMBER_TITLE_BYTES];
	fprintf(stderr, "sallyport: %s does not start: %s\nnext: %s\n", member_title(m, title), err_title(cause),
			err_next(cause));
	family.status = 1;
	halt_begin();
}

static void
log_death(const struct member *m, int status, enum err cause, int64_t lived_ms)
{
	char title[MEMBER_TITLE_BYTES];
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	log_warn("process ended", LOG_S("process", member_title(m, title)), LOG_I("pid", m->pid), LOG_I("signal", sig),
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
		halt_go_on();
}

/* ── what children say ── */

static void
on_ready(struct member *m, const sp_ready_req *r)
{
	char title[MEMBER_TITLE_BYTES];
	m->ready = true;
	m->fails = 0;
	log_info("process ready", LOG_S("process", member_title(m, title)), LOG_I("pid", m->pid), LOG_S("jail", r->jail));
}

static void
on_hung(const struct member *from, const sp_hung_req *h)
{
	struct member *m = family_find(h->process, 0);
	/* only of a socket that is still in use: an old complaint must not kill the new broker */
	if (from->process != PROCESS_VAULT || !m || m->process != PROCESS_HSM ||
		family.links[m < from ? m - family.members : from - family.members]
					[m < from ? from - family.members : m - family.members]
						.epoch != h->epoch)
		return;
	member_end(m, "the vault says that it hangs");
}

/* The outer one of the two is taken to be the breaker and starts anew; the inner one only gets a new socket. */
static void
on_cut(struct member *from, const sp_cut_req *c)
{
	struct member *other = family_find(c->process, c->index);
	if (!other || other == from)
		return;
	unsigned a = (unsigned)(from - family.members), b = (unsigned)(other - family.members);
	struct family_link *l = &family.links[a < b ? a : b][a < b ? b : a];
	if (l->epoch != c->epoch)
		return;
	if (other->process > from->process)
		member_end(other, "it broke the protocol");
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
		member_end(m, "it broke the protocol");
}

/* ── the whole ── */

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what, (void)arg;
	if (number == SIGHUP)
		reload_now();
	else
		halt_begin();
}

static enum err
add_member(enum process process, unsigned index)
{
	struct member *m = &family.members[family.n];
	if (family.n == FAMILY_MAX)
		return ERR_LIMIT;
	*m = (struct member){.process = process, .index = index};
	m->control = hub_peer(&family.hub, process, index);
	m->again = evtimer_new(family.base, on_again, m);
	if (!m->control || !m->again)
		return ERR_MEMORY;
	family.n++;
	return member_page(process, index, &m->page, &m->page_rw, &m->page_ro);
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
	struct event *child = evsignal_new(family.base, SIGCHLD, on_child, NULL);
	if (!child || event_add(child, NULL) != 0)
		return ERR_MEMORY;
	for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct event *ev = evsignal_new(family.base, signals[i], on_signal, NULL);
		if (!ev || event_add(ev, NULL) != 0)
			return ERR_MEMORY;
	}
	return watch_open();
}

enum err
family_open(struct site *s, struct event_base *base)
{
	static const struct answer none[] = {{MSG_NONE, NULL}};
	int rw;
	const struct passwd *pw = getpwuid(geteuid());
	family.site = s;
	family.base = base;
	enum err e = hub_open(&family.hub, base, PROCESS_MONITOR, 0, none);
	if (e == ERR_OK)
		e = member_page(PROCESS_MONITOR, 0, &family.page, &rw, &family.page_ro);
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
	atomic_store(&family.page->conf_at_ms, clock_wall_ms());
	atomic_store(&family.page->heartbeat_mono_ms, clock_mono_ms());
	snprintf(family.page->user, sizeof family.page->user, "%.31s", pw ? pw->pw_name : "?");
	snprintf(family.page->jail, sizeof family.page->jail, "%s", s->root ? "setuid, setgid only" : "no new privileges");
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
			family_link(i, k);
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
