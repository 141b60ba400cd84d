/* The road of a payment through the ledger, with the readable store and peers that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "daemon/ledger/attempt.h"
#include "daemon/ledger/ledger.h"
#include "daemon/ledger/officer_side.h"
#include "daemon/ledger/operate.h"
#include "daemon/ledger/pay.h"
#include "daemon/ledger/read.h"
#include "daemon/ledger/recover.h"
#include "daemon/ledger/result.h"
#include "daemon/wire/page_account.h"
#include "tests/unit/ledger/fake_wire.h"
#include "tests/unit/ledger/shop.h"

static unsigned keys;
static char last_reference[64];

/* ── a store that fails when the test says so ── */

static unsigned finish_fails;
enum err __real_store_attempt_finish(struct store *s, const char *id);
enum err __wrap_store_attempt_finish(struct store *s, const char *id);

enum err
__wrap_store_attempt_finish(struct store *s, const char *id)
{
	if (!finish_fails)
		return __real_store_attempt_finish(s, id);
	finish_fails--;
	return ERR_LIMIT;
}

/* ── what the peers say ── */

static void
vault_tells_facts(void)
{
	static sp_token_facts_rep rep;
	struct fake_ask *a = fake_take(MSG_token_facts);
	assert_non_null(a);
	const sp_token_facts_req *req = (const void *)a->req;
	rep.has_token = true;
	snprintf(rep.token.id, sizeof rep.token.id, "%.31s", req->token);
	snprintf(rep.token.merchant, sizeof rep.token.merchant, "%s", req->merchant);
	snprintf(rep.token.card.last4, sizeof rep.token.card.last4, "4242");
	fake_answer(a, ERR_OK, &rep);
}

static void
vault_takes_the_grant(void)
{
	static const sp_lodge_rep rep;
	struct fake_ask *a = fake_take(MSG_lodge);
	assert_non_null(a);
	fake_answer(a, ERR_OK, &rep);
}

static sp_job_req
courier_takes_the_job(void)
{
	const sp_job_rep rep = {.accepted = true};
	struct fake_ask *a = fake_take(MSG_job);
	assert_non_null(a);
	sp_job_req job = *(const sp_job_req *)a->req;
	fake_answer(a, ERR_OK, &rep);
	return job;
}

static sp_result_req
result_of(const sp_job_req *job, sp_outcome outcome)
{
	sp_result_req r = sp_result_req_init_zero;
	memcpy(r.attempt, job->attempt, sizeof r.attempt);
	memcpy(r.payment, job->payment, sizeof r.payment);
	memcpy(r.operation, job->operation, sizeof r.operation);
	r.outcome = outcome;
	r.amount_minor = job->amount_minor;
	r.captured = outcome == sp_OUTCOME_APPROVED && job->kind == sp_JOB_AUTHORIZE && job->auto_capture;
	snprintf(r.reference, sizeof r.reference, "ref-%.20s", job->payment);
	snprintf(last_reference, sizeof last_reference, "%s", r.reference);
	if (outcome == sp_OUTCOME_DECLINED)
		snprintf(r.decline_code, sizeof r.decline_code, "insufficient_funds");
	return r;
}

/* The ack says whether the attempt is known. */
static bool
courier_reports(const sp_result_req *r)
{
	struct call *c = fake_call(MSG_result, result_answer, r);
	assert_int_equal(fake_err(c), ERR_OK);
	bool known = ((const sp_result_rep *)fake_rep(c))->known;
	fake_done(c);
	return known;
}

/* ── what clients say ── */

static sp_payment_create_req
payment_req(unsigned key, int64_t amount, bool manual)
{
	sp_payment_create_req r = sp_payment_create_req_init_zero;
	r.has_caller = r.has_idem = true;
	r.caller.cert_sha256[0] = 7;
	snprintf(r.caller.request_id, sizeof r.caller.request_id, "req_1");
	snprintf(r.idem.key, sizeof r.idem.key, "key-%u", key);
	r.idem.body_sha256[0] = (uint8_t)amount;
	snprintf(r.idem.route, sizeof r.idem.route, "payments");
	r.amount_minor = amount;
	r.currency = 978;
	snprintf(r.token, sizeof r.token, "tok_00000000000000000000000001");
	r.capture_method = manual ? sp_CAPTURE_MANUAL : sp_CAPTURE_AUTOMATIC;
	return r;
}

