#include "daemon/ledger/attempt.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/domain/retry.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/lsk.h"
#include "daemon/ledger/recover.h"
#include "daemon/ledger/result.h"
#include "daemon/wire/ask.h"

#define COURIER_MARGIN_MS 2000
#define LEDGER_MARGIN_MS  4000
#define LODGE_DEADLINE_MS 5000
#define WAIT_MS_MAX       25000
#define COURIER_JOBS_MAX \
	768 /* fewer than it takes at once: what is more waits here, in order, and is not refused there */
#define PARKED_PER_TICK 256

/* ── the job ── */

static sp_job_kind
job_kind_of(sp_operation_kind kind)
{
	static const sp_job_kind kinds[] = {[sp_KIND_AUTHORIZE] = sp_JOB_AUTHORIZE,
										[sp_KIND_CAPTURE] = sp_JOB_CAPTURE,
										[sp_KIND_VOID] = sp_JOB_VOID,
										[sp_KIND_REFUND] = sp_JOB_REFUND};
	return (size_t)kind < sizeof kinds / sizeof *kinds ? kinds[kind] : sp_JOB_NONE;
}

void
attempt_connector(const char *account, char out[32])
{
	size_t n = strcspn(account, ":");
	n = n < 31 ? n : 31;
	memcpy(out, account, n);
	out[n] = 0;
}

/* Bounds are those of policy/schema: the state's texts fit the job's. */
#define TAKE(to, from) memcpy(to, from, strlen(from) + 1)

void
attempt_job(const sp_payment_state *state, const char *operation, const char *connector, sp_job_req *out)
{
	const sp_operation_state *op = payment_operation(state, operation), *first = &state->operations[0];
	*out = (sp_job_req)sp_job_req_init_zero;
	TAKE(out->payment, state->id);
	TAKE(out->operation, op->id);
	out->kind = job_kind_of(op->kind);
	TAKE(out->account, state->account);
	if (str_set(out->connector, sizeof out->connector, connector))
		attempt_connector(state->account, out->connector);
	lsk_derive(state->id, op->id, state->account, out->derived_key);
	out->amount_minor = op->amount_minor;
	out->currency = state->currency;
	TAKE(out->token, state->token);
	TAKE(out->merchant, state->merchant);
	TAKE(out->order_id, state->order_id);
	TAKE(out->reference, first->processor_reference);
	out->auto_capture = state->capture_method == sp_CAPTURE_AUTOMATIC;
	out->authorized_minor = state->authorized_minor;
	out->deadline_ms = (uint32_t)conf_int(proc_conf(), CONF_PROCESSOR_DEADLINE);
}

/* ── from the commit to the courier ── */

int64_t
attempt_patience_ms(void)
{
	return conf_int(proc_conf(), CONF_PROCESSOR_DEADLINE) + LEDGER_MARGIN_MS;
}

static int64_t
deadline_from_now(void)
{
	return clock_mono_ms() + attempt_patience_ms();
}

void
attempt_replay(struct command *c)
{
	/* in the same batch as the request that it repeats: only now, after the commit, is that one in flight */
	if (command_waited_for(&c->row)) {
		command_refuse(c, ERR_IDEMPOTENCY_BUSY);
		return;
	}
	struct call *call = c->call;
	c->call = NULL;
	command_answer(call, c->payment.text, c->operation.text, &c->row, true, ERR_OK);
	command_free(c);
}

