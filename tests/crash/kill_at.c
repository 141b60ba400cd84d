/*
 * kill_at PID N — lets a process run until it is about to make its N-th system call from now on, and kills it there.
 * Prints "ready" when it counts, and at the end "killed NUMBER" (of the call) or "ended" when the process went by
 * itself. SIGTERM ends it without a kill: it prints "counted N". Threads are not followed: the processes that this is
 * for have one.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/ptrace.h>

static volatile sig_atomic_t enough;

static void
stop(int number)
{
	(void)number;
	enough = 1;
}

static int
give_up(const char *what)
{
	perror(what);
	return 2;
}

/* The call that the process is stopped at, or -1. */
static long
call_of(pid_t pid)
{
	struct ptrace_syscall_info info;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return -1;
	return (long)info.entry.nr;
}

int
main(int argc, char **argv)
{
	struct sigaction act = {.sa_handler = stop};
	int status = 0;
	unsigned long seen = 0, n = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	pid_t pid = argc == 3 ? (pid_t)strtol(argv[1], NULL, 10) : 0;
	if (pid <= 1 || n == 0) {
		fprintf(stderr, "kill_at PID N\n");
		return 2;
	}
	sigaction(SIGTERM, &act, NULL);
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(long)PTRACE_O_TRACESYSGOOD) != 0)
		return give_up("seize");
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0)
		return give_up("interrupt");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (bool told = false;;) {
		pid_t got = waitpid(pid, &status, 0);
		if (enough) {
			printf("counted %lu\n", seen);
			return 0;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got != pid || WIFEXITED(status) || WIFSIGNALED(status)) {
			printf("ended\n");
			return 1;
		}
		if (!told)
			puts("ready");
		told = true;
		int what = WSTOPSIG(status), deliver = 0;
		if (what == (SIGTRAP | 0x80)) {
			long call = call_of(pid);
			if (call >= 0 && ++seen == n) {
				kill(pid, SIGKILL);
				printf("killed %ld\n", call);
				return 0;
			}
		} else if (what != SIGTRAP && status >> 16 == 0) {
			deliver = what;
		}
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)deliver) != 0) {
			printf("ended\n");
			return 1;
		}
	}
}
