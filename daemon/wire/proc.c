#include "daemon/wire/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/str.h"
#include "daemon/wire/hub.h"
#include "daemon/wire/jails.h"
#include "policy/schema/wire.pb.h"

#define CONTROL_FD   3
#define GIFTS_MAX    32
#define PEERS_MAX    16 /* new peer sockets that wait for the end of the turn */
#define HEARTBEAT_MS 500

struct gift {
	int what, fd; /* fd -1: taken */
	char name[64];
};
struct new_peer {
	enum process process;
	unsigned index;
	uint64_t epoch;
	int fd;
};

/* One process, one of these: proc_… functions are its face. */
static struct {
	const struct proc_spec *spec;
	struct event_base *base;
	struct event *heartbeat;
	struct hub hub;
	struct peer *monitor;
	struct conf *conf;
	struct page *page;
	const struct page *pages[PROCESS_MAX][PAGE_INDEX_MAX];
	struct gift gifts[GIFTS_MAX];
	unsigned gifts_n;
	struct new_peer new_peers[PEERS_MAX];
	unsigned new_peers_n;
	uint32_t owner, restarts;
	int dir_fd, statm_fd, status;
	bool went, init, said_state, stopping, done;
} proc = {.owner = UINT32_MAX, .dir_fd = -1, .statm_fd = -1};

/* ── gifts ── */

