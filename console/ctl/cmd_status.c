/* sallyport status — the first line says what is; the rest says who. */
#include <stdio.h>
#include <string.h>

#include "console/ctl/ctl.h"
#include "console/ctl/layout.h"
#include "console/ctl/told.h"
#include "daemon/base/clock.h"
#include "daemon/wire/page.h"
#include "policy/schema/wire.pb.h"

static int
exit_of_state(unsigned state, enum err cause)
{
	static const int codes[] = {[PAGE_STARTING] = EXIT_CODE_REFUSING,
								[PAGE_SERVING] = EXIT_CODE_DONE,
								[PAGE_REFUSING] = EXIT_CODE_REFUSING,
								[PAGE_SEALED] = EXIT_CODE_SEALED,
								[PAGE_STOPPING] = EXIT_CODE_REFUSING};
	(void)cause;
	return state < sizeof codes / sizeof *codes ? codes[state] : EXIT_CODE_FAILED;
}

static void
uptime_text(int64_t ms, char out[24])
{
	int64_t s = ms < 0 ? 0 : ms / 1000;
	if (s < 60)
		snprintf(out, 24, "%llds", (long long)s);
	else if (s < 3600)
		snprintf(out, 24, "%lldm %02llds", (long long)(s / 60), (long long)(s % 60));
	else if (s < 86400)
		snprintf(out, 24, "%lldh %02lldm", (long long)(s / 3600), (long long)(s / 60 % 60));
	else
		snprintf(out, 24, "%lldd %02lldh", (long long)(s / 86400), (long long)(s / 3600 % 24));
}

static json_t *
process_json(const sp_process_view *p, int64_t now_ms)
{
	return json_pack("{ss si si ss ss si si sI si so}", "process", p->name, "index", (int)p->index, "pid", (int)p->pid,
					 "user", p->user, "jail", p->jail, "system_calls", (int)p->jail_calls, "landlock_abi",
					 (int)p->landlock_abi, "uptime_ms", (json_int_t)(now_ms - p->started_at_ms), "restarts",
					 (int)p->restarts, "rss_bytes",
					 p->rss_bytes ? json_integer((json_int_t)p->rss_bytes) : json_null());
}

static json_t *
configuration_json(const sp_status_rep *s)
{
	char at[CLOCK_TEXT_BYTES], refused_at[CLOCK_TEXT_BYTES];
	json_t *refused = json_null();
	clock_text(s->config_at_ms, at);
	clock_text(s->config_refused_at_ms, refused_at);
	if (s->config_refused_at_ms)
		refused =
			json_pack("{ss ss ss}", "at", refused_at, "first", s->config_refused, "next", err_next(ERR_CONFIG_REFUSED));
	return json_pack("{ss so}", "in_force_since", at, "refused", refused);
}

static const char *
breaker_word(uint32_t breaker)
{
	static const char *const words[] = {"closed", "open", "half-open"}; /* enum breaker_state */
	return breaker < sizeof words / sizeof *words ? words[breaker] : "?";
}

static json_t *
account_json(const sp_account_view *a)
{
	char since[CLOCK_TEXT_BYTES];
	clock_text(a->since_ms, since);
	return json_pack("{ss sb ss si so sI}", "account", a->account, "answers", a->breaker == 0, "breaker",
					 breaker_word(a->breaker), "failures", (int)a->failures, "since",
					 a->failures ? json_string(since) : json_null(), "retry_in_ms", (json_int_t)a->retry_in_ms);
}

static int
print_status_json(const sp_status_rep *s, const char *line, int status)
{
	json_t *processes = json_array(), *metrics = json_object(), *accounts = json_array();
	for (pb_size_t i = 0; i < s->accounts_count; i++)
		json_array_append_new(accounts, account_json(&s->accounts[i]));
	for (pb_size_t i = 0; i < s->processes_count; i++)
		json_array_append_new(processes, process_json(&s->processes[i], s->at_ms));
	for (pb_size_t i = 0; i < s->metrics_count; i++)
		json_object_set_new(metrics, s->metrics[i].name, json_integer((json_int_t)s->metrics[i].value));
	ctl_print_json(json_pack("{ss ss ss ss ss ss ss ss sb sb ss so so so so si}", "state",
							 page_state_word((enum page_state)s->state), "cause", s->cause_code, "line", line, "detail",
							 s->detail, "runbook", s->runbook, "install", s->install, "version", s->version,
							 "installed_version", VERSION, "new_version", (int)s->new_version, "test", (int)s->test,
							 "listen", s->listen, "configuration", configuration_json(s), "processors", accounts,
							 "processes", processes, "metrics", metrics, "exit_code", status));
	return status;
}

