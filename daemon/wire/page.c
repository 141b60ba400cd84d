#include "daemon/wire/page.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/wire/page_account.h"

#define STALE_MS     3000
#define LINE_COLUMNS 80

struct row {
	const char *name, *help;
	enum metric_kind kind;
};

static const struct row rows[METRIC_MAX] = {
#define METRIC(ID, name, kind, help) [METRIC_##ID] = {#name, help, METRIC_KIND_##kind},
#include "policy/metric.def"
#undef METRIC
};

const uint32_t page_bucket_us[PAGE_BUCKETS] = {250,   500,   1000,  2000,   3000,   5000,    7500,    10000,
											   15000, 25000, 50000, 100000, 250000, 1000000, 5000000, 25000000};

void
page_add(struct page *p, enum metric m, uint64_t n)
{
	/* one writer: a load and a store are enough and cost no locked instruction */
	uint64_t v = atomic_load_explicit(&p->value[m], memory_order_relaxed);
	atomic_store_explicit(&p->value[m], v + n, memory_order_relaxed);
}

void
page_set(struct page *p, enum metric m, uint64_t v)
{
	atomic_store_explicit(&p->value[m], v, memory_order_relaxed);
}

static void
bump(_Atomic uint64_t *word, uint64_t n)
{
	atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + n, memory_order_relaxed);
}

void
page_observe(struct page *p, enum metric m, uint64_t took_us)
{
	int slot = metric_histogram(m);
	unsigned b = 0;
	if (slot < 0)
		return;
	while (b < PAGE_BUCKETS && took_us > page_bucket_us[b])
		b++;
	struct page_histogram *h = &p->histogram[slot];
	bump(&h->bucket[b], 1);
	bump(&h->count, 1);
	bump(&h->sum_us, took_us);
}

const char *
metric_name(enum metric m)
{
	return (unsigned)m < METRIC_MAX ? rows[m].name : "?";
}

const char *
metric_help(enum metric m)
{
	return (unsigned)m < METRIC_MAX ? rows[m].help : "?";
}

enum metric_kind
metric_kind_of(enum metric m)
{
	return (unsigned)m < METRIC_MAX ? rows[m].kind : METRIC_KIND_COUNTER;
}

int
metric_histogram(enum metric m)
{
	/* computed at build time from the order of the rows: how many HISTOGRAM rows stand before this one */
	enum {
#define BEFORE_COUNTER(ID)           BEFORE_##ID, ROW_END_##ID = BEFORE_##ID - 1,
#define BEFORE_GAUGE(ID)             BEFORE_##ID, ROW_END_##ID = BEFORE_##ID - 1,
#define BEFORE_HISTOGRAM(ID)         BEFORE_##ID,
#define METRIC(ID, name, kind, help) BEFORE_##kind(ID)
#include "policy/metric.def"
#undef METRIC
		HISTOGRAMS
	};
	static const int8_t slots[METRIC_MAX] = {
#define METRIC(ID, name, kind, help) [METRIC_##ID] = METRIC_KIND_##kind == METRIC_KIND_HISTOGRAM ? BEFORE_##ID : -1,
#include "policy/metric.def"
#undef METRIC
	};
	_Static_assert(HISTOGRAMS <= PAGE_HISTOGRAMS, "metric.def has more HISTOGRAM rows than a page has room for");
	return (unsigned)m < METRIC_MAX ? slots[m] : -1;
}

const char *
page_state_word(enum page_state s)
{
	static const char *const words[] = {"starting", "serving", "refusing", "sealed", "stopping"};
	return (unsigned)s < sizeof words / sizeof *words ? words[s] : "?";
}

/* What it means that a process is not there. Without vault, ledger or courier no effect can be finished; without the
 * others money still moves, so that is a warning. The vault itself judges a missing HSM (hsm_grace). */
