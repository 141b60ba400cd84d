/*
 * gw_simulator — an issuer inside the process: it decides from the table of test values, keeps books, and answers late,
 * twice or never when the table says so. It is also what a connector is expected to do, in the shortest form.
 */
#include <assert.h>
#include <event2/event.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/courier/gw.h"
#include "daemon/courier/script.h"
#include "daemon/courier/simbook.h"

#define BOOKS "simulator.jsonl"

static struct {
	struct event_base *base;
	struct simbook *book;
	uint32_t latency_ms, timeout_ms;
	uint64_t away_once[256]; /* derived keys that were turned away once; the oldest is forgotten */
	unsigned away_next;
} sim;

/*
 * How an answer travels. Times are in halves of simulator.timeout.
 *   reaches   the issuer gets the request: there is an effect
 *   says      what the caller is told at `at` instead of the issuer's answer; NONE: the issuer's own answer
 *   again_at  the issuer's own answer comes then, as a second one; 0: no second answer
 */
static const struct manner {
	bool reaches;
	sp_outcome says;
	enum err cause;
	unsigned at;
	bool again;
	unsigned again_at;
} manners[SCRIPT_OUTCOMES] = {
	[SCRIPT_APPROVE] = {.reaches = true},
	[SCRIPT_DECLINE] = {.reaches = true},
	[SCRIPT_TIMEOUT_BEFORE] = {.says = sp_OUTCOME_UNKNOWN, .cause = ERR_DEADLINE, .at = 2},
	[SCRIPT_TIMEOUT_AFTER] = {.reaches = true, .says = sp_OUTCOME_UNKNOWN, .cause = ERR_DEADLINE, .at = 2},
	[SCRIPT_LATE] = {true, sp_OUTCOME_UNKNOWN, ERR_DEADLINE, 2, true, 3},
	[SCRIPT_LATE_DECLINE] = {true, sp_OUTCOME_UNKNOWN, ERR_DEADLINE, 2, true, 3},
	[SCRIPT_DUPLICATE] = {.reaches = true, .again = true},
	[SCRIPT_ERROR] = {.says = sp_OUTCOME_NOT_CHARGED, .cause = ERR_PROCESSOR_ERROR},
	[SCRIPT_SLOW] = {.reaches = true, .at = 1},
	[SCRIPT_AWAY] = {.says = sp_OUTCOME_RETRYABLE, .cause = ERR_PROCESSOR_AWAY},
	[SCRIPT_AWAY_ONCE] = {.says = sp_OUTCOME_RETRYABLE, .cause = ERR_PROCESSOR_AWAY},
	[SCRIPT_SILENT] = {.reaches = true, .says = sp_OUTCOME_UNKNOWN, .cause = ERR_DEADLINE, .at = 2},
	[SCRIPT_CAPTURE_FAILS] = {.reaches = true},
	[SCRIPT_REFUND_FAILS] = {.reaches = true},
	[SCRIPT_VOID_FAILS] = {.reaches = true},
	[SCRIPT_REFUND_PENDING] = {.reaches = true},
};

/* simulator.outage: what becomes of every call, whatever its card and amount. */
static const struct {
	const char *name;
	struct manner manner;
} outages[] = {
	{"refused", {.says = sp_OUTCOME_RETRYABLE, .cause = ERR_PROCESSOR_AWAY}},
	{"silent", {.says = sp_OUTCOME_UNKNOWN, .cause = ERR_DEADLINE, .at = 2}},
	{"lost", {.reaches = true, .says = sp_OUTCOME_UNKNOWN, .cause = ERR_DEADLINE, .at = 2}},
	{"garbled", {.reaches = true, .says = sp_OUTCOME_UNKNOWN, .cause = ERR_PROTOCOL}},
};
static const struct manner *outage; /* NULL: it is there */

/* ── answers on their way ── */

struct reply {
	struct event *timer;
	struct gw_call *call;
	struct gw_answer answer;
	bool more; /* another one follows this */
	bool last; /* this one follows another */
};

static void
deliver(evutil_socket_t fd, short what, void *arg)
{
	struct reply *r = arg;
	(void)fd, (void)what;
	event_free(r->timer);
	r->call->done(r->call->arg, &r->answer, r->more);
	mem_free(r);
}

static struct reply *
reply_new(struct gw_call *call, const struct gw_answer *answer, bool more)
{
	struct reply *r = mem_new(1, sizeof *r);
	if (!r)
		return NULL;
	*r = (struct reply){.call = call, .answer = *answer, .more = more};
	r->timer = evtimer_new(sim.base, deliver, r);
	if (r->timer)
		return r;
	mem_free(r);
	return NULL;
}

