#include "tests/unit/courier/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/schema/wire.pb.h"

static void
on_control(void *arg, struct peer *p, unsigned number, const void *req)
{
	struct stage *s = arg;
	(void)p, (void)req;
	s->ready = s->ready || number == MSG_ready;
}

void
stage_open(struct stage *s)
{
	static const struct answer none[] = {{MSG_NONE, NULL}};
	signal(SIGPIPE, SIG_IGN);
	s->base = event_base_new();
	assert_int_equal(hub_open(&s->monitor, s->base, PROCESS_MONITOR, 0, none), ERR_OK);
	s->monitor.on_control = on_control;
	s->monitor.arg = s;
}

void
stage_peer(struct stage *s, struct hub *hub, enum process self, const struct answer *answers)
{
	assert_true(s->peers_n < STAGE_PEERS_MAX);
	assert_int_equal(hub_open(hub, s->base, self, 0, answers), ERR_OK);
	s->peers[s->peers_n++] = hub;
}

static void
give(struct stage *s, sp_gift what, enum process process, int fd)
{
	sp_give_req g = sp_give_req_init_zero;
	g.what = what;
	g.process = (uint32_t)process;
	g.epoch = 1;
	g.number = s->owner;
	snprintf(g.name, sizeof g.name, "%s", what == sp_GIFT_LISTEN ? process_name(s->process) : "");
	assert_int_equal(hub_give(hub_peer(&s->monitor, s->process, 0), MSG_give, &g, fd), ERR_OK);
	if (fd >= 0)
		close(fd);
}

static int
memory_with(const char *text, size_t bytes)
{
	int fd = memfd_create("gift", MFD_CLOEXEC);
	assert_true(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	assert_int_equal(pwrite(fd, text, bytes, 0), (ssize_t)bytes);
	return fd;
}

static void
pair_of(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
}

static void
launch(struct stage *s)
{
	int pair[2];
	pair_of(pair);
	s->child = fork();
	if (s->child == 0) {
		dup2(pair[1], 3);
#ifdef SANITIZERS
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* it would have to trace what must not be traced */
#endif
		execl(s->program, process_name(s->process), (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	assert_int_equal(hub_attach(hub_peer(&s->monitor, s->process, 0), pair[0], 0), ERR_OK);
}

/* Left unburied: the tests bury their dead themselves. */
static bool
has_ended(const struct stage *s)
{
	siginfo_t info = {0};
	return waitid(P_PID, (id_t)s->child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == s->child;
}

void
stage_start(struct stage *s)
{
	sp_go_req go = sp_go_req_init_zero;
	static struct page page; /* all zero but for who it is of, as the monitor makes it */
	page.process = s->process;
	int page_fd = memory_with((const char *)&page, sizeof page);

	launch(s);
	s->ready = false;
	s->page = mmap(NULL, sizeof *s->page, PROT_READ, MAP_SHARED, page_fd, 0);
	assert_ptr_not_equal(s->page, MAP_FAILED);
	give(s, sp_GIFT_PAGE, s->process, page_fd);
	give(s, sp_GIFT_CONFIG, s->process, memory_with(s->conf, strlen(s->conf)));
	give(s, sp_GIFT_DIR, s->process, open(s->dir, O_RDONLY | O_DIRECTORY));
	give(s, sp_GIFT_OWNER, s->process, -1);
	if (s->listen_fd >= 0)
		give(s, sp_GIFT_LISTEN, s->process, dup(s->listen_fd));
	for (unsigned i = 0; i < s->peers_n; i++) {
		int pair[2];
		pair_of(pair);
		assert_int_equal(hub_attach(hub_peer(s->peers[i], s->process, 0), pair[0], 1), ERR_OK);
		give(s, sp_GIFT_PEER, s->peers[i]->self, pair[1]);
	}
	assert_int_equal(peer_tell(hub_peer(&s->monitor, s->process, 0), MSG_go, &go), ERR_OK);
	while (!s->ready) {
		stage_turn(s);
		if (has_ended(s))
			fail_msg("%s ended before it was ready (run this in the build directory)", s->program);
	}
	assert_int_equal(atomic_load(&s->page->state), PAGE_SERVING);
}

void
stage_turn(struct stage *s)
{
	hub_turn(&s->monitor);
	for (unsigned i = 0; i < s->peers_n; i++)
		hub_turn(s->peers[i]);
	event_base_loop(s->base, EVLOOP_ONCE);
}

int
stage_stop(struct stage *s)
{
	sp_stop_req stop = {.grace_ms = 1000};
	int status;
	assert_int_equal(peer_tell(hub_peer(&s->monitor, s->process, 0), MSG_stop, &stop), ERR_OK);
	hub_turn(&s->monitor);
	assert_int_equal(waitpid(s->child, &status, 0), s->child);
	return status;
}