void
attempt_begin(struct command *c)
{
	struct flight *f;
	enum err e = flight_new(&c->job, FLIGHT_LODGING, &f);
	struct call *call = c->call;
	c->call = NULL;
	if (e) {
		/* committed, but there is no room to follow it up now: the sweep finds its row */
		log_warn("an attempt waits for room", LOG_S("attempt", c->job.attempt), LOG_E("cause", e));
		recover_later();
		if (call)
			command_answer(call, c->payment.text, c->operation.text, NULL, false, ERR_OK);
		command_free(c);
		return;
	}
	f->started_us = c->started_us;
	if (call && c->async) {
		c->row.status = 202;
		command_answer(call, c->payment.text, c->operation.text, &c->row, false, ERR_OK);
	} else if (call) {
		uint32_t wait_ms = c->wait_ms && c->wait_ms < WAIT_MS_MAX ? c->wait_ms : WAIT_MS_MAX;
		f->waiting = call;
		f->wait_until_mono_ms = clock_mono_ms() + wait_ms;
	}
	command_free(c);
	attempt_dispatch(f);
}

static struct flight *
still(const struct id *attempt, enum flight_stage stage)
{
	struct flight *f = flight_of(attempt->text);
	return f && f->stage == stage ? f : NULL;
}

/* Callbacks get the attempt's id, not the flight: it may have ended in the meantime. */
static struct id *
handle_of(const struct flight *f)
{
	struct id *id = mem_new(1, sizeof *id);
	if (id)
		memcpy(id->text, f->job.attempt, sizeof id->text);
	return id;
}

/* Those that wait for the courier, oldest first: ids, because a flight may end meanwhile. */
static struct {
	struct id attempt[FLIGHT_MAX];
	unsigned first, n;
} parked;

static void
enqueue(struct flight *f, void *arg)
{
	(void)arg;
	/* full only of those that have ended: when it is empty the others are looked for */
	if (f->stage == FLIGHT_PARKED && parked.n < FLIGHT_MAX)
		memcpy(parked.attempt[(parked.first + parked.n++) % FLIGHT_MAX].text, f->job.attempt, sizeof f->job.attempt);
}

static void
park(struct flight *f)
{
	flight_set(f, FLIGHT_PARKED);
	enqueue(f, NULL);
}

static void
job_answered(void *arg, enum err e, const void *rep)
{
	struct id attempt = *(struct id *)arg;
	const sp_job_rep *r = rep;
	mem_free(arg);
	struct flight *f = still(&attempt, FLIGHT_SENT);
	if (!f)
		return;
	if (!e && r && r->accepted) {
		/* its time runs from here, not from when it began to wait for room */
		f->deadline_mono_ms = deadline_from_now();
		return;
	}
	if (!e && r) /* the courier has no room: it knows nothing of this one, which may wait as if it were away */
		park(f);
	else if (e == ERR_PEER_AWAY)
		flight_set(f, FLIGHT_LOST);
	else if (e != ERR_DEADLINE) /* the flight's own deadline speaks then */
		attempt_conclude(f, sp_OUTCOME_NOT_CHARGED, e ? e : ERR_COURIER_AWAY);
}

static void
send_job(struct flight *f)
{
	struct id *handle;
	if (!ledger_has(ledger_courier()) || flight_in(FLIGHT_SENT) >= COURIER_JOBS_MAX) {
		park(f);
		return;
	}
	if (!(handle = handle_of(f))) {
		attempt_conclude(f, sp_OUTCOME_NOT_CHARGED, ERR_MEMORY);
		return;
	}
	flight_set(f, FLIGHT_SENT);
	enum err e = ask_job(ledger_courier(), &f->job, f->job.deadline_ms + COURIER_MARGIN_MS, job_answered, handle);
	if (!e)
		return;
	mem_free(handle);
	if (e == ERR_PEER_AWAY || e == ERR_PEER_FULL)
		park(f);
	else
		attempt_conclude(f, sp_OUTCOME_NOT_CHARGED, e);
}

void
attempt_unpark(void)
{
	for (unsigned n = parked.n; n && ledger_has(ledger_courier()) && flight_in(FLIGHT_SENT) < COURIER_JOBS_MAX; n--) {
		struct flight *f = still(&parked.attempt[parked.first], FLIGHT_PARKED);
		parked.first = (parked.first + 1) % FLIGHT_MAX;
		parked.n--;
		if (f)
			send_job(f);
	}
	if (!parked.n && flight_in(FLIGHT_PARKED))
		flight_each(enqueue, NULL);
}