static struct health
away(enum process p)
{
	static const struct {
		enum page_state state;
		enum err cause;
	} rule[PROCESS_MAX] = {
		[PROCESS_MONITOR] = {PAGE_SERVING, ERR_PEER_AWAY},     [PROCESS_HSM] = {PAGE_SERVING, ERR_HSM_AWAY},
		[PROCESS_VAULT] = {PAGE_REFUSING, ERR_VAULT_AWAY},     [PROCESS_LEDGER] = {PAGE_REFUSING, ERR_LEDGER_AWAY},
		[PROCESS_COURIER] = {PAGE_REFUSING, ERR_COURIER_AWAY}, [PROCESS_HERALD] = {PAGE_SERVING, ERR_PEER_AWAY},
		[PROCESS_GATE] = {PAGE_SERVING, ERR_PEER_AWAY},        [PROCESS_DESK] = {PAGE_SERVING, ERR_PEER_AWAY},
	};
	if ((unsigned)p >= PROCESS_OFFICER)
		return (struct health){PAGE_REFUSING, ERR_INTERNAL, PROCESS_MONITOR};
	return (struct health){rule[p].state, rule[p].cause, p};
}

/* More than that somebody is not there. */
static bool
tells_why(enum err cause)
{
	return cause != ERR_OK && cause != ERR_NOT_READY && cause != ERR_SHUTTING_DOWN;
}

static struct health
health_of(const struct page *p, int64_t mono_ms)
{
	enum process who = (enum process)p->process;
	enum page_state state = (enum page_state)atomic_load_explicit(&p->state, memory_order_relaxed);
	enum err cause = (enum err)atomic_load_explicit(&p->cause, memory_order_relaxed);
	int64_t beat = atomic_load_explicit(&p->heartbeat_mono_ms, memory_order_relaxed);

	if (state == PAGE_STARTING) {
		/* the first start is a start of the appliance; a later one is an absence of that process */
		if (atomic_load_explicit(&p->restarts, memory_order_relaxed) == 0)
			return (struct health){PAGE_STARTING, cause == ERR_OK ? ERR_NOT_READY : cause, who};
		struct health h = away(who);
		if (tells_why(cause)) /* what it died of */
			h.cause = cause;
		return h;
	}
	if (mono_ms - beat > STALE_MS)
		return away(who);
	return (struct health){state, cause, who};
}

/* A warning outranks none. That a new version waits is the mildest, then that a new configuration was refused. */
static unsigned
weight(enum err cause)
{
	return cause == ERR_OK ? 0 : cause == ERR_NEW_VERSION ? 1 : cause == ERR_CONFIG_REFUSED ? 2 : 3;
}

/* starting outranks serving, everything else is in the order of the enum */
static unsigned
rank(struct health h)
{
	static const unsigned of_state[] = {
		[PAGE_SERVING] = 0, [PAGE_STARTING] = 4, [PAGE_REFUSING] = 8, [PAGE_SEALED] = 12, [PAGE_STOPPING] = 16};
	return ((unsigned)h.state <= PAGE_STOPPING ? of_state[h.state] : 11) + weight(h.cause);
}

struct health
page_health(const struct page *const *pages, unsigned n, int64_t mono_ms)
{
	struct health worst = {PAGE_SERVING, ERR_OK, PROCESS_MONITOR};
	unsigned seen = 0, gates = 0, gates_away = 0;
	enum err of_hsm = ERR_OK;
	const struct page *courier = NULL;
	for (unsigned i = 0; i < n; i++) {
		if (!pages[i])
			continue;
		struct health h = health_of(pages[i], mono_ms);
		seen++;
		if (pages[i]->process == PROCESS_HSM)
			of_hsm = (enum err)atomic_load_explicit(&pages[i]->cause, memory_order_relaxed);
		if (pages[i]->process == PROCESS_COURIER)
			courier = pages[i];
		gates += pages[i]->process == PROCESS_GATE;
		gates_away += pages[i]->process == PROCESS_GATE && h.state == PAGE_SERVING && h.cause == ERR_PEER_AWAY;
		if (rank(h) > rank(worst))
			worst = h;
	}
	if (seen == 0)
		return (struct health){PAGE_STARTING, ERR_NOT_READY, PROCESS_MONITOR};
	/* the vault can only say that its broker is away; the broker says why */
	if (worst.cause == ERR_HSM_AWAY && tells_why(of_hsm))
		worst = (struct health){worst.state, of_hsm, PROCESS_HSM};
	if (worst.cause == ERR_PROCESSOR_OUT && courier)
		worst.outages = page_account_out(courier, &worst.outage);
	/* one gate less is a warning, none is an outage */
	struct health none = {PAGE_REFUSING, ERR_PEER_AWAY, PROCESS_GATE};
	return gates && gates == gates_away && rank(none) > rank(worst) ? none : worst;
}