static void
reply_at(struct reply *r, unsigned halves)
{
	/* a last answer comes a moment after the first even when both are due at once */
	uint64_t ms = sim.latency_ms + (uint64_t)sim.timeout_ms * halves / 2 + (r->last ? 1 : 0);
	struct timeval after = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
	if (event_add(r->timer, &after) != 0)
		abort(); /* only out of memory, and then nothing could ever be answered */
}

static enum err
reply_once(struct gw_call *call, const struct gw_answer *answer, unsigned halves)
{
	struct reply *r = reply_new(call, answer, false);
	if (!r)
		return ERR_MEMORY;
	reply_at(r, halves);
	return ERR_OK;
}

/* ── what the books say ── */

static bool
settled(const struct simbook_entry *e)
{
	return e->outcome != sp_OUTCOME_PENDING || clock_wall_ms() >= e->at_ms + sim.timeout_ms;
}

static void
answer_of(const struct simbook_entry *e, struct gw_answer *out)
{
	bool declined = e->outcome == sp_OUTCOME_DECLINED;

	*out = (struct gw_answer){.outcome = (sp_outcome)e->outcome, .amount_minor = declined ? 0 : e->amount_minor};
	if (e->outcome == sp_OUTCOME_PENDING && settled(e))
		out->outcome = sp_OUTCOME_APPROVED;
	out->captured = e->captured;
	simbook_reference(e, out->reference);
	/* these come from our own table and fit */
	snprintf(out->decline_code, sizeof out->decline_code, "%s", declined ? e->script->decline_code : "");
	snprintf(out->network_code, sizeof out->network_code, "%s", declined ? e->script->network_code : "00");
	snprintf(out->processor_code, sizeof out->processor_code, "%s", declined ? e->script->decline_code : "approved");
	snprintf(out->advice, sizeof out->advice, "%s", declined ? e->script->advice : "");
}

static struct gw_answer
answer_without(sp_outcome outcome, enum err cause)
{
	return (struct gw_answer){.outcome = outcome, .cause = cause};
}

/* What a test value has its card get; other cards are answered meanwhile. */
static struct gw_answer
answer_scripted(sp_outcome outcome, enum err cause)
{
	return (struct gw_answer){.outcome = outcome, .cause = cause, .scripted = true};
}

static enum err
answer_none(struct gw_call *call)
{
	struct gw_answer answer = answer_without(outage->says, outage->cause);
	return reply_once(call, &answer, outage->at);
}

/* The same key again is the same effect again: its answer, and no second charge. */
static enum err
answer_again(struct gw_call *call, const struct simbook_entry *e)
{
	struct gw_answer answer;

	if (outage)
		return answer_none(call);
	if (e->kind != call->job->kind || e->amount_minor != call->job->amount_minor)
		/* a key that is used for two things is our own bug, and nobody knows what to believe */
		answer = answer_without(sp_OUTCOME_UNKNOWN, ERR_IDEMPOTENCY_REUSED);
	else if (e->script->outcome == SCRIPT_SILENT)
		answer = answer_scripted(sp_OUTCOME_UNKNOWN, ERR_DEADLINE);
	else
		answer_of(e, &answer);
	return reply_once(call, &answer, answer.outcome == sp_OUTCOME_UNKNOWN ? 2 : 0);
}

static bool
away_before(const char *derived_key)
{
	uint64_t key;
	crypto_generichash((uint8_t *)&key, sizeof key, (const uint8_t *)derived_key, strlen(derived_key), NULL, 0);
	for (unsigned i = 0; i < sizeof sim.away_once / sizeof *sim.away_once; i++)
		if (sim.away_once[i] == key)
			return true;
	sim.away_once[sim.away_next++ % (sizeof sim.away_once / sizeof *sim.away_once)] = key;
	return false;
}

/* ── playing one effect ── */

struct decision {
	sp_outcome outcome;
	const struct script_row *script; /* kept with the effect: says why it was declined, and what follows */
	const struct simbook_entry *on;
	enum script_outcome manner;
};

