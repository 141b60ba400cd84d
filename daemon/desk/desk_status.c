#include "daemon/desk/desk_status.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/conf.h"
#include "daemon/wire/page_account.h"
#include "daemon/wire/page_note.h"
#include "daemon/wire/proc.h"

#define PAGES_MAX 32

/* How the pages' values of one metric become one: counters and most gauges add up, these do not. */
enum fold { FOLD_SUM, FOLD_MAX, FOLD_MIN };
static const struct {
	enum metric metric;
	enum fold fold;
} folds[] = {
	{METRIC_VAULT_CHECKPOINT_AT, FOLD_MAX}, {METRIC_LEDGER_CHECKPOINT_AT, FOLD_MAX}, {METRIC_OUTBOX_LAG, FOLD_MAX},
	{METRIC_LOOP_MAX_US, FOLD_MAX},         {METRIC_CERT_EXPIRY, FOLD_MIN},          {METRIC_DISK_FREE, FOLD_MIN},
	{METRIC_CONFIG_REFUSED_AT, FOLD_MAX},
};

static enum fold
fold_of(enum metric m)
{
	for (size_t i = 0; i < sizeof folds / sizeof *folds; i++)
		if (folds[i].metric == m)
			return folds[i].fold;
	return FOLD_SUM;
}

