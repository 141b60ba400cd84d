/* Overview — is it well, how fast is it, what needs a person. */
#include <stdio.h>
#include <string.h>

#include "console/tui/app.h"
#include "daemon/base/clock.h"
#include "daemon/wire/client.h"
#include "daemon/wire/page.h"

static void
fetch(struct app *a)
{
	static const sp_vault_facts_req vault;
	static const sp_ledger_facts_req ledger;
	/* what does not answer keeps its last facts; the header says what is wrong */
	if (app_ask(a, MSG_vault_facts, &vault, &a->vault) != ERR_OK)
		a->vault.sealed = true;
	if (app_ask(a, MSG_ledger_facts, &ledger, &a->ledger) != ERR_OK)
		a->ledger.cause = ERR_LEDGER_AWAY;
}

static void
spark_text(const uint32_t *values, int n, char *out, size_t size)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇"};
	uint32_t top = 1;
	size_t at = 0;

	for (int i = SPARKS - n; i < SPARKS; i++)
		top = values[i] > top ? values[i] : top;
	for (int i = SPARKS - n; i < SPARKS && at + 4 < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s", bars[values[i] * 6 / top]);
}

static void
age_text(int64_t at_ms, int64_t now_ms, char out[32])
{
	int64_t s = now_ms > at_ms ? (now_ms - at_ms) / 1000 : 0;
	if (at_ms <= 0)
		snprintf(out, 32, "never");
	else
		snprintf(out, 32, "%lld %s ago",
				 (long long)(s < 60     ? s
							 : s < 3600 ? s / 60
										: s / 3600),
				 s < 60     ? "s"
				 : s < 3600 ? "min"
							: "h");
}

static void
draw_figures(struct app *a, struct view *v)
{
	char spark[SPARKS * 4 + 1] = "", age[32], age2[32], p50[LATENCY_TEXT_BYTES], p95[LATENCY_TEXT_BYTES],
							p99[LATENCY_TEXT_BYTES];
	int n = v->columns >= 110 ? 30 : v->columns >= 70 ? 10 : 6;

	spark_text(a->spark_auth, n, spark, sizeof spark);
	latency_text(latency_at(&a->auth_latency, 50), p50);
	latency_text(latency_at(&a->auth_latency, 95), p95);
	latency_text(latency_at(&a->auth_latency, 99), p99);
	view_add(v, LOOK_PLAIN, "  authorizations %6u /s %s  p50 %s  p95 %s  p99 %s ms  declined %llu",
			 (unsigned)a->spark_auth[SPARKS - 1], spark, p50, p95, p99,
			 (unsigned long long)app_metric(a, "payments_declined_total"));
	spark_text(a->spark_tokens, n, spark, sizeof spark);
	view_add(v, LOOK_PLAIN, "  tokens         %6u /s %s  cards stored %llu  CVV held %llu",
			 (unsigned)a->spark_tokens[SPARKS - 1], spark, (unsigned long long)a->vault.cards,
			 (unsigned long long)a->vault.cvc_held);
	age_text(a->vault.checkpoint_at_ms, a->at_ms, age);
	age_text((int64_t)app_metric(a, "audit_ledger_checkpoint_timestamp_ms"), a->at_ms, age2);
	view_add(v, LOOK_PLAIN, "  audit          vault %llu leaves, signed %s   ledger %llu, signed %s",
			 (unsigned long long)a->vault.leaves, age, (unsigned long long)a->ledger.leaves, age2);
	view_add(v, a->ledger.dead ? LOOK_WARN : LOOK_PLAIN,
			 "  queue          outbox %llu   dead %llu   in flight %llu   unknown %llu",
			 (unsigned long long)a->ledger.outbox, (unsigned long long)a->ledger.dead,
			 (unsigned long long)a->ledger.in_flight, (unsigned long long)a->ledger.unknown);
	view_add(v, a->vault.hsm_software ? LOOK_WARN : LOOK_PLAIN, "  hsm            %s%s   %llu operations",
			 a->vault.hsm_token, a->vault.hsm_software ? " (software: for tests only)" : "",
			 (unsigned long long)app_metric(a, "hsm_operations_total"));
	view_add(v, LOOK_PLAIN, "  install        %s%s   API https://%s", a->status.install,
			 a->status.test ? " (TEST)" : "", a->status.listen);
}

