#include "daemon/gate/prometheus.h"

#include <inttypes.h>

#include "daemon/base/clock.h"
#include "daemon/gate/readiness.h"
#include "daemon/wire/page_account.h"
#include "daemon/wire/proc.h"

#define PAGES_MAX 64

/* The processes that exist, with their names and numbers. */
struct seen {
	const struct page *page;
	const char *name;
	unsigned index;
};

static const struct {
	enum process process;
	unsigned instances;
} processes[] = {
#define PROCESS(ID, name, instances, what) {PROCESS_##ID, instances},
#include "policy/processes.def"
#undef PROCESS
};

static const char *const kinds[] = {
	[METRIC_KIND_COUNTER] = "counter", [METRIC_KIND_GAUGE] = "gauge", [METRIC_KIND_HISTOGRAM] = "histogram"};

static unsigned
look(struct seen seen[PAGES_MAX])
{
	unsigned n = 0;

	for (size_t p = 0; p < sizeof(processes) / sizeof(*processes); p++) {
		for (unsigned i = 0; i < processes[p].instances && n < PAGES_MAX; i++) {
			const struct page *page = proc_page_of(processes[p].process, i);

			if (page)
				seen[n++] = (struct seen){page, process_name(processes[p].process), i};
		}
	}
	return n;
}

#define READ(word) atomic_load_explicit(&(word), memory_order_relaxed)

static enum err
write_histogram(struct buf *out, const char *name, const struct seen *s, const struct page_histogram *h)
{
	uint64_t sum = 0;
	enum err e = ERR_OK;

	for (unsigned b = 0; b < PAGE_BUCKETS && !e; b++) {
		sum += READ(h->bucket[b]);
		e = buf_printf(out, "sallyport_%s_bucket{process=\"%s\",instance=\"%u\",le=\"%g\"} %" PRIu64 "\n", name,
					   s->name, s->index, page_bucket_us[b] / 1e6, sum);
	}
	sum += READ(h->bucket[PAGE_BUCKETS]);
	if (!e)
		e = buf_printf(out,
					   "sallyport_%s_bucket{process=\"%s\",instance=\"%u\",le=\"+Inf\"} %" PRIu64 "\n"
					   "sallyport_%s_sum{process=\"%s\",instance=\"%u\"} %.6f\n"
					   "sallyport_%s_count{process=\"%s\",instance=\"%u\"} %" PRIu64 "\n",
					   name, s->name, s->index, sum, name, s->name, s->index, (double)READ(h->sum_us) / 1e6, name,
					   s->name, s->index, sum);
	return e;
}

static enum err
write_metric(struct buf *out, enum metric m, const struct seen *seen, unsigned n)
{
	int slot = metric_histogram(m);
	enum err e = buf_printf(out, "# HELP sallyport_%s %s\n# TYPE sallyport_%s %s\n", metric_name(m), metric_help(m),
							metric_name(m), kinds[metric_kind_of(m)]);

	/* A process that never touched a figure does not have it: 0 of it would only be noise, eight times over. */
	for (unsigned i = 0; i < n && !e; i++) {
		if (slot >= 0) {
			if (READ(seen[i].page->histogram[slot].count))
				e = write_histogram(out, metric_name(m), &seen[i], &seen[i].page->histogram[slot]);
		} else if (READ(seen[i].page->value[m])) {
			e = buf_printf(out, "sallyport_%s{process=\"%s\",instance=\"%u\"} %" PRIu64 "\n", metric_name(m),
						   seen[i].name, seen[i].index, READ(seen[i].page->value[m]));
		}
	}
	return e;
}

static enum err
write_state(struct buf *out)
{
	struct health h = readiness_now();
	enum err e = buf_printf(out, "# HELP sallyport_state state of the appliance: 1 for the one that it is in\n"
								 "# TYPE sallyport_state gauge\n");

	for (unsigned s = PAGE_STARTING; s <= PAGE_STOPPING && !e; s++)
		e = buf_printf(out, "sallyport_state{state=\"%s\",cause=\"%s\"} %d\n", page_state_word((enum page_state)s),
					   h.state == s && h.cause ? err_code(h.cause) : "", h.state == s);
	return e;
}

/* Account names are an operator's; a quote or a backslash would end the label. */
static void
label_text(const char *name, char out[PAGE_ACCOUNT_NAME_BYTES])
{
	size_t n = 0;

	for (; name[n]; n++)
		out[n] = name[n] == '"' || name[n] == '\\' || (unsigned char)name[n] < 0x20 ? '?' : name[n];
	out[n] = '\0';
}

static enum err
write_breakers(struct buf *out)
{
	static const struct {
		const char *name, *help;
	} figures[] = {{"breaker_state", "circuit breaker of a processor account: 0 closed, 1 open, 2 half-open"},
				   {"processor_failures", "calls in a row that a processor account did not answer"}};
	const struct page *courier = proc_page_of(PROCESS_COURIER, 0);
	struct health_outage one;
	char account[PAGE_ACCOUNT_NAME_BYTES];
	enum err e = ERR_OK;

	for (unsigned f = 0; courier && f < sizeof(figures) / sizeof(*figures) && !e; f++) {
		e = buf_printf(out, "# HELP sallyport_%s %s\n# TYPE sallyport_%s gauge\n", figures[f].name, figures[f].help,
					   figures[f].name);
		for (unsigned i = 0; !e && page_account_read(courier, i, &one); i++) {
			label_text(one.account, account);
			e = buf_printf(out, "sallyport_%s{account=\"%s\"} %u\n", figures[f].name, account,
						   (unsigned)(f ? one.failures : one.breaker));
		}
	}
	return e;
}

static enum err
write_processes(struct buf *out, const struct seen *seen, unsigned n)
{
	static const struct {
		const char *name, *kind, *help;
	} figures[] = {{"process_resident_bytes", "gauge", "memory of a process"},
				   {"process_restarts_total", "counter", "times that a process was started again"},
				   {"process_start_timestamp_seconds", "gauge", "when a process started"},
				   {"process_heartbeat_age_seconds", "gauge", "since a process last turned its loop"}};
	int64_t now = clock_mono_ms();
	enum err e = ERR_OK;

	for (unsigned f = 0; f < sizeof(figures) / sizeof(*figures) && !e; f++) {
		e = buf_printf(out, "# HELP sallyport_%s %s\n# TYPE sallyport_%s %s\n", figures[f].name, figures[f].help,
					   figures[f].name, figures[f].kind);
		for (unsigned i = 0; i < n && !e; i++) {
			const struct page *p = seen[i].page;
			const double values[] = {(double)READ(p->rss_bytes), READ(p->restarts),
									 (double)READ(p->started_at_ms) / 1e3,
									 (double)(now - READ(p->heartbeat_mono_ms)) / 1e3};

			e = buf_printf(out, "sallyport_%s{process=\"%s\",instance=\"%u\"} %.15g\n", figures[f].name, seen[i].name,
						   seen[i].index, values[f]);
		}
	}
	return e;
}

enum err
prometheus_write(struct buf *out)
{
	struct seen seen[PAGES_MAX];
	unsigned n = look(seen);
	enum err e = write_state(out);

	if (!e)
		e = write_breakers(out);
	if (!e)
		e = write_processes(out, seen, n);
	for (unsigned m = 0; m < METRIC_MAX && !e; m++)
		e = write_metric(out, (enum metric)m, seen, n);
	return e;
}