static sp_payment_operate_req
operate_req(const char *payment, sp_operation_kind kind, int64_t amount, bool final)
{
	sp_payment_operate_req r = sp_payment_operate_req_init_zero;
	r.has_caller = r.has_idem = true;
	r.caller.cert_sha256[0] = 7;
	snprintf(r.idem.key, sizeof r.idem.key, "op-%u", ++keys);
	snprintf(r.idem.route, sizeof r.idem.route, "operate");
	snprintf(r.payment, sizeof r.payment, "%s", payment);
	r.kind = kind;
	r.amount_minor = amount;
	r.final = final;
	return r;
}

/* A create that is known to be the courier's now. */
static struct call *
create(const sp_payment_create_req *req, sp_job_req *job)
{
	struct call *c = fake_call(MSG_payment_create, pay_create, req);
	if (fake_open(MSG_token_facts))
		vault_tells_facts();
	vault_takes_the_grant();
	*job = courier_takes_the_job();
	return c;
}

static void
drop_asks(enum msg number)
{
	static const sp_close_authorization_rep rep;
	for (struct fake_ask *a; (a = fake_take(number));)
		fake_answer(a, ERR_OK, &rep);
}

static void
authorized(char payment[32], int64_t amount, bool manual)
{
	sp_job_req job;
	sp_payment_create_req req = payment_req(++keys, amount, manual);
	struct call *c = create(&req, &job);
	sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	const sp_payment_create_rep *rep = fake_rep(c);
	assert_int_equal(fake_err(c), ERR_OK);
	assert_int_equal(rep->http_status, 201);
	assert_int_equal(rep->payment.status, manual ? sp_STATUS_AUTHORIZED : sp_STATUS_CAPTURED);
	memcpy(payment, rep->payment.id, 32);
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static enum err
operate(const char *payment, sp_operation_kind kind, int64_t amount, bool final, sp_outcome outcome,
		sp_payment_operate_rep *rep_out)
{
	sp_payment_operate_req req = operate_req(payment, kind, amount, final);
	struct call *c = fake_call(MSG_payment_operate, operate_answer, &req);
	if (!fake_replied(c)) {
		sp_job_req job = courier_takes_the_job();
		assert_string_equal(job.reference, last_reference);
		sp_result_req r = result_of(&job, outcome);
		assert_true(courier_reports(&r));
	}
	enum err e = fake_err(c);
	memset(rep_out, 0, sizeof *rep_out);
	if (fake_rep(c))
		*rep_out = *(const sp_payment_operate_rep *)fake_rep(c);
	fake_done(c);
	return e;
}

/* ── tests ── */

static void
nothing_is_answered_before_the_result_is_durable(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1000, true);
	struct call *c = create(&req, &job);
	assert_false(fake_replied(c));
	assert_string_equal(job.connector, "simulator");
	assert_int_equal(strlen(job.derived_key), 64);
	sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
	struct call *ack = fake_call_more(MSG_result, result_answer, &r);
	assert_false(fake_replied(ack));
	assert_false(fake_replied(c));
	fake_turn();
	assert_true(fake_replied(ack));
	assert_true(fake_replied(c));
	assert_int_equal(fake_err(c), ERR_OK);
	assert_int_equal(fake_open(MSG_close_authorization), 1);
	drop_asks(MSG_close_authorization);
	fake_done(c);
	fake_done(ack);
}