static void
take_page(const sp_give_req *g, int fd)
{
	bool own = g->process == (uint32_t)proc.spec->self && g->index == proc.hub.index;
	struct stat st;
	if (g->process >= PROCESS_MAX || g->index >= PAGE_INDEX_MAX || fstat(fd, &st) != 0 ||
		st.st_size < (off_t)sizeof(struct page))
		proc_die(ERR_PROTOCOL, "a page that is none");
	void *at = mmap(NULL, sizeof(struct page), own ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		proc_die(ERR_MEMORY, "mapping a page");
	proc.pages[g->process][g->index] = at;
	if (own)
		proc.page = proc.hub.page = at;
	close(fd);
}

static enum err
read_conf(const char *text, size_t bytes)
{
	struct conf *c = conf_new();
	enum err e = c ? conf_parse(c, "monitor", text, bytes, NULL) : ERR_MEMORY;
	if (e != ERR_OK) {
		conf_free(c);
		return e;
	}
	conf_free(proc.conf);
	proc.conf = c;
	log_level(strcmp(conf_text(c, CONF_LOG_LEVEL), "warn") == 0 ? SEVERITY_WARN : SEVERITY_INFO);
	return ERR_OK;
}

static void
take_conf(int fd)
{
	struct stat st;
	void *text = MAP_FAILED;
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		proc_die(ERR_IO, "reading the configuration");
	enum err e = read_conf(text, (size_t)st.st_size);
	if (e != ERR_OK)
		proc_die(e, "reading the configuration");
	munmap(text, (size_t)st.st_size);
	close(fd);
}

/* A gift of the same name takes the place of an earlier one: a reload gives the certificate files anew. */
static struct gift *
place_of(const sp_give_req *g)
{
	for (unsigned i = 0; i < proc.gifts_n; i++)
		if (proc.gifts[i].what == (int)g->what && strcmp(proc.gifts[i].name, g->name) == 0)
			return &proc.gifts[i];
	if (proc.gifts_n == GIFTS_MAX)
		proc_die(ERR_PROTOCOL, "too many gifts");
	proc.gifts[proc.gifts_n].fd = -1;
	return &proc.gifts[proc.gifts_n++];
}

static void
keep_gift(const sp_give_req *g, int fd)
{
	struct gift *to = place_of(g);
	if (to->fd >= 0)
		close(to->fd);
	*to = (struct gift){.what = (int)g->what, .fd = fd};
	memcpy(to->name, g->name, sizeof to->name);
}

/* Sockets are exchanged at the end of the turn: the old one may hold last answers, which must be dispatched first. */
static void
keep_peer(const sp_give_req *g, int fd)
{
	if (proc.new_peers_n == PEERS_MAX || g->process >= PROCESS_OFFICER || g->index >= PAGE_INDEX_MAX)
		proc_die(ERR_PROTOCOL, "a peer that is none");
	proc.new_peers[proc.new_peers_n++] = (struct new_peer){(enum process)g->process, g->index, g->epoch, fd};
}

static void
take_gift(struct peer *monitor, const sp_give_req *g)
{
	if (g->what == sp_gift_GIFT_OWNER) { /* the only one without a descriptor */
		proc.owner = (uint32_t)g->number;
		return;
	}
	int fd = hub_take_fd(monitor);
	if (fd < 0)
		proc_die(ERR_PROTOCOL, "a gift without its descriptor");
	switch (g->what) {
	case sp_gift_GIFT_PEER:
		keep_peer(g, fd);
		break;
	case sp_gift_GIFT_PAGE:
		take_page(g, fd);
		break;
	case sp_gift_GIFT_CONFIG:
		take_conf(fd);
		break;
	case sp_gift_GIFT_DIR:
		proc.dir_fd = fd;
		break;
	default:
		keep_gift(g, fd);
	}
}

static void
attach_peers(void)
{
	for (unsigned i = 0; i < proc.new_peers_n; i++) {
		struct new_peer n = proc.new_peers[i];
		struct peer *p = hub_peer(&proc.hub, n.process, n.index);
		if (!p || hub_attach(p, n.fd, n.epoch) != ERR_OK)
			proc_die(ERR_MEMORY, "attaching a peer");
	}
	proc.new_peers_n = 0;
}

int
proc_gift(int what, const char *name)
{
	for (unsigned i = 0; i < proc.gifts_n; i++) {
		struct gift *g = &proc.gifts[i];
		if (g->what == what && g->fd >= 0 && (!name || strcmp(g->name, name) == 0)) {
			int fd = g->fd;
			g->fd = -1;
			return fd;
		}
	}
	return -1;
}

/* ── the control socket ── */

static void
go(const sp_go_req *g)
{
	/* the index came with argv, because our own page is known by it */
	if (proc.went || g->index != proc.hub.index)
		proc_die(ERR_PROTOCOL, "go");
	proc.went = true;
	proc.init = g->init;
	proc.restarts = g->restarts;
}

static void
reload(const sp_reload_req *r)
{
	enum err e = read_conf((const char *)r->config.bytes, r->config.size);
	if (e != ERR_OK)
		log_warn("reload refused", LOG_E("cause", e));
	else if (proc.spec->on_reload && proc.went)
		proc.spec->on_reload();
}

static void
stop(const sp_stop_req *s)
{
	if (proc.stopping)
		return;
	proc.stopping = true;
	proc_state(PAGE_STOPPING, ERR_SHUTTING_DOWN);
	if (proc.spec->on_stop)
		proc.spec->on_stop(s->grace_ms);
	else
		proc_exit(0);
}

static void
on_control(void *arg, struct peer *p, unsigned number, const void *req)
{
	(void)arg;
	if (p != proc.monitor)
		return;
	switch (number) {
	case MSG_give:
		take_gift(p, req);
		break;
	case MSG_go:
		go(req);
		break;
	case MSG_reload:
		reload(req);
		break;
	case MSG_stop:
		stop(req);
		break;
	default:
		break;
	}
}

static void
on_cut(void *arg, struct peer *p)
{
	sp_cut_req cut = {.process = (uint32_t)p->process, .index = p->index, .epoch = p->epoch};
	(void)arg;
	if (p == proc.monitor || peer_tell(proc.monitor, MSG_cut, &cut) != ERR_OK)
		proc_exit(1);
}

static void
on_peer(void *arg, struct peer *p, bool up)
{
	(void)arg;
	if (p == proc.monitor) {
		if (!up) /* the monitor has died or let us go: nothing is left to do for anybody */
			proc_exit(proc.stopping ? 0 : 1);
		return;
	}
	if (proc.spec->on_peer)
		proc.spec->on_peer(p, up);
}

static void
on_turn(void *arg)
{
	(void)arg;
	attach_peers();
	if (proc.spec->on_turn)
		proc.spec->on_turn();
}

/* ── page ── */

static void
measure(void)
{
	char text[64];
	unsigned long all, resident;
	ssize_t n = proc.statm_fd >= 0 ? pread(proc.statm_fd, text, sizeof text - 1, 0) : -1;
	if (n <= 0)
		return;
	text[n] = 0;
	if (sscanf(text, "%lu %lu", &all, &resident) == 2)
		atomic_store_explicit(&proc.page->rss_bytes, (uint64_t)resident * 4096, memory_order_relaxed);
}

static void
beat(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	hub_mark(&proc.hub);
	atomic_store_explicit(&proc.page->heartbeat_mono_ms, clock_mono_ms(), memory_order_relaxed);
	measure();
}

static void
fill_page(void)
{
	const struct passwd *pw = getpwuid(getuid());
	if (pw)
		snprintf(proc.page->user, sizeof proc.page->user, "%s", pw->pw_name);
	else
		snprintf(proc.page->user, sizeof proc.page->user, "%u", (unsigned)getuid());
	atomic_store(&proc.page->pid, (uint32_t)getpid());
	atomic_store(&proc.page->restarts, proc.restarts);
	atomic_store(&proc.page->started_at_ms, clock_wall_ms());
	atomic_store(&proc.page->heartbeat_mono_ms, clock_mono_ms());
	measure(); /* the first heartbeat is a second away, and the figure of the last life is not ours */
	/* the cause stays what the last life died of, until this one knows better */
	atomic_store(&proc.page->state, PAGE_STARTING);
}

void
proc_state(enum page_state state, enum err cause)
{
	proc.said_state = true;
	/* the cause first: nobody then sees a new state with the old one's cause for long */
	atomic_store(&proc.page->cause, (uint32_t)cause);
	atomic_store(&proc.page->state, (uint32_t)state);
}

/* ── life ── */

static int
refuse_by_hand(const struct proc_spec *spec)
{
	fprintf(stderr,
			"sallyport: %s is a part of the appliance and is started by its monitor\n"
			"next: sallyportd --help\n",
			process_name(spec->self));
	return 2;
}

/* argv[0] is "vault" or "gate/1": the title in ps, and our index. */
static unsigned
index_of(const char *title)
{
	uint64_t index = 0;
	const char *slash = strchr(title, '/');
	if (slash && str_decimal(slash + 1, PAGE_INDEX_MAX - 1, &index) != ERR_OK)
		index = 0;
	return (unsigned)index;
}

static enum err
prepare(const struct proc_spec *spec, const char *title)
{
	struct sockaddr_un {
		sa_family_t family;
		char path[108];
	} name;
	socklen_t n = sizeof name;
	const struct timeval tick = {0, HEARTBEAT_MS * 1000};
	proc.spec = spec;
	if (getsockname(CONTROL_FD, (struct sockaddr *)&name, &n) != 0 || name.family != AF_UNIX)
		return ERR_USAGE;
	log_open(title);
	prctl(PR_SET_NAME, title, 0, 0, 0);
	/* the monitor asked for it before the exec; a change of SELinux domain in between forgets it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* signals to a whole group (terminal, shell, systemd) are for the monitor: it stops us in order */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	proc.statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	fcntl(CONTROL_FD, F_SETFD, FD_CLOEXEC);
	if (sodium_init() < 0)
		return ERR_RANDOM;
	event_set_mem_functions(mem_alloc, mem_grow, mem_free);
	proc.base = event_base_new();
	if (!proc.base)
		return ERR_MEMORY;
	enum err e = hub_open(&proc.hub, proc.base, spec->self, index_of(title), spec->answers);
	if (e != ERR_OK)
		return e;
	proc.hub.on_control = on_control;
	proc.hub.on_cut = on_cut;
	proc.hub.on_peer = on_peer;
	proc.hub.on_turn = on_turn;
	proc.heartbeat = event_new(proc.base, -1, EV_PERSIST, beat, NULL);
	proc.monitor = hub_peer(&proc.hub, PROCESS_MONITOR, 0);
	if (!proc.heartbeat || !proc.monitor || event_add(proc.heartbeat, &tick) != 0)
		return ERR_MEMORY;
	return hub_attach(proc.monitor, CONTROL_FD, 0);
}

/* Until `go`: nothing else runs, so waiting is right here. */
static void
receive_gifts(void)
{
	while (!proc.went && !proc.done) {
		struct pollfd p = {CONTROL_FD, POLLIN, 0};
		if (poll(&p, 1, -1) > 0)
			hub_read(proc.monitor);
	}
	if (proc.done)
		return;
	if (!proc.conf || !proc.page)
		proc_die(ERR_PROTOCOL, "started without configuration or page");
	fill_page();
	attach_peers();
	if (proc.dir_fd >= 0 && fchdir(proc.dir_fd) != 0)
		proc_die(errno == EACCES ? ERR_FILE_RIGHTS : ERR_IO, "entering its directory");
}

static void
enter_jail(struct jail *jail)
{
	enum err e = jails_enter(proc.spec->self, proc.dir_fd, proc.conf,
							 strcmp(conf_text(proc.conf, CONF_MODE), "test") == 0, jail);
	if (e != ERR_OK)
		proc_die(e, "entering the jail");
	if (proc.dir_fd >= 0)
		close(proc.dir_fd);
	proc.dir_fd = -1;
	memcpy(proc.page->jail, jail->text, sizeof proc.page->jail);
	atomic_store(&proc.page->jail_calls, jail->calls);
	atomic_store(&proc.page->landlock_abi, jail->landlock_abi);
}

static void
start(void)
{
	const struct proc_spec *s = proc.spec;
	struct jail jail = {.calls = 0};
	sp_ready_req ready = sp_ready_req_init_zero;
	enum err e = s->arena_bytes ? secret_open(s->arena_bytes) : ERR_OK;
	if (e != ERR_OK)
		proc_die(e, "locking memory for secrets");
	if (s->before_jail && (e = s->before_jail()) != ERR_OK)
		proc_die(e, "warming up");
	enter_jail(&jail);
	if (s->after_jail && (e = s->after_jail()) != ERR_OK)
		proc_die(e, "starting");
	if (!proc.said_state)
		proc_state(PAGE_SERVING, ERR_OK);
	ready.jail_calls = jail.calls;
	ready.landlock_abi = jail.landlock_abi;
	memcpy(ready.jail, jail.text, sizeof ready.jail);
	if (peer_tell(proc.monitor, MSG_ready, &ready) != ERR_OK)
		proc_exit(1);
	log_info("ready", LOG_S("jail", jail.text), LOG_I("restarts", proc.restarts));
}

int
proc_run(const struct proc_spec *spec, int argc, char **argv)
{
	const char *title = argc > 0 ? argv[0] : process_name(spec->self);
	enum err e = jail_begin();
	if (e == ERR_OK)
		e = prepare(spec, title);
	if (e == ERR_USAGE)
		return refuse_by_hand(spec);
	if (e != ERR_OK)
		proc_die(e, "preparing");
	receive_gifts();
	if (!proc.done)
		start();
	hub_turn(&proc.hub);
	while (!proc.done)
		hub_once(&proc.hub);
	/* what was answered in the last turn has been written by it; nobody is asked any more */
	return proc.status;
}

void
proc_exit(int status)
{
	proc.done = true;
	proc.status = status;
	event_base_loopbreak(proc.base);
}

void
proc_die(enum err e, const char *what)
{
	log_fatal(what, LOG_E("cause", e), LOG_S("title", err_title(e)), LOG_S("next", err_next(e)));
	if (proc.page) /* the monitor and status tell it from here */
		atomic_store(&proc.page->cause, (uint32_t)e);
	_exit(1);
}

/* ── facts ── */

struct event_base *
proc_base(void)
{
	return proc.base;
}

const struct conf *
proc_conf(void)
{
	return proc.conf;
}

struct page *
proc_page(void)
{
	return proc.page;
}

unsigned
proc_index(void)
{
	return proc.hub.index;
}

bool
proc_init_mode(void)
{
	return proc.init;
}

uint32_t
proc_owner(void)
{
	return proc.owner;
}

struct peer *
proc_monitor(void)
{
	return proc.monitor;
}

struct peer *
proc_peer(enum process p, unsigned index)
{
	return hub_find(&proc.hub, p, index);
}

const struct page *
proc_page_of(enum process p, unsigned index)
{
	return (unsigned)p < PROCESS_MAX && index < PAGE_INDEX_MAX ? proc.pages[p][index] : NULL;
}
