/*
 * wire_bench — questions and answers per second between two processes, one at a time and many at once.
 * usage: wire_bench [seconds]. Prints one line per depth: round trips per second and CPU microseconds of both ends.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/hub.h"

static unsigned in_flight;
static uint64_t done;

static void
answer_token_facts(struct call *c, const void *req)
{
	const sp_token_facts_req *r = req;
	sp_token_facts_rep rep = sp_token_facts_rep_init_zero;
	rep.has_token = true;
	memcpy(rep.token.id, r->token, sizeof rep.token.id - 1);
	call_reply(c, ERR_OK, &rep);
}

static void
count(void *arg, enum err e, const void *rep)
{
	(void)arg, (void)rep;
	if (e != ERR_OK)
		abort();
	in_flight--;
	done++;
}

static const struct answer none[] = {{MSG_NONE, NULL}};
static const struct answer answers[] = {{MSG_token_facts, answer_token_facts}, {MSG_NONE, NULL}};

static struct peer *
open_end(struct hub *h, enum process self, enum process other, int fd)
{
	struct event_base *base = event_base_new();
	if (!base || hub_open(h, base, self, 0, self == PROCESS_VAULT ? answers : none) != ERR_OK)
		abort();
	struct peer *p = hub_peer(h, other, 0);
	if (!p || hub_attach(p, fd, 1) != ERR_OK)
		abort();
	hub_turn(h);
	return p;
}

_Noreturn static void
be_vault(int fd)
{
	static struct hub h;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct peer *p = open_end(&h, PROCESS_VAULT, PROCESS_LEDGER, fd);
	do
		hub_once(&h);
	while (p->fd >= 0);
	exit(0);
}

static double
cpu_us(int who)
{
	struct rusage r;
	getrusage(who, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

/* Keeps `depth` questions under way until the time is over, then waits for the last. */
static void
ask_all(struct hub *h, struct peer *vault, unsigned depth, int64_t end_us)
{
	const sp_token_facts_req req = {.token = "tok_01234567890123456789012345", .merchant = "demo"};
	bool time_left = true;
	while (time_left || in_flight) {
		time_left = clock_mono_us() < end_us;
		for (; time_left && in_flight < depth; in_flight++)
			if (ask_token_facts(vault, &req, 10000, count, NULL) != ERR_OK)
				abort();
		hub_turn(h);
		if (in_flight)
			hub_once(h);
	}
}

static void
run(unsigned depth, double seconds)
{
	static struct hub h;
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		abort();
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		be_vault(fds[1]);
	}
	close(fds[1]);
	struct peer *vault = open_end(&h, PROCESS_LEDGER, PROCESS_VAULT, fds[0]);
	double cpu = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN);
	int64_t begin = clock_mono_us();
	done = in_flight = 0;
	ask_all(&h, vault, depth, begin + (int64_t)(seconds * 1e6));
	double took = (double)(clock_mono_us() - begin) / 1e6;
	hub_close(&h);
	waitpid(pid, NULL, 0);
	cpu = cpu_us(RUSAGE_SELF) + cpu_us(RUSAGE_CHILDREN) - cpu;
	printf("depth %3u: %9.0f round trips/s, %6.2f us CPU each (both ends)\n", depth, (double)done / took,
		   cpu / (double)done);
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0); /* a fork must not copy what is not yet written */
	double seconds = argc > 1 ? atof(argv[1]) : 2;
	static const unsigned depths[] = {1, 8, 32, 256};
	for (unsigned i = 0; i < sizeof depths / sizeof *depths; i++)
		run(depths[i], seconds);
	return 0;
}
