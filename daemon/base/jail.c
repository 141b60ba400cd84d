#include "daemon/base/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/base/log.h"

/* Debian 12's headers know neither: the numbers are the kernel's ABI and never change. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE              65
#define PR_MDWE_REFUSE_EXEC_GAIN (1UL << 0)
#endif
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

/* linux/landlock.h, also as newer kernels have it. */
struct ruleset_attr {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* ABI 4 */
	uint64_t scoped;             /* ABI 6 */
};
struct path_attr {
	uint64_t allowed_access;
	int32_t parent_fd;
} __attribute__((packed));

#define RULE_PATH_BENEATH 1
#define CREATE_VERSION    1u
#define FS_EXECUTE        (UINT64_C(1) << 0)
#define FS_WRITE_FILE     (UINT64_C(1) << 1)
#define FS_READ_FILE      (UINT64_C(1) << 2)
#define FS_READ_DIR       (UINT64_C(1) << 3)
#define FS_REMOVE_DIR     (UINT64_C(1) << 4)
#define FS_REMOVE_FILE    (UINT64_C(1) << 5)
#define FS_MAKE_DIR       (UINT64_C(1) << 7)
#define FS_MAKE_REG       (UINT64_C(1) << 8)
#define FS_REFER          (UINT64_C(1) << 13) /* ABI 2 */
#define FS_TRUNCATE       (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV      (UINT64_C(1) << 15) /* ABI 5 */
#define FS_ABI_1          ((UINT64_C(1) << 13) - 1)
#define FS_OF_FILES       (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define NET_BIND_TCP      (UINT64_C(1) << 0)
#define NET_CONNECT_TCP   (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT    (UINT64_C(1) << 0)
#define SCOPE_SIGNAL      (UINT64_C(1) << 1)

static enum err
failed(const char *step)
{
	log_warn("sandbox step failed", LOG_S("step", step), LOG_S("cause", strerror(errno)));
	return ERR_JAIL;
}

enum err
jail_begin(void)
{
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		return failed("rlimit core");
#ifndef SANITIZERS
	/* the leak sanitizer attaches to us */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return failed("not dumpable");
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return failed("no_new_privs");
	return ERR_OK;
}

/* ── Landlock ── */

static uint64_t
fs_rights(unsigned abi)
{
	uint64_t all = FS_ABI_1;
	if (abi >= 2)
		all |= FS_REFER;
	if (abi >= 3)
		all |= FS_TRUNCATE;
	if (abi >= 5)
		all |= FS_IOCTL_DEV;
	return all;
}

static enum err
allow_path(int ruleset, const struct jail_path *path, uint64_t handled)
{
	uint64_t rights = FS_READ_FILE | FS_READ_DIR;
	struct stat st;
	enum err e = ERR_OK;
	if (path->write)
		rights |= FS_WRITE_FILE | FS_REMOVE_FILE | FS_REMOVE_DIR | FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE;
	int fd = path->dir_fd >= 0 ? path->dir_fd : open(path->path, O_PATH | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) /* what is not there need not be allowed */
		return ERR_OK;
	if (fd < 0)
		return failed(path->path);
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rights &= FS_OF_FILES;
	struct path_attr rule = {.allowed_access = rights & handled, .parent_fd = fd};
	if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0)
		e = failed(path->path ? path->path : "own directory");
	if (path->dir_fd < 0)
		close(fd);
	return e;
}

static enum err
restrict_paths(const struct jail_spec *s, unsigned abi)
{
	struct ruleset_attr attr = {.handled_access_fs = fs_rights(abi)};
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	enum err e = ERR_OK;
	if (abi >= 4)
		attr.handled_access_net = NET_BIND_TCP | (s->tcp_connect ? 0 : NET_CONNECT_TCP);
	if (abi >= 6)
		attr.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (ruleset < 0)
		return failed("landlock ruleset");
	for (size_t i = 0; i < s->paths_n && e == ERR_OK; i++)
		e = allow_path(ruleset, &s->paths[i], attr.handled_access_fs);
	if (e == ERR_OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		e = failed("landlock");
	close(ruleset);
	return e;
}

unsigned
jail_kernel_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	return abi > 0 ? (unsigned)abi : 0;
}