static void
a_key_executes_once(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1100, true);
	struct call *first = create(&req, &job);
	/* in flight: busy */
	struct call *c = fake_call(MSG_payment_create, pay_create, &req);
	assert_int_equal(fake_err(c), ERR_IDEMPOTENCY_BUSY);
	fake_done(c);
	sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	char id[32];
	memcpy(id, ((const sp_payment_create_rep *)fake_rep(first))->payment.id, sizeof id);
	fake_done(first);
	/* done: the same object, and no second job */
	c = fake_call(MSG_payment_create, pay_create, &req);
	const sp_payment_create_rep *rep = fake_rep(c);
	assert_int_equal(fake_err(c), ERR_OK);
	assert_true(rep->replayed);
	assert_int_equal(rep->http_status, 201);
	assert_string_equal(rep->payment.id, id);
	fake_done(c);
	assert_int_equal(fake_open(MSG_lodge) + fake_open(MSG_job), 0);
	/* another body */
	req.idem.body_sha256[1] = 9;
	c = fake_call(MSG_payment_create, pay_create, &req);
	assert_int_equal(fake_err(c), ERR_IDEMPOTENCY_REUSED);
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
a_duplicate_result_changes_nothing(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1200, true);
	struct call *c = create(&req, &job);
	sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	uint32_t version = ((const sp_payment_create_rep *)fake_rep(c))->payment.version;
	assert_true(courier_reports(&r));
	sp_payment_view view;
	assert_int_equal(store_payment_view(ledger.store, job.payment, &view), ERR_OK);
	assert_int_equal(view.version, version);
	/* one that nobody knows */
	snprintf(r.attempt, sizeof r.attempt, "att_nobody");
	assert_false(courier_reports(&r));
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
a_decline_carries_the_payment(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1300, true);
	struct call *c = create(&req, &job);
	sp_result_req r = result_of(&job, sp_OUTCOME_DECLINED);
	assert_true(courier_reports(&r));
	const sp_payment_create_rep *rep = fake_rep(c);
	assert_int_equal(fake_err(c), ERR_CARD_DECLINED);
	assert_int_equal(rep->http_status, 402);
	assert_int_equal(rep->payment.status, sp_STATUS_DECLINED);
	assert_string_equal(rep->payment.decline_code, "insufficient_funds");
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
capture_in_parts_then_refund_never_above(void **state)
{
	char payment[32];
	static sp_payment_operate_rep rep;
	(void)state;
	authorized(payment, 1000, true);
	assert_int_equal(operate(payment, sp_KIND_CAPTURE, 400, false, sp_OUTCOME_APPROVED, &rep), ERR_OK);
	assert_int_equal(rep.payment.status, sp_STATUS_PARTIALLY_CAPTURED);
	assert_int_equal(rep.http_status, 201);
	assert_int_equal(operate(payment, sp_KIND_CAPTURE, 700, true, sp_OUTCOME_APPROVED, &rep), ERR_AMOUNT_ABOVE);
	assert_int_equal(operate(payment, sp_KIND_CAPTURE, 0, true, sp_OUTCOME_APPROVED, &rep), ERR_OK);
	assert_int_equal(rep.payment.amount_captured_minor, 1000);
	assert_int_equal(operate(payment, sp_KIND_REFUND, 300, false, sp_OUTCOME_APPROVED, &rep), ERR_OK);
	assert_int_equal(rep.operation.amount_minor, 300);
	assert_int_equal(operate(payment, sp_KIND_REFUND, 701, false, sp_OUTCOME_APPROVED, &rep), ERR_AMOUNT_ABOVE);
	assert_int_equal(operate(payment, sp_KIND_VOID, 0, false, sp_OUTCOME_APPROVED, &rep), ERR_INVALID_STATE);
	assert_true(rep.has_payment);
	assert_int_equal(operate(payment, sp_KIND_REFUND, 0, false, sp_OUTCOME_APPROVED, &rep), ERR_OK);
	assert_int_equal(rep.payment.status, sp_STATUS_REFUNDED);
}

static void
a_kept_refusal_comes_again_after_the_state_changed(void **state)
{
	char payment[32];
	static sp_payment_operate_rep rep;
	(void)state;
	authorized(payment, 1000, true);
	sp_payment_operate_req req = operate_req(payment, sp_KIND_REFUND, 100, false);
	struct call *c = fake_call(MSG_payment_operate, operate_answer, &req);
	assert_int_equal(fake_err(c), ERR_INVALID_STATE);
	fake_done(c);
	assert_int_equal(operate(payment, sp_KIND_CAPTURE, 0, true, sp_OUTCOME_APPROVED, &rep), ERR_OK);
	c = fake_call(MSG_payment_operate, operate_answer, &req);
	assert_int_equal(fake_err(c), ERR_INVALID_STATE);
	assert_true(((const sp_payment_operate_rep *)fake_rep(c))->replayed);
	fake_done(c);
}

