/*
 * Is a process in its jail? A /proc of our own says it, with one fault planted at a time: the check of that name finds
 * it and no other does; what the kernel did not say is never taken for a lock. And each row of the jails is fit to be
 * shown.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console/ctl/jail_judge.h"
#include "console/ctl/jail_seen.h"
#include "daemon/wire/jails.h"

#define MONITOR 100
#define CHILD   101
#define THREAD  102
#define UID     993
#define CALLS   52

static char proc[] = "/tmp/sp-jail-proc.XXXXXX";

/* ── a /proc ── */

static const char monitor_status[] =
	"Name:\tsallyportd\nPPid:\t1\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t \nCapInh:\t0\n"
	"CapPrm:\t00000000000000c0\nCapEff:\t00000000000000c0\nCapAmb:\t0000000000000000\n"
	"NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t36\n";
static const char child_status[] =
	"Name:\tvault\nPPid:\t100\nUid:\t993\t993\t993\t993\nGid:\t991\t991\t991\t991\nGroups:\t991 \nCapInh:\t0\n"
	"CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	"Seccomp_filters:\t37\n";
static const char limits[] = "Limit                     Soft Limit           Hard Limit           Units     \n"
							 "Max core file size        0                    0                    bytes     \n"
							 "Max open files            20000                unlimited            files     \n"
							 "Max locked memory         8388608              8388608              bytes     \n";
static const char label[] = "system_u:system_r:sallyport_vault_t:s0\n";

static void
put(unsigned pid, unsigned tid, const char *name, const char *text)
{
	char path[128];
	if (tid)
		snprintf(path, sizeof path, "%s/%u/task/%u/%s", proc, pid, tid, name);
	else
		snprintf(path, sizeof path, "%s/%u/%s", proc, pid, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
make_process(unsigned pid, unsigned tid, const char *status)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%u", proc, pid);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%u/attr", proc, pid);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%u/task", proc, pid);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/%u/task/%u", proc, pid, pid);
	mkdir(path, 0700);
	put(pid, 0, "status", status);
	put(pid, pid, "status", status);
	if (tid) {
		snprintf(path, sizeof path, "%s/%u/task/%u", proc, pid, tid);
		mkdir(path, 0700);
		put(pid, tid, "status", status);
	}
	put(pid, 0, "limits", limits);
	put(pid, 0, "attr/current", label);
}

static void
make_proc(void)
{
	make_process(MONITOR, 0, monitor_status);
	make_process(CHILD, THREAD, child_status);
}

/* text with the first `from` replaced; the test fails where there is none. */
static const char *
changed(const char *text, const char *from, const char *to)
{
	static char out[1024];
	const char *at = strstr(text, from);
	assert_non_null(at);
	snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	return out;
}

/* ── the faults ── */

struct plant {
	const char *what, *check;
	enum process process;
	unsigned tid; /* in this thread's status; 0: in the process's */
	const char *file, *from, *to;
	sp_process_view told; /* where it says something else */
	uint32_t uid;
};

#define IN_STATUS(what, check, from, to)                                     \
	{                                                                        \
		what, check, PROCESS_VAULT, 0, "status", from, to, {.pid = CHILD}, 0 \
	}
#define IN_THREAD(what, check, from, to)                                          \
	{                                                                             \
		what, check, PROCESS_VAULT, THREAD, "status", from, to, {.pid = CHILD}, 0 \
	}
#define IN_MONITOR(what, check, from, to)                                        \
	{                                                                            \
		what, check, PROCESS_MONITOR, 0, "status", from, to, {.pid = MONITOR}, 0 \
	}
#define IN_FILE(what, check, file, from, to)                             \
	{                                                                    \
		what, check, PROCESS_VAULT, 0, file, from, to, {.pid = CHILD}, 0 \
	}

