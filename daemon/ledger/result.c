#include "daemon/ledger/result.h"

#include <sodium.h>
#include <string.h>
#include <sys/queue.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/domain/retry.h"
#include "daemon/ledger/attempt.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/closing.h"
#include "daemon/ledger/inquire.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"
#include "daemon/ledger/operate.h"
#include "daemon/ledger/recover.h"
#include "daemon/wire/ask.h"

#define RETRY_FIRST_MS 200
#define RETRY_CAP_MS   10000

/* What became of the attempt. */
enum verdict {
	FORGOTTEN, /* nobody knows this attempt: the courier may drop it */
	NO_NEWS,   /* known, and nothing changes */
	ENDED,     /* a final answer, or unknown for good (needs_review) */
	OPEN,      /* pending at the processor, or unknown: it is inquired */
	ONCE_MORE, /* surely not charged: another attempt at due_ms */
};

struct settle {
	sp_result_req r;
	struct call *call;
	enum verdict verdict;
	sp_operation_kind kind;
	sp_operation_status status; /* after it */
	bool captured, wants_capture, was_open, news;
	bool complained; /* that it could not be applied: once */
	int64_t payment_at_ms;
	int64_t due_ms; /* wall */
	char token[40];
	STAILQ_ENTRY(settle) next;
};

static STAILQ_HEAD(, settle) kept = STAILQ_HEAD_INITIALIZER(kept);

/* ── inside the batch ── */

static const enum audit_event event_of[] = {[sp_KIND_AUTHORIZE] = EVENT_PAYMENT_RESULT,
											[sp_KIND_CAPTURE] = EVENT_CAPTURE_RESULT,
											[sp_KIND_VOID] = EVENT_VOID_RESULT,
											[sp_KIND_REFUND] = EVENT_REFUND_RESULT};

/* The row that this result is about; a late one finds its row, or only its trace in the operation. */
static enum err
find_row(const struct settle *s, const sp_operation_state *op, struct attempt *row, bool *row_out, bool *known_out)
{
	const struct flight *f = flight_of(s->r.attempt);
	*row_out = *known_out = false;
	enum err e = store_attempt_get(ledger.store, f ? f->row.text : s->r.attempt, row);
	if (e && e != ERR_NOT_FOUND)
		return e;
	*row_out = !e && !strcmp(row->payment.text, s->r.payment);
	row->maybe_charged |= f && f->maybe_charged;
	*known_out = *row_out || (f && !strcmp(f->job.payment, s->r.payment)) || !strcmp(op->attempt, s->r.attempt);
	return ERR_OK;
}

static enum err
put_row(struct attempt *row, enum attempt_state state, unsigned tries, int64_t due_ms)
{
	row->state = state;
	row->tries = tries;
	row->next_try_ms = due_ms;
	return store_attempt_put(ledger.store, row);
}

/* The first word about an operation that is not final is followed by inquiries; each later one by the next. */
static enum err
keep_inquiring(struct settle *s, struct attempt *row, bool *give_up_out)
{
	unsigned tries = row->state == ATTEMPT_INQUIRING ? row->tries + 1 : 0; /* inquiries made */
	int64_t delay_ms;
	*give_up_out = !retry_inquiry(tries, conf_int(proc_conf(), CONF_INQUIRE_FIRST),
								  (unsigned)conf_int(proc_conf(), CONF_INQUIRE_MAX), randombytes_random(), &delay_ms);
	if (*give_up_out)
		return ERR_OK;
	s->verdict = OPEN;
	s->due_ms = clock_wall_ms() + delay_ms;
	return put_row(row, ATTEMPT_INQUIRING, tries, s->due_ms);
}

static enum err
retry_later(struct settle *s, struct attempt *row, bool *enough_out)
{
	int64_t delay_ms;
	*enough_out = !retry_dispatch(row->tries, randombytes_random(), &delay_ms);
	if (*enough_out)
		return ERR_OK;
	s->verdict = ONCE_MORE;
	s->due_ms = clock_wall_ms() + delay_ms;
	return put_row(row, ATTEMPT_WAITING, row->tries, s->due_ms);
}

