/* What the host gives. Facts that the appliance can live with are warnings. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "console/ctl/doctor.h"

/* Debian 12's headers know not all: the numbers are the kernel's ABI and never change. */
#define GET_MDWE             66
#define ACTION_AVAIL         2u
#define ACTION_KILL          0x80000000u
#define CALL_LANDLOCK_CREATE 444
#define LANDLOCK_VERSION     1u
#define LANDLOCK_TCP         4 /* the ABI that limits TCP */
#define CALL_MEMFD_SECRET    447
#define MEMLOCK_LEAST        ((rlim_t)64 << 20)   /* as the unit sets it */
#define FILES_BESIDE         64                   /* of a gate: its stores' pages, sockets to others, logs */
#define MARGIN_MAX           (UINT64_C(16) << 20) /* as the vault has it */
#define KERNEL_LEAST_MAJOR   6
#define KERNEL_LEAST_MINOR   1

void
doctor_host_clock(const struct doctor *d, const char *arg, struct verdict *v)
{
	struct timex t = {0};
	(void)d, (void)arg;
	int state = adjtimex(&t);
	if (state >= 0 && state != TIME_ERROR && !(t.status & STA_UNSYNC)) {
		doctor_ok(v, "the clock is synchronised");
		return;
	}
	doctor_warn(v, "no time service keeps the clock: records carry times that nobody vouches for");
	doctor_next(v, "install and start one: apt-get install chrony");
}

void
doctor_host_swap(const struct doctor *d, const char *arg, struct verdict *v)
{
	char text[1024];
	unsigned lines = 0;
	FILE *f = fopen("/proc/swaps", "re");
	(void)d, (void)arg;
	while (f && fgets(text, sizeof text, f))
		lines += strchr(text, '\n') != NULL;
	if (f)
		fclose(f);
	if (lines <= 1) {
		doctor_ok(v, "there is no swap");
		return;
	}
	doctor_warn(v, "%u swap areas: keys are locked in memory, but request bodies could reach a disk", lines - 1);
	doctor_next(v, "swapoff -a and take it out of /etc/fstab, or encrypt it with a key of each start");
}

void
doctor_host_core(const struct doctor *d, const char *arg, struct verdict *v)
{
	char text[128];
	(void)d, (void)arg;
	if (!doctor_kernel("/proc/sys/kernel/core_pattern", text) || text[0] != '|') {
		doctor_ok(v, "cores are files; the appliance's processes make none");
		return;
	}
	doctor_warn(v, "a program is given cores; the appliance's processes are not dumpable, other programs are");
	doctor_next(v, "sysctl kernel.core_pattern=core, or see what its program keeps");
}

void
doctor_host_kernel(const struct doctor *d, const char *arg, struct verdict *v)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	(void)d, (void)arg;
	if (uname(&u) == 0 && sscanf(u.release, "%3u.%3u", &major, &minor) == 2 &&
		(major > KERNEL_LEAST_MAJOR || (major == KERNEL_LEAST_MAJOR && minor >= KERNEL_LEAST_MINOR))) {
		doctor_ok(v, "Linux %u.%u", major, minor);
		return;
	}
	doctor_warn(v, "Linux %u.%u is older than those that the appliance is tried on (%d.%d)", major, minor,
				KERNEL_LEAST_MAJOR, KERNEL_LEAST_MINOR);
	doctor_next(v, "install the distribution's current kernel");
}

static long
landlock_abi(void)
{
	return syscall(CALL_LANDLOCK_CREATE, NULL, 0, LANDLOCK_VERSION);
}

void
doctor_host_landlock(const struct doctor *d, const char *arg, struct verdict *v)
{
	long abi = landlock_abi();
	(void)d, (void)arg;
	if (abi >= LANDLOCK_TCP) {
		doctor_ok(v, "ABI %ld", abi);
		return;
	}
	if (abi > 0)
		doctor_warn(v, "ABI %ld limits files but not TCP", abi);
	else
		doctor_warn(v, "the kernel has no Landlock: only the filter of system calls and the users stand");
	doctor_next(v, abi > 0 ? "a kernel of 6.7 or newer" : "boot with lsm=landlock,… or a kernel that has it");
}

