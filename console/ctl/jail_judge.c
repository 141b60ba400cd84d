#include "console/ctl/jail_judge.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CAP_SETGID_BIT 6
#define CAP_SETUID_BIT 7

bool
jail_judge_is_child(enum process p)
{
	return p != PROCESS_MONITOR;
}

__attribute__((format(printf, 2, 3))) static bool
wrong(char text[JAIL_FAULT_BYTES], const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, JAIL_FAULT_BYTES, fmt, ap);
	va_end(ap);
	return false;
}

/* ── the checks: true when all is well, else the fault in words ── */

static bool
look_process(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	if (c->looked == ERR_NOT_FOUND)
		return wrong(text, "the kernel has no process %u, which it says that it is", (unsigned)c->told->pid);
	if (c->looked != ERR_OK && c->looked != ERR_PERMISSION)
		return wrong(text, "the kernel did not say all that is asked of process %u", (unsigned)c->told->pid);
	return true;
}

static bool
look_parent(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	if (!jail_judge_is_child(c->process) || c->seen->parent == c->monitor_pid)
		return true;
	return wrong(text, "its parent is process %" PRIu32 ", not the monitor %" PRIu32, c->seen->parent, c->monitor_pid);
}

static bool
look_user(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	if (c->uid == JAIL_USER_UNKNOWN)
		return wrong(text, "this host has no user %s", c->user);
	for (unsigned i = 0; i < 4; i++)
		if (c->seen->uid[i] != c->uid)
			return wrong(text, "it runs as user %" PRIu32 ", declared is %s (%" PRIu32 ")", c->seen->uid[i], c->user,
						 c->uid);
	return true;
}

static bool
look_groups(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	/* an ordinary user's appliance keeps that user's groups */
	if (!jail_judge_is_child(c->process) || !c->monitor || c->monitor->uid[0] != 0)
		return true;
	for (unsigned i = 0; i < 4; i++)
		if (c->seen->gid[i] != c->seen->gid[0] || c->seen->gid[i] == 0)
			return wrong(text, "it has the group %" PRIu32 " besides its own", c->seen->gid[i]);
	return !c->seen->other_groups || wrong(text, "it has groups besides its own");
}

static bool
look_new_privs(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	return c->seen->no_new_privs || wrong(text, "NoNewPrivs is 0: a program that it runs may gain privileges");
}

static bool
look_seccomp(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	if (!jail_judge_is_child(c->process) || c->seen->seccomp == JAIL_SECCOMP_FILTER)
		return true;
	return wrong(text, "its seccomp mode is %u, declared is 2: a filter of system calls", c->seen->seccomp);
}

/* Under systemd the unit's filters are everybody's: a process must have one more than its parent. */
static bool
look_filters(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	if (!jail_judge_is_child(c->process) || c->seen->seccomp != JAIL_SECCOMP_FILTER || !c->monitor ||
		!c->seen->counted || !c->monitor->counted || c->seen->filters > c->monitor->filters)
		return true;
	return wrong(text, "none of its %u filters of system calls is its own: the monitor has %u", c->seen->filters,
				 c->monitor->filters);
}

static bool
look_capabilities(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	bool may_change_users = !jail_judge_is_child(c->process) && c->seen->uid[0] == 0;
	uint64_t declared = may_change_users ? UINT64_C(1) << CAP_SETGID_BIT | UINT64_C(1) << CAP_SETUID_BIT : 0;
	if ((c->seen->caps & ~declared) == 0)
		return true;
	return wrong(text, "it has capabilities that are not declared: %" PRIx64, c->seen->caps & ~declared);
}

static bool
look_core(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	return c->seen->core_max == 0 || wrong(text, "it may write its memory into a core file");
}

static bool
look_domain(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	char domain[JAIL_SEEN_LABEL_BYTES], want[64];
	if (!c->host->module)
		return true;
	snprintf(want, sizeof want, "sallyport_%s_t", process_name(c->process));
	if (strcmp(jail_seen_domain(c->seen, domain), want) == 0)
		return true;
	return wrong(text, "its SELinux domain is %.60s, declared is %s", domain, want);
}

/* What the kernel does not tell of another process: each said it of itself, and ends when it is not so. */

static bool
look_landlock(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	if (!jail_judge_is_child(c->process) || c->told->landlock_abi >= c->host->landlock_abi)
		return true;
	return wrong(text, "it says Landlock ABI %u, the kernel has %u", (unsigned)c->told->landlock_abi,
				 c->host->landlock_abi);
}

static bool
look_mdwe(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	if (!jail_judge_is_child(c->process) || !c->host->mdwe || strstr(c->told->jail, "mdwe"))
		return true;
	return wrong(text, "it says nothing of memory-deny-write-execute, and the kernel has it");
}

static bool
look_calls(const struct jail_case *c, char text[JAIL_FAULT_BYTES])
{
	if (!jail_judge_is_child(c->process) || (c->other_version && c->told->jail_calls) ||
		c->told->jail_calls == c->calls)
		return true;
	return wrong(text, "it says that %u system calls are allowed, its rows have %u", (unsigned)c->told->jail_calls,
				 c->calls);
}

#define RESTART "restart the appliance: systemctl restart sallyport; if it stays so, report it"
static const struct {
	const char *name;
	bool kernel; /* needs what the kernel says */
	bool (*look)(const struct jail_case *c, char text[JAIL_FAULT_BYTES]);
	const char *next;
} checks[] = {
	{"process", false, look_process, "ask in the host's own process names: not from inside a container"},
	{"parent", true, look_parent, RESTART},
	{"user", true, look_user, "install the package again, which makes the users, and restart the appliance"},
	{"groups", true, look_groups, RESTART},
	{"no_new_privs", true, look_new_privs, RESTART},
	{"seccomp", true, look_seccomp, RESTART},
	{"filters", true, look_filters, RESTART},
	{"capabilities", true, look_capabilities, RESTART},
	{"core", true, look_core, RESTART},
	{"domain", true, look_domain, "/usr/share/sallyport/selinux-module install, then systemctl restart sallyport"},
	{"landlock", false, look_landlock, RESTART},
	{"mdwe", false, look_mdwe, RESTART},
	{"calls", false, look_calls, RESTART},
};
#define CHECKS (sizeof checks / sizeof *checks)
_Static_assert(CHECKS <= JAIL_FAULTS_MAX, "room for a fault of each check");

size_t
jail_judge(const struct jail_case *c, struct jail_fault faults[JAIL_FAULTS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < CHECKS && c->told->pid; i++) {
		if (checks[i].kernel && c->looked != ERR_OK)
			continue;
		if (checks[i].look(c, faults[n].text))
			continue;
		faults[n].check = checks[i].name;
		faults[n++].next = checks[i].next;
	}
	return n;
}

size_t
jail_judge_checks(void)
{
	return CHECKS;
}

const char *
jail_judge_name(size_t i)
{
	return i < CHECKS ? checks[i].name : "?";
}