static enum err
decide(struct settle *s, enum payment_command_kind kind, unsigned *n_out)
{
	static struct payment_event events[PAYMENT_EVENTS_MAX];
	struct id capture;
	char actor[80];
	int64_t now_ms = clock_wall_ms();
	id_new("cap", now_ms, &capture);
	snprintf(actor, sizeof actor, "processor:%s", ledger.state->account);
	const struct payment_command cmd = {
		.kind = kind,
		.at_ms = now_ms,
		.actor = actor,
		.payment = s->r.payment,
		.operation = kind == PAYMENT_GIVE_UP ? s->r.operation : capture.text,
		.attempt = s->r.attempt,
		.expires_at_ms = now_ms + conf_int(proc_conf(), CONF_AUTH_TTL),
		.result = &s->r,
	};
	enum err e = payment_decide(ledger.state, &cmd, events, n_out);
	if (e || !*n_out)
		return e;
	return store_payment_append(ledger.store, s->r.payment, ledger.state, events, *n_out);
}

/* Apply the word; what is still open afterwards stays with a row, what is not loses it. */
static enum err
apply(struct settle *s, struct attempt *row, bool has_row, bool give_up)
{
	unsigned n = 0;
	enum err e = decide(s, give_up ? PAYMENT_GIVE_UP : PAYMENT_RESULT, &n);
	if (e)
		return e;
	const sp_operation_state *op = payment_operation(ledger.state, s->r.operation);
	s->status = op->status;
	s->kind = op->kind;
	s->captured = n && s->r.captured && op->kind == sp_KIND_AUTHORIZE && op->status == sp_OP_SUCCEEDED;
	s->wants_capture = payment_wants_capture(ledger.state);
	s->news = n > 0;
	s->verdict = n ? ENDED : NO_NEWS;
	memcpy(s->token, ledger.state->token, sizeof s->token);
	s->payment_at_ms = ledger.state->created_at_ms;
	if (n && (e = leaves_processor(event_of[op->kind], ledger.state->account,
								   op->kind == sp_KIND_AUTHORIZE ? s->r.payment : op->id, ledger.state->merchant,
								   op->status, s->r.cause ? err_code((enum err)s->r.cause) : op->decline_code)))
		return e;
	if (op->status == sp_OP_UNKNOWN || op->status == sp_OP_PENDING) {
		bool never;
		return has_row ? keep_inquiring(s, row, &never) : ERR_OK;
	}
	if (has_row)
		return store_attempt_finish(ledger.store, row->id.text);
	return ERR_OK;
}

/* "This one did not charge" says nothing of a dispatch before it, and an inquiry that failed nothing at all. */
static bool
proves_nothing(const struct settle *s, const struct attempt *row)
{
	const struct flight *f = flight_of(s->r.attempt);
	return row->maybe_charged || (f && f->job.kind == sp_JOB_INQUIRE);
}

/* Asking a processor for an outcome is on the record, whatever it said. */
static enum err
leave_inquiry(const struct settle *s)
{
	static const sp_operation_status said[_sp_outcome_ARRAYSIZE] = {
		[sp_OUTCOME_APPROVED] = sp_OP_SUCCEEDED,
		[sp_OUTCOME_DECLINED] = sp_OP_DECLINED,
		[sp_OUTCOME_NOT_CHARGED] = sp_OP_FAILED,
		[sp_OUTCOME_NOT_FOUND] = sp_OP_FAILED,
	};
	const struct flight *f = flight_of(s->r.attempt);
	if (!f || f->job.kind != sp_JOB_INQUIRE)
		return ERR_OK;
	sp_operation_status status = (unsigned)s->r.outcome < _sp_outcome_ARRAYSIZE ? said[s->r.outcome] : sp_OP_NONE;
	return leaves_processor(EVENT_INQUIRY, ledger.state->account, s->r.payment, ledger.state->merchant,
							status ? status : sp_OP_UNKNOWN, s->r.operation);
}

