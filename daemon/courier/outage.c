#include "daemon/courier/outage.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/courier/breaker.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/page_account.h"
#include "daemon/wire/proc.h"

/* Positions in event.def are the numbers in notes; their names are the ledger's to write. */
enum noted {
#define EVENT(ID, name, log, kind, what) EVENT_##ID,
#include "policy/event.def"
#undef EVENT
};

#define PROBE_MS  5000
#define PROBE_KEY "probe" /* no payment's: derived keys are 64 hexadecimal digits */

struct account {
	const struct gw *gw;
	struct breaker breaker;
	int64_t since_ms, since_wall_ms; /* of the first failure: one moment by both clocks */
	int place;
	sp_job_req job; /* the probe */
	struct gw_call call;
	bool at_gw; /* the connector still holds it */
	struct event timer;
};

static struct {
	struct account *at[PAGE_ACCOUNTS];
	unsigned out;
	bool full;
} watch;

/* What a call that ended so says of the processor; anything else says nothing. */
static const struct {
	sp_outcome outcome;
	enum err cause; /* ERR_OK: any */
	enum breaker_event event;
} words[] = {
	{sp_OUTCOME_APPROVED, ERR_OK, BREAKER_ANSWERED},
	{sp_OUTCOME_DECLINED, ERR_OK, BREAKER_ANSWERED},
	{sp_OUTCOME_PENDING, ERR_OK, BREAKER_ANSWERED},
	{sp_OUTCOME_NOT_FOUND, ERR_OK, BREAKER_ANSWERED},
	{sp_OUTCOME_NOT_CHARGED, ERR_PROCESSOR_ERROR, BREAKER_ANSWERED},
	{sp_OUTCOME_RETRYABLE, ERR_PROCESSOR_AWAY, BREAKER_FAILED},
	{sp_OUTCOME_UNKNOWN, ERR_DEADLINE, BREAKER_FAILED},
	{sp_OUTCOME_UNKNOWN, ERR_PROTOCOL, BREAKER_FAILED},
};

static bool
says(const struct gw_answer *a, enum breaker_event *event_out)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (words[i].outcome == a->outcome && (words[i].cause == ERR_OK || words[i].cause == a->cause)) {
			*event_out = words[i].event;
			return !a->scripted;
		}
	return false;
}

/* ── telling it ── */

static void
note(const struct account *a, enum noted event)
{
	sp_ledger_note_req req = sp_ledger_note_req_init_zero;
	req.event = event;
	req.process = PROCESS_COURIER;
	req.number = a->breaker.failures;
	if (event == EVENT_PROCESSOR_LOST)
		req.code = ERR_PROCESSOR_OUT;
	if (str_set(req.object, sizeof req.object, a->job.account) != ERR_OK ||
		tell_ledger_note(proc_peer(PROCESS_LEDGER, 0), &req) != ERR_OK)
		log_warn("a note could not be left", LOG_S("account", a->job.account));
}

static void
show(struct account *a)
{
	struct page *page = proc_page();
	struct health_outage first;
	if (a->since_ms != a->breaker.since_ms) {
		a->since_ms = a->breaker.since_ms;
		a->since_wall_ms = clock_wall_ms();
	}
	const struct health_outage now = {.breaker = a->breaker.state,
									  .failures = a->breaker.failures,
									  .since_wall_ms = a->since_wall_ms,
									  .retry_mono_ms = a->breaker.retry_ms};
	page_account_set(page, a->place, &now);
	unsigned out = page_account_out(page, &first);
	/* a stop says more than this */
	if (out != watch.out && atomic_load(&page->state) == PAGE_SERVING)
		proc_state(PAGE_SERVING, out ? ERR_PROCESSOR_OUT : ERR_OK);
	watch.out = out;
}

/* Between open and half-open nothing is told: it is the same outage. */
static void
tell(struct account *a, enum breaker_state before)
{
	bool was_out = before != BREAKER_CLOSED, is_out = a->breaker.state != BREAKER_CLOSED;
	show(a);
	if (was_out == is_out)
		return;
	if (is_out)
		log_warn("a processor does not answer", LOG_S("account", a->job.account),
				 LOG_I("failures", a->breaker.failures), LOG_E("cause", ERR_PROCESSOR_OUT));
	else
		log_info("a processor answers again", LOG_S("account", a->job.account));
	note(a, is_out ? EVENT_PROCESSOR_LOST : EVENT_PROCESSOR_BACK);
}

/* ── the breaker and its probe ── */

static void take(struct account *a, enum breaker_event event, int64_t began_ms);

