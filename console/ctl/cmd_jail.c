/* sallyport jail — what each process may do, why, and whether the kernel says the same. */
#include <stdio.h>
#include <string.h>

#include "console/ctl/ctl.h"
#include "console/ctl/jail_round.h"
#include "console/ctl/jail_rows.h"
#include "console/ctl/paragraph.h"
#include "daemon/base/str.h"
#include "daemon/wire/jails.h"

#define LINE_BYTES 160

static const char *const not_shown[] = {
	"Landlock, MDWE and the number of calls as they are in force: the kernel tells them of no other process. Each "
	"process says them of itself at its start, and ends when a step fails.",
	"The sockets and descriptors that the monitor handed over: docs/protocol.md says who may say what to whom.",
	"What the unit adds for all of them (name spaces, read-only file systems, a filter of its own): systemd-analyze "
	"security sallyport.service.",
	"What SELinux allows to a domain: docs/selinux.md.",
	"Officers' programs (sallyport, sallyport-console): people start them, and they have no jail.",
};
#define NOT_SHOWN (sizeof not_shown / sizeof *not_shown)

/* ── the first line ── */

static const struct jail_row *
first_fault(const struct jail_round *round)
{
	for (size_t i = 0; i < round->n; i++)
		if (round->rows[i].faults_n)
			return &round->rows[i];
	return NULL;
}

static int
first_line(const struct jail_round *round, char out[LINE_BYTES])
{
	char title[JAIL_TITLE_BYTES];
	const struct jail_row *bad = first_fault(round);
	unsigned up = (unsigned)round->n - round->down;
	if (round->desk == ERR_NOT_INITIALISED)
		snprintf(out, LINE_BYTES, "not initialised — no appliance here; what follows is declared");
	else if (round->desk != ERR_OK)
		snprintf(out, LINE_BYTES, "not running — nobody answers; what follows is declared, not in force");
	else if (bad)
		snprintf(out, LINE_BYTES, "not in force — %s: %s; %u fault%s, see below", jail_round_title(bad, title),
				 bad->faults[0].check, round->faults, round->faults == 1 ? "" : "s");
	else if (round->unseen)
		snprintf(out, LINE_BYTES, "no fault found — but %u of %u processes may not be looked at; ask as root",
				 round->unseen, up);
	else if (round->down)
		snprintf(out, LINE_BYTES, "in force — %u processes as declared, %u not up; sallyport status", up, round->down);
	else
		snprintf(out, LINE_BYTES, "in force — %u process%s as declared", up, up == 1 ? "" : "es");
	return round->desk != ERR_OK ? ctl_exit_of(round->desk) : bad ? EXIT_CODE_FOUND : EXIT_CODE_DONE;
}

/* ── for people ── */

static void
print_faults(const struct jail_round *round)
{
	char title[JAIL_TITLE_BYTES];
	for (size_t i = 0; i < round->n; i++)
		for (size_t k = 0; k < round->rows[i].faults_n; k++) {
			const struct jail_fault *f = &round->rows[i].faults[k];
			printf("%sfail  %s: %s\n      next: %s\n", &round->rows[i] == first_fault(round) && k == 0 ? "\n" : "",
				   jail_round_title(&round->rows[i], title), f->text, f->next);
		}
}

static const char *
mode_word(unsigned seccomp)
{
	static const char *const words[] = {"none", "strict", "filter"};
	return seccomp < sizeof words / sizeof *words ? words[seccomp] : "?";
}

static unsigned
bits(uint64_t n)
{
	unsigned count = 0;
	for (; n; n &= n - 1)
		count++;
	return count;
}

/* What is declared, where nothing runs. */
static void
print_declared_row(const struct jail_round *round, const struct jail_row *row, const char *title)
{
	char domain[64] = "-";
	bool child = jail_judge_is_child(row->process);
	if (round->host.module)
		snprintf(domain, sizeof domain, "sallyport_%s_t", process_name(row->process));
	printf("%-9s %7s  %-17s  %-9s  %-3s  %4s  %s\n", title, "-", row->user, child ? "filter" : "-", "yes",
		   !child && row->uid == 0 ? "2" : "0", domain);
}

