#include "console/ctl/jail_round.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "console/ctl/jail_rows.h"
#include "console/ctl/layout.h"
#include "console/ctl/told.h"
#include "daemon/wire/jails.h"

#define DESK_MS  800
#define TRIES    4
#define AGAIN_MS 250

const char *
jail_round_title(const struct jail_row *row, char out[JAIL_TITLE_BYTES])
{
	if (process_instances(row->process) > 1 && row->told.pid)
		snprintf(out, JAIL_TITLE_BYTES, "%s/%u", process_name(row->process), (unsigned)row->told.index);
	else
		snprintf(out, JAIL_TITLE_BYTES, "%s", process_name(row->process));
	return out;
}

/* Under a root monitor each process has a user of its own; else all are the one who started it. */
static void
set_user(struct jail_row *row, uint32_t monitor_uid)
{
	uid_t uid = monitor_uid;
	const struct passwd *pw = getpwuid(monitor_uid);
	if (monitor_uid == 0 && jail_judge_is_child(row->process)) {
		snprintf(row->user, sizeof row->user, "sallyport-%s", process_name(row->process));
		row->uid = layout_user(process_name(row->process), &uid) == ERR_OK ? uid : JAIL_USER_UNKNOWN;
		return;
	}
	snprintf(row->user, sizeof row->user, "%s", pw ? pw->pw_name : "?");
	row->uid = monitor_uid;
}

static void
add_row(struct jail_round *out, enum process p, const sp_process_view *told)
{
	if (out->n == JAIL_ROUND_ROWS)
		return;
	struct jail_row *row = &out->rows[out->n++];
	*row = (struct jail_row){.process = p, .looked = ERR_NOT_FOUND};
	if (told)
		row->told = *told;
	const struct jail_spec *s = jails_declared(p);
	row->calls = s ? jail_count(s) : 0;
}

static struct jail_row *
monitor_of(struct jail_round *round)
{
	for (size_t i = 0; i < round->n; i++)
		if (round->rows[i].process == PROCESS_MONITOR)
			return &round->rows[i];
	return NULL;
}

static void
judge(struct jail_round *out, bool other_version)
{
	const struct jail_row *m = monitor_of(out);
	for (size_t i = 0; i < out->n; i++) {
		struct jail_row *row = &out->rows[i];
		const struct jail_case c = {.process = row->process,
									.told = &row->told,
									.looked = row->looked,
									.seen = &row->seen,
									.monitor = m && m->looked == ERR_OK ? &m->seen : NULL,
									.monitor_pid = m ? m->told.pid : 0,
									.host = &out->host,
									.uid = row->uid,
									.user = row->user,
									.calls = row->calls,
									.other_version = other_version};
		row->faults_n = jail_judge(&c, row->faults);
		out->faults += (unsigned)row->faults_n;
		out->down += row->told.pid == 0;
		out->unseen += row->told.pid && row->looked == ERR_PERMISSION;
	}
}

static void
round_of(const sp_status_rep *s, struct jail_round *out)
{
	uint32_t uid = 0;
	*out = (struct jail_round){.desk = ERR_OK};
	jail_seen_host(&out->host);
	for (pb_size_t i = 0; i < s->processes_count; i++) {
		enum process p = jail_rows_process(s->processes[i].name);
		if (p != PROCESS_MAX) /* one that only a newer version has, has no rows here */
			add_row(out, p, &s->processes[i]);
	}
	for (size_t i = 0; i < out->n; i++)
		if (out->rows[i].told.pid)
			out->rows[i].looked = jail_seen_read("/proc", out->rows[i].told.pid, &out->rows[i].seen);
	const struct jail_row *m = monitor_of(out);
	if (m && m->looked == ERR_OK)
		uid = m->seen.uid[0];
	for (size_t i = 0; i < out->n; i++)
		set_user(&out->rows[i], uid);
	judge(out, s->new_version || strcmp(s->version, VERSION) != 0);
}

static void
declared(const struct run *r, enum err why, struct jail_round *out)
{
	struct stat st;
	uint32_t uid = stat(r->paths.etc, &st) == 0 ? st.st_uid : geteuid();
	*out = (struct jail_round){.desk = why};
	jail_seen_host(&out->host);
	for (unsigned p = 0; p < PROCESS_OFFICER; p++)
		add_row(out, (enum process)p, NULL);
	for (size_t i = 0; i < out->n; i++)
		set_user(&out->rows[i], uid);
}

enum err
jail_round_look(const struct run *r, struct jail_round *out)
{
	static sp_status_rep rep;
	const struct timespec pause = {0, AGAIN_MS * 1000000L};
	enum err e = ERR_OK;
	for (unsigned i = 0; i < TRIES && (i == 0 || out->faults); i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		e = layout_complete(&r->paths) ? told_look(r, DESK_MS, DESK_MS, &rep) : ERR_NOT_INITIALISED;
		if (e != ERR_OK)
			break;
		round_of(&rep, out);
	}
	if (e == ERR_NOT_RUNNING || e == ERR_NOT_INITIALISED)
		declared(r, e, out);
	return e;
}