static void
lodged(void *arg, enum err e, const void *rep)
{
	struct id attempt = *(struct id *)arg;
	(void)rep;
	mem_free(arg);
	struct flight *f = still(&attempt, FLIGHT_LODGING);
	if (!f)
		return;
	/* the courier never heard of it: whatever the vault did with the grant, no card was opened */
	if (e)
		attempt_conclude(f, sp_OUTCOME_NOT_CHARGED, e == ERR_PEER_AWAY || e == ERR_DEADLINE ? ERR_VAULT_AWAY : e);
	else
		send_job(f);
}

static enum err
lodge(struct flight *f)
{
	sp_lodge_req req = sp_lodge_req_init_zero;
	struct id *handle = handle_of(f);
	if (!handle)
		return ERR_MEMORY;
	flight_set(f, FLIGHT_LODGING);
	TAKE(req.token, f->job.token);
	TAKE(req.merchant, f->job.merchant);
	TAKE(req.payment, f->job.payment);
	TAKE(req.attempt, f->job.attempt);
	TAKE(req.account, f->job.account);
	enum err e = ask_lodge(ledger_vault(), &req, LODGE_DEADLINE_MS, lodged, handle);
	if (e)
		mem_free(handle);
	return e;
}

void
attempt_dispatch(struct flight *f)
{
	f->deadline_mono_ms = deadline_from_now();
	if (f->job.kind != sp_JOB_AUTHORIZE) {
		send_job(f);
		return;
	}
	enum err e = lodge(f);
	if (e)
		attempt_conclude(f, sp_OUTCOME_NOT_CHARGED, e);
}

/* ── another attempt of the same operation ── */

struct again {
	struct id old, new;
};

static enum err
append_retry(const struct again *a, const struct flight *f)
{
	static struct payment_event events[PAYMENT_EVENTS_MAX];
	unsigned n = 0;
	const struct payment_command cmd = {.kind = PAYMENT_RETRY,
										.at_ms = clock_wall_ms(),
										.actor = "ledger",
										.payment = f->job.payment,
										.operation = f->job.operation,
										.attempt = a->new.text};
	enum err e = store_payment_load(ledger.store, f->job.payment, ledger.state);
	if (!e)
		e = payment_decide(ledger.state, &cmd, events, &n);
	if (!e && n)
		e = store_payment_append(ledger.store, f->job.payment, ledger.state, events, n);
	return e;
}

static enum err
again_act(void *arg)
{
	struct again *a = arg;
	struct attempt row;
	struct flight *f = flight_of(a->old.text);
	if (!f)
		return ERR_NOT_FOUND;
	enum err e = store_attempt_get(ledger.store, f->row.text, &row);
	if (e || (e = append_retry(a, f)) || (e = store_attempt_finish(ledger.store, f->row.text)))
		return e;
	row.id = a->new;
	row.state = row.kind == sp_JOB_AUTHORIZE ? ATTEMPT_PREPARED : ATTEMPT_SENT;
	row.tries++;
	row.maybe_charged |= f->maybe_charged;
	row.next_try_ms = 0;
	return store_attempt_put(ledger.store, &row);
}

static void
again_done(void *arg, enum err e)
{
	struct again a = *(struct again *)arg;
	mem_free(arg);
	struct flight *f = flight_of(a.old.text);
	if (!f)
		return;
	if (!e) {
		flight_rename(f, a.new.text);
		attempt_dispatch(f);
	} else if (e == ERR_AUDIT_AWAY) {
		/* nothing was written: try once more when the store may be back */
		flight_set(f, FLIGHT_WAITING);
		f->deadline_mono_ms = clock_mono_ms() + 1000;
	} else {
		attempt_conclude(f, sp_OUTCOME_UNKNOWN, e);
	}
}

