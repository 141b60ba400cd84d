#include "tests/unit/hsm/broker.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/wire/hub.h"

static struct {
	struct event_base *monitor_base, *vault_base;
	struct hub monitor, vault;
	struct peer *control, *hsm;
	struct page *page;
	pid_t pid;
	bool ready;
} b;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static int
file_of(const void *bytes, size_t n)
{
	int fd = memfd_create("gift", MFD_CLOEXEC);
	need(fd >= 0 && write(fd, bytes, n) == (ssize_t)n, "memfd");
	return fd;
}

static void
give(sp_give_req g, int fd)
{
	need(hub_give(b.control, MSG_give, &g, fd) == ERR_OK, "give");
	if (fd >= 0)
		close(fd);
}

static void
start_process(int control)
{
	char name[] = "hsm", *argv[] = {name, NULL};
	const char *path = getenv("HSM") ? getenv("HSM") : "./vault/hsm/hsm";
	b.pid = fork();
	need(b.pid >= 0, "fork");
	if (b.pid > 0)
		return;
	/* in the jail the leak sanitizer can't look at /proc */
	setenv("ASAN_OPTIONS", "detect_leaks=0", 0);
	dup2(control, 3);
	for (int fd = 4; fd < 64; fd++)
		close(fd);
	execv(path, argv);
	perror(path);
	_exit(127);
}

static void
on_control(void *arg, struct peer *p, unsigned number, const void *req)
{
	(void)arg, (void)p, (void)req;
	b.ready = b.ready || number == MSG_ready;
}

static void
spin_monitor(const bool *flag, int64_t ms)
{
	int64_t until = clock_mono_ms() + ms;
	const struct timeval tick = {0, 20000};
	while (!*flag && clock_mono_ms() < until && waitpid(b.pid, NULL, WNOHANG) == 0) {
		event_base_loopexit(b.monitor_base, &tick);
		hub_once(&b.monitor);
	}
}

static void
open_hubs(int control, int vault)
{
	static const struct answer none[] = {{MSG_NONE, NULL}};
	b.monitor_base = event_base_new();
	b.vault_base = event_base_new();
	need(b.monitor_base && b.vault_base, "event_base_new");
	need(hub_open(&b.monitor, b.monitor_base, PROCESS_MONITOR, 0, none) == ERR_OK, "hub_open");
	need(hub_open(&b.vault, b.vault_base, PROCESS_VAULT, 0, none) == ERR_OK, "hub_open");
	b.monitor.on_control = on_control;
	b.control = hub_peer(&b.monitor, PROCESS_HSM, 0);
	b.hsm = hub_peer(&b.vault, PROCESS_HSM, 0);
	need(hub_attach(b.control, control, 0) == ERR_OK && hub_attach(b.hsm, vault, 1) == ERR_OK, "hub_attach");
}

bool
broker_start(const char *dir, const char *module, bool init)
{
	int control[2], vault[2];
	char text[512];
	struct page *blank = calloc(1, sizeof *blank);
	memset(&b, 0, sizeof b);
	signal(SIGPIPE, SIG_IGN);
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) == 0, "socketpair");
	need(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, vault) == 0, "socketpair");
	start_process(control[1]);
	close(control[1]);
	open_hubs(control[0], vault[0]);
	blank->process = PROCESS_HSM;
	int page = file_of(blank, sizeof *blank);
	free(blank);
	b.page = mmap(NULL, sizeof *b.page, PROT_READ, MAP_SHARED, page, 0);
	int n =
		snprintf(text, sizeof text, "install = test\nmode = test\nhsm.module = %s\nhsm.allow_software = yes\n", module);
	give((sp_give_req){.what = sp_gift_GIFT_PAGE, .process = PROCESS_HSM}, page);
	give((sp_give_req){.what = sp_gift_GIFT_CONFIG}, file_of(text, (size_t)n));
	give((sp_give_req){.what = sp_gift_GIFT_DIR}, open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
	give((sp_give_req){.what = sp_gift_GIFT_PEER, .process = PROCESS_VAULT, .epoch = 1}, vault[1]);
	sp_go_req go = {.init = init};
	need(peer_tell(b.control, MSG_go, &go) == ERR_OK, "go");
	hub_turn(&b.monitor);
	spin_monitor(&b.ready, 10000);
	return b.ready;
}

pid_t
broker_pid(void)
{
	return b.pid;
}

const struct page *
broker_page(void)
{
	return b.page;
}

struct peer *
broker_hsm(void)
{
	return b.hsm;
}

void
broker_wait(const bool *flag)
{
	int64_t until = clock_mono_ms() + 10000;
	hub_turn(&b.vault);
	while (!*flag && clock_mono_ms() < until)
		hub_once(&b.vault);
	need(*flag, "waiting for the broker");
}

struct asked {
	bool done;
	enum err e;
	void *rep;
	size_t bytes;
};

static void
on_answer(void *arg, enum err e, const void *rep)
{
	struct asked *a = arg;
	a->done = true;
	a->e = e;
	if (rep && a->rep)
		memcpy(a->rep, rep, a->bytes);
}

enum err
broker_ask(enum msg number, const void *req, void *rep, size_t rep_bytes, uint32_t deadline_ms)
{
	struct asked a = {.rep = rep, .bytes = rep_bytes};
	if (rep)
		memset(rep, 0, rep_bytes);
	enum err e = peer_ask(b.hsm, number, req, deadline_ms, on_answer, &a);
	if (e != ERR_OK)
		return e;
	broker_wait(&a.done);
	return a.e;
}

static int
clean_up(void)
{
	int status = -1;
	waitpid(b.pid, &status, 0);
	hub_close(&b.monitor);
	hub_close(&b.vault);
	event_base_free(b.monitor_base);
	event_base_free(b.vault_base);
	munmap(b.page, sizeof *b.page);
	return status;
}

int
broker_stop(void)
{
	sp_stop_req stop = {.grace_ms = 1000};
	if (peer_tell(b.control, MSG_stop, &stop) == ERR_OK)
		hub_turn(&b.monitor);
	return clean_up();
}

void
broker_kill(void)
{
	kill(b.pid, SIGKILL);
	(void)clean_up();
}