static void
no_answer_is_unknown_and_is_inquired(void **state)
{
	sp_job_req job;
	struct checkpoint before, after;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1400, true);
	struct call *c = create(&req, &job);
	fake_pass_ms(24100);
	assert_int_equal(fake_err(c), ERR_PAYMENT_UNKNOWN);
	assert_int_equal(((const sp_payment_create_rep *)fake_rep(c))->http_status, 504);
	fake_done(c);
	assert_int_equal(fake_open(MSG_job), 0);
	fake_pass_ms(1100);
	sp_job_req inquiry = courier_takes_the_job();
	assert_int_equal(inquiry.kind, sp_JOB_INQUIRE);
	assert_int_equal(inquiry.inquired, sp_KIND_AUTHORIZE);
	assert_string_equal(inquiry.derived_key, job.derived_key);
	/* still nothing: later, and later than the first time; that it was asked is on the record */
	sp_result_req r = result_of(&inquiry, sp_OUTCOME_UNKNOWN);
	store_log_position(ledger.store, &before);
	assert_true(courier_reports(&r));
	store_log_position(ledger.store, &after);
	assert_int_equal(after.size, before.size + 1);
	fake_pass_ms(100);
	assert_int_equal(fake_open(MSG_job), 0);
	fake_pass_ms(2100);
	inquiry = courier_takes_the_job();
	r = result_of(&inquiry, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	/* the key answers from the object as it is now */
	c = fake_call(MSG_payment_create, pay_create, &req);
	assert_int_equal(fake_err(c), ERR_OK);
	assert_int_equal(((const sp_payment_create_rep *)fake_rep(c))->http_status, 201);
	fake_done(c);
	/* the late answer of the first attempt is no news */
	r = result_of(&job, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	drop_asks(MSG_close_authorization);
}

static void
a_wait_that_ends_gets_processing(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1500, true);
	req.wait_ms = 500;
	struct call *c = create(&req, &job);
	fake_pass_ms(600);
	assert_int_equal(fake_err(c), ERR_OK);
	assert_int_equal(((const sp_payment_create_rep *)fake_rep(c))->http_status, 202);
	fake_done(c);
	sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	drop_asks(MSG_close_authorization);
}

static void
async_is_answered_at_commit_one(void **state)
{
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1600, true);
	req.async = true;
	struct call *c = fake_call(MSG_payment_create, pay_create, &req);
	if (fake_open(MSG_token_facts))
		vault_tells_facts();
	assert_int_equal(fake_err(c), ERR_OK);
	assert_int_equal(((const sp_payment_create_rep *)fake_rep(c))->http_status, 202);
	fake_done(c);
	vault_takes_the_grant();
	sp_job_req job = courier_takes_the_job();
	sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	drop_asks(MSG_close_authorization);
}

/* ── after a crash of the courier ── */

static void
courier_dies_and_returns(const char *still_running)
{
	sp_running_req running = sp_running_req_init_zero;
	fake_up(PROCESS_COURIER, false);
	attempt_courier(false);
	fake_turn();
	fake_up(PROCESS_COURIER, true);
	attempt_courier(true);
	fake_turn();
	assert_int_equal(fake_open(MSG_job) + fake_open(MSG_redeemed), 0);
	running.last = true;
	if (still_running) {
		running.attempts_count = 1;
		snprintf(running.attempts[0], sizeof running.attempts[0], "%s", still_running);
	}
	fake_done(fake_call(MSG_running, recover_running, &running));
}

static void
vault_says_redeemed(bool yes)
{
	sp_redeemed_rep rep = {.redeemed_count = 1, .redeemed = {yes}};
	struct fake_ask *a = fake_take(MSG_redeemed);
	assert_non_null(a);
	assert_int_equal(((const sp_redeemed_req *)(const void *)a->req)->attempts_count, 1);
	fake_answer(a, ERR_OK, &rep);
}