/* Both answers are made before anything is written: a charge whose answer could not be made would be a lie. */
static enum err
play(struct gw_call *call, const struct decision *d)
{
	const struct manner *m = outage ? outage : &manners[d->manner];
	const struct simbook_entry *entry = NULL;
	struct gw_answer answer = outage ? answer_without(m->says, m->cause) : answer_scripted(m->says, m->cause);
	bool pending = !outage && d->outcome == sp_OUTCOME_PENDING, again = m->again || pending;
	struct reply *second = NULL, *first = reply_new(call, &answer, again);
	enum err e = ERR_MEMORY;

	if (!first || (again && !(second = reply_new(call, &answer, false))))
		goto out;
	if (m->reaches) {
		if ((e = simbook_add(sim.book, call->job, d->on, d->outcome, d->script, &entry)) != ERR_OK)
			goto out;
		if (m->says == sp_OUTCOME_NONE)
			answer_of(entry, &first->answer);
	}
	if (second) {
		second->last = true;
		answer_of(entry, &second->answer);
		if (pending)
			second->answer.outcome = sp_OUTCOME_APPROVED;
		reply_at(second, pending ? 2 : m->again_at);
	}
	reply_at(first, m->at);
	return ERR_OK;
out:
	for (unsigned i = 0; i < 2; i++) {
		struct reply *r = i ? second : first;
		if (r)
			event_free(r->timer);
		mem_free(r);
	}
	return e;
}

/* A row of the table as a decision about one operation. */
static struct decision
decide(const struct script_row *row, const char *derived_key, const struct simbook_entry *on)
{
	struct decision d = {.outcome = sp_OUTCOME_APPROVED, .script = row, .on = on, .manner = row->outcome};
	if (row->outcome == SCRIPT_DECLINE || row->outcome == SCRIPT_LATE_DECLINE)
		d.outcome = sp_OUTCOME_DECLINED;
	if (row->outcome == SCRIPT_AWAY_ONCE && away_before(derived_key))
		d.manner = SCRIPT_APPROVE;
	return d;
}

static struct decision
refuse(enum script_refusal why, const struct simbook_entry *on)
{
	return decide(script_refusal(why), "", on);
}

/* Where an approved authorization is scripted to fail later. */
static const struct {
	enum script_outcome of_card;
	sp_job_kind kind;
	sp_outcome outcome;
} afterwards[] = {
	{SCRIPT_CAPTURE_FAILS, sp_JOB_CAPTURE, sp_OUTCOME_DECLINED},
	{SCRIPT_VOID_FAILS, sp_JOB_VOID, sp_OUTCOME_DECLINED},
	{SCRIPT_REFUND_FAILS, sp_JOB_REFUND, sp_OUTCOME_DECLINED},
	{SCRIPT_REFUND_PENDING, sp_JOB_REFUND, sp_OUTCOME_PENDING},
};

/* An operation on an authorization whose sums allow it. */
static struct decision
decide_after(const sp_job_req *job, const struct simbook_entry *on)
{
	const struct script_row *own = NULL;

	for (size_t i = 0; i < sizeof afterwards / sizeof *afterwards; i++)
		if (on->script->outcome == afterwards[i].of_card && job->kind == afterwards[i].kind)
			return (struct decision){afterwards[i].outcome, on->script, on, SCRIPT_APPROVE};
	/* the whole amount has played its script when it was authorized */
	if (job->kind != sp_JOB_VOID && job->amount_minor != on->amount_minor)
		own = script_of_amount(job->amount_minor);
	return decide(own ? own : script_of_name(""), job->derived_key, on);
}

/* ── the operations ── */

static enum err
act_authorize(struct gw_call *call)
{
	const struct simbook_entry *old = simbook_find(sim.book, call->job->derived_key, sp_JOB_AUTHORIZE);
	if (old)
		return answer_again(call, old);
	struct decision d = decide(script_choose(call->card->pan, call->job->amount_minor), call->job->derived_key, NULL);
	return play(call, &d);
}

static struct decision
check_capture(const sp_job_req *job, const struct simbook_entry *on)
{
	if (on->closed)
		return refuse(SCRIPT_CLOSED, on);
	if (job->amount_minor > on->amount_minor - on->captured_minor)
		return refuse(SCRIPT_ABOVE, on);
	return decide_after(job, on);
}

static struct decision
check_void(const sp_job_req *job, const struct simbook_entry *on)
{
	if (on->closed)
		return refuse(SCRIPT_CLOSED, on);
	if (on->captured_minor == on->amount_minor)
		return refuse(SCRIPT_NOTHING_LEFT, on);
	return decide_after(job, on);
}

static struct decision
check_refund(const sp_job_req *job, const struct simbook_entry *on)
{
	if (job->amount_minor > on->captured_minor - on->refunded_minor)
		return refuse(SCRIPT_ABOVE, on);
	return decide_after(job, on);
}