static const struct batch_row again_row = {again_act, NULL, again_done};

void
attempt_again(struct flight *f)
{
	struct again *a = mem_new(1, sizeof *a);
	if (!a) {
		flight_set(f, FLIGHT_WAITING);
		f->deadline_mono_ms = clock_mono_ms() + 1000;
		return;
	}
	flight_set(f, FLIGHT_LODGING);
	f->deadline_mono_ms = deadline_from_now();
	memcpy(a->old.text, f->job.attempt, sizeof a->old.text);
	id_new("att", clock_wall_ms(), &a->new);
	batch_run(&again_row, a, 1024);
}

/* ── without a processor's word ── */

void
attempt_conclude(struct flight *f, sp_outcome outcome, enum err cause)
{
	sp_result_req r = sp_result_req_init_zero;
	TAKE(r.attempt, f->job.attempt);
	TAKE(r.payment, f->job.payment);
	TAKE(r.operation, f->job.operation);
	/* an inquiry that could not be made proves nothing */
	r.outcome = f->job.kind == sp_JOB_INQUIRE ? sp_OUTCOME_UNKNOWN : outcome;
	r.cause = cause;
	/* an answer of the vault must not send it, nor its deadline conclude it again, while this is committed */
	enum flight_stage before = f->stage;
	flight_set(f, FLIGHT_ENDING);
	f->deadline_mono_ms = INT64_MAX;
	if (result_settle(&r, NULL))
		return;
	/* without memory for it the flight must not stay here for ever: its deadline concludes it again */
	flight_set(f, before);
	f->deadline_mono_ms = clock_mono_ms() + 1000;
}

void
attempt_answer(struct flight *f, enum err cause)
{
	struct call *call = f->waiting;
	f->waiting = NULL;
	if (call)
		command_answer(call, f->job.payment, f->job.operation, NULL, false, cause);
}

/* ── time and the courier ── */

static void
overdue(struct flight *f)
{
	switch (f->stage) {
	case FLIGHT_WAITING:
		attempt_again(f);
		break;
	case FLIGHT_PARKED:
		attempt_conclude(f, sp_OUTCOME_NOT_CHARGED, ledger_has(ledger_courier()) ? ERR_OVERLOADED : ERR_COURIER_AWAY);
		break;
	case FLIGHT_LODGING:
		attempt_conclude(f, sp_OUTCOME_NOT_CHARGED, ERR_VAULT_AWAY);
		break;
	case FLIGHT_SENT:
	case FLIGHT_LOST:
	case FLIGHT_ASKING:
		attempt_conclude(f, sp_OUTCOME_UNKNOWN, ERR_DEADLINE);
		break;
	case FLIGHT_ENDING:
	case FLIGHT_STAGES:
		break;
	}
}

static void
tick_one(struct flight *f, void *arg)
{
	int64_t now_ms = *(int64_t *)arg;
	if (f->waiting && now_ms >= f->wait_until_mono_ms)
		attempt_answer(f, ERR_OK);
	if (now_ms >= f->deadline_mono_ms)
		overdue(f);
}

void
attempt_tick(void)
{
	int64_t now_ms = clock_mono_ms();
	attempt_unpark();
	flight_each(tick_one, &now_ms);
	page_set(proc_page(), METRIC_IN_FLIGHT, flight_count());
}

static void
courier_gone(struct flight *f, void *arg)
{
	(void)arg;
	f->listed = false;
	if (f->stage == FLIGHT_SENT)
		flight_set(f, FLIGHT_LOST);
}

void
attempt_courier(bool up)
{
	if (up)
		attempt_unpark();
	else
		flight_each(courier_gone, NULL);
	recover_courier(up);
}

static void
stop_one(struct flight *f, void *arg)
{
	(void)arg;
	attempt_answer(f, ERR_OK);
}

void
attempt_stop(void)
{
	flight_each(stop_one, NULL);
}
