#include "daemon/monitor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/log.h"

#define ENV_MAX 10

/* What a child may see of our environment: how to log, and the sanitizers' settings in test installations. */
static void
fill_env(const struct site *s, const char *env[ENV_MAX], char text[ENV_MAX][256])
{
	static const char *const always[] = {"JOURNAL_STREAM", NULL};
	static const char *const tests[] = {"JOURNAL_STREAM", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", NULL};
	unsigned n = 0;
	env[n++] = "PATH=/usr/bin:/bin";
	env[n++] = "LC_ALL=C.UTF-8";
	env[n++] = "TZ=UTC";
	for (const char *const *name = s->test ? tests : always; *name; name++) {
		const char *value = getenv(*name);
		if (value && snprintf(text[n], sizeof text[n], "%s=%s", *name, value) < (int)sizeof text[n]) {
			env[n] = text[n];
			n++;
		}
	}
#ifdef SANITIZERS
	/* the leak check at the end stops other threads by ptrace, which the jail does not have; the units do it */
	if (!getenv("ASAN_OPTIONS"))
		env[n++] = "ASAN_OPTIONS=detect_leaks=0";
#endif
	env[n] = NULL;
}

static bool
become(const struct site *s, enum process p)
{
	gid_t gid = s->users[p].gid;
	if (!s->root)
		return true;
	return setgroups(1, &gid) == 0 && setresgid(gid, gid, gid) == 0 &&
		   setresuid(s->users[p].uid, s->users[p].uid, s->users[p].uid) == 0;
}

/* Descriptors 0 to 3 and the binary; all others of ours are close-on-exec. */
static bool
arrange_fds(int control, int *binary)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* out of the way of 3, before 3 is taken */
	int own = fcntl(control, F_DUPFD_CLOEXEC, 10);
	*binary = fcntl(*binary, F_DUPFD_CLOEXEC, 11);
	/* stdout is the monitor's: whoever started it waits there for one line */
	return null >= 0 && own >= 0 && *binary >= 0 && dup2(null, 0) == 0 && dup2(2, 1) == 1 && dup2(own, 3) == 3 &&
		   close_range(4, ~0U, CLOSE_RANGE_CLOEXEC) == 0;
}

_Noreturn static void
run(const struct site *s, enum process process, unsigned index, int control, pid_t parent)
{
	char title[24], text[ENV_MAX][256];
	const char *env[ENV_MAX];
	int binary = s->binaries[process];
	sigset_t none;
	if (process_instances(process) > 1)
		snprintf(title, sizeof title, "%s/%u", process_name(process), index);
	else
		snprintf(title, sizeof title, "%s", process_name(process));
	char *const argv[] = {title, NULL};
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(077);
	if (chdir("/") != 0) /* where we were started from is nobody's business */
		_exit(126);
	fill_env(s, env, text);
	if (!arrange_fds(control, &binary) || !become(s, process))
		_exit(126);
	/* after the change of user, which clears it; the parent may have died before */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	fexecve(binary, argv, (char *const *)(uintptr_t)env);
	log_fatal("a program can't be run", LOG_S("process", title), LOG_S("cause", strerror(errno)));
	_exit(127);
}

enum err
child_start(const struct site *s, enum process process, unsigned index, int control, pid_t *pid_out)
{
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return ERR_MEMORY;
	if (pid == 0)
		run(s, process, index, control, parent);
	*pid_out = pid;
	return ERR_OK;
}

void
child_kill(const struct site *s, enum process process, pid_t pid)
{
	/* not yet dropped, or the same user, or a host that leaves us the right */
	if (kill(pid, SIGKILL) == 0 || errno != EPERM)
		return;
	/* the pid is our child's and unburied, so it is nobody else's; the messenger is buried with all others */
	pid_t messenger = fork();
	if (messenger == 0)
		_exit(become(s, process) && kill(pid, SIGKILL) == 0 ? 0 : 126);
	if (messenger < 0)
		log_warn("a process can't be killed", LOG_S("process", process_name(process)), LOG_S("cause", strerror(errno)));
}
