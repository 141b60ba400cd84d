/* The law of a payment: every status × command, and the stories that people tell about payments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/mem.h"
#include "daemon/domain/payment_event.h"
#include "daemon/domain/payment_view.h"
#include "tests/unit/domain/scenario.h"

static struct scenario s;

static int
open_scenario(void **arg)
{
	(void)arg;
	scenario_open(&s);
	return 0;
}

static int
close_scenario(void **arg)
{
	(void)arg;
	scenario_close(&s);
	return 0;
}

#define IS(status) assert_string_equal(payment_status_name(payment_status(s.state)), status)

/* Written out by hand, beside the table that the code uses: a changed row must be changed here too. */
static const struct {
	sp_payment_status status;
	const char *may; /* c capture, v void, r refund, e expire, n create, o "operation in flight" for c, v, r, e */
} law[] = {
	{sp_STATUS_NONE, "n"},         {sp_STATUS_PROCESSING, "o"},
	{sp_STATUS_AUTHORIZED, "cve"}, {sp_STATUS_PARTIALLY_CAPTURED, "cre"},
	{sp_STATUS_CAPTURED, "r"},     {sp_STATUS_PARTIALLY_REFUNDED, "cre"},
	{sp_STATUS_REFUNDED, "e"},     {sp_STATUS_VOIDED, ""},
	{sp_STATUS_EXPIRED, ""},       {sp_STATUS_DECLINED, ""},
	{sp_STATUS_FAILED, ""},        {sp_STATUS_UNKNOWN, "o"},
	{sp_STATUS_NEEDS_REVIEW, ""},
};

static enum err
wanted(const char *may, enum payment_command_kind kind)
{
	static const char letters[PAYMENT_COMMAND_MAX] = {[PAYMENT_CREATE] = 'n',
													  [PAYMENT_CAPTURE] = 'c',
													  [PAYMENT_VOID] = 'v',
													  [PAYMENT_REFUND] = 'r',
													  [PAYMENT_EXPIRE] = 'e'};
	if (!letters[kind]) /* results may come whenever there is a payment */
		return *may == 'n' ? ERR_INVALID_STATE : ERR_OK;
	if (kind != PAYMENT_CREATE && strchr(may, 'o'))
		return ERR_OPERATION_IN_FLIGHT;
	return strchr(may, letters[kind]) ? ERR_OK : ERR_INVALID_STATE;
}

static void
every_state_and_command(void **arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof law / sizeof *law; i++) {
		scenario_close(&s);
		scenario_open(&s);
		scenario_reach(&s, law[i].status);
		assert_string_equal(payment_status_name(payment_status(s.state)), payment_status_name(law[i].status));
		for (int k = 0; k < PAYMENT_COMMAND_MAX; k++) {
			enum err got = payment_allows(s.state, (enum payment_command_kind)k);
			enum err want = wanted(law[i].may, (enum payment_command_kind)k);
			if (got != want)
				fail_msg("%s × %s: %s, not %s", payment_status_name(law[i].status), payment_command_name(k),
						 err_code(got), err_code(want));
		}
	}
}

static void
captured_in_parts_and_refunded_in_parts(void **arg)
{
	(void)arg;
	assert_int_equal(scenario_create(&s, 100, sp_CAPTURE_MANUAL), ERR_OK);
	IS("processing");
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_APPROVED), ERR_OK);
	IS("authorized");
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, 101, true), ERR_AMOUNT_ABOVE);
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, -1, true), ERR_AMOUNT_OUT_OF_RANGE);
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, 40, false), ERR_OK);
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, 10, false), ERR_OPERATION_IN_FLIGHT);
	assert_int_equal(scenario_request(&s, PAYMENT_VOID, 0, false), ERR_OPERATION_IN_FLIGHT);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_APPROVED), ERR_OK);
	IS("partially_captured");
	assert_int_equal(scenario_request(&s, PAYMENT_VOID, 0, false), ERR_INVALID_STATE);
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, 0, true), ERR_OK);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_APPROVED), ERR_OK);
	IS("captured");
	assert_int_equal(s.state->captured_minor, 100);
	assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 30, false), ERR_OK);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_APPROVED), ERR_OK);
	IS("partially_refunded");
	assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 71, false), ERR_AMOUNT_ABOVE);
	assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 0, false), ERR_OK);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_APPROVED), ERR_OK);
	IS("refunded");
	assert_int_equal(s.state->refunded_minor, 100);
	assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 1, false), ERR_INVALID_STATE);
}

