/*
 * The HSM's module as the broker would find it: the broker's own program looks, as the broker's user, without a log-in.
 * This command loads no module itself: what a vendor's library does must not happen in root's process.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "console/ctl/doctor.h"
#include "console/ctl/layout.h"
#include "daemon/base/clock.h"

#define LOOK_MS   4000 /* a module that is not there by then hangs */
#define LOOK_SAYS 256
/* What our child says when it did not get as far as looking. */
#define CANT_LOOK 126
#define CANT_FIND 127

/* Which program looks: a test installation may have others, as for sallyportd. */
static bool
find_program(const struct doctor *d, char path[PATH_BYTES])
{
	const char *libexec = d->test ? getenv("SALLYPORT_LIBEXEC") : NULL;
	return ctl_path(path, libexec ? libexec : LIBEXECDIR, "hsm") == ERR_OK;
}

/* As the broker's user, where it keeps its files; false: this user can't. */
static bool
become_broker(const struct doctor *d, bool there)
{
	char dir[PATH_BYTES];
	if (geteuid() == 0 && d->owner == 0) {
		const struct passwd *pw = getpwnam("sallyport-hsm");
		if (!pw || setgroups(1, &pw->pw_gid) != 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) != 0 ||
			setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) != 0)
			return false;
	}
	return !there || (ctl_path(dir, d->run->paths.state, "hsm") == ERR_OK && chdir(dir) == 0);
}

_Noreturn static void
look(const struct doctor *d, const char *program, bool there, int out)
{
	static char environment[256], *variables[64];
	char *save = NULL;
	unsigned n = 0;
	const char *module = conf_text(d->conf, CONF_HSM_MODULE);
	const char *token = there ? conf_text(d->conf, CONF_HSM_TOKEN) : NULL;
	const char *software = there && conf_bool(d->conf, CONF_HSM_SOFTWARE) ? "software" : NULL;
	const char *const argv[] = {"hsm", "--look", module, token, software, NULL};
	/* nothing of ours, and what the configuration says that the module wants */
	snprintf(environment, sizeof environment, "%s", conf_text(d->conf, CONF_HSM_ENVIRONMENT));
	for (char *w = strtok_r(environment, " ", &save); w && n < 63; w = strtok_r(NULL, " ", &save))
		variables[n++] = w;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) != 0 || dup2(null, 2) != 2 || dup2(out, 1) != 1)
		_exit(CANT_LOOK);
	int at = open(program, O_PATH | O_CLOEXEC); /* while we still may: a tree may be closed to the broker's user */
	if (at < 0 || !become_broker(d, there))
		_exit(errno == ENOENT && at < 0 ? CANT_FIND : CANT_LOOK);
	fexecve(at, (char *const *)(uintptr_t)argv, variables);
	_exit(CANT_LOOK);
}

/* Its line, "" when it said nothing in time; its wait status. */
static int
hear(pid_t pid, int in, char said[LOOK_SAYS])
{
	int64_t until_ms = clock_mono_ms() + LOOK_MS;
	size_t n = 0;
	int status = 0;
	for (;;) {
		struct pollfd p = {.fd = in, .events = POLLIN};
		int64_t left = until_ms - clock_mono_ms();
		if (left <= 0 || poll(&p, 1, (int)left) != 1)
			break;
		ssize_t got = read(in, said + n, LOOK_SAYS - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	said[n] = 0;
	said[strcspn(said, "\n")] = 0;
	if (clock_mono_ms() >= until_ms)
		kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static enum err
err_of_code(const char *code)
{
	for (int e = 0; e < ERR_MAX; e++)
		if (strcmp(err_code((enum err)e), code) == 0)
			return (enum err)e;
	return ERR_INTERNAL;
}

/* What it said, as a verdict: "code what the module said". */
static void
judge(const struct doctor *d, char *said, int status, struct verdict *v)
{
	const char *module = conf_text(d->conf, CONF_HSM_MODULE);
	char *more = said + strcspn(said, " ");
	if (WIFEXITED(status) && (WEXITSTATUS(status) == CANT_LOOK || WEXITSTATUS(status) == CANT_FIND)) {
		bool gone = WEXITSTATUS(status) == CANT_FIND;
		doctor_warn(v, gone ? "not checked: the HSM's broker, which would look, is not installed"
							: "not checked: this user can't look as the HSM's broker does");
		doctor_next(v, gone ? "install the package again" : "run it as root, or as the installation's owner");
		v->unchecked = true;
		return;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !said[0]) {
		bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
		doctor_fail(v, late ? "%s does not answer within %d s" : "%s ends the program that loads it", module,
					LOOK_MS / 1000);
		doctor_next(v, "ask the module's maker; its own tools tell more");
		return;
	}
	if (*more)
		*more++ = 0;
	if (strcmp(said, "ok") == 0) {
		doctor_ok(v, "%s", module);
		return;
	}
	enum err e = err_of_code(said);
	doctor_fail(v, "%s: %s%s%s", module, err_title(e), *more ? ": " : "", more);
	doctor_next(v, "%s", err_next(e));
}

static void
ask(const struct doctor *d, bool there, struct verdict *v)
{
	char program[PATH_BYTES], said[LOOK_SAYS];
	int fds[2];
	if (!find_program(d, program) || pipe2(fds, O_CLOEXEC) != 0) {
		doctor_fail(v, "%s", err_title(ERR_MEMORY));
		doctor_next(v, "%s", err_next(ERR_MEMORY));
		return;
	}
	pid_t pid = fork();
	if (pid == 0)
		look(d, program, there, fds[1]);
	close(fds[1]);
	int status = pid > 0 ? hear(pid, fds[0], said) : -1;
	close(fds[0]);
	judge(d, said, status, v);
}

void
doctor_hsm_loads(const struct doctor *d, const char *arg, struct verdict *v)
{
	struct verdict file;
	(void)arg;
	doctor_stores_module(d, "", &file);
	if (file.result == DOCTOR_FAIL)
		doctor_blocked(v, "hsm.module");
	else
		ask(d, false, v);
}

void
doctor_hsm_token(const struct doctor *d, const char *arg, struct verdict *v)
{
	struct verdict before;
	(void)arg;
	doctor_hsm_loads(d, "", &before);
	if (before.result == DOCTOR_FAIL || before.unchecked) {
		doctor_blocked(v, "hsm.loads");
		return;
	}
	doctor_stores_tokens(d, "", &before);
	if (before.result == DOCTOR_FAIL)
		doctor_blocked(v, "hsm.tokens");
	else
		ask(d, true, v);
}