static void
print_kernel_row(const struct jail_round *round, const struct jail_row *row)
{
	char title[JAIL_TITLE_BYTES], domain[JAIL_SEEN_LABEL_BYTES], seccomp[24];
	const struct jail_seen *s = &row->seen;
	jail_round_title(row, title);
	if (round->desk != ERR_OK) {
		print_declared_row(round, row, title);
		return;
	}
	if (row->looked != ERR_OK) {
		const char *none = row->told.pid ? "?" : "-";
		printf("%-9s %7u  %-17s  %-9s  %-3s  %4s  %s\n", title, (unsigned)row->told.pid,
			   row->told.pid ? row->told.user : "not up", none, none, none, none);
		return;
	}
	snprintf(seccomp, sizeof seccomp, s->seccomp == JAIL_SECCOMP_FILTER && s->counted ? "%s %u" : "%s",
			 mode_word(s->seccomp), s->filters);
	printf("%-9s %7u  %-17s  %-9s  %-3s  %4u  %s\n", title, (unsigned)row->told.pid, row->told.user, seccomp,
		   s->no_new_privs ? "yes" : "no", bits(s->caps), jail_seen_domain(s, domain));
}

static void
print_rights_row(const struct jail_round *round, const struct jail_row *row)
{
	char title[JAIL_TITLE_BYTES], landlock[32], files[64];
	bool runs = round->desk == ERR_OK && row->told.pid;
	const struct jail_spec *s = jails_declared(row->process);
	jail_round_title(row, title);
	if (!s) {
		printf("%-9s %5s  %-14s  %-4s  %-8s  %s\n", title, "-", "-", "-", "opens", "as its user and unit may");
		return;
	}
	snprintf(landlock, sizeof landlock, "ABI %u, %zu paths",
			 runs ? (unsigned)row->told.landlock_abi : round->host.landlock_abi, s->paths_n);
	printf("%-9s %5u  %-14s  %-4s  %-8s  %s\n", title, runs ? (unsigned)row->told.jail_calls : row->calls, landlock,
		   (runs ? strstr(row->told.jail, "mdwe") != NULL : round->host.mdwe) ? "yes" : "no", jail_rows_network(s),
		   jail_rows_files(s, files));
}

static void
print_host(const struct jail_host *h)
{
	printf("\nThis kernel: Landlock ABI %u; MDWE %s; SELinux %s%s\n", h->landlock_abi, h->mdwe ? "yes" : "no",
		   h->enforcing ? "enforcing"
		   : h->selinux ? "permissive"
						: "off",
		   h->module    ? ", with the appliance's module"
		   : h->selinux ? ", without the appliance's module"
						: "");
}

static void
print_not_shown(void)
{
	puts("\nNot shown here:");
	for (size_t i = 0; i < NOT_SHOWN; i++)
		paragraph_print("- ", 2, not_shown[i]);
}

static void
print_kernel_table(const struct jail_round *round, enum process only)
{
	printf("\n%s\n%-9s %7s  %-17s  %-9s  %-3s  %4s  %s\n",
		   round->desk == ERR_OK ? "What the kernel says" : "What the kernel is to say", "PROCESS", "PID", "USER",
		   "SECCOMP", "NNP", "CAPS", "DOMAIN");
	for (size_t i = 0; i < round->n; i++)
		if (only == PROCESS_MAX || round->rows[i].process == only)
			print_kernel_row(round, &round->rows[i]);
}

