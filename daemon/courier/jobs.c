#include "daemon/courier/jobs.h"

#include <assert.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/str.h"
#include "daemon/courier/gw.h"
#include "daemon/courier/outage.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

#define BUCKETS         1024u
#define REPORTS_MAX     4u     /* of one job: in time, late, twice, and one to spare for a connector's mistake */
#define ACK_WAIT_MS     10000u /* then the result is sent again */
#define AGAIN_MS        500u   /* pause before a result that was refused is sent again */
#define PAUSE_MS        100u   /* before the second try; doubled for the third */
#define RUNNING_AT_ONCE 256u   /* attempts in one `running` */

enum stage { REDEEMING, CALLING, PAUSED, ANSWERED };

struct report {
	sp_result_req result;
	struct report *next;
};

struct job {
	sp_job_req req;
	struct gw_call call;
	const struct gw *gw;
	struct secret *card;
	struct event timer; /* CALLING: the deadline; PAUSED: the next try */
	struct event again; /* the first report is sent again */
	struct report *reports;
	unsigned reports_n, tries;
	int64_t started_us, called_us, deadline_ms; /* monotonic */
	enum stage stage;
	bool redeemed;
	bool at_gw;   /* the connector still holds the call */
	bool sending; /* the first report is with the ledger */
	struct job *next;
};

static struct {
	struct job *bucket[BUCKETS];
	size_t count;
	bool stopping;
	void (*finished)(void);
	struct event grace;
} jobs;

static void report(struct job *j, const struct gw_answer *answer);
static void call_processor(struct job *j);

/* ── the set of jobs ── */

static struct job **
place_of(const char *attempt)
{
	uint32_t h = 2166136261u; /* FNV-1a: attempts are our own random ids, nobody picks them to collide */
	for (const char *c = attempt; *c; c++)
		h = (h ^ (uint8_t)*c) * 16777619u;
	struct job **at = &jobs.bucket[h % BUCKETS];
	while (*at && strcmp((*at)->req.attempt, attempt) != 0)
		at = &(*at)->next;
	return at;
}

static void
card_wipe(struct job *j)
{
	secret_free(j->card);
	j->card = NULL;
	j->call.card = NULL;
}

static void
finish_stop(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	void (*finished)(void) = jobs.finished;
	jobs.finished = NULL;
	if (finished)
		finished();
}

/* A job goes when the connector is done with it and the ledger has all that it said. */
static void
end_when_done(struct job *j)
{
	if (j->stage != ANSWERED || j->at_gw || j->reports)
		return;
	struct job **at = place_of(j->req.attempt);
	assert(*at == j);
	*at = j->next;
	event_del(&j->timer);
	event_del(&j->again);
	card_wipe(j);
	mem_free(j);
	jobs.count--;
	if (jobs.stopping && jobs.count == 0)
		finish_stop(-1, 0, NULL);
}

static void
timer_set(struct event *timer, int64_t ms)
{
	if (ms < 0)
		ms = 0;
	struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
	if (event_add(timer, &after) != 0)
		proc_die(ERR_MEMORY, "a job's timer");
}

/* ── results to the ledger ── */

static void send_report(struct job *j);

static void
acknowledged(void *arg, enum err e, const void *rep)
{
	struct job *j = arg;
	const sp_result_rep *r = rep;

	j->sending = false;
	if (e != ERR_OK) {
		timer_set(&j->again, AGAIN_MS);
		return;
	}
	if (r && !r->known)
		log_warn("the ledger knows no such attempt", LOG_S("attempt", j->req.attempt));
	struct report *done = j->reports;
	j->reports = done->next;
	mem_free(done);
	j->reports_n--;
	if (j->reports)
		send_report(j);
	else
		end_when_done(j);
}

static void
send_report(struct job *j)
{
	/* one at a time: "approved" must not overtake "unknown" */
	enum err e = ask_result(proc_peer(PROCESS_LEDGER, 0), &j->reports->result, ACK_WAIT_MS, acknowledged, j);
	j->sending = e == ERR_OK;
	if (e != ERR_OK)
		timer_set(&j->again, AGAIN_MS);
}

static void
send_again(evutil_socket_t fd, short what, void *arg)
{
	struct job *j = arg;
	(void)fd, (void)what;
	if (j->reports && !j->sending)
		send_report(j);
}

/* Text from a connector's fixed array to the message's, which is as large: str_set can't fail. */
#define COPY(to, from)                                      \
	do {                                                    \
		_Static_assert(sizeof(to) >= sizeof(from), "room"); \
		memcpy(to, from, sizeof(from));                     \
	} while (0)

