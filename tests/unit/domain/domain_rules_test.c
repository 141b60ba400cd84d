/* Idempotency, routing and retry: small rules, tried at their edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/domain/idempotency.h"
#include "daemon/domain/retry.h"
#include "daemon/domain/routing.h"

static void
a_key_means_what_its_row_says(void **arg)
{
	(void)arg;
	struct idempotency_row row = {.fingerprint = "same", .expires_at_ms = 1000};
	uint8_t same[IDEMPOTENCY_HASH_BYTES] = "same", other[IDEMPOTENCY_HASH_BYTES] = "other";

	assert_int_equal(idempotency_judge(NULL, same, 0, false), IDEMPOTENCY_FRESH);
	assert_int_equal(idempotency_judge(&row, same, 1000, false), IDEMPOTENCY_FRESH);
	assert_int_equal(idempotency_judge(&row, same, 999, false), IDEMPOTENCY_REPLAY);
	assert_int_equal(idempotency_judge(&row, same, 999, true), IDEMPOTENCY_BUSY);
	assert_int_equal(idempotency_judge(&row, other, 999, true), IDEMPOTENCY_REUSED);
	assert_int_equal(idempotency_judge(&row, other, 999, false), IDEMPOTENCY_REUSED);
}

static void
answers_follow_the_operation(void **arg)
{
	(void)arg;
	unsigned http = 0;
	struct idempotency_row row = {0};

	assert_int_equal(idempotency_answer(NULL, sp_KIND_AUTHORIZE, sp_OP_SUCCEEDED, &http), ERR_OK);
	assert_int_equal(http, 201);
	assert_int_equal(idempotency_answer(&row, sp_KIND_VOID, sp_OP_SUCCEEDED, &http), ERR_OK);
	assert_int_equal(http, 200);
	assert_int_equal(idempotency_answer(&row, sp_KIND_AUTHORIZE, sp_OP_DECLINED, &http), ERR_CARD_DECLINED);
	assert_int_equal(http, 402);
	assert_int_equal(idempotency_answer(&row, sp_KIND_REFUND, sp_OP_UNKNOWN, &http), ERR_OK);
	assert_int_equal(http, 202);
	row.status = 0;
	assert_int_equal(idempotency_answer(&row, sp_KIND_REFUND, sp_OP_PENDING, &http), ERR_OK);
	assert_int_equal(http, 201);
	assert_int_equal(idempotency_answer(&row, sp_KIND_CAPTURE, sp_OP_FAILED, &http), ERR_PROCESSOR_ERROR);
	assert_int_equal(http, 502);
	row.status = 202;
	assert_int_equal(idempotency_answer(&row, sp_KIND_AUTHORIZE, sp_OP_SUCCEEDED, &http), ERR_OK);
	assert_int_equal(http, 202);
	row.status = 409;
	strcpy(row.code, "invalid_state");
	assert_int_equal(idempotency_answer(&row, sp_KIND_CAPTURE, sp_OP_NONE, &http), ERR_INVALID_STATE);
	assert_int_equal(http, 409);
	strcpy(row.code, "a_code_of_long_ago");
	assert_int_equal(idempotency_answer(&row, sp_KIND_CAPTURE, sp_OP_NONE, &http), ERR_INTERNAL);
	assert_true(idempotency_keeps(ERR_INVALID_STATE));
	assert_false(idempotency_keeps(ERR_RATE_LIMIT));
	assert_false(idempotency_keeps(ERR_VAULT_SEALED));
	assert_false(idempotency_keeps(ERR_SCOPE));
	assert_int_equal(idempotency_ttl_ms(sp_KIND_REFUND, 10), 30);
	assert_int_equal(idempotency_ttl_ms(sp_KIND_AUTHORIZE, 10), 10);
}

static const struct routing_account accounts[] = {{.id = "simulator", .connector = "simulator"},
												  {.id = "bank:de", .connector = "bank", .merchant = "demo"},
												  {.id = "stripe", .connector = "stripe", .livemode = true}};

static enum err
pick(struct routing_query q, const struct routing_rule *rules, unsigned n, const char **id, const char **rule)
{
	const struct routing_account *a = NULL;
	enum err e = routing_pick(&q, rules, n, accounts, 3, "simulator", &a, rule);
	*id = a ? a->id : "";
	return e;
}

static void
the_first_fitting_rule_decides(void **arg)
{
	(void)arg;
	const struct routing_rule rules[] = {
		{.name = "live", .origin = "shop", .account = "stripe"},
		{.name = "big", .currency = 978, .least_minor = 1000, .most_minor = 5000, .account = "bank:de"},
		{.name = "visa", .bin_prefix = "4", .merchant = "demo", .account = "bank:de"}};
	struct routing_query q = {
		.merchant = "demo", .origin = "shop", .processor = "", .bin = "555555", .currency = 978, .amount_minor = 999};
	const char *id, *rule;

	assert_int_equal(pick(q, rules, 3, &id, &rule), ERR_OK);
	assert_string_equal(id, "simulator"); /* the live account is no account for a test payment */
	assert_string_equal(rule, "default");
	q.amount_minor = 1000;
	assert_int_equal(pick(q, rules, 3, &id, &rule), ERR_OK);
	assert_string_equal(rule, "big");
	q.amount_minor = 5001, q.bin = "424242";
	assert_int_equal(pick(q, rules, 3, &id, &rule), ERR_OK);
	assert_string_equal(rule, "visa");
	q.merchant = "other";
	assert_int_equal(pick(q, rules, 3, &id, &rule), ERR_OK);
	assert_string_equal(rule, "default");
	q.processor = "bank:de"; /* another merchant's */
	assert_int_equal(pick(q, rules, 3, &id, &rule), ERR_PROCESSOR_UNKNOWN);
	q.merchant = "demo";
	assert_int_equal(pick(q, rules, 3, &id, &rule), ERR_OK);
	assert_string_equal(rule, "request");
	q.processor = "stripe";
	assert_int_equal(pick(q, rules, 3, &id, &rule), ERR_PROCESSOR_UNKNOWN);
}

static void
delays_grow_within_their_bounds(void **arg)
{
	(void)arg;
	for (unsigned tries = 1; tries < 80; tries++) {
		int64_t plain = tries > 10 ? RETRY_INQUIRY_CAP_MS : INT64_C(1000) << (tries - 1);
		if (plain > RETRY_INQUIRY_CAP_MS)
			plain = RETRY_INQUIRY_CAP_MS;
		int64_t least = retry_delay_ms(tries, 1000, RETRY_INQUIRY_CAP_MS, UINT32_MAX);
		int64_t most = retry_delay_ms(tries, 1000, RETRY_INQUIRY_CAP_MS, 0);
		assert_int_equal(most, plain);
		assert_true(least >= plain / 2 && least < most);
	}
	int64_t delay = 0;
	assert_true(retry_inquiry(0, 1000, 2, 0, &delay));
	assert_int_equal(delay, 1000);
	assert_true(retry_inquiry(1, 1000, 2, 0, &delay));
	assert_int_equal(delay, 2000);
	assert_false(retry_inquiry(2, 1000, 2, 0, &delay));
	assert_true(retry_dispatch(RETRY_DISPATCH_MAX - 1, 7, &delay));
	assert_false(retry_dispatch(RETRY_DISPATCH_MAX, 7, &delay));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_means_what_its_row_says),
		cmocka_unit_test(answers_follow_the_operation),
		cmocka_unit_test(the_first_fitting_rule_decides),
		cmocka_unit_test(delays_grow_within_their_bounds),
	};
	return cmocka_run_group_tests_name("domain/rules", tests, NULL, NULL);
}