/* Columns of UTF-8 text without wide characters. */
static unsigned
columns(const char *s)
{
	unsigned n = 0;
	for (; *s; s++)
		n += (*s & 0xc0) != 0x80;
	return n;
}

static void
words_of(const char *code, char *out, size_t size)
{
	snprintf(out, size, "%s", code);
	for (char *p = out; *p; p++)
		if (*p == '_')
			*p = ' ';
}

/* A name is an operator's, and this goes to terminals; most: what does not fit ends in "…". */
static void
outage_words(const struct health *h, size_t most, char *out, size_t size)
{
	char name[PAGE_ACCOUNT_NAME_BYTES], others[32] = "";
	const char *verb = h->outages > 1 ? "do" : "does";
	size_t n = 0;
	for (; h->outage.account[n] && n < most; n++)
		name[n] = h->outage.account[n] >= 0x20 && h->outage.account[n] <= 0x7e ? h->outage.account[n] : '?';
	name[n] = 0;
	if (h->outages > 1)
		snprintf(others, sizeof others, " and %u more", h->outages - 1);
	snprintf(out, size, "processor %s%s%s %s not answer", name, h->outage.account[n] ? "…" : "", others, verb);
}

static void
cause_words(const struct health *h, size_t name_most, char *out, size_t size)
{
	if (h->cause == ERR_PROCESSOR_OUT && h->outages)
		outage_words(h, name_most, out, size);
	else
		words_of(err_code(h->cause), out, size);
}

const char *
health_next(struct health h)
{
	/* the client repeats; the operator can only look after the processor, and that takes a page */
	return h.cause == ERR_PROCESSOR_OUT ? "man sallyport-processor-outage" : err_next(h.cause);
}

void
health_detail(struct health h, char *out, unsigned out_bytes)
{
	char words[160], since[CLOCK_TEXT_BYTES];
	if (h.cause != ERR_PROCESSOR_OUT || !h.outages) {
		snprintf(out, out_bytes, "%s", h.cause == ERR_OK ? "all well" : err_title(h.cause));
		return;
	}
	outage_words(&h, sizeof h.outage.account, words, sizeof words);
	clock_text(h.outage.since_wall_ms, since);
	snprintf(out, out_bytes, "%s (%u %s since %.19sZ)", words, (unsigned)h.outage.failures,
			 h.outage.failures == 1 ? "failure" : "failures", since);
}

void
health_line(struct health h, char *out, unsigned out_bytes)
{
	static const char *const states[] = {"starting", "serving", "refusing effects", "sealed", "stopping"};
	static const size_t name_most[] = {PAGE_ACCOUNT_NAME_BYTES,
									   16}; /* a long name is cut before its step is left out */
	const char *state = (unsigned)h.state <= PAGE_STOPPING ? states[h.state] : "?", *next = health_next(h);
	char cause[160], first[64];

	if (h.cause == ERR_OK) {
		snprintf(out, out_bytes, "%s — %s", state, h.state == PAGE_SERVING ? "all well" : "see the journal");
		return;
	}
	/* the first of these that fits: the whole next step, its first clause, the command that tells the rest */
	snprintf(first, sizeof first, "%.*s", (int)strcspn(next, ",;:("), next);
	const char *const steps[] = {next, first, "sallyport status"};
	for (unsigned i = 0; i < 6; i++) {
		cause_words(&h, name_most[i / 3], cause, sizeof cause);
		snprintf(out, out_bytes, "%s — %s; %s", state, cause, steps[i % 3]);
		if (columns(out) <= LINE_COLUMNS)
			return;
	}
}
