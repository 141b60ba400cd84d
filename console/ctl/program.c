#include "console/ctl/program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/mem.h"

#define SYSTEMCTL "/usr/bin/systemctl"

static void
read_all(int fd, char *out, size_t size)
{
	size_t n = 0;
	for (char rest[256];;) {
		bool room = n + 1 < size;
		ssize_t got = read(fd, room ? out + n : rest, room ? size - 1 - n : sizeof rest);
		if (got <= 0)
			break;
		n += room ? (size_t)got : 0;
		mem_wipe(rest, sizeof rest);
	}
	out[n] = 0;
}

static int
run(const char *const argv[], char *out, size_t size, bool quietly)
{
	int fds[2] = {-1, -1}, status;
	if (out && pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (out)
			dup2(fds[1], STDOUT_FILENO);
		int null = quietly ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
		if (null >= 0)
			dup2(null, STDERR_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (out) {
		close(fds[1]);
		read_all(fds[0], out, size);
		close(fds[0]);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
program_run(const char *const argv[], char *out, size_t size)
{
	return run(argv, out, size, false);
}

int
program_run_quietly(const char *const argv[], char *out, size_t size)
{
	return run(argv, out, size, true);
}

int
program_feed(const char *const argv[], const void *bytes, size_t n)
{
	int fds[2], status;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(fds[0], STDIN_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fds[0]);
	bool put = n == 0 || write(fds[1], bytes, n) == (ssize_t)n;
	close(fds[1]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !put)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t
program_service(const char *verb)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDOUT_FILENO);
	/* a terminal's Ctrl-C goes to a whole group */
	setpgid(0, 0);
	signal(SIGINT, SIG_IGN);
	execl(SYSTEMCTL, "systemctl", verb, PROGRAM_UNIT, (char *)NULL);
	_exit(127);
}

bool
program_service_changing(void)
{
	const char *const argv[] = {SYSTEMCTL, "show", "-p", "ActiveState", "-p", "Job", PROGRAM_UNIT, NULL};
	char said[256];
	if (program_run(argv, said, sizeof said) != 0)
		return false;
	/* "Job=0" on systemd 252, no such line on 257, when nothing waits */
	const char *job = strstr(said, "Job=");
	return strstr(said, "=activating") || strstr(said, "=deactivating") || (job && job[4] >= '1' && job[4] <= '9');
}