static void
print_table(const struct jail_round *round)
{
	print_kernel_table(round, PROCESS_MAX);
	printf("\nWhat its rows allow (sallyport jail PROCESS lists them with their reasons)\n%-9s %5s  %-14s  %-4s  %-8s  "
		   "%s\n",
		   "PROCESS", "CALLS", "LANDLOCK", "MDWE", "NETWORK", "FILES");
	for (size_t i = 0; i < round->n; i++)
		print_rights_row(round, &round->rows[i]);
	putchar('\n');
	paragraph_print("SECCOMP: ", 2, "the mode, and how many filters stand one over the other.");
	paragraph_print("NNP: ", 2, "no new privileges. CAPS: how many capabilities; the monitor's are setuid and setgid.");
	paragraph_print("MDWE: ", 2, "memory is writable or executable, never both.");
	paragraph_print("NETWORK: ", 2,
					"a listener is one that the monitor opened (gate: the API, desk: its Unix socket).");
	paragraph_print("FILES: ", 2, "besides /dev/null and /dev/urandom.");
	print_host(&round->host);
	print_not_shown();
}

static void
limit_text(uint64_t n, char out[32])
{
	if (n == JAIL_SEEN_NO_LIMIT)
		snprintf(out, 32, "no limit");
	else
		snprintf(out, 32, "%llu", (unsigned long long)n);
}

static void
print_limits(const struct jail_row *row)
{
	char title[JAIL_TITLE_BYTES], core[32], memlock[32], files[32];
	limit_text(row->seen.core_max, core);
	limit_text(row->seen.memlock, memlock);
	limit_text(row->seen.files, files);
	printf("Limits of %s: core file %s bytes, locked memory %s bytes, open files %s; threads: %u\n",
		   jail_round_title(row, title), core, memlock, files, row->seen.threads);
}

static void
print_process(const struct run *r, const struct jail_round *round, enum process p)
{
	printf("\n%s — %s\n", process_name(p), jail_rows_what(p));
	print_kernel_table(round, p);
	for (size_t i = 0; i < round->n; i++)
		if (round->rows[i].process == p && round->rows[i].looked == ERR_OK)
			print_limits(&round->rows[i]);
	jail_rows_print(r, p, jails_declared(p));
	print_host(&round->host);
	print_not_shown();
}

/* ── for programs ── */

static json_t *
limit_json(uint64_t n)
{
	return n == JAIL_SEEN_NO_LIMIT ? json_null() : json_integer((json_int_t)n);
}

static json_t *
kernel_json(const struct jail_row *row)
{
	char caps[20];
	const struct jail_seen *s = &row->seen;
	if (row->looked != ERR_OK)
		return json_null();
	snprintf(caps, sizeof caps, "%016llx", (unsigned long long)s->caps);
	return json_pack("{si ss so sb ss si ss si so so so}", "uid", (int)s->uid[0], "seccomp", mode_word(s->seccomp),
					 "filters", s->counted ? json_integer((json_int_t)s->filters) : json_null(), "no_new_privs",
					 (int)s->no_new_privs, "capabilities", caps, "threads", (int)s->threads, "label", s->label,
					 "parent", (int)s->parent, "core_bytes", limit_json(s->core_max), "locked_bytes",
					 limit_json(s->memlock), "files", limit_json(s->files));
}

static json_t *
told_json(const struct jail_row *row)
{
	if (!row->told.pid)
		return json_null();
	return json_pack("{si si sb}", "system_calls", (int)row->told.jail_calls, "landlock_abi",
					 (int)row->told.landlock_abi, "mdwe", strstr(row->told.jail, "mdwe") != NULL);
}

static json_t *
declared_json(const struct run *r, const struct jail_row *row, bool whole)
{
	char files[64], domain[64];
	const struct jail_spec *s = jails_declared(row->process);
	snprintf(domain, sizeof domain, "sallyport_%s_t", process_name(row->process));
	json_t *doc =
		json_pack("{ss ss si si ss ss ss}", "user", row->user, "domain", domain, "system_calls", (int)row->calls,
				  "landlock_paths", s ? (int)s->paths_n : 0, "network", s ? jail_rows_network(s) : "opens", "files",
				  s ? jail_rows_files(s, files) : "as its user and unit may", "seccomp", s ? "filter" : "none");
	if (whole)
		jail_rows_json(r, row->process, s, doc);
	return doc;
}