void
doctor_host_seccomp(const struct doctor *d, const char *arg, struct verdict *v)
{
	unsigned action = ACTION_KILL;
	(void)d, (void)arg;
	if (syscall(SYS_seccomp, ACTION_AVAIL, 0, &action) == 0) {
		doctor_ok(v, "a call that is not allowed ends its process");
		return;
	}
	/* no process of ours would start */
	doctor_fail(v, "the kernel can't filter system calls: %s", strerror(errno));
	doctor_next(v, "a kernel with CONFIG_SECCOMP_FILTER");
}

void
doctor_host_mdwe(const struct doctor *d, const char *arg, struct verdict *v)
{
	(void)d, (void)arg;
	if (prctl(GET_MDWE, 0, 0, 0, 0) >= 0) {
		doctor_ok(v, "the kernel has it");
		return;
	}
	doctor_warn(v, "the kernel lacks PR_SET_MDWE");
	doctor_next(v, "a kernel of 6.3 or newer; until then the unit's MemoryDenyWriteExecute= stands in");
}

void
doctor_host_memfd(const struct doctor *d, const char *arg, struct verdict *v)
{
	int fd = (int)syscall(CALL_MEMFD_SECRET, 0);
	(void)d, (void)arg;
	if (fd >= 0) {
		close(fd);
		doctor_ok(v, "the kernel has memfd_secret");
		return;
	}
	doctor_warn(v, "no memfd_secret (%s): keys lie in locked pages, which root can read", strerror(errno));
	doctor_next(v, "boot with secretmem.enable=1, or a kernel of 6.5 or newer");
}

/* The limit that the appliance runs with, or that it would get from us. */
static rlim_t
limit_of(const struct doctor *d, int resource)
{
	struct rlimit own = {0, 0};
	uint32_t monitor = doctor_monitor(d);
	if (!monitor || prlimit((pid_t)monitor, (enum __rlimit_resource)resource, NULL, &own) != 0)
		prlimit(0, (enum __rlimit_resource)resource, NULL, &own);
	return own.rlim_cur;
}

void
doctor_host_memlock(const struct doctor *d, const char *arg, struct verdict *v)
{
	rlim_t have = limit_of(d, RLIMIT_MEMLOCK);
	(void)arg;
	if (have >= MEMLOCK_LEAST) {
		doctor_ok(v, "at least %llu MiB may be locked", (unsigned long long)MEMLOCK_LEAST >> 20);
		return;
	}
	doctor_warn(v, "%llu KiB may be locked; the service's unit allows %llu", (unsigned long long)have >> 10,
				(unsigned long long)MEMLOCK_LEAST >> 10);
	doctor_next(v, "LimitMEMLOCK=64M in the unit, or ulimit -l 65536 before sallyportd");
}

void
doctor_host_files(const struct doctor *d, const char *arg, struct verdict *v)
{
	rlim_t have = limit_of(d, RLIMIT_NOFILE), need = (rlim_t)conf_int(d->conf, CONF_GATE_CONNECTIONS) + FILES_BESIDE;
	(void)arg;
	if (have >= need) {
		doctor_ok(v, "%llu files may be open, %llu are needed", (unsigned long long)have, (unsigned long long)need);
		return;
	}
	doctor_warn(v, "only %llu files may be open; gate.connections needs %llu", (unsigned long long)have,
				(unsigned long long)need);
	doctor_next(v, "LimitNOFILE=65536 in the unit, or ulimit -n %llu before sallyportd", (unsigned long long)need);
}

void
doctor_host_ptrace(const struct doctor *d, const char *arg, struct verdict *v)
{
	char text[128];
	(void)d, (void)arg;
	if (doctor_kernel("/proc/sys/kernel/yama/ptrace_scope", text) && text[0] >= '1') {
		doctor_ok(v, "ptrace_scope is %c", text[0]);
		return;
	}
	doctor_warn(v, text[0] ? "any process may trace another of its user; ours are not dumpable and refuse it"
						   : "the kernel has no Yama; our processes are not dumpable and refuse to be traced");
	doctor_next(v, text[0] ? "sysctl kernel.yama.ptrace_scope=1" : "boot with lsm=yama,… or a kernel that has it");
}