static void
a_final_partial_capture_releases_the_rest(void **arg)
{
	(void)arg;
	scenario_reach(&s, sp_STATUS_AUTHORIZED);
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, 60, true), ERR_OK);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_APPROVED), ERR_OK);
	IS("captured");
	assert_int_equal(payment_left_to_capture(s.state), 0);
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, 1, true), ERR_INVALID_STATE);
}

static void
automatic_capture_comes_with_the_authorization(void **arg)
{
	(void)arg;
	assert_int_equal(scenario_create(&s, 100, sp_CAPTURE_AUTOMATIC), ERR_OK);
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_APPROVED), ERR_OK);
	IS("captured");
	assert_int_equal(s.state->operations_count, 2);
	assert_int_equal(s.state->operations[1].kind, sp_KIND_CAPTURE);
	assert_false(payment_wants_capture(s.state));
	assert_int_equal(s.log[s.n_log - 1].type, sp_EV_PAYMENT_CAPTURED);
	assert_int_equal(s.log[s.n_log - 2].type, sp_EV_PAYMENT_AUTHORIZED);
}

static void
automatic_capture_that_the_processor_left_out_is_wanted(void **arg)
{
	(void)arg;
	assert_int_equal(scenario_create(&s, 100, sp_CAPTURE_AUTOMATIC), ERR_OK);
	sp_result_req r = {.outcome = sp_OUTCOME_APPROVED};
	struct payment_command c = {.kind = PAYMENT_RESULT, .result = &r, .actor = "test"};
	assert_int_equal(scenario_do(&s, &c), ERR_OK);
	IS("authorized");
	assert_true(payment_wants_capture(s.state));
}

static void
unknown_is_never_guessed(void **arg)
{
	(void)arg;
	scenario_reach(&s, sp_STATUS_UNKNOWN);
	unsigned before = s.n_log;
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_UNKNOWN), ERR_OK);
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_PENDING), ERR_OK);
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_RETRYABLE), ERR_OK);
	assert_int_equal(s.n_log, before);
	IS("unknown");
	struct payment_command retry = {.kind = PAYMENT_RETRY, .actor = "test", .attempt = "att_2"};
	assert_int_equal(scenario_do(&s, &retry), ERR_INVALID_STATE);
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_APPROVED), ERR_OK);
	IS("authorized");
}

static void
an_unknown_capture_makes_the_payment_unknown_and_a_refund_does_not(void **arg)
{
	(void)arg;
	scenario_reach(&s, sp_STATUS_AUTHORIZED);
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, 0, true), ERR_OK);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_UNKNOWN), ERR_OK);
	IS("unknown");
	assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 1, false), ERR_OPERATION_IN_FLIGHT);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_NOT_FOUND), ERR_OK);
	IS("authorized");
	assert_int_equal(s.state->captured_minor, 0);
	assert_int_equal(scenario_request(&s, PAYMENT_CAPTURE, 0, true), ERR_OK);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_APPROVED), ERR_OK);
	assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 0, false), ERR_OK);
	assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_UNKNOWN), ERR_OK);
	IS("captured");
	assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 0, false), ERR_OPERATION_IN_FLIGHT);
}