/* What line 1 has no room for: since when, how often, and which page tells what to do. */
static void
print_cause(const sp_status_rep *s)
{
	char since[CLOCK_TEXT_BYTES];
	if (!s->runbook[0])
		return;
	putchar('\n');
	if (s->cause != ERR_PROCESSOR_OUT)
		puts(s->detail);
	for (pb_size_t i = 0; i < s->accounts_count; i++) {
		const sp_account_view *a = &s->accounts[i];
		clock_text(a->since_ms, since);
		if (a->breaker)
			printf("processor %s does not answer (%u %s since %.19sZ); it is asked again in %lld s\n", a->account,
				   (unsigned)a->failures, a->failures == 1 ? "failure" : "failures", since,
				   (long long)(a->retry_in_ms + 999) / 1000);
	}
	printf("runbook: man %s\n", s->runbook);
}

static void
print_processes(const sp_status_rep *s)
{
	printf("\n%-10s %7s  %-19s %-30s %8s %9s %8s\n", "PROCESS", "PID", "USER", "JAIL", "MEMORY", "UP", "RESTARTS");
	for (pb_size_t i = 0; i < s->processes_count; i++) {
		const sp_process_view *p = &s->processes[i];
		char name[24], up[24], memory[24] = "        –";
		snprintf(name, sizeof name, strcmp(p->name, "gate") == 0 ? "%s/%u" : "%s", p->name, (unsigned)p->index);
		uptime_text(s->at_ms - p->started_at_ms, up);
		/* a process that has not measured itself yet has some memory all the same */
		if (p->rss_bytes)
			snprintf(memory, sizeof memory, "%.1f MiB", (double)p->rss_bytes / 1048576.0);
		printf("%-10s %7u  %-19s %-30s %9s %8s %8u\n", name, (unsigned)p->pid, p->user, p->jail, memory, up,
			   (unsigned)p->restarts);
	}
}

/* Stands there until a reload is taken. */
static void
print_refused(const sp_status_rep *s)
{
	char at[CLOCK_TEXT_BYTES];
	if (!s->config_refused_at_ms)
		return;
	clock_text(s->config_refused_at_ms, at);
	printf("\nthe configuration on disk was refused at %s: %s — the old one is in force\nnext: %s\n", at,
		   s->config_refused, err_next(ERR_CONFIG_REFUSED));
}

/* The problem, and what a reader of status looks for in every answer. */
static json_t *
away_json(enum err e, const char *line)
{
	json_t *doc = ctl_problem_json(e, "status", NULL, NULL);
	json_object_set_new(doc, "state", json_string(e == ERR_NOT_RUNNING ? "not running" : "not initialised"));
	json_object_set_new(doc, "line", json_string(line));
	json_object_set_new(doc, "exit_code", json_integer(ctl_exit_of(e)));
	return doc;
}

static int
not_there(struct run *r, enum err e)
{
	const char *line = e == ERR_NOT_INITIALISED ? "not initialised — no appliance here; sallyport init"
												: "not running — nobody answers; start sallyportd";
	if (e != ERR_NOT_INITIALISED && e != ERR_NOT_RUNNING)
		return ctl_fail(r, e, "status", NULL);
	if (r->json)
		ctl_print_json(away_json(e, line));
	else
		puts(line);
	return ctl_exit_of(e);
}

static int
act_status(struct run *r)
{
	static sp_status_rep rep;
	char line[sizeof rep.line];
	/* 300 ms for the whole answer, with a dead or hanging desk too */
	enum err e = layout_complete(&r->paths) ? told_look(r, 100, 180, &rep) : ERR_NOT_INITIALISED;

	if (e != ERR_OK)
		return not_there(r, e);
	/* in the words of the version that runs: it may be another than ours */
	snprintf(line, sizeof line, "%s", rep.line);
	int status = exit_of_state(rep.state, (enum err)rep.cause);
	if (r->json)
		return print_status_json(&rep, line, status);
	puts(line);
	print_cause(&rep);
	printf("\ninstall %s%s   version %s%s   API https://%s%s\n", rep.install, rep.test ? " (TEST)" : "", rep.version,
		   rep.new_version ? " (installed: " VERSION ")" : "", rep.listen,
		   rep.hsm_software ? "   HSM: software, for tests only" : "");
	print_refused(&rep);
	print_processes(&rep);
	return status;
}

const struct command cmd_status = {
	.words = "status",
	.args = "",
	.summary = "Say what the appliance is doing and, if it is not serving, why",
	.about =
		"The first line is `<state> — <cause>[; <next step>]`. It answers within 300 ms, with the daemon dead too.",
	.example = "sallyport --dir /srv/sallyport status",
	.exits = "0 1 2 3 4 5 6 7",
	.schema = "status",
	.act = act_status,
};