/* Each line says what is up and where to look. */
static void
draw_needs(struct app *a, struct view *v)
{
	int before = v->lines;
	char at[CLOCK_TEXT_BYTES];
	uint64_t expiry = app_metric(a, "certificate_expiry_timestamp_seconds");
	int64_t days = expiry ? ((int64_t)expiry - a->at_ms / 1000) / 86400 : 999;

	if (a->status.cause != ERR_OK && a->status.cause != ERR_CONFIG_REFUSED) { /* which has lines of its own */
		bool named = strstr(a->status.next, a->status.runbook) != NULL;
		view_add(v, LOOK_BAD, "  ▸ %s", a->status.detail);
		view_add(v, LOOK_BAD, "    next: %.*s%s%s", (int)strcspn(a->status.next, ";"), a->status.next,
				 named ? "" : "; man ", named ? "" : a->status.runbook);
	}
	if (a->status.config_refused_at_ms) {
		clock_text(a->status.config_refused_at_ms, at);
		view_add(v, LOOK_BAD, "  ▸ the configuration on disk was refused at %s", at);
		view_add(v, LOOK_BAD, "    %s", a->status.config_refused);
		view_add(v, LOOK_BAD, "    the old one is in force; next: %s", err_next(ERR_CONFIG_REFUSED));
	}
	if (days < 30)
		view_add(v, LOOK_WARN, "  ▸ the gate's certificate expires in %lld days", (long long)days);
	if (a->ledger.dead)
		view_add(v, LOOK_WARN, "  ▸ %llu dead letters", (unsigned long long)a->ledger.dead);
	if (a->ledger.unknown)
		view_add(v, LOOK_WARN, "  ▸ %llu payments with an unknown outcome: press 4",
				 (unsigned long long)a->ledger.unknown);
	if (v->lines == before)
		view_add(v, LOOK_GOOD, "  nothing needs you");
}

static void
draw_processes(struct app *a, struct view *v)
{
	static const struct column columns[] = {{"PROCESS", -10, 0}, {"PID", 7, 1}, {"USER", -18, 3},  {"JAIL", -28, 4},
											{"MEMORY", 9, 2},    {"UP", 8, 2},  {"RESTARTS", 8, 0}};
	view_row(v, LOOK_TITLE, columns, 7, NULL);
	a->rows = 0;
	for (pb_size_t i = 0; i < a->status.processes_count; i++) {
		const sp_process_view *p = &a->status.processes[i];
		char name[24], pid[16], memory[24], up[24], restarts[16];
		snprintf(name, sizeof name, strcmp(p->name, "gate") == 0 ? "%s/%u" : "%s", p->name, (unsigned)p->index);
		if (!app_shows(a, name))
			continue;
		snprintf(pid, sizeof pid, "%u", (unsigned)p->pid);
		snprintf(memory, sizeof memory, "%.1f MiB", (double)p->rss_bytes / 1048576.0);
		int64_t s = (a->status.at_ms - p->started_at_ms) / 1000;
		snprintf(up, sizeof up, s < 3600 ? "%lldm%02llds" : "%lldh%02lldm", (long long)(s < 3600 ? s / 60 : s / 3600),
				 (long long)(s < 3600 ? s % 60 : s / 60 % 60));
		snprintf(restarts, sizeof restarts, "%u", (unsigned)p->restarts);
		const char *cells[] = {name, pid, p->user, p->jail, memory, up, restarts};
		view_row(v, p->restarts ? LOOK_WARN : LOOK_PLAIN, columns, 7, cells);
	}
}

static void
draw(struct app *a, struct view *v)
{
	draw_figures(a, v);
	view_add(v, LOOK_PLAIN, " ");
	view_add(v, LOOK_TITLE, "  Needs you");
	draw_needs(a, v);
	view_add(v, LOOK_PLAIN, " ");
	draw_processes(a, v);
}

const struct screen screen_overview = {.title = "Overview", .fetch = fetch, .draw = draw};
