/*
 * page — one shared memory page per process: who it is, how it is, what it counted.
 * Invariants: only the owner writes (each word by relaxed atomic store); readers map it read-only and never wait; it
 *   works while the owner hangs, and shows that it hangs (heartbeat). Metrics are the rows of policy/metric.def.
 */
#ifndef DAEMON_WIRE_PAGE_H
#define DAEMON_WIRE_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/wire/msg.h"

enum metric {
#define METRIC(ID, name, kind, help) METRIC_##ID,
#include "policy/metric.def"
#undef METRIC
	METRIC_MAX
};
enum metric_kind { METRIC_KIND_COUNTER, METRIC_KIND_GAUGE, METRIC_KIND_HISTOGRAM };

/* Order is severity: the worst of all processes is the appliance's. */
enum page_state { PAGE_STARTING, PAGE_SERVING, PAGE_REFUSING, PAGE_SEALED, PAGE_STOPPING };

#define PAGE_BUCKETS   16
#define PAGE_INDEX_MAX 16 /* instances of one process, processes.def */
#define PAGE_MAGIC     UINT32_C(0x53503031)
struct page_histogram {
	_Atomic uint64_t bucket[PAGE_BUCKETS + 1], count, sum_us;
};

#define PAGE_NOTE_WORDS 32
#define PAGE_NOTE_BYTES ((unsigned)(PAGE_NOTE_WORDS * sizeof(uint64_t)))

/* A processor account and its circuit breaker: on courier's page only, by page_account.h. */
#define PAGE_ACCOUNTS           64
#define PAGE_ACCOUNT_NAME_BYTES 64
struct page_account {
	char name[PAGE_ACCOUNT_NAME_BYTES]; /* written once, before accounts_n counts it */
	_Atomic uint32_t breaker, failures; /* enum breaker_state: 0 closed, 1 open, 2 half-open; calls in a row */
	_Atomic int64_t since_wall_ms, retry_mono_ms; /* the first of these; when it is probed */
};

#define PAGE_HISTOGRAMS 8
struct page {
	uint32_t magic, bytes;
	uint32_t process, index;
	_Atomic uint32_t pid, state, cause, restarts, jail_calls, landlock_abi;
	_Atomic int64_t started_at_ms, heartbeat_mono_ms;
	_Atomic uint64_t rss_bytes;
	_Atomic uint32_t new_version; /* the monitor's: others are installed than those that run */
	_Atomic int64_t conf_at_ms;   /* the monitor's: when the configuration in force was read */
	struct {                      /* page_note.h */
		_Atomic uint32_t turn;
		_Atomic int64_t at_ms;
		_Atomic uint64_t words[PAGE_NOTE_WORDS];
	} note;
	char jail[96]; /* written once, before the state leaves STARTING */
	char user[32];
	_Atomic uint64_t value[METRIC_MAX];
	struct page_histogram histogram[PAGE_HISTOGRAMS]; /* by order of the HISTOGRAM rows in metric.def */
	_Atomic uint32_t accounts_n;
	struct page_account account[PAGE_ACCOUNTS];
};

void page_add(struct page *p, enum metric m, uint64_t n);
void page_set(struct page *p, enum metric m, uint64_t v);
/* Upper bounds in microseconds: 250 500 1000 2000 3000 5000 7500 10000 15000 25000 50000 100000 250000 1000000 5000000
 * 25000000, rest. */
void page_observe(struct page *p, enum metric m, uint64_t took_us);
extern const uint32_t page_bucket_us[PAGE_BUCKETS];

const char *metric_name(enum metric m);
const char *metric_help(enum metric m);
enum metric_kind metric_kind_of(enum metric m);
/* Which slot of page.histogram; -1 for other kinds. */
int metric_histogram(enum metric m);

/* A processor account that does not answer: what page_account.h reads of it. */
struct health_outage {
	char account[PAGE_ACCOUNT_NAME_BYTES];
	uint32_t breaker, failures;
	int64_t since_wall_ms, retry_mono_ms;
};
struct health {
	enum page_state state;
	enum err cause;       /* ERR_OK: all well. May be set while serving: a warning (hsm_grace running) */
	enum process process; /* whose cause it is */
	/* for ERR_PROCESSOR_OUT: how many accounts do not answer, and the first of them */
	unsigned outages;
	struct health_outage outage;
};
/*
 * page_health: the one computation of the appliance's state, used by gate, desk, monitor alike.
 *   pages      array of n pages, NULL entries are processes that never came
 *   Worst state wins; a process without a heartbeat for 3 s counts as refusing with its own cause (ERR_VAULT_AWAY, …).
 */
struct health page_health(const struct page *const *pages, unsigned n, int64_t mono_ms);
/* "serving — all well", "refusing effects — audit disk full; free space …" (≤ 80 columns). */
void health_line(struct health h, char *out, unsigned out_bytes);
/* What the operator does next: the error's next step, but where that is the client's. */
const char *health_next(struct health h);
/* The cause in a sentence, with its figures: "processor simulator does not answer (5 failures since …Z)". */
void health_detail(struct health h, char *out, unsigned out_bytes);
const char *page_state_word(enum page_state s);

#endif