/* arg: "fs.protected_symlinks 1": the name and the least value */
void
doctor_host_sysctl(const struct doctor *d, const char *arg, struct verdict *v)
{
	char name[64], path[96], text[128];
	long least = 0;
	(void)d;
	if (sscanf(arg, "%63s %9ld", name, &least) != 2)
		return;
	snprintf(path, sizeof path, "/proc/sys/%s", name);
	for (char *p = path; *p; p++)
		if (*p == '.')
			*p = '/';
	if (doctor_kernel(path, text) && strtol(text, NULL, 10) >= least) {
		doctor_ok(v, "%s is %s", name, text);
		return;
	}
	doctor_warn(v, "%s is %s", name, text[0] ? text : "not there");
	doctor_next(v, "sysctl %s=%ld", name, least);
}

void
doctor_host_mac(const struct doctor *d, const char *arg, struct verdict *v)
{
	char selinux[128], apparmor[128];
	(void)d, (void)arg;
	if (doctor_kernel("/sys/fs/selinux/enforce", selinux) && selinux[0] == '1')
		doctor_ok(v, "SELinux is enforcing");
	else if (doctor_kernel("/sys/module/apparmor/parameters/enabled", apparmor) && apparmor[0] == 'Y')
		doctor_ok(v, "AppArmor is enabled");
	else {
		doctor_warn(v, "neither SELinux nor AppArmor is in force");
		doctor_next(v, "switch on the one of your distribution");
	}
}

void
doctor_host_fs(const struct doctor *d, const char *arg, struct verdict *v)
{
	static const struct {
		unsigned long magic;
		const char *name, *why;
	} rows[] = {
		{0x6969, "NFS", "locks and fsync are another machine's promise"},
		{0x517B, "SMB", "locks and fsync are another machine's promise"},
		{0xFF534D42, "CIFS", "locks and fsync are another machine's promise"},
		{0xFE534D42, "SMB2", "locks and fsync are another machine's promise"},
		{0x01021997, "9P", "locks and fsync are another machine's promise"},
		{0x65735546, "FUSE", "fsync is a program's promise"},
		{0x01021994, "tmpfs", "it is gone with the next start of the host"},
		{0x858458f6, "ramfs", "it is gone with the next start of the host"},
		{0x794c7630, "overlay", "it is gone with its container"},
	};
	struct statfs f;
	(void)arg;
	if (statfs(d->run->paths.state, &f) != 0) {
		doctor_blocked(v, "install.whole");
		return;
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (((unsigned long)f.f_type & 0xffffffffUL) == rows[i].magic) {
			doctor_warn(v, "the stores lie on %s: %s", rows[i].name, rows[i].why);
			doctor_next(v, "mount a local disk at %s", d->run->paths.state);
			return;
		}
	doctor_ok(v, "a local file system");
}

/* The vault refuses below its margin, and serves again only when the reserve fits twice over. */
void
doctor_host_disk(const struct doctor *d, const char *arg, struct verdict *v)
{
	struct statvfs f;
	uint64_t reserve = (uint64_t)conf_int(d->conf, CONF_RESERVE), margin = reserve / 4;
	(void)arg;
	if (statvfs(d->run->paths.state, &f) != 0) {
		doctor_blocked(v, "install.whole");
		return;
	}
	if (margin > MARGIN_MAX)
		margin = MARGIN_MAX;
	uint64_t have = (uint64_t)f.f_bavail * f.f_frsize;
	unsigned long long kib = have >> 10;
	if (have < 2 * margin)
		doctor_fail(v, "%llu KiB are free; effects are refused below %llu KiB", kib,
					(unsigned long long)(margin >> 10));
	else if (have < reserve + 2 * margin)
		doctor_warn(v, "%llu KiB are free, less than audit.reserve and its margin", kib);
	else
		doctor_ok(v, "%llu MiB are free", kib >> 10);
	if (v->result != DOCTOR_OK)
		doctor_next(v, "free space beneath %s", d->run->paths.state);
}