static enum err
act(void *arg)
{
	struct settle *s = arg;
	struct attempt row = {.maybe_charged = false};
	bool has_row, known, enough = false;
	s->verdict = FORGOTTEN;
	enum err e = store_payment_load(ledger.store, s->r.payment, ledger.state);
	if (e)
		return e == ERR_PAYMENT_NOT_FOUND ? ERR_OK : e;
	const sp_operation_state *op = payment_operation(ledger.state, s->r.operation);
	if (!op)
		return ERR_OK;
	s->status = op->status;
	s->kind = op->kind;
	s->was_open = payment_operation_open(op);
	if ((e = find_row(s, op, &row, &has_row, &known)) || !known)
		return e;
	s->verdict = NO_NEWS;
	if ((e = leave_inquiry(s)))
		return e;
	if (!s->was_open && (s->r.outcome == sp_OUTCOME_UNKNOWN || s->r.outcome == sp_OUTCOME_PENDING))
		return has_row ? store_attempt_finish(ledger.store, row.id.text) : ERR_OK;
	bool inquired = has_row && row.state == ATTEMPT_INQUIRING;
	/* an earlier courier opened the card for this attempt and died: what it did is settled by the derived key */
	if (s->r.cause == ERR_GRANT_USED && op->status == sp_OP_PENDING && recover_idempotent(ledger.state->account)) {
		s->r.outcome = sp_OUTCOME_RETRYABLE;
		row.maybe_charged = true;
	}
	if (s->r.outcome == sp_OUTCOME_RETRYABLE && has_row && !inquired) {
		if ((e = retry_later(s, &row, &enough)) || !enough)
			return e;
		s->r.outcome = sp_OUTCOME_NOT_CHARGED;
	}
	if (s->r.outcome == sp_OUTCOME_NOT_CHARGED && proves_nothing(s, &row))
		s->r.outcome = sp_OUTCOME_UNKNOWN;
	/* an inquiry that told nothing: the next one, or a person */
	bool nothing = s->r.outcome == sp_OUTCOME_UNKNOWN || s->r.outcome == sp_OUTCOME_PENDING ||
				   s->r.outcome == sp_OUTCOME_RETRYABLE;
	if (inquired && nothing && ((e = keep_inquiring(s, &row, &enough)) || !enough))
		return e;
	/* inquiries about what the processor called pending are over: then it is unknown, and the next word is a person's
	 */
	if (inquired && nothing && op->status == sp_OP_PENDING)
		s->r.outcome = sp_OUTCOME_UNKNOWN;
	return apply(s, &row, has_row, inquired && nothing && op->status == sp_OP_UNKNOWN);
}

/* ── after the commit ── */

static void
count(const struct settle *s)
{
	static const enum metric succeeded[] = {[sp_KIND_AUTHORIZE] = METRIC_AUTHORIZED,
											[sp_KIND_CAPTURE] = METRIC_CAPTURED,
											[sp_KIND_VOID] = METRIC_VOIDED,
											[sp_KIND_REFUND] = METRIC_REFUNDED};
	struct page *page = proc_page();
	if (s->status == sp_OP_SUCCEEDED)
		page_add(page, succeeded[s->kind], 1);
	else if (s->status == sp_OP_UNKNOWN)
		page_add(page, METRIC_UNKNOWN, 1);
	else if (s->kind == sp_KIND_AUTHORIZE && s->status == sp_OP_DECLINED)
		page_add(page, METRIC_DECLINED, 1);
	else if (s->kind == sp_KIND_AUTHORIZE && s->status == sp_OP_FAILED)
		page_add(page, METRIC_FAILED, 1);
	if (s->captured)
		page_add(page, METRIC_CAPTURED, 1);
}