static const struct plant plants[] = {
	IN_STATUS("no filter of system calls", "seccomp", "Seccomp:\t2", "Seccomp:\t0"),
	IN_THREAD("one thread without a filter", "seccomp", "Seccomp:\t2", "Seccomp:\t0"),
	IN_STATUS("the unit's filters alone", "filters", "filters:\t37", "filters:\t36"),
	IN_THREAD("one thread with the unit's alone", "filters", "filters:\t37", "filters:\t36"),
	IN_STATUS("new privileges", "no_new_privs", "Privs:\t1", "Privs:\t0"),
	IN_THREAD("new privileges in a thread", "no_new_privs", "Privs:\t1", "Privs:\t0"),
	IN_STATUS("an effective capability", "capabilities", "CapEff:\t0000000000000000", "CapEff:\t0000000000000080"),
	IN_STATUS("a permitted capability", "capabilities", "CapPrm:\t0000000000000000", "CapPrm:\t0000000000200000"),
	IN_STATUS("an ambient capability", "capabilities", "CapAmb:\t0000000000000000", "CapAmb:\t0000000000000001"),
	IN_THREAD("a capability in a thread", "capabilities", "CapEff:\t0000000000000000", "CapEff:\t0000000000000080"),
	IN_STATUS("another user", "user", "\t993\t993\t993\t993", "\t992\t992\t992\t992"),
	IN_STATUS("a saved user that is root", "user", "\t993\t993\t993\t993", "\t993\t993\t0\t993"),
	IN_THREAD("a thread of root", "user", "\t993\t993\t993\t993", "\t0\t0\t0\t0"),
	IN_STATUS("a saved group that is root's", "groups", "\t991\t991\t991\t991", "\t991\t991\t0\t991"),
	IN_STATUS("a supplementary group", "groups", "Groups:\t991 ", "Groups:\t991 6 "),
	IN_STATUS("no line of groups", "groups", "Groups:", "Grooms:"),
	IN_STATUS("another parent", "parent", "PPid:\t100", "PPid:\t1"),
	IN_STATUS("a kernel that does not tell the capabilities", "process", "CapEff:", "CapOff:"),
	IN_STATUS("a number that is none", "process", "Seccomp:\t2", "Seccomp:\tyes"),
	IN_FILE("a core file", "core", "limits", "file size        0                    0 ",
			"file size        0                    unlimited "),
	IN_FILE("limits that are not told", "process", "limits", "Max core", "Max bore"),
	IN_FILE("another domain", "domain", "attr/current", "sallyport_vault_t", "sallyport_ledger_t"),
	IN_FILE("no label", "domain", "attr/current", label, ""),
	{"a process that is not there", "process", PROCESS_VAULT, 0, NULL, NULL, NULL, {.pid = 7}, 0},
	{"no user of that name", "user", PROCESS_VAULT, 0, NULL, NULL, NULL, {.pid = CHILD}, JAIL_USER_UNKNOWN},
	{"no Landlock", "landlock", PROCESS_VAULT, 0, NULL, NULL, NULL, {.pid = CHILD, .landlock_abi = 1}, 0},
	{"no word of MDWE", "mdwe", PROCESS_VAULT, 0, NULL, NULL, NULL, {.pid = CHILD, .jail = "52 calls, landlock 7"}, 0},
	{"other rows", "calls", PROCESS_VAULT, 0, NULL, NULL, NULL, {.pid = CHILD, .jail_calls = 400}, 0},
	IN_MONITOR("a monitor that may do more", "capabilities", "CapEff:\t00000000000000c0", "CapEff:\t00000000002000c0"),
	IN_MONITOR("a monitor with new privileges", "no_new_privs", "Privs:\t1", "Privs:\t0"),
};
#define PLANTS (sizeof plants / sizeof *plants)

static size_t
judged(const struct plant *p, struct jail_fault faults[JAIL_FAULTS_MAX])
{
	static struct jail_seen seen, monitor;
	const struct jail_host host = {
		.landlock_abi = 7, .mdwe = true, .selinux = true, .module = p->process == PROCESS_VAULT};
	sp_process_view told = p->told;
	struct jail_case c = {.process = p->process,
						  .told = &told,
						  .seen = &seen,
						  .host = &host,
						  .monitor_pid = MONITOR,
						  .user = "sallyport-vault",
						  .calls = CALLS};
	if (!told.jail_calls)
		told.jail_calls = CALLS;
	if (!told.landlock_abi)
		told.landlock_abi = 7;
	if (!told.jail[0])
		snprintf(told.jail, sizeof told.jail, "52 calls, landlock 7, mdwe");
	c.uid = p->uid ? p->uid : p->process == PROCESS_MONITOR ? 0 : UID;
	assert_int_equal(jail_seen_read(proc, MONITOR, &monitor), ERR_OK);
	c.monitor = &monitor;
	c.looked = jail_seen_read(proc, told.pid, &seen);
	return jail_judge(&c, faults);
}

static void
a_process_in_its_jail_has_no_fault(void **state)
{
	struct jail_fault faults[JAIL_FAULTS_MAX];
	const struct plant vault = {.process = PROCESS_VAULT, .told = {.pid = CHILD}};
	const struct plant monitor = {.process = PROCESS_MONITOR, .told = {.pid = MONITOR}};
	const struct plant down = {.process = PROCESS_VAULT, .uid = JAIL_USER_UNKNOWN};
	(void)state;
	make_proc();
	size_t n = judged(&vault, faults);
	if (n)
		fail_msg("%s: %s", faults[0].check, faults[0].text);
	assert_int_equal(judged(&monitor, faults), 0);
	assert_int_equal(judged(&down, faults), 0); /* that it does not run is told elsewhere */
}