static void
report(struct job *j, const struct gw_answer *a)
{
	if (j->reports_n == REPORTS_MAX) {
		log_warn("an answer too many", LOG_S("attempt", j->req.attempt), LOG_S("connector", j->req.connector));
		return;
	}
	struct report *r = mem_new(1, sizeof *r);
	if (!r)
		proc_die(ERR_MEMORY, "a result"); /* the ledger follows up by the crash rule; a lost result it would not */
	sp_result_req *res = &r->result;
	COPY(res->attempt, j->req.attempt);
	COPY(res->payment, j->req.payment);
	COPY(res->operation, j->req.operation);
	COPY(res->reference, a->reference);
	COPY(res->decline_code, a->decline_code);
	COPY(res->network_code, a->network_code);
	COPY(res->processor_code, a->processor_code);
	COPY(res->advice, a->advice);
	res->outcome = a->outcome;
	res->cause = (uint32_t)a->cause;
	res->redeemed = j->redeemed;
	res->amount_minor = a->amount_minor;
	res->captured = a->captured;
	res->took_us = (uint64_t)(clock_mono_us() - j->started_us);
	if (a->outcome == sp_OUTCOME_UNKNOWN)
		page_add(proc_page(), METRIC_PROCESSOR_UNKNOWN, 1);

	struct report **last = &j->reports;
	while (*last)
		last = &(*last)->next;
	*last = r;
	j->reports_n++;
	if (j->reports == r)
		send_report(j);
}

/* The job's first result; what the connector says after it is late. */
static void
answer(struct job *j, const struct gw_answer *a)
{
	assert(j->stage != ANSWERED);
	j->stage = ANSWERED;
	event_del(&j->timer);
	card_wipe(j);
	report(j, a);
}

static void
answer_without(struct job *j, sp_outcome outcome, enum err cause)
{
	struct gw_answer a = {.outcome = outcome, .cause = cause};
	answer(j, &a);
}

/* Nothing has left this process. */
static void
answer_unsent(struct job *j, enum err cause)
{
	answer_without(j, err_retryable(cause) ? sp_OUTCOME_RETRYABLE : sp_OUTCOME_NOT_CHARGED, cause);
}

/* ── the connector ── */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct job *j = arg;
	(void)fd, (void)what;
	if (j->stage == PAUSED)
		call_processor(j);
	else if (j->stage == CALLING) {
		const struct gw_answer silence = {.outcome = sp_OUTCOME_UNKNOWN, .cause = ERR_DEADLINE};
		outage_saw(j->req.account, j->gw, j->called_us / 1000, &silence);
		answer(j, &silence);
	}
}

static bool
try_later(struct job *j, const struct gw_answer *a)
{
	int64_t pause = (int64_t)PAUSE_MS << (j->tries - 1);
	if (a->outcome != sp_OUTCOME_RETRYABLE || j->tries >= JOBS_TRIES_MAX || jobs.stopping ||
		clock_mono_ms() + 2 * pause >= j->deadline_ms)
		return false;
	j->stage = PAUSED;
	event_del(&j->timer);
	timer_set(&j->timer, pause);
	return true;
}

static void
answered(void *arg, const struct gw_answer *a, bool more)
{
	struct job *j = arg;

	j->at_gw = more;
	if (j->stage == ANSWERED) {
		outage_saw(j->req.account, j->gw, j->called_us / 1000, a);
		report(j, a);
	} else {
		page_observe(proc_page(), METRIC_PROCESSOR_SECONDS, (uint64_t)(clock_mono_us() - j->called_us));
		if (more || !try_later(j, a)) {
			outage_saw(j->req.account, j->gw, j->called_us / 1000, a);
			answer(j, a);
		}
	}
	end_when_done(j);
}

static void
call_processor(struct job *j)
{
	int64_t left_ms = j->deadline_ms - clock_mono_ms();

	if (left_ms <= 0) {
		answer_unsent(j, ERR_DEADLINE);
		return;
	}
	j->stage = CALLING;
	j->tries++;
	j->called_us = clock_mono_us();
	j->req.deadline_ms = (uint32_t)left_ms;
	j->call = (struct gw_call){
		.job = &j->req, .card = j->card ? (const struct gw_card *)j->card->bytes : NULL, .done = answered, .arg = j};
	page_add(proc_page(), METRIC_PROCESSOR_CALLS, 1);
	enum err e = j->gw->act[j->req.kind](&j->call);
	if (e != ERR_OK) {
		answer_unsent(j, e);
		return;
	}
	j->at_gw = true;
	timer_set(&j->timer, left_ms);
}

/* ── the card ── */

static bool
card_take(struct job *j, const sp_redeem_rep *rep)
{
	if (secret_new(sizeof(struct gw_card), &j->card) != ERR_OK)
		return false;
	struct gw_card *card = (struct gw_card *)j->card->bytes;
	/* the message's bounds are the arrays' less one, so the NUL of the zeroed room stays */
	memcpy(card->pan, rep->pan.bytes, rep->pan.size < sizeof card->pan ? rep->pan.size : sizeof card->pan - 1);
	memcpy(card->cvc, rep->cvc.bytes, rep->cvc.size < sizeof card->cvc ? rep->cvc.size : sizeof card->cvc - 1);
	memcpy(card->holder, rep->holder.bytes,
		   rep->holder.size < sizeof card->holder ? rep->holder.size : sizeof card->holder - 1);
	card->exp_month = rep->exp_month;
	card->exp_year = rep->exp_year;
	return true;
}