static enum err
act_after(struct gw_call *call)
{
	static struct decision (*const checks[_sp_job_kind_ARRAYSIZE])(const sp_job_req *, const struct simbook_entry *) = {
		[sp_JOB_CAPTURE] = check_capture,
		[sp_JOB_VOID] = check_void,
		[sp_JOB_REFUND] = check_refund,
	};
	const sp_job_req *job = call->job;
	const struct simbook_entry *old = simbook_find(sim.book, job->derived_key, job->kind);

	if (old)
		return answer_again(call, old);
	const struct simbook_entry *on = simbook_find_reference(sim.book, job->reference);
	if (on && (on->kind != sp_JOB_AUTHORIZE || on->outcome != sp_OUTCOME_APPROVED))
		on = NULL;
	struct decision d = on ? checks[job->kind](job, on) : refuse(SCRIPT_NO_AUTHORIZATION, NULL);
	return play(call, &d);
}

/* Takes back whatever the key of an authorization did; what never came about is not found, and that is as good. */
static enum err
act_reverse(struct gw_call *call)
{
	const sp_job_req *job = call->job;
	const struct simbook_entry *old = simbook_find(sim.book, job->derived_key, sp_JOB_REVERSE);
	if (old)
		return answer_again(call, old);
	const struct simbook_entry *on = simbook_find(sim.book, job->derived_key, sp_JOB_AUTHORIZE);
	if (!on || on->kind != sp_JOB_AUTHORIZE || on->outcome != sp_OUTCOME_APPROVED) {
		struct gw_answer none = answer_without(sp_OUTCOME_NOT_FOUND, ERR_OK);
		return reply_once(call, &none, 0);
	}
	struct decision d = decide(script_of_name(""), job->derived_key, on);
	return play(call, &d);
}

static enum err
act_inquire(struct gw_call *call)
{
	const struct simbook_entry *e = simbook_find(sim.book, call->job->derived_key, sp_JOB_INQUIRE);
	struct gw_answer answer;

	if (!e)
		answer = answer_without(sp_OUTCOME_NOT_FOUND, ERR_OK);
	else if (e->script->outcome == SCRIPT_SILENT)
		answer = answer_scripted(sp_OUTCOME_UNKNOWN, ERR_DEADLINE);
	else
		answer_of(e, &answer);
	return reply_once(call, &answer, answer.outcome == sp_OUTCOME_UNKNOWN ? 2 : 0);
}

/* ── the connector ── */

/* Every call passes here: while it is out, what would not reach it goes no further. */
static enum err
act(struct gw_call *call)
{
	static const struct {
		gw_act_fn act;
		bool moves; /* leaves an effect */
	} acts[_sp_job_kind_ARRAYSIZE] = {
		[sp_JOB_AUTHORIZE] = {act_authorize, true}, [sp_JOB_CAPTURE] = {act_after, true},
		[sp_JOB_VOID] = {act_after, true},          [sp_JOB_REFUND] = {act_after, true},
		[sp_JOB_INQUIRE] = {act_inquire, false},    [sp_JOB_REVERSE] = {act_reverse, true},
	};
	if (outage && !(outage->reaches && acts[call->job->kind].moves))
		return answer_none(call);
	return acts[call->job->kind].act(call);
}

static void
sim_reload(const struct conf *conf)
{
	const char *how = conf_text(conf, CONF_SIM_OUTAGE);
	/* in live mode a configuration with it is refused; if it came here all the same it is not followed */
	bool test = strcmp(conf_text(conf, CONF_MODE), "test") == 0;
	outage = NULL;
	for (size_t i = 0; i < sizeof outages / sizeof *outages; i++)
		if (test && strcmp(outages[i].name, how) == 0)
			outage = &outages[i].manner;
	sim.latency_ms = (uint32_t)conf_int(conf, CONF_SIM_LATENCY);
	sim.timeout_ms = (uint32_t)conf_int(conf, CONF_SIM_TIMEOUT);
}

static enum err
sim_open(struct event_base *base, const struct conf *conf)
{
	sim.base = base;
	sim_reload(conf);
	return simbook_open(BOOKS, &sim.book);
}

static void
sim_close(void)
{
	simbook_close(sim.book);
	memset(&sim, 0, sizeof sim);
}

const struct gw gw_simulator = {
	.name = "simulator",
	.idempotent = true,
	.open = sim_open,
	.reload = sim_reload,
	.close = sim_close,
	.act =
		{
			[sp_JOB_AUTHORIZE] = act,
			[sp_JOB_CAPTURE] = act,
			[sp_JOB_VOID] = act,
			[sp_JOB_REFUND] = act,
			[sp_JOB_INQUIRE] = act,
			[sp_JOB_REVERSE] = act,
		},
};