static void
timer_set(struct account *a, int64_t ms)
{
	if (ms < 0)
		ms = 0;
	struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
	if (event_add(&a->timer, &after) != 0)
		proc_die(ERR_MEMORY, "the timer of a probe");
}

static void
probe_answered(void *arg, const struct gw_answer *answer, bool more)
{
	struct account *a = arg;
	enum breaker_event event;
	a->at_gw = more;
	if (says(answer, &event))
		take(a, event == BREAKER_ANSWERED ? BREAKER_PROBE_ANSWERED : BREAKER_PROBE_FAILED, 0);
}

/* An inquiry about a key that never was: "not found" is as good an answer as any, and nothing is moved. */
static void
probe(struct account *a)
{
	enum err e = ERR_NOT_SUPPORTED;
	if (a->at_gw) { /* the one before never came back: nothing is known from it but that */
		take(a, BREAKER_PROBE_FAILED, 0);
		return;
	}
	timer_set(a, PROBE_MS);
	if (a->gw->act[sp_JOB_INQUIRE]) {
		a->call = (struct gw_call){.job = &a->job, .done = probe_answered, .arg = a};
		e = a->gw->act[sp_JOB_INQUIRE](&a->call);
	}
	if (e == ERR_OK)
		a->at_gw = true;
	else /* it can't be asked: the next payments are the probe; what stops us ourselves, time may mend */
		take(a, e == ERR_NOT_SUPPORTED ? BREAKER_PROBE_ANSWERED : BREAKER_PROBE_FAILED, 0);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct account *a = arg;
	(void)fd, (void)what;
	take(a, a->breaker.state == BREAKER_HALF_OPEN ? BREAKER_PROBE_FAILED : BREAKER_DUE, 0);
	/* the loop's clock stands still during a turn: a timer may come before its time by ours */
	if (a->breaker.state == BREAKER_OPEN && !event_pending(&a->timer, EV_TIMEOUT, NULL))
		timer_set(a, a->breaker.retry_ms - clock_mono_ms() + 1);
}

static void
take(struct account *a, enum breaker_event event, int64_t began_ms)
{
	enum breaker_state before = a->breaker.state;
	unsigned failures = a->breaker.failures;
	bool changed = breaker_take(&a->breaker, event, began_ms, clock_mono_ms());
	if (changed || failures != a->breaker.failures)
		tell(a, before);
	if (!changed)
		return;
	event_del(&a->timer);
	if (a->breaker.state == BREAKER_OPEN)
		timer_set(a, a->breaker.retry_ms - clock_mono_ms());
	else if (a->breaker.state == BREAKER_HALF_OPEN)
		probe(a);
}

/* ── the accounts ── */

static struct account *
account_new(const char *name, const struct gw *gw, int place)
{
	struct account *a = mem_new(1, sizeof *a);
	if (!a)
		return NULL;
	a->gw = gw;
	a->place = place;
	a->job = (sp_job_req){.kind = sp_JOB_INQUIRE,
						  .inquired = sp_KIND_AUTHORIZE,
						  .attempt = "att_probe",
						  .derived_key = PROBE_KEY,
						  .deadline_ms = PROBE_MS};
	if (str_set(a->job.account, sizeof a->job.account, name) != ERR_OK ||
		str_set(a->job.connector, sizeof a->job.connector, gw->name) != ERR_OK ||
		event_assign(&a->timer, proc_base(), -1, EV_TIMEOUT, on_timer, a) != 0) {
		mem_free(a);
		return NULL;
	}
	watch.at[place] = a;
	return a;
}

static struct account *
account_of(const char *name, const struct gw *gw)
{
	int place = page_account_place(proc_page(), name);
	if (place < 0) {
		if (!watch.full)
			log_warn("more processor accounts than can be watched", LOG_I("most", PAGE_ACCOUNTS));
		watch.full = true;
		return NULL;
	}
	return watch.at[place] ? watch.at[place] : account_new(name, gw, place);
}

void
outage_open(void)
{
	static const struct health_outage none;
	struct page *page = proc_page();
	struct health_outage before;
	/* the page is our predecessor's: what it knew of processors may be long over, and five calls tell us anew */
	for (unsigned i = 0; page_account_read(page, i, &before); i++)
		page_account_set(page, (int)i, &none);
}

void
outage_saw(const char *account, const struct gw *gw, int64_t began_mono_ms, const struct gw_answer *answer)
{
	enum breaker_event event;
	struct account *a;
	if (says(answer, &event) && (a = account_of(account, gw)) != NULL)
		take(a, event, began_mono_ms);
}