static void
each_planted_fault_is_found_by_the_check_of_its_name(void **state)
{
	struct jail_fault faults[JAIL_FAULTS_MAX];
	bool provoked[JAIL_FAULTS_MAX] = {false};
	(void)state;
	for (size_t i = 0; i < PLANTS; i++) {
		const struct plant *p = &plants[i];
		make_proc();
		if (p->file)
			put(p->told.pid, p->tid, p->file,
				changed(strcmp(p->file, "limits") == 0         ? limits
						: strcmp(p->file, "attr/current") == 0 ? label
						: p->process == PROCESS_MONITOR        ? monitor_status
															   : child_status,
						p->from, p->to));
		size_t n = judged(p, faults);
		if (n != 1 || strcmp(faults[0].check, p->check) != 0)
			fail_msg("%s: %zu faults, the first is %s", p->what, n, n ? faults[0].check : "none");
		assert_true(faults[0].text[0] && faults[0].next[0]);
		for (size_t k = 0; k < jail_judge_checks(); k++)
			provoked[k] = provoked[k] || strcmp(jail_judge_name(k), p->check) == 0;
	}
	for (size_t k = 0; k < jail_judge_checks(); k++)
		if (!provoked[k])
			fail_msg("no fault was planted for %s", jail_judge_name(k));
}

static void
what_is_seen_is_told_whole(void **state)
{
	struct jail_seen s;
	char domain[JAIL_SEEN_LABEL_BYTES];
	(void)state;
	make_proc();
	assert_int_equal(jail_seen_read(proc, CHILD, &s), ERR_OK);
	assert_int_equal(s.threads, 2);
	assert_int_equal(s.filters, 37);
	assert_true(s.counted && s.files == 20000 && s.memlock == 8388608);
	assert_string_equal(jail_seen_domain(&s, domain), "sallyport_vault_t");
	put(CHILD, 0, "attr/current", "unconfined\n"); /* AppArmor's word */
	assert_int_equal(jail_seen_read(proc, CHILD, &s), ERR_OK);
	assert_string_equal(jail_seen_domain(&s, domain), "unconfined");
	put(CHILD, 0, "attr/current", "");
	assert_int_equal(jail_seen_read(proc, CHILD, &s), ERR_OK);
	assert_string_equal(jail_seen_domain(&s, domain), "-");
	/* an older kernel does not count filters: then their number is no fault */
	put(CHILD, 0, "status", changed(child_status, "Seccomp_filters:\t37\n", ""));
	assert_int_equal(jail_seen_read(proc, CHILD, &s), ERR_OK);
	assert_false(s.counted);
	assert_int_equal(jail_seen_read(proc, 7, &s), ERR_NOT_FOUND);
	/* the real one, of ourselves */
	assert_int_equal(jail_seen_read("/proc", (uint32_t)getpid(), &s), ERR_OK);
	assert_int_equal(s.parent, getppid());
	assert_int_equal(s.uid[1], geteuid());
}

/* ── the rows ── */

static void
each_row_has_its_name_and_reason(void **state)
{
	(void)state;
	assert_null(jails_declared(PROCESS_MONITOR));
	assert_null(jails_declared(PROCESS_OFFICER));
	for (unsigned p = PROCESS_HSM; p < PROCESS_OFFICER; p++) {
		const struct jail_spec *s = jails_declared((enum process)p);
		bool own = false;
		if (!s || jail_count(s) < 20 || jail_count(s) > s->calls_n + 1)
			fail_msg("%s: no rows, or a wrong count", process_name((enum process)p));
		for (size_t i = 0; i < s->calls_n; i++) {
			const struct jail_call *c = &s->calls[i];
			if (!c->reason || !c->reason[0] || seccomp_syscall_resolve_name(c->name) != c->number)
				fail_msg("%s: %s", process_name((enum process)p), c->name);
			assert_true(!c->refuse || c->want_word[0] == 'E');
			assert_true(c->arg < 0 || (c->mask_word[0] && c->want_word[0]));
		}
		for (size_t i = 0; i < s->paths_n; i++) {
			assert_true(s->paths[i].reason[0] && s->paths[i].path[0] && s->paths[i].dir_fd == -1);
			own = own || strcmp(s->paths[i].path, "@dir") == 0;
		}
		assert_int_equal(own, p != PROCESS_GATE && p != PROCESS_DESK);
		assert_int_equal(s->threads_later, s->threads_reason != NULL);
		assert_int_equal(s->tcp_connect, s->tcp_reason != NULL);
	}
}

static void
a_call_of_several_rows_counts_once(void **state)
{
	static const struct jail_call calls[] = {
		{1, "a", -1, 0, 0}, {2, "b", 1, 1, 1}, {2, "b", 1, 1, 0}, {-5, "c", -1, 0, 0}, {3, "d", -1, 0, 0, .refuse = 1},
		{1, "a", -1, 0, 0}};
	struct jail_spec s = {calls, sizeof calls / sizeof *calls, NULL, 0};
	(void)state;
	assert_int_equal(jail_count(&s), 2);
	s.threads_later = true;
	assert_int_equal(jail_count(&s), 3);
}

static int
begin(void **state)
{
	(void)state;
	return mkdtemp(proc) ? 0 : -1;
}

static int
end(void **state)
{
	char command[64];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", proc);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_process_in_its_jail_has_no_fault),
		cmocka_unit_test(each_planted_fault_is_found_by_the_check_of_its_name),
		cmocka_unit_test(what_is_seen_is_told_whole),
		cmocka_unit_test(each_row_has_its_name_and_reason),
		cmocka_unit_test(a_call_of_several_rows_counts_once),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
