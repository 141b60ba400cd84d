/* sallyport doctor — what is wrong, why, and what to do; also when nothing runs. */
#include "console/ctl/doctor.h"
#include "console/ctl/told.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"

#define DESK_MS 800 /* a hanging desk must leave time for all the others */

static const struct doctor_check checks[] = {
#define CHECK(group, name, about, look, arg, what) {group, name, about, look, arg, what},
#include "console/ctl/doctor_checks.def"
#undef CHECK
};
#define CHECKS (sizeof checks / sizeof *checks)

static const char *const words[DOCTOR_RESULTS] = {"ok", "warn", "fail"};

/* ── what checks say ── */

void
doctor_ok(struct verdict *v, const char *fmt, ...)
{
	va_list ap;
	v->result = DOCTOR_OK;
	v->next[0] = 0;
	va_start(ap, fmt);
	vsnprintf(v->cause, sizeof v->cause, fmt, ap);
	va_end(ap);
}

void
doctor_warn(struct verdict *v, const char *fmt, ...)
{
	va_list ap;
	v->result = DOCTOR_WARN;
	va_start(ap, fmt);
	vsnprintf(v->cause, sizeof v->cause, fmt, ap);
	va_end(ap);
}

void
doctor_fail(struct verdict *v, const char *fmt, ...)
{
	va_list ap;
	v->result = DOCTOR_FAIL;
	va_start(ap, fmt);
	vsnprintf(v->cause, sizeof v->cause, fmt, ap);
	va_end(ap);
}

void
doctor_next(struct verdict *v, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(v->next, sizeof v->next, fmt, ap);
	va_end(ap);
}

void
doctor_blocked(struct verdict *v, const char *check)
{
	doctor_warn(v, "not checked: %s comes first", check);
	v->unchecked = true;
	doctor_next(v, "sallyport doctor, when %s is ok", check);
}

/* ── what several groups need ── */

static void
cannot_read(const char *path, enum err e, struct verdict *v)
{
	if (e == ERR_PERMISSION) {
		doctor_warn(v, "not checked: %s may not be read by this user", path);
		doctor_next(v, "run sallyport doctor as root, or as the installation's owner");
		v->unchecked = true;
	} else if (e == ERR_FILE_MISSING) {
		doctor_fail(v, "%s is missing", path);
		doctor_next(v, "put %s back from its backup", path);
	} else {
		doctor_fail(v, "%s: %s", path, err_title(e));
		doctor_next(v, "%s", err_next(e));
	}
}

bool
doctor_stat(const char *path, struct stat *st, struct verdict *v)
{
	if (stat(path, st) == 0)
		return true;
	cannot_read(path,
				errno == ENOENT || errno == ENOTDIR ? ERR_FILE_MISSING
				: errno == EACCES                   ? ERR_PERMISSION
													: ERR_IO,
				v);
	return false;
}

char *
doctor_read(const char *path, size_t max, size_t *n_out, struct verdict *v)
{
	char *text = NULL;
	enum err e = ctl_read_file(path, max, &text, n_out);
	if (e == ERR_OK)
		return text;
	cannot_read(path, e, v);
	return NULL;
}

bool
doctor_kernel(const char *path, char out[128])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, 127);
	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\n")] = 0;
	return n >= 0;
}

uint32_t
doctor_monitor(const struct doctor *d)
{
	for (pb_size_t i = 0; d->desk == ERR_OK && i < d->status.processes_count; i++)
		if (strcmp(d->status.processes[i].name, "monitor") == 0)
			return d->status.processes[i].pid;
	return 0;
}

int
doctor_draw(void *arg, unsigned char *out, size_t n)
{
	(void)arg;
	randombytes_buf(out, n);
	return 0;
}

/* ── the round ── */

enum err
doctor_open(const struct run *r, const char *file, struct doctor *d)
{
	struct stat st;
	d->run = r;
	d->conf = conf_new();
	buf_init(&d->conf_problems, 65536);
	if (!d->conf)
		return ERR_MEMORY;
	/* what is wrong in it leaves its presets: the other checks go on */
	d->conf_error = file ? conf_load_instead(d->conf, file, r->paths.etc, &d->conf_problems)
						 : conf_load(d->conf, r->paths.etc, &d->conf_problems);
	d->test = strcmp(conf_text(d->conf, CONF_MODE), "test") == 0;
	d->owner = stat(r->paths.etc, &st) == 0 ? st.st_uid : geteuid();
	/* a bundle is made without asking anybody */
	d->desk = ctl_flag(r, "--bundle") ? ERR_NOT_RUNNING : told_ask(r, DESK_MS, DESK_MS, &d->status);
	return ERR_OK;
}

void
doctor_close(struct doctor *d)
{
	buf_clear(&d->conf_problems);
	conf_free(d->conf);
}

const struct doctor_check *
doctor_check_at(size_t i)
{
	return i < CHECKS ? &checks[i] : NULL;
}