static void
a_repeated_result_changes_nothing_and_a_contradiction_goes_to_a_person(void **arg)
{
	(void)arg;
	scenario_reach(&s, sp_STATUS_AUTHORIZED);
	unsigned before = s.n_log;
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_APPROVED), ERR_OK);
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_DECLINED), ERR_OK);
	assert_int_equal(s.n_log, before);
	scenario_close(&s);
	scenario_open(&s);
	scenario_reach(&s, sp_STATUS_DECLINED);
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_APPROVED), ERR_OK);
	IS("needs_review");
	/* the same contradiction once more does not settle it */
	assert_int_equal(scenario_result(&s, "", sp_OUTCOME_APPROVED), ERR_OK);
	IS("needs_review");
	assert_int_equal(s.state->authorized_minor, 0);
}

static void
a_wrong_amount_from_the_processor_is_not_booked(void **arg)
{
	(void)arg;
	scenario_reach(&s, sp_STATUS_PROCESSING);
	sp_result_req r = {.outcome = sp_OUTCOME_APPROVED, .amount_minor = 99};
	struct payment_command c = {.kind = PAYMENT_RESULT, .result = &r, .actor = "test"};
	assert_int_equal(scenario_do(&s, &c), ERR_OK);
	IS("needs_review");
	assert_int_equal(s.state->authorized_minor, 0);
}

static void
texts_that_do_not_fit_are_refused(void **arg)
{
	(void)arg;
	char longer[200];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	scenario_reach(&s, sp_STATUS_CAPTURED);
	struct payment_command c = {.kind = PAYMENT_REFUND, .operation = "ref_1", .reason = longer, .actor = "test"};
	assert_int_equal(scenario_do(&s, &c), ERR_OUT_OF_RANGE);
	c.reason = "x", c.operation = "";
	assert_int_equal(scenario_do(&s, &c), ERR_EXISTS);
}

static void
operations_are_bounded(void **arg)
{
	(void)arg;
	scenario_reach(&s, sp_STATUS_CAPTURED);
	while (s.state->operations_count < PAYMENT_OPERATIONS_MAX) {
		assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 1, false), ERR_OK);
		assert_int_equal(scenario_result(&s, NULL, sp_OUTCOME_DECLINED), ERR_OK);
	}
	assert_int_equal(scenario_request(&s, PAYMENT_REFUND, 1, false), ERR_LIMIT);
}

static void
apply_refuses_what_no_decide_gave(void **arg)
{
	(void)arg;
	scenario_reach(&s, sp_STATUS_AUTHORIZED);
	struct payment_event ev = s.log[s.n_log - 1];
	assert_int_equal(payment_apply(s.state, s.state->id, &ev), ERR_VERSION_CONFLICT);
	ev.version = s.state->version + 1;
	assert_int_equal(payment_apply(s.state, s.state->id, &ev), ERR_RECORD_CORRUPT); /* authorized twice */
	ev.type = sp_EV_REFUND_SUCCEEDED;
	ev.body.kind = sp_KIND_REFUND;
	strcpy(ev.body.operation, "ref_none");
	assert_int_equal(payment_apply(s.state, s.state->id, &ev), ERR_RECORD_CORRUPT); /* no such refund */
	ev.type = sp_EV_PAYMENT_CAPTURED;
	ev.body.kind = sp_KIND_CAPTURE;
	ev.body.amount_minor = 101;
	assert_int_equal(payment_apply(s.state, s.state->id, &ev), ERR_RECORD_CORRUPT); /* more than authorized */
	ev.type = (sp_event_type)19;
	assert_int_equal(payment_apply(s.state, s.state->id, &ev), ERR_RECORD_CORRUPT); /* a hole in the table */
}

static void
the_event_table_and_the_schema_agree(void **arg)
{
	(void)arg;
	unsigned seen = 0;
	for (unsigned type = 1; type <= _sp_event_type_MAX; type++) {
		const struct payment_event_row *row = payment_event_row((sp_event_type)type);
		if (!row)
			continue;
		seen++;
		assert_int_equal(row->type, type);
		if (row->kind != sp_KIND_NONE && row->status != sp_OP_PENDING && type != sp_EV_PAYMENT_PARTIALLY_CAPTURED)
			assert_int_equal(payment_event_of(row->kind, row->status), type);
	}
	assert_int_equal(seen, 33);
	assert_null(payment_event_row(sp_EV_NONE));
}