static json_t *
row_json(const struct run *r, const struct jail_row *row, bool whole)
{
	json_t *faults = json_array();
	for (size_t i = 0; i < row->faults_n; i++)
		json_array_append_new(faults, json_pack("{ss ss ss}", "check", row->faults[i].check, "cause",
												row->faults[i].text, "next", row->faults[i].next));
	return json_pack("{ss si so so so so so}", "process", process_name(row->process), "index", (int)row->told.index,
					 "pid", row->told.pid ? json_integer((json_int_t)row->told.pid) : json_null(), "declared",
					 declared_json(r, row, whole), "told", told_json(row), "kernel", kernel_json(row), "faults",
					 faults);
}

static int
tell_json(const struct run *r, const struct jail_round *round, enum process only, const char *line, int status)
{
	const struct jail_host *h = &round->host;
	json_t *rows = json_array(), *notes = json_array();
	json_t *doc = round->desk == ERR_OK ? json_object() : ctl_problem_json(round->desk, "jail", NULL, NULL);
	for (size_t i = 0; i < round->n; i++)
		if (only == PROCESS_MAX || round->rows[i].process == only)
			json_array_append_new(rows, row_json(r, &round->rows[i], only != PROCESS_MAX));
	for (size_t i = 0; i < NOT_SHOWN; i++)
		json_array_append_new(notes, json_string(not_shown[i]));
	json_object_set_new(doc, "line", json_string(line));
	json_object_set_new(doc, "host",
						json_pack("{si sb ss sb}", "landlock_abi", (int)h->landlock_abi, "mdwe", (int)h->mdwe,
								  "selinux",
								  h->enforcing ? "enforcing"
								  : h->selinux ? "permissive"
											   : "off",
								  "module", (int)h->module));
	json_object_set_new(doc, "processes", rows);
	json_object_set_new(doc, "not_shown", notes);
	json_object_set_new(doc, "exit_code", json_integer(status));
	int put = ctl_print_json(doc);
	return put == EXIT_CODE_DONE ? status : put;
}

/* ── the command ── */

static int
unknown_process(const struct run *r)
{
	char problem[160];
	const char *names[PROCESS_OFFICER + 1] = {NULL};
	for (unsigned p = 0; p < PROCESS_OFFICER; p++)
		names[p] = process_name((enum process)p);
	const char *near = str_nearest(r->args[0], names);
	if (near)
		snprintf(problem, sizeof problem, "no such process; did you mean: %s", near);
	else
		snprintf(problem, sizeof problem, "no such process; sallyport jail lists them");
	return ctl_usage(r, problem);
}

static int
act_jail(struct run *r)
{
	static struct jail_round round;
	char line[LINE_BYTES];
	enum process only = r->args_n ? jail_rows_process(r->args[0]) : PROCESS_MAX;
	if (r->args_n && only == PROCESS_MAX)
		return unknown_process(r);
	enum err e = jail_round_look(r, &round);
	if (e != ERR_OK && e != ERR_NOT_RUNNING && e != ERR_NOT_INITIALISED)
		return ctl_fail(r, e, "jail", NULL);
	int status = first_line(&round, line);
	if (r->json)
		return tell_json(r, &round, only, line, status);
	puts(line);
	print_faults(&round);
	if (only == PROCESS_MAX)
		print_table(&round);
	else
		print_process(r, &round, only);
	return status;
}

const struct command cmd_jail = {
	.words = "jail",
	.args = "[PROCESS]",
	.summary = "Show what each process may do, and whether the kernel says the same",
	.about =
		"Without an argument one row for each process; with one its whole list: every system call and path with the "
		"reason that its row in policy/jail_*.def gives. What is declared is compared with what the kernel says of the "
		"running processes (user, seccomp, capabilities, SELinux domain, …); a difference is told first, and the exit "
		"status is 9. It works with the daemon dead too, and then shows what is declared.",
	.example = "sallyport --dir /srv/sallyport jail vault",
	.exits = "0 1 2 5 6 7 9",
	.schema = "jail",
	.args_max = 1,
	.act = act_jail,
};