static void
redeemed(void *arg, enum err e, const void *rep)
{
	struct job *j = arg;

	if (e == ERR_OK && rep) {
		j->redeemed = true;
		if (card_take(j, rep))
			call_processor(j);
		else
			answer_unsent(j, ERR_OVERLOADED);
	} else if (e == ERR_GRANT_USED) {
		/* somebody opened the card for this attempt before, and may have charged it: only the processor knows */
		j->redeemed = true;
		answer_without(j, sp_OUTCOME_UNKNOWN, e);
	} else if (e == ERR_GRANT_UNKNOWN)
		/* grants are in the vault's memory: it was started again, and the ledger lodges anew */
		answer_without(j, sp_OUTCOME_RETRYABLE, e);
	else
		answer_unsent(j, e == ERR_OK ? ERR_PROTOCOL : e);
}

static void
redeem(struct job *j)
{
	sp_redeem_req req = sp_redeem_req_init_zero;
	COPY(req.attempt, j->req.attempt);
	COPY(req.payment, j->req.payment);
	COPY(req.account, j->req.account);
	COPY(req.token, j->req.token);
	COPY(req.merchant, j->req.merchant);
	enum err e =
		ask_redeem(proc_peer(PROCESS_VAULT, 0), &req, (uint32_t)(j->deadline_ms - clock_mono_ms()), redeemed, j);
	if (e != ERR_OK)
		answer_unsent(j, e);
}

/* ── doors ── */

static struct job *
job_new(const sp_job_req *req)
{
	struct job *j = mem_new(1, sizeof *j);
	if (!j)
		return NULL;
	uint32_t ms = req->deadline_ms && req->deadline_ms < JOBS_DEADLINE_MS ? req->deadline_ms : JOBS_DEADLINE_MS;
	j->req = *req;
	j->gw = gw_of(req->connector);
	j->started_us = clock_mono_us();
	j->deadline_ms = clock_mono_ms() + ms;
	if (event_assign(&j->timer, proc_base(), -1, EV_TIMEOUT, on_timer, j) != 0 ||
		event_assign(&j->again, proc_base(), -1, EV_TIMEOUT, send_again, j) != 0) {
		mem_free(j);
		return NULL;
	}
	*place_of(req->attempt) = j;
	jobs.count++;
	return j;
}

void
jobs_answer(struct call *call, const void *request)
{
	const sp_job_req *req = request;
	sp_job_rep rep = {.accepted = true};
	struct job *j = *place_of(req->attempt);

	if (j || jobs.stopping || jobs.count >= JOBS_MAX || !(j = job_new(req))) {
		/* an attempt that runs already is accepted again: its result will come */
		rep.accepted = j != NULL;
		call_reply(call, ERR_OK, &rep);
		return;
	}
	call_reply(call, ERR_OK, &rep);
	if (!j->gw)
		answer_unsent(j, ERR_PROCESSOR_UNKNOWN);
	else if (req->kind <= sp_JOB_NONE || req->kind >= _sp_job_kind_ARRAYSIZE || !j->gw->act[req->kind])
		answer_unsent(j, ERR_NOT_SUPPORTED);
	else if (req->kind == sp_JOB_AUTHORIZE)
		redeem(j);
	else
		call_processor(j);
}

void
jobs_list(struct peer *ledger)
{
	sp_running_req *req = mem_new(1, sizeof *req);
	enum err e = req ? ERR_OK : ERR_MEMORY;

	for (size_t i = 0; i < BUCKETS && e == ERR_OK; i++)
		for (struct job *j = jobs.bucket[i]; j && e == ERR_OK; j = j->next) {
			/* what only waits for a second answer has had its result: the ledger is right to inquire */
			if (j->stage == ANSWERED && !j->reports)
				continue;
			memcpy(req->attempts[req->attempts_count++], j->req.attempt, sizeof j->req.attempt);
			if (req->attempts_count == RUNNING_AT_ONCE) {
				e = tell_running(ledger, req);
				req->attempts_count = 0;
			}
		}
	if (e == ERR_OK) {
		req->last = true;
		e = tell_running(ledger, req);
	}
	if (e != ERR_OK)
		log_warn("the running attempts could not be told", LOG_E("error", e), LOG_I("jobs", jobs.count));
	mem_free(req);
}

enum err
jobs_open(void)
{
	const struct gw *gw;
	enum err e = ERR_OK;
	outage_open();
	for (size_t i = 0; e == ERR_OK && (gw = gw_at(i)) != NULL; i++)
		e = gw->open(proc_base(), proc_conf());
	return e;
}

void
jobs_reload(void)
{
	const struct gw *gw;
	for (size_t i = 0; (gw = gw_at(i)) != NULL; i++)
		gw->reload(proc_conf());
}

void
jobs_stop(uint32_t grace_ms, void (*finished)(void))
{
	jobs.stopping = true;
	jobs.finished = finished;
	if (event_assign(&jobs.grace, proc_base(), -1, EV_TIMEOUT, finish_stop, NULL) != 0)
		proc_die(ERR_INTERNAL, "the timer of the stop");
	timer_set(&jobs.grace, jobs.count ? grace_ms : 0);
}

size_t
jobs_count(void)
{
	return jobs.count;
}