static void
a_card_that_was_not_opened_goes_again_as_the_same_attempt(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1700, true);
	struct call *c = create(&req, &job);
	courier_dies_and_returns(NULL);
	vault_says_redeemed(false);
	vault_takes_the_grant();
	sp_job_req again = courier_takes_the_job();
	assert_string_equal(again.attempt, job.attempt);
	assert_string_equal(again.derived_key, job.derived_key);
	sp_result_req r = result_of(&again, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
an_opened_card_goes_again_under_a_new_attempt_and_the_same_key(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1800, true);
	struct call *c = create(&req, &job);
	courier_dies_and_returns(NULL);
	vault_says_redeemed(true);
	vault_takes_the_grant();
	sp_job_req again = courier_takes_the_job();
	assert_string_not_equal(again.attempt, job.attempt);
	assert_string_equal(again.derived_key, job.derived_key);
	assert_string_equal(again.payment, job.payment);
	sp_result_req r = result_of(&again, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
what_the_courier_still_runs_is_left_alone(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1900, true);
	struct call *c = create(&req, &job);
	courier_dies_and_returns(job.attempt);
	fake_pass_ms(1000);
	assert_int_equal(fake_open(MSG_job) + fake_open(MSG_redeemed), 0);
	sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
an_operation_goes_again_with_the_same_key(void **state)
{
	char payment[32];
	(void)state;
	authorized(payment, 2000, true);
	sp_payment_operate_req req = operate_req(payment, sp_KIND_CAPTURE, 0, true);
	struct call *c = fake_call(MSG_payment_operate, operate_answer, &req);
	sp_job_req job = courier_takes_the_job();
	courier_dies_and_returns(NULL);
	sp_job_req again = courier_takes_the_job();
	assert_string_equal(again.attempt, job.attempt);
	assert_string_equal(again.derived_key, job.derived_key);
	sp_result_req r = result_of(&again, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
}

/* The first courier may have charged: that the second attempt got nowhere must not be told as "failed". */
static void
what_stops_a_second_attempt_says_nothing_of_the_first(void **state)
{
	static const sp_lodge_rep lodge;
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1850, true);
	struct call *c = create(&req, &job);
	courier_dies_and_returns(NULL);
	vault_says_redeemed(true);
	fake_answer(fake_take(MSG_lodge), ERR_TOKEN_EXPIRED, &lodge);
	fake_turn();
	assert_int_equal(fake_err(c), ERR_PAYMENT_UNKNOWN);
	fake_done(c);
	fake_pass_ms(1100);
	sp_job_req inquiry = courier_takes_the_job();
	assert_int_equal(inquiry.kind, sp_JOB_INQUIRE);
	assert_string_equal(inquiry.derived_key, job.derived_key);
	/* an inquiry that could not be sent is no answer either */
	sp_result_req r = result_of(&inquiry, sp_OUTCOME_NOT_CHARGED);
	assert_true(courier_reports(&r));
	fake_pass_ms(2200);
	inquiry = courier_takes_the_job();
	r = result_of(&inquiry, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	c = fake_call(MSG_payment_create, pay_create, &req);
	assert_int_equal(((const sp_payment_create_rep *)fake_rep(c))->payment.status, sp_STATUS_AUTHORIZED);
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
a_repeated_operation_that_gets_nowhere_is_unknown(void **state)
{
	char payment[32];
	(void)state;
	authorized(payment, 2050, true);
	sp_payment_operate_req req = operate_req(payment, sp_KIND_CAPTURE, 0, true);
	struct call *c = fake_call(MSG_payment_operate, operate_answer, &req);
	(void)courier_takes_the_job();
	courier_dies_and_returns(NULL);
	sp_job_req again = courier_takes_the_job();
	sp_result_req r = result_of(&again, sp_OUTCOME_NOT_CHARGED);
	r.cause = ERR_MEMORY;
	assert_true(courier_reports(&r));
	assert_int_equal(fake_err(c), ERR_PAYMENT_UNKNOWN);
	fake_done(c);
	fake_pass_ms(1100);
	sp_job_req inquiry = courier_takes_the_job();
	r = result_of(&inquiry, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
}

static void
never_sent_is_failed_not_unknown(void **state)
{
	(void)state;
	fake_up(PROCESS_COURIER, false);
	attempt_courier(false);
	sp_payment_create_req req = payment_req(++keys, 2100, true);
	struct call *c = fake_call(MSG_payment_create, pay_create, &req);
	if (fake_open(MSG_token_facts))
		vault_tells_facts();
	vault_takes_the_grant();
	assert_int_equal(fake_open(MSG_job), 0);
	fake_pass_ms(24100);
	assert_int_equal(fake_err(c), ERR_COURIER_AWAY);
	assert_int_equal(((const sp_payment_create_rep *)fake_rep(c))->payment.status, sp_STATUS_FAILED);
	fake_done(c);
	fake_up(PROCESS_COURIER, true);
	attempt_courier(true);
	fake_pass_ms(3500);
	drop_asks(MSG_close_authorization);
}

static void
while_a_processor_is_out_nothing_new_is_begun_and_what_is_begun_goes_on(void **state)
{
	char payment[32];
	sp_payment_operate_rep operated;
	sp_job_req job;
	(void)state;
	authorized(payment, 2600, true);
	struct page *courier = fake_page(PROCESS_COURIER);
	struct health_outage out = {.breaker = 1, .failures = 5};
	page_account_set(courier, page_account_place(courier, "simulator"), &out);
	sp_payment_create_req req = payment_req(++keys, 2500, true);
	for (unsigned i = 0; i < 3; i++, out.breaker = 2) { /* half-open is out, too */
		struct call *c = fake_call(MSG_payment_create, pay_create, &req);
		assert_int_equal(fake_err(c), ERR_PROCESSOR_OUT);
		fake_done(c);
		page_account_set(courier, 0, &out);
	}
	/* before any effect: no grant, no job, no attempt */
	assert_int_equal(fake_open(MSG_lodge), 0);
	assert_int_equal(fake_open(MSG_job), 0);
	assert_int_equal(flight_count(), 0);
	assert_int_equal(operate(payment, sp_KIND_CAPTURE, 2600, true, sp_OUTCOME_APPROVED, &operated), ERR_OK);
	/* another account is another matter */
	out.breaker = 1;
	page_account_set(courier, page_account_place(courier, "simulator:b"), &out);
	out.breaker = 0;
	page_account_set(courier, 0, &out);
	struct call *c = create(&req, &job); /* the same key: it was never kept */
	sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
	/* a repeat is answered from what is there, whatever the processor does */
	out.breaker = 1;
	page_account_set(courier, 0, &out);
	c = fake_call(MSG_payment_create, pay_create, &req);
	assert_int_equal(fake_err(c), ERR_OK);
	assert_true(((const sp_payment_create_rep *)fake_rep(c))->replayed);
	fake_done(c);
	out.breaker = 0;
	page_account_set(courier, 0, &out);
	page_account_set(courier, 1, &out);
	drop_asks(MSG_close_authorization);
}

static void
inquiries_wait_for_a_processor_that_is_out(void **state)
{
	sp_job_req job;
	(void)state;
	struct page *courier = fake_page(PROCESS_COURIER);
	struct health_outage out = {.breaker = 1, .failures = 5};
	sp_payment_create_req req = payment_req(++keys, 2700, true);
	struct call *c = create(&req, &job);
	fake_pass_ms(24100);
	assert_int_equal(fake_err(c), ERR_PAYMENT_UNKNOWN);
	fake_done(c);
	int place = page_account_place(courier, "simulator");
	page_account_set(courier, place, &out);
	for (unsigned i = 0; i < 60; i++) /* longer than any of its pauses would have been */
		fake_pass_ms(1000);
	assert_int_equal(fake_open(MSG_job), 0);
	out.breaker = 0;
	page_account_set(courier, place, &out);
	fake_pass_ms(1100);
	sp_job_req inquiry = courier_takes_the_job();
	assert_int_equal(inquiry.kind, sp_JOB_INQUIRE);
	sp_result_req r = result_of(&inquiry, sp_OUTCOME_NOT_FOUND);
	assert_true(courier_reports(&r));
	drop_asks(MSG_close_authorization);
}

/* Whatever kept it from being committed: nobody else comes back to what we concluded ourselves. */
static void
a_conclusion_that_fails_is_come_to_again(void **state)
{
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 2300, true);
	struct call *c = fake_call(MSG_payment_create, pay_create, &req);
	if (fake_open(MSG_token_facts))
		vault_tells_facts();
	finish_fails = 2;
	fake_answer(fake_take(MSG_lodge), ERR_TOKEN_EXPIRED, NULL);
	assert_int_equal(finish_fails, 1);
	assert_false(fake_replied(c));
	assert_int_equal(flight_in(FLIGHT_ENDING), 1);
	result_again();
	fake_turn();
	assert_int_equal(finish_fails, 0);
	assert_false(fake_replied(c));
	result_again();
	fake_turn();
	assert_int_equal(fake_err(c), ERR_TOKEN_EXPIRED);
	assert_int_equal(flight_count(), 0);
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
a_retryable_answer_is_tried_again_with_the_same_key(void **state)
{
	sp_job_req job;
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 2200, true);
	struct call *c = create(&req, &job);
	sp_result_req r = result_of(&job, sp_OUTCOME_RETRYABLE);
	r.cause = ERR_PROCESSOR_AWAY;
	assert_true(courier_reports(&r));
	assert_false(fake_replied(c));
	fake_pass_ms(11000);
	vault_takes_the_grant();
	sp_job_req again = courier_takes_the_job();
	assert_string_not_equal(again.attempt, job.attempt);
	assert_string_equal(again.derived_key, job.derived_key);
	r = result_of(&again, sp_OUTCOME_APPROVED);
	assert_true(courier_reports(&r));
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
	drop_asks(MSG_close_authorization);
}

static void
what_the_courier_has_no_room_for_waits_and_goes_in_order(void **state)
{
	enum { MANY = 800 };
	static struct call *calls[MANY];
	static sp_job_req jobs[MANY];
	const sp_lodge_rep lodged = {0};
	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		sp_payment_create_req req = payment_req(++keys, 1000, true);
		calls[i] = fake_call_more(MSG_payment_create, pay_create, &req);
	}
	fake_turn();
	for (struct fake_ask *a; (a = fake_take(MSG_lodge));)
		fake_answer(a, ERR_OK, &lodged);
	unsigned sent = fake_open(MSG_job);
	assert_in_range(sent, 500, MANY - 1);
	assert_int_equal(sent, flight_in(FLIGHT_SENT));
	assert_int_equal(MANY - sent, flight_in(FLIGHT_PARKED));
	/* each answer makes room for the next, and all end */
	for (unsigned i = 0; i < MANY; i++) {
		jobs[i] = courier_takes_the_job();
		assert_true(i == 0 || strcmp(jobs[i].payment, jobs[i - 1].payment) > 0);
		sp_result_req r = result_of(&jobs[i], sp_OUTCOME_APPROVED);
		assert_true(courier_reports(&r));
	}
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(fake_err(calls[i]), ERR_OK);
		fake_done(calls[i]);
	}
	assert_int_equal(flight_count(), 0);
	drop_asks(MSG_close_authorization);
}

/* ── who may ── */

static void
foreign_and_absent_payments_get_the_same_answer(void **state)
{
	char payment[32];
	(void)state;
	authorized(payment, 1000, true);
	sp_payment_get_req req = sp_payment_get_req_init_zero;
	req.has_caller = true;
	req.caller.cert_sha256[0] = 8;
	snprintf(req.id, sizeof req.id, "%s", payment);
	struct call *foreign = fake_call(MSG_payment_get, read_payment_get, &req);
	snprintf(req.id, sizeof req.id, "pay_00000000000000000000000000");
	struct call *absent = fake_call(MSG_payment_get, read_payment_get, &req);
	assert_int_equal(fake_err(foreign), ERR_PAYMENT_NOT_FOUND);
	assert_int_equal(fake_err(absent), ERR_PAYMENT_NOT_FOUND);
	assert_null(fake_rep(foreign));
	assert_null(fake_rep(absent));
	fake_done(foreign);
	fake_done(absent);
}

static void
scopes_and_merchants_are_checked(void **state)
{
	(void)state;
	sp_payment_create_req req = payment_req(++keys, 1000, true);
	req.caller.cert_sha256[0] = 8;
	struct call *c = fake_call(MSG_payment_create, pay_create, &req);
	assert_int_equal(fake_err(c), ERR_SCOPE);
	fake_done(c);
	req.caller.cert_sha256[0] = 9;
	c = fake_call(MSG_payment_create, pay_create, &req);
	assert_int_equal(fake_err(c), ERR_CLIENT_UNKNOWN);
	fake_done(c);
	req.caller.cert_sha256[0] = 7;
	snprintf(req.merchant, sizeof req.merchant, "other");
	c = fake_call(MSG_payment_create, pay_create, &req);
	assert_int_equal(fake_err(c), ERR_MERCHANT_DENIED);
	fake_done(c);
}

static void
neighbours_in_a_batch_fail_alone(void **state)
{
	struct call *calls[40];
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		sp_payment_create_req req = payment_req(++keys, i % 2 ? 1000 : 0, true);
		calls[i] = fake_call_more(MSG_payment_create, pay_create, &req);
		assert_false(fake_replied(calls[i]));
	}
	fake_turn();
	unsigned refused = 0;
	for (unsigned i = 0; i < 40; i++)
		if (fake_replied(calls[i])) {
			refused++;
			assert_int_equal(fake_err(calls[i]), ERR_AMOUNT_OUT_OF_RANGE);
		}
	assert_int_equal(refused, 20);
	for (unsigned i = 0; i < 20; i++) {
		vault_takes_the_grant();
		sp_job_req job = courier_takes_the_job();
		sp_result_req r = result_of(&job, sp_OUTCOME_APPROVED);
		assert_true(courier_reports(&r));
	}
	for (unsigned i = 0; i < 40; i++) {
		assert_true(fake_replied(calls[i]));
		fake_done(calls[i]);
	}
	drop_asks(MSG_close_authorization);
}

static void
the_read_models_equal_the_events(void **state)
{
	sp_ledger_rebuild_req req = sp_ledger_rebuild_req_init_zero;
	(void)state;
	struct call *c = fake_call(MSG_ledger_rebuild, officer_side_rebuild, &req);
	/* it goes in steps, between which payments have their turn */
	for (unsigned turns = 0; !fake_replied(c) && turns < 10000; turns++) {
		usleep(1000);
		fake_turn();
	}
	const sp_ledger_rebuild_rep *rep = fake_rep(c);
	assert_int_equal(fake_err(c), ERR_OK);
	assert_int_equal(rep->differences, 0);
	assert_true(rep->events > 50);
	fake_done(c);
	assert_int_equal(flight_count(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_answered_before_the_result_is_durable),
		cmocka_unit_test(a_key_executes_once),
		cmocka_unit_test(a_duplicate_result_changes_nothing),
		cmocka_unit_test(a_decline_carries_the_payment),
		cmocka_unit_test(capture_in_parts_then_refund_never_above),
		cmocka_unit_test(a_kept_refusal_comes_again_after_the_state_changed),
		cmocka_unit_test(no_answer_is_unknown_and_is_inquired),
		cmocka_unit_test(a_wait_that_ends_gets_processing),
		cmocka_unit_test(async_is_answered_at_commit_one),
		cmocka_unit_test(a_card_that_was_not_opened_goes_again_as_the_same_attempt),
		cmocka_unit_test(an_opened_card_goes_again_under_a_new_attempt_and_the_same_key),
		cmocka_unit_test(what_the_courier_still_runs_is_left_alone),
		cmocka_unit_test(an_operation_goes_again_with_the_same_key),
		cmocka_unit_test(what_stops_a_second_attempt_says_nothing_of_the_first),
		cmocka_unit_test(a_repeated_operation_that_gets_nowhere_is_unknown),
		cmocka_unit_test(never_sent_is_failed_not_unknown),
		cmocka_unit_test(while_a_processor_is_out_nothing_new_is_begun_and_what_is_begun_goes_on),
		cmocka_unit_test(inquiries_wait_for_a_processor_that_is_out),
		cmocka_unit_test(a_conclusion_that_fails_is_come_to_again),
		cmocka_unit_test(a_retryable_answer_is_tried_again_with_the_same_key),
		cmocka_unit_test(what_the_courier_has_no_room_for_waits_and_goes_in_order),
		cmocka_unit_test(foreign_and_absent_payments_get_the_same_answer),
		cmocka_unit_test(scopes_and_merchants_are_checked),
		cmocka_unit_test(neighbours_in_a_batch_fail_alone),
		cmocka_unit_test(the_read_models_equal_the_events),
	};
	return cmocka_run_group_tests(tests, shop_open, shop_close);
}