static void
views_show_the_whole_payment(void **arg)
{
	(void)arg;
	sp_payment_view *v = mem_new(1, sizeof *v);
	sp_operation_view *o = mem_new(1, sizeof *o);
	assert_non_null(v);
	assert_non_null(o);
	strcpy(s.detail->requested.description, "two tickets");
	memcpy(s.detail->metadata.bytes, "{\"a\":1}", 7);
	s.detail->metadata.size = 7;
	scenario_reach(&s, sp_STATUS_PARTIALLY_CAPTURED);
	payment_view_of(s.state, s.detail, v);
	assert_int_equal(v->status, sp_STATUS_PARTIALLY_CAPTURED);
	assert_int_equal(v->amount_captured_minor, 40);
	assert_string_equal(v->description, "two tickets");
	assert_int_equal(v->metadata.size, 7);
	assert_int_equal(v->allowed_actions_count, 2);
	assert_int_equal(v->allowed_actions[0], sp_KIND_CAPTURE);
	assert_int_equal(v->allowed_actions[1], sp_KIND_REFUND);
	payment_view_operation(s.state, &s.state->operations[0], NULL, s.detail, o);
	assert_string_equal(o->id, s.state->id);
	assert_int_equal(o->metadata.size, 0);
	payment_view_operation(s.state, &s.state->operations[1], &s.log[3].body, NULL, o);
	assert_string_equal(o->reason, "because");
	mem_free(v);
	mem_free(o);
}

static void
an_event_is_one_line_of_json(void **arg)
{
	(void)arg;
	struct buf b;
	buf_init(&b, 4096);
	strcpy(s.detail->requested.order_id, "a\"b\\c\n");
	scenario_reach(&s, sp_STATUS_AUTHORIZED);
	assert_int_equal(payment_event_json(s.state, &s.log[2], &b), ERR_OK);
	assert_int_equal(buf_add(&b, "", 1), ERR_OK);
	assert_string_equal((const char *)buf_at(&b),
						"{\"payment\":{\"id\":\"pay_01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"merchant\":\"demo\","
						"\"order_id\":\"a\\u0022b\\u005cc\\u000a\",\"amount\":100,\"currency\":\"EUR\","
						"\"processor\":\"simulator\",\"version\":3},\"operation\":{\"id\":"
						"\"pay_01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"kind\":\"authorize\",\"status\":\"succeeded\","
						"\"amount\":100,\"attempt\":\"att_1\",\"processor_reference\":\"sim-1\"},\"actor\":\"test\","
						"\"at\":\"1970-01-01T00:00:01.002Z\"}");
	buf_clear(&b);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_scenario, close_scenario)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_state_and_command),
		TEST(captured_in_parts_and_refunded_in_parts),
		TEST(a_final_partial_capture_releases_the_rest),
		TEST(automatic_capture_comes_with_the_authorization),
		TEST(automatic_capture_that_the_processor_left_out_is_wanted),
		TEST(unknown_is_never_guessed),
		TEST(an_unknown_capture_makes_the_payment_unknown_and_a_refund_does_not),
		TEST(a_repeated_result_changes_nothing_and_a_contradiction_goes_to_a_person),
		TEST(a_wrong_amount_from_the_processor_is_not_booked),
		TEST(texts_that_do_not_fit_are_refused),
		TEST(operations_are_bounded),
		TEST(apply_refuses_what_no_decide_gave),
		TEST(the_event_table_and_the_schema_agree),
		TEST(views_show_the_whole_payment),
		TEST(an_event_is_one_line_of_json),
	};
	return cmocka_run_group_tests_name("domain/payment", tests, NULL, NULL);
}