static uint64_t
fold(enum fold how, uint64_t a, uint64_t b)
{
	if (how == FOLD_SUM)
		return a + b;
	if (how == FOLD_MAX)
		return a > b ? a : b;
	/* 0: this process has no such figure */
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void
add_metric(sp_status_rep *out, const char *name, const char *suffix, uint64_t value)
{
	if (out->metrics_count == sizeof out->metrics / sizeof *out->metrics)
		return;
	sp_metric_view *view = &out->metrics[out->metrics_count++];
	snprintf(view->name, sizeof view->name, "%s%s", name, suffix);
	view->value = value;
}

static void
fill_metrics(const struct page *const *pages, unsigned n, sp_status_rep *out)
{
	for (unsigned m = 0; m < METRIC_MAX; m++) {
		int slot = metric_histogram((enum metric)m);
		uint64_t value = 0, sum_us = 0;
		for (unsigned i = 0; i < n; i++) {
			if (!pages[i])
				continue;
			if (slot < 0)
				value = fold(fold_of((enum metric)m), value,
							 atomic_load_explicit(&pages[i]->value[m], memory_order_relaxed));
			else {
				value += atomic_load_explicit(&pages[i]->histogram[slot].count, memory_order_relaxed);
				sum_us += atomic_load_explicit(&pages[i]->histogram[slot].sum_us, memory_order_relaxed);
			}
		}
		add_metric(out, metric_name((enum metric)m), slot < 0 ? "" : "_count", value);
		if (slot >= 0)
			add_metric(out, metric_name((enum metric)m), "_sum_us", sum_us);
	}
}

/* How often each length of time was seen: what percentiles are made of, by who asks. */
static void
fill_histograms(const struct page *const *pages, unsigned n, sp_status_rep *out)
{
	_Static_assert(sizeof out->histograms / sizeof *out->histograms == PAGE_HISTOGRAMS, "one view for each");
	_Static_assert(sizeof out->histograms[0].bucket / sizeof out->histograms[0].bucket[0] == PAGE_BUCKETS + 1,
				   "and each with all buckets");

	for (unsigned m = 0; m < METRIC_MAX; m++) {
		int slot = metric_histogram((enum metric)m);
		if (slot < 0)
			continue;
		sp_histogram_view *view = &out->histograms[out->histograms_count++];
		snprintf(view->name, sizeof view->name, "%s", metric_name((enum metric)m));
		view->bucket_count = PAGE_BUCKETS + 1;
		for (unsigned b = 0; b <= PAGE_BUCKETS; b++)
			for (unsigned i = 0; i < n; i++)
				if (pages[i])
					view->bucket[b] += atomic_load_explicit(&pages[i]->histogram[slot].bucket[b], memory_order_relaxed);
	}
}

static void
fill_process(const struct page *p, int64_t mono_ms, sp_process_view *v)
{
	*v = (sp_process_view){
		.index = p->index,
		.pid = atomic_load(&p->pid),
		.jail_calls = atomic_load(&p->jail_calls),
		.landlock_abi = atomic_load(&p->landlock_abi),
		.started_at_ms = atomic_load(&p->started_at_ms),
		.restarts = atomic_load(&p->restarts),
		.heartbeat_age_ms = mono_ms - atomic_load(&p->heartbeat_mono_ms),
		.rss_bytes = atomic_load(&p->rss_bytes),
		.state = atomic_load(&p->state),
		.cause = atomic_load(&p->cause),
	};
	snprintf(v->name, sizeof v->name, "%s", process_name((enum process)p->process));
	/* the owner may be writing these just now: never trust that they end */
	snprintf(v->user, sizeof v->user, "%.*s", (int)sizeof p->user - 1, p->user);
	snprintf(v->jail, sizeof v->jail, "%.*s", (int)sizeof p->jail - 1, p->jail);
}

/* What stands until somebody does something. Of several refusals (all gates refuse one certificate) one is told. */
static void
fill_standing(const struct page *p, sp_status_rep *out)
{
	char text[PAGE_NOTE_BYTES];
	int64_t at_ms = page_note_get(p, text);
	_Static_assert(sizeof out->config_refused >= PAGE_NOTE_BYTES, "a note fits");
	out->new_version |= atomic_load(&p->new_version) != 0;
	if (p->process == PROCESS_MONITOR)
		out->config_at_ms = atomic_load(&p->conf_at_ms);
	if (!at_ms || out->config_refused_at_ms)
		return;
	out->config_refused_at_ms = at_ms;
	memcpy(out->config_refused, text, sizeof text);
}

static void
fill_accounts(const struct page *courier, int64_t mono_ms, sp_status_rep *out)
{
	struct health_outage one;
	for (unsigned i = 0; out->accounts_count < PAGE_ACCOUNTS && page_account_read(courier, i, &one); i++) {
		sp_account_view *v = &out->accounts[out->accounts_count++];
		snprintf(v->account, sizeof v->account, "%s", one.account);
		v->breaker = one.breaker;
		v->failures = one.failures;
		v->since_ms = one.failures ? one.since_wall_ms : 0;
		v->retry_in_ms = one.breaker && one.retry_mono_ms > mono_ms ? one.retry_mono_ms - mono_ms : 0;
	}
}

void
desk_status_fill(const struct page *const *pages, unsigned n, int64_t wall_ms, int64_t mono_ms, sp_status_rep *out)
{
	struct health health = page_health(pages, n, mono_ms);

	memset(out, 0, sizeof *out);
	out->state = health.state;
	out->cause = (uint32_t)health.cause;
	health_line(health, out->line, sizeof out->line);
	snprintf(out->cause_code, sizeof out->cause_code, "%s", err_code(health.cause));
	health_detail(health, out->detail, sizeof out->detail);
	snprintf(out->next, sizeof out->next, "%s", health_next(health));
	snprintf(out->runbook, sizeof out->runbook, "%s", health.cause == ERR_OK ? "" : err_runbook(health.cause));
	out->at_ms = wall_ms;
	for (unsigned i = 0; i < n && out->processes_count < sizeof out->processes / sizeof *out->processes; i++)
		if (pages[i])
			fill_process(pages[i], mono_ms, &out->processes[out->processes_count++]);
	for (unsigned i = 0; i < n; i++)
		if (pages[i] && pages[i]->process == PROCESS_COURIER)
			fill_accounts(pages[i], mono_ms, out);
	/* also while something graver is told first */
	for (unsigned i = 0; i < n; i++)
		if (pages[i])
			fill_standing(pages[i], out);
	fill_metrics(pages, n, out);
	fill_histograms(pages, n, out);
}

void
desk_status_answer(struct call *call, const void *req)
{
	static sp_status_rep rep; /* large, and one turn answers one at a time */
	const struct page *pages[PAGES_MAX];
	const struct conf *conf = proc_conf();
	unsigned n = 0;

	(void)req;
	for (unsigned p = 0; p < PROCESS_OFFICER; p++)
		for (unsigned i = 0; i < 16 && n < PAGES_MAX; i++) {
			const struct page *page = proc_page_of((enum process)p, i);
			if (page)
				pages[n++] = page;
		}
	desk_status_fill(pages, n, clock_wall_ms(), clock_mono_ms(), &rep);
	snprintf(rep.install, sizeof rep.install, "%s", conf_text(conf, CONF_INSTALL));
	snprintf(rep.node, sizeof rep.node, "%s", conf_text(conf, CONF_NODE));
	snprintf(rep.listen, sizeof rep.listen, "%s", conf_text(conf, CONF_LISTEN));
	snprintf(rep.version, sizeof rep.version, "%s", PACKAGE_VERSION);
	rep.test = strcmp(conf_text(conf, CONF_MODE), "test") == 0;
	rep.hsm_software = conf_bool(conf, CONF_HSM_SOFTWARE);
	call_reply(call, ERR_OK, &rep);
}
