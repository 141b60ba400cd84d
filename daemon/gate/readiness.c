#include "daemon/gate/readiness.h"

#include "daemon/base/clock.h"
#include "daemon/wire/page_account.h"
#include "daemon/wire/page_note.h"
#include "daemon/wire/proc.h"

#define LOOK_EVERY_MS 10
#define PAGES_MAX     64

static const struct {
	enum process process;
	unsigned instances;
} processes[] = {
#define PROCESS(ID, name, instances, what) {PROCESS_##ID, instances},
#include "policy/processes.def"
#undef PROCESS
};

static unsigned
gather(const struct page *pages[PAGES_MAX])
{
	unsigned n = 0;

	for (size_t p = 0; p < sizeof(processes) / sizeof(*processes); p++)
		for (unsigned i = 0; i < processes[p].instances && n < PAGES_MAX; i++)
			if ((pages[n] = proc_page_of(processes[p].process, i)))
				n++;
	return n;
}

struct health
readiness_now(void)
{
	static struct health last;
	static int64_t looked_at_ms;
	int64_t now = clock_mono_ms();
	const struct page *pages[PAGES_MAX];

	if (looked_at_ms && now - looked_at_ms < LOOK_EVERY_MS)
		return last;
	looked_at_ms = now;
	last = page_health(pages, gather(pages), now);
	return last;
}

enum err
readiness_refusal(bool effect)
{
	struct health h = readiness_now();

	switch (h.state) {
	case PAGE_SERVING:
		return ERR_OK;
	case PAGE_REFUSING:
		return effect ? (h.cause ? h.cause : ERR_LIMIT) : ERR_OK;
	case PAGE_SEALED:
		return ERR_VAULT_SEALED; /* what is missing is the operator's to know: /health, /readyz and status say it */
	case PAGE_STARTING:
		return h.cause ? h.cause : ERR_NOT_READY;
	case PAGE_STOPPING:
		return ERR_SHUTTING_DOWN;
	}
	return ERR_INTERNAL;
}

/* The names that a client knows, and the process that each stands on. */
static const struct {
	const char *name;
	enum process process;
} checks[] = {{"vault", PROCESS_VAULT},
			  {"hsm", PROCESS_HSM},
			  {"ledger", PROCESS_LEDGER},
			  {"processors", PROCESS_COURIER},
			  {"queue", PROCESS_HERALD}};

static bool
write_check(struct writer *w, const char *name, struct health h, bool failing_only)
{
	bool well = h.state == PAGE_SERVING && h.cause == ERR_OK;
	char detail[256];

	if (well && failing_only)
		return true;
	writer_begin(w, name, '{');
	writer_text(w, "status", page_state_word(h.state));
	if (h.cause) {
		health_detail(h, detail, sizeof(detail));
		writer_text(w, "code", err_code(h.cause));
		writer_text(w, "detail", detail);
	}
	writer_end(w, '}');
	return well;
}

static bool
is_audit(enum err e)
{
	return e == ERR_AUDIT_AWAY || e == ERR_DISK_FULL;
}

/* What is wrong in a file is the operator's to know: sallyport status says it. */
static void
write_configuration(struct writer *w, bool failing_only)
{
	const struct page *pages[PAGES_MAX];
	char text[PAGE_NOTE_BYTES];
	int64_t refused_at_ms = 0;

	if (failing_only)
		return;
	for (unsigned i = 0, n = gather(pages); i < n && !refused_at_ms; i++)
		refused_at_ms = page_note_get(pages[i], text);
	writer_begin(w, "configuration", '{');
	writer_text(w, "status", page_state_word(PAGE_SERVING));
	if (refused_at_ms) {
		writer_text(w, "code", err_code(ERR_CONFIG_REFUSED));
		writer_text(w, "detail", err_title(ERR_CONFIG_REFUSED));
		writer_time(w, "since", refused_at_ms);
	}
	writer_end(w, '}');
}

bool
readiness_checks(struct writer *w, bool failing_only)
{
	struct health audit = {PAGE_SERVING, ERR_OK, PROCESS_VAULT};
	int64_t now = clock_mono_ms();
	bool well = true;

	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		const struct page *page = proc_page_of(checks[i].process, 0);
		struct health h = page_health(&page, 1, now);

		/* Both logs are written by the processes whose effects they record: a log's trouble shows in their cause. */
		if (is_audit(h.cause))
			audit = h;
		well = write_check(w, checks[i].name, h, failing_only) && well;
	}
	well = write_check(w, "audit", audit, failing_only) && well;
	/* refused or not, what is in force serves */
	write_configuration(w, failing_only);
	return well;
}

/* Till the latest probe that is due: whoever comes then finds all of them asked. */
unsigned
readiness_outage_s(void)
{
	const struct page *courier = proc_page_of(PROCESS_COURIER, 0);
	struct health_outage one;
	int64_t now = clock_mono_ms(), most_ms = 0;

	for (unsigned i = 0; courier && page_account_read(courier, i, &one); i++)
		if (one.breaker && one.retry_mono_ms - now > most_ms)
			most_ms = one.retry_mono_ms - now;
	return (unsigned)(most_ms / 1000) + 1;
}