static void
describe(struct jail *j)
{
	char landlock[32] = "no landlock";
	if (j->landlock_abi)
		snprintf(landlock, sizeof landlock, "landlock %u", j->landlock_abi);
	if (j->calls)
		snprintf(j->text, sizeof j->text, "%u calls, %s%s", j->calls, landlock, j->mdwe ? ", mdwe" : "");
	else
		snprintf(j->text, sizeof j->text, "no call filter, %s%s", landlock, j->mdwe ? ", mdwe" : "");
}

enum err
jail_paths(const struct jail_spec *s, struct jail *out)
{
	*out = (struct jail){.calls = 0};
#ifndef SANITIZERS
	out->mdwe = prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
#endif
	out->landlock_abi = jail_kernel_abi();
	if (out->landlock_abi) {
		/* a kernel newer than this table: what it has more stays as it was */
		enum err e = restrict_paths(s, out->landlock_abi);
		if (e != ERR_OK)
			return e;
	}
	describe(out);
	return ERR_OK;
}

/* ── system calls ── */

static bool
allows(const struct jail_call *c)
{
	return c->number >= 0 && !c->refuse;
}

unsigned
jail_count(const struct jail_spec *s)
{
	unsigned n = s->threads_later; /* clone */
	for (size_t i = 0; i < s->calls_n; i++) {
		bool again = false;
		for (size_t j = 0; j < i && !again; j++)
			again = allows(&s->calls[j]) && s->calls[j].number == s->calls[i].number;
		n += allows(&s->calls[i]) && !again;
	}
	return n;
}

#ifndef SANITIZERS

/* Test installations: say which row is missing, and die of it. */
static void
on_sigsys(int signal_number, siginfo_t *info, void *context)
{
	char *name = seccomp_syscall_resolve_num_arch(info->si_arch, info->si_syscall);
	(void)context;
	log_fatal("system call is not in the jail", LOG_S("call", name ? name : "?"), LOG_I("number", info->si_syscall),
			  LOG_S("next", "add CALL(name, \"reason\") to policy/jail_<process>.def, or do without it"));
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	/* it is blocked while we handle it: without this we would end by a status and not by the signal */
	sigset_t it;
	sigemptyset(&it);
	sigaddset(&it, signal_number);
	sigprocmask(SIG_UNBLOCK, &it, NULL);
	_exit(1);
}

static enum err
trap_to_handler(void)
{
	struct sigaction act = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	return sigaction(SIGSYS, &act, NULL) == 0 ? ERR_OK : failed("sigaction");
}

static int
allow_call(scmp_filter_ctx ctx, const struct jail_call *c)
{
	if (c->number < 0) /* this architecture has no such call */
		return 0;
	if (c->refuse)
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO((unsigned)c->refuse), c->number, 0);
	if (c->arg < 0)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, c->number, 0);
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, c->number, 1,
							SCMP_CMP((unsigned)c->arg, SCMP_CMP_MASKED_EQ, c->mask, c->want));
}

static int
allow_threads(scmp_filter_ctx ctx)
{
	/* clone3's flags lie in memory where a filter can't see them: libc then falls back to clone */
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return rc ? rc
			  : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
								 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

static enum err
filter_calls(const struct jail_spec *s, struct jail *out)
{
	enum err e = ERR_OK;
	int rc = 0;
	if (s->trap && (e = trap_to_handler()) != ERR_OK)
		return e;
	scmp_filter_ctx ctx = seccomp_init(s->trap ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return failed("seccomp");
	rc |= seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	rc |= seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	/* a tree instead of a chain: the cost of a call no longer depends on its row */
	rc |= seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < s->calls_n && rc == 0; i++) {
		rc = allow_call(ctx, &s->calls[i]);
		if (rc == -EEXIST) /* the common rows and a process's own may name the same call */
			rc = 0;
	}
	if (rc == 0 && s->threads_later)
		rc = allow_threads(ctx);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc != 0) {
		errno = rc < 0 ? -rc : EINVAL;
		return failed("seccomp");
	}
	out->calls = jail_count(s);
	return ERR_OK;
}
#endif

enum err
jail_calls(const struct jail_spec *s, struct jail *out)
{
#ifdef SANITIZERS
	/* the sanitizers' runtimes make calls of their own at any time */
	(void)s;
#else
	enum err e = filter_calls(s, out);
	if (e != ERR_OK)
		return e;
#endif
	describe(out);
	return ERR_OK;
}