void
doctor_look_at(const struct doctor *d, const struct doctor_check *c, struct verdict *v)
{
	*v = (struct verdict){DOCTOR_OK, false, "", ""};
	c->look(d, c->arg, v);
	/* before init all that it makes is missing: that is one fault, and the host can be looked at all the same */
	if (d->conf_error == ERR_FILE_MISSING && v->result == DOCTOR_FAIL && strcmp(c->group, "host") != 0 &&
		strcmp(c->name, "install.whole") != 0)
		doctor_blocked(v, "install.whole");
}

static json_t *
verdict_json(const struct doctor_check *c, const struct verdict *v)
{
	return json_pack("{ss ss ss ss ss ss}", "check", c->name, "group", c->group, "result", words[v->result], "what",
					 c->what, "cause", v->cause, "next", v->next);
}

static void
print_verdicts(const struct verdict *v)
{
	for (size_t i = 0; i < CHECKS; i++) {
		if (i == 0 || strcmp(checks[i].group, checks[i - 1].group) != 0)
			printf("\n%s\n", checks[i].group);
		printf("  %-4s  %-24s %s\n", words[v[i].result], checks[i].name, v[i].cause);
		if (v[i].result != DOCTOR_OK)
			printf("        next: %s\n", v[i].next);
	}
}

static int
tell(const struct run *r, const struct verdict *v, int64_t took_ms)
{
	unsigned n[DOCTOR_RESULTS] = {0}, unchecked = 0;
	const char *first = NULL;
	char line[96];
	json_t *list = json_array();
	for (size_t i = 0; i < CHECKS; i++) {
		n[v[i].result]++;
		unchecked += v[i].unchecked;
		if (v[i].result == DOCTOR_FAIL && !first)
			first = checks[i].name;
		json_array_append_new(list, verdict_json(&checks[i], &v[i]));
	}
	int status = first ? EXIT_CODE_FOUND : EXIT_CODE_DONE;
	if (first)
		snprintf(line, sizeof line, "%u of %zu checks failed — %s first; see below", n[DOCTOR_FAIL], CHECKS, first);
	else if (unchecked)
		snprintf(line, sizeof line, "no fault found — but %u of %zu checks could not be made; see below", unchecked,
				 CHECKS);
	else
		snprintf(line, sizeof line, "healthy — %u of %zu checks are ok, %u warn", n[DOCTOR_OK], CHECKS, n[DOCTOR_WARN]);
	if (r->json) {
		int put =
			ctl_print_json(json_pack("{ss si si si si sI so si}", "line", line, "ok", (int)n[DOCTOR_OK], "warn",
									 (int)n[DOCTOR_WARN], "fail", (int)n[DOCTOR_FAIL], "not_checked", (int)unchecked,
									 "took_ms", (json_int_t)took_ms, "checks", list, "exit_code", status));
		return put == EXIT_CODE_DONE ? status : put;
	}
	json_decref(list);
	puts(line);
	print_verdicts(v);
	return status;
}

/* All checks that look at files and at the kernel; those that ask the desk, the API or the module are not made. */
static int
bundle(const struct doctor *d, const char *path)
{
	static struct doctor_seen seen[CHECKS];
	size_t n = 0;
	for (size_t i = 0; i < CHECKS; i++) {
		struct verdict v = {.result = DOCTOR_OK};
		if (strcmp(checks[i].group, "running") == 0 || strcmp(checks[i].group, "API") == 0 ||
			checks[i].look == doctor_hsm_loads || checks[i].look == doctor_hsm_token)
			continue;
		doctor_look_at(d, &checks[i], &v);
		seen[n++] = (struct doctor_seen){checks[i].name, v.result, v.unchecked};
	}
	return doctor_bundle(d, path, seen, n);
}

static int
act_doctor(struct run *r)
{
	static struct doctor d;
	static struct verdict verdicts[CHECKS];
	int64_t begun = clock_mono_ms();
	enum err e = doctor_open(r, NULL, &d);
	int status;

	if (e != ERR_OK) {
		status = ctl_fail(r, e, "doctor", NULL);
	} else if (ctl_flag(r, "--bundle")) {
		status = bundle(&d, ctl_flag(r, "--bundle"));
	} else {
		for (size_t i = 0; i < CHECKS; i++)
			doctor_look_at(&d, &checks[i], &verdicts[i]);
		status = tell(r, verdicts, clock_mono_ms() - begun);
	}
	doctor_close(&d);
	return status;
}

static const struct flag flags[] = {
	{"--bundle", "FILE", "write what support may see into a new file, after listing it; nothing is contacted"},
	{"--log", "FILE", "with --bundle: the log of an appliance that no service runs (the journal)"},
	{NULL, NULL, NULL},
};

const struct command cmd_doctor = {
	.words = "doctor",
	.args = "",
	.summary = "Check host, installation, stores and what runs; say what is wrong and what to do",
	.about = "Nothing is changed and no log-in is needed; it works with the daemon dead too. Each check is ok, warn (a "
			 "fact of the host, or soon a fault) or fail. Run it as root: what another user may not read is a warning. "
			 "The API's port is tried without a client certificate, which the gates' log shows as failed "
			 "handshakes.",
	.example = "sallyport --dir /srv/sallyport doctor",
	.exits = "0 1 2 7 9",
	.schema = "doctor",
	.flags = flags,
	.act = act_doctor,
};
