/*
 * Every system call of this machine, tried in every process's jail: what has a row comes back, what has none kills. The
 * rows are read here a second time, from policy/jail_*.def, so that the loader is checked against the tables. Planted
 * fault: the same comparison with one row taken away has to find exactly that call.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <seccomp.h>

#include "daemon/wire/jails.h"

#define CALLS 471

enum expected { KILLED, RETURNS, EITHER };
struct table {
	enum expected of[CALLS];
};

static void
expect_call(struct table *t, int number, enum expected e)
{
	/* a call that is allowed for some arguments may or may not take ours */
	if (number >= 0 && number < CALLS && t->of[number] != RETURNS)
		t->of[number] = e;
}

#define CALL(name, reason)                     expect_call(t, SCMP_SYS(name), RETURNS);
#define CALL_IF(name, arg, mask, want, reason) expect_call(t, SCMP_SYS(name), EITHER);
#define REFUSE(name, with, reason)             expect_call(t, SCMP_SYS(name), RETURNS);
#define PATH(access, where, reason)
#define THREADS(reason)                      \
	expect_call(t, SCMP_SYS(clone), EITHER); \
	expect_call(t, SCMP_SYS(clone3), EITHER);
#define TCP_CONNECT(reason)

#define READ(process) static void read_##process(struct table *t)
READ(common){
#include "policy/jail_common.def"
} READ(hsm){
#include "policy/jail_hsm.def"
} READ(vault){
#include "policy/jail_vault.def"
} READ(ledger){
#include "policy/jail_ledger.def"
} READ(courier){
#include "policy/jail_courier.def"
} READ(herald){
#include "policy/jail_herald.def"
} READ(gate){
#include "policy/jail_gate.def"
} READ(desk)
{
#include "policy/jail_desk.def"
}

static const struct {
	enum process process;
	void (*read)(struct table *t);
} jails[] = {{PROCESS_HSM, read_hsm},         {PROCESS_VAULT, read_vault},   {PROCESS_LEDGER, read_ledger},
			 {PROCESS_COURIER, read_courier}, {PROCESS_HERALD, read_herald}, {PROCESS_GATE, read_gate},
			 {PROCESS_DESK, read_desk}};
#define JAILS (sizeof jails / sizeof *jails)

static char place[] = "/tmp/sp-probe.XXXXXX";

/* In a child: into the jail, then the one call. A call that waits is ended by the alarm. */
static int
try_call(enum process p, int number)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct jail jail;
		int dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* the test runner's handlers would tell the child's crash as its own */
		for (int n = 1; n < 32; n++)
			signal(n, SIG_DFL);
		alarm(2);
		/* the log's line of a killed child is not wanted here */
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		if (dir < 0 || jail_begin() != ERR_OK || jails_enter(p, dir, NULL, false, &jail) != ERR_OK)
			_exit(99);
		syscall(number, -1L, -1L, -1L, -1L, -1L, -1L);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 99);
	return status;
}

static void
outcomes(enum process p, bool killed[CALLS])
{
	for (int n = 0; n < CALLS; n++) {
		int status = try_call(p, n);
		killed[n] = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
	}
}

/* How many calls do not do what the table says; the last of them in *which. */
static int
differences(enum process p, const struct table *t, const bool killed[CALLS], int *which, bool tell)
{
	int n = 0;
	for (int i = 0; i < CALLS; i++) {
		/* the kernel's own trampolines for uprobes pass every filter (x86, since 6.11) and do nothing by themselves */
		if (i == 335 || i == 336)
			continue;
		if (t->of[i] == EITHER || (t->of[i] == KILLED) == killed[i])
			continue;
		n++;
		*which = i;
		if (tell)
			print_message("%s: call %d %s\n", process_name(p), i,
						  killed[i] ? "has a row and kills" : "has no row and comes back");
	}
	return n;
}

static void
every_call_in_every_jail(void **state)
{
	static bool killed[CALLS];
	(void)state;
	for (size_t j = 0; j < JAILS; j++) {
		struct table t = {{KILLED}};
		int which = -1;
		read_common(&t);
		jails[j].read(&t);
		outcomes(jails[j].process, killed);
		assert_int_equal(differences(jails[j].process, &t, killed, &which, true), 0);
		/* the planted fault: as if write had no row */
		t.of[SYS_write] = KILLED;
		assert_int_equal(differences(jails[j].process, &t, killed, &which, false), 1);
		assert_int_equal(which, SYS_write);
		/* what must never be anywhere, whatever the tables say */
		assert_true(killed[SYS_execve] && killed[SYS_ptrace] && killed[SYS_setuid] && killed[SYS_mount]);
		assert_true(killed[SYS_process_vm_readv] && killed[SYS_bpf] && killed[SYS_listen] && killed[SYS_bind]);
	}
}

/* The directories of others, the system's secrets and the rest of the world. */
static void
no_path_leads_out(void **state)
{
	/* the last two are everybody's: Landlock alone stands before them */
	static const char *const outside[] = {"/etc/shadow", "/root", "/etc/sallyport/tls", "/proc/1/environ", "/dev/mem",
										  "/home",       "/tmp",  "/etc/passwd"};
	(void)state;
	for (size_t j = 0; j < JAILS; j++) {
		int status;
		pid_t pid = fork();
		if (pid == 0) {
			struct jail jail;
			int dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
			/* desk may read /etc, for its group: what must stop it at /etc/shadow is its user */
			if (jails[j].process == PROCESS_DESK && geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
				_exit(99);
			if (dir < 0 || jail_begin() != ERR_OK || jails_enter(jails[j].process, dir, NULL, false, &jail) != ERR_OK)
				_exit(99);
			/* desk and gate may not even ask; that ends them, which is an answer too */
			size_t n = sizeof outside / sizeof *outside - (jails[j].process == PROCESS_DESK);
			for (size_t i = 0; i < n; i++)
				if (open(outside[i], O_RDONLY) >= 0)
					found = 10 + (int)i;
			_exit(found);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
			fail_msg("%s: %s", process_name(jails[j].process),
					 WEXITSTATUS(status) == 99 ? "the jail can't be entered" : outside[WEXITSTATUS(status) - 10]);
		assert_true(WIFEXITED(status) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_call_in_every_jail), cmocka_unit_test(no_path_leads_out)};
#ifdef SANITIZERS
	puts("the sanitizers leave the jail open: nothing to probe");
	return 77;
#endif
	if (!mkdtemp(place))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(place);
	return failed;
}