/* A processor that answered with an error is told as that; an attempt that got nowhere as what stopped it. */
static enum err
cause_of(const struct settle *s)
{
	enum err e = (enum err)s->r.cause;
	return s->r.outcome == sp_OUTCOME_NOT_CHARGED && (unsigned)e < ERR_MAX ? e : ERR_OK;
}

static void
land(const struct settle *s, struct flight *f)
{
	if (f->started_us && s->kind == sp_KIND_AUTHORIZE && s->verdict == ENDED)
		page_observe(proc_page(), METRIC_AUTH_SECONDS, (uint64_t)(clock_mono_us() - f->started_us));
	attempt_answer(f, cause_of(s));
	flight_end(f);
	attempt_unpark();
}

static void
follow(const struct settle *s)
{
	struct flight *f = flight_of(s->r.attempt);
	if (s->verdict == ONCE_MORE) {
		if (f) {
			flight_set(f, FLIGHT_WAITING);
			f->deadline_mono_ms = clock_mono_ms() + (s->due_ms - clock_wall_ms());
		}
		return;
	}
	if (f)
		land(s, f);
	if (s->verdict == OPEN)
		inquire_at(s->due_ms);
	if (!s->news)
		return;
	count(s);
	if (s->kind == sp_KIND_AUTHORIZE)
		closing_tell(s->r.payment, s->token, s->payment_at_ms);
	if (s->wants_capture)
		operate_capture_rest(s->r.payment);
}

/*
 * While the store is away every result waits here. For any other cause a courier keeps its own and tells it again;
 * what we concluded ourselves nobody else would come back to, and its flight stays ENDING, its payment leased, until
 * it is committed.
 */
static bool
comes_again(const struct settle *s, enum err e)
{
	return e && !ledger.stopping && (e == ERR_AUDIT_AWAY || !s->call);
}

/* Its payment is not in the store: nothing will ever be known of it, and its flight must not stay for ever. */
static void
forget(const struct settle *s)
{
	struct flight *f = flight_of(s->r.attempt);
	if (!f || f->stage != FLIGHT_ENDING)
		return;
	log_warn("an attempt without a payment was dropped", LOG_S("attempt", s->r.attempt));
	attempt_answer(f, ERR_OK);
	flight_end(f);
}

static void
done(void *arg, enum err e)
{
	struct settle *s = arg;
	if (e && e != ERR_AUDIT_AWAY && !s->complained) {
		log_warn("a result could not be applied", LOG_S("attempt", s->r.attempt), LOG_E("cause", e));
		s->complained = true;
	}
	if (comes_again(s, e)) {
		STAILQ_INSERT_TAIL(&kept, s, next);
		return;
	}
	if (!e && s->verdict == FORGOTTEN)
		forget(s);
	else if (!e)
		follow(s);
	if (s->call) {
		const sp_result_rep rep = {.known = !e && s->verdict != FORGOTTEN};
		call_reply(s->call, e, &rep);
	}
	mem_free(s);
}

static const struct batch_row row = {act, NULL, done};

bool
result_settle(const sp_result_req *r, struct call *call)
{
	struct settle *s = mem_new(1, sizeof *s);
	if (!s) {
		/* the courier keeps it and tells it again; who concluded it himself has to come again */
		if (call)
			call_reply(call, ERR_MEMORY, NULL);
		return false;
	}
	s->r = *r;
	s->call = call;
	batch_run(&row, s, 2048);
	return true;
}

void
result_answer(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		(void)result_settle(req, call);
}

void
result_again(void)
{
	STAILQ_HEAD(, settle) now = STAILQ_HEAD_INITIALIZER(now);
	STAILQ_CONCAT(&now, &kept);
	for (struct settle *s; (s = STAILQ_FIRST(&now));) {
		STAILQ_REMOVE_HEAD(&now, next);
		batch_run(&row, s, 2048);
	}
}
