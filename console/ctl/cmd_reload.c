/*
 * sallyport config reload — looks at the configuration first, by form and by meaning, and has what runs take it over.
 * What is found is refused in the monitor's name: status, /health and the journal say so until a reload is taken.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "console/ctl/config_check.h"
#include "console/ctl/ctl.h"
#include "console/ctl/layout.h"
#include "console/ctl/told.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "policy/schema/wire.pb.h"

#define VERDICT_FILE "config.refused" /* daemon/monitor/reload.c takes it */
#define WAIT_MS      5000
#define LOOK_MS      50
#define DESK_MS      1000
#define TEXT_BYTES   (3 * DOCTOR_TEXT_BYTES)

static pid_t
monitor_of(const sp_status_rep *s)
{
	for (pb_size_t i = 0; i < s->processes_count; i++)
		if (strcmp(s->processes[i].name, "monitor") == 0)
			return (pid_t)s->processes[i].pid;
	return 0;
}

/* Leaves what was found where the monitor looks, or nothing. */
static enum err
leave_verdict(const struct run *r, const struct config_check *c)
{
	char path[PATH_BYTES], first[TEXT_BYTES];
	enum err e = ctl_path(path, r->paths.run, VERDICT_FILE);
	if (e != ERR_OK)
		return e;
	if (c->e == ERR_CONFIG)
		config_check_first(c, first, sizeof first);
	else
		snprintf(first, sizeof first, "%s", c->cause[0] ? c->cause : err_title(c->e));
	if (c->e != ERR_OK)
		return ctl_write_file(path, first, strlen(first), 0600);
	return unlink(path) == 0 || errno == ENOENT ? ERR_OK : ERR_PERMISSION;
}

/* Until its page says that it has read: taken over or refused. ERR_DEADLINE. */
static enum err
wait_for(const struct run *r, const sp_status_rep *before, sp_status_rep *rep)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;
	enum err e = ERR_DEADLINE;
	while (clock_mono_ms() < until_ms) {
		e = told_look(r, DESK_MS, DESK_MS, rep);
		if (e == ERR_OK && (rep->config_at_ms != before->config_at_ms ||
							(rep->config_refused_at_ms && rep->config_refused_at_ms != before->config_refused_at_ms)))
			return ERR_OK;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	}
	return e == ERR_OK ? ERR_DEADLINE : e;
}

static int
tell(const struct run *r, const sp_status_rep *before, const sp_status_rep *now)
{
	char at[CLOCK_TEXT_BYTES], cause[400];
	if (now->config_refused_at_ms && now->config_refused_at_ms != before->config_refused_at_ms) {
		snprintf(cause, sizeof cause, "%s — the old one is in force", now->config_refused);
		return ctl_fail(r, ERR_CONFIG_REFUSED, "config reload", cause);
	}
	clock_text(now->config_at_ms, at);
	if (r->json)
		return ctl_print_json(json_pack("{ss ss}", "result", "reloaded", "in_force_since", at));
	printf("reloaded — in force since %s; keys that need a restart are named in the journal\n", at);
	return EXIT_CODE_DONE;
}

static int
act_reload(struct run *r)
{
	static sp_status_rep before, now;
	enum err e = layout_complete(&r->paths) ? told_look(r, DESK_MS, DESK_MS, &before) : ERR_NOT_INITIALISED;
	struct config_check *c = NULL;
	if (e == ERR_OK)
		e = (c = config_check_make(r, NULL)) ? leave_verdict(r, c) : ERR_MEMORY;
	mem_free(c);
	if (e == ERR_OK && (monitor_of(&before) <= 1 || kill(monitor_of(&before), SIGHUP) != 0))
		e = errno == EPERM ? ERR_PERMISSION : ERR_NOT_RUNNING;
	if (e == ERR_OK)
		e = wait_for(r, &before, &now);
	return e == ERR_OK ? tell(r, &before, &now) : ctl_fail(r, e, "config reload", NULL);
}

const struct command cmd_config_reload = {
	.words = "config reload",
	.args = "",
	.summary = "Check the configuration, and have what runs take it over",
	.about =
		"What `systemctl reload sallyport` runs. A configuration in which `config check` finds an error is refused "
		"(exit "
		"9): what runs goes on with the old one, and `status` says so until a reload is taken. Certificates and the "
		"HSM's PIN are read anew too. Keys that need a restart keep their value until then.",
	.example = "sallyport --dir /srv/sallyport config reload",
	.exits = "0 1 2 5 6 7 9",
	.schema = "config-reload",
	.act = act_reload,
};
