/* pan: brands, lengths, Luhn, expiry, codes, published numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "vault/pan.h"

static const struct pan_rules test_rules = {.test = true, .wall_ms = INT64_C(1795000000000)}; /* November 2026 */

static struct card
card_of(const char *number)
{
	return (struct card){.pan = (const uint8_t *)number,
						 .pan_len = strlen(number),
						 .exp_month = 12,
						 .exp_year = 2028,
						 .cvc = (const uint8_t *)"",
						 .holder = (const uint8_t *)""};
}

static enum err
check(const char *number, sp_brand *brand)
{
	struct card c = card_of(number);
	return pan_check(&c, &test_rules, brand);
}

static void
brands_by_range(void **state)
{
	static const struct {
		const char *number;
		enum err e;
		sp_brand brand;
	} rows[] = {
		{"4242424242424242", ERR_OK, sp_brand_BRAND_VISA},
		{"4222222222222", ERR_OK, sp_brand_BRAND_VISA},
		{"5555555555554444", ERR_OK, sp_brand_BRAND_MASTERCARD},
		{"2221000000000009", ERR_OK, sp_brand_BRAND_MASTERCARD},
		{"2720990000000007", ERR_OK, sp_brand_BRAND_MASTERCARD},
		{"378282246310005", ERR_OK, sp_brand_BRAND_AMEX},
		{"36227206271667", ERR_OK, sp_brand_BRAND_DINERS},
		{"3056930009020004", ERR_OK, sp_brand_BRAND_DINERS},
		{"6011111111111117", ERR_OK, sp_brand_BRAND_DISCOVER},
		{"3566002020360505", ERR_OK, sp_brand_BRAND_JCB},
		{"6200000000000005", ERR_OK, sp_brand_BRAND_UNIONPAY},
		{"4242424242424241", ERR_CARD_LUHN, sp_brand_BRAND_VISA},
		{"42424242424242", ERR_CARD_LENGTH, sp_brand_BRAND_VISA},
		{"37828224631000", ERR_CARD_LENGTH, sp_brand_BRAND_AMEX},
		{"4", ERR_CARD_LENGTH, sp_brand_BRAND_VISA},
		{"", ERR_CARD_LENGTH, sp_brand_BRAND_UNKNOWN},
		{"424242424242424a", ERR_CARD_LUHN, sp_brand_BRAND_VISA},
		{"4242424242424242=2812", ERR_CARD_TRACK, sp_brand_BRAND_VISA},
		{"%B4242424242424242", ERR_CARD_TRACK, sp_brand_BRAND_UNKNOWN},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		sp_brand brand;
		assert_int_equal(check(rows[i].number, &brand), rows[i].e);
		assert_int_equal(brand, rows[i].brand);
	}
}

static void
every_published_number_is_a_card(void **state)
{
	static const char *const numbers[] = {
#define TEST(outcome, number, token, amount, decline, network, advice) number,
#include "policy/test_values.def"
#undef TEST
	};
	struct pan_rules live = test_rules, published = test_rules;
	sp_brand brand;
	(void)state;
	live.test = false;
	published.published_only = true;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (!numbers[i][0])
			continue;
		struct card c = card_of(numbers[i]);
		assert_int_equal(pan_check(&c, &test_rules, &brand), ERR_OK);
		assert_int_equal(pan_check(&c, &published, &brand), ERR_OK);
		assert_int_equal(pan_check(&c, &live, &brand), ERR_TEST_CARD_IN_LIVE);
	}
	struct card other = card_of("4929907390318794");
	assert_int_equal(pan_check(&other, &live, &brand), ERR_OK);
	assert_int_equal(pan_check(&other, &published, &brand), ERR_REAL_CARD_IN_TEST);
	assert_string_equal(pan_test_number("tok_test_visa"), "4242424242424242");
	assert_null(pan_test_number("tok_test_nothing"));
	assert_null(pan_test_number(""));
}

static void
expiry_to_the_hour(void **state)
{
	static const struct {
		uint32_t month, year;
		const char *now;
		bool expired;
	} rows[] = {
		{11, 2026, "2026-11-30T23:59:59Z", false}, {11, 2026, "2026-12-01T11:59:59Z", false},
		{11, 2026, "2026-12-01T12:00:00Z", true},  {12, 2027, "2028-01-01T11:59:59Z", false},
		{12, 2027, "2028-01-01T12:00:00Z", true},  {2, 2028, "2028-02-29T23:00:00Z", false},
		{2, 2028, "2028-03-01T12:00:00Z", true},
	};
	sp_brand brand;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t now;
		assert_int_equal(clock_parse(rows[i].now, &now), ERR_OK);
		assert_int_equal(pan_expired(rows[i].month, rows[i].year, now), rows[i].expired);
	}
	static const struct {
		uint32_t month, year;
		enum err e;
	} bad[] = {{0, 2028, ERR_CARD_EXPIRY},  {13, 2028, ERR_CARD_EXPIRY}, {12, 28, ERR_CARD_EXPIRY},
			   {1, 2026, ERR_CARD_EXPIRED}, {12, 2099, ERR_CARD_EXPIRY}, {11, 2026, ERR_OK},
			   {12, 2055, ERR_OK}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct card c = card_of("4242424242424242");
		c.exp_month = bad[i].month;
		c.exp_year = bad[i].year;
		assert_int_equal(pan_check(&c, &test_rules, &brand), bad[i].e);
	}
}

static void
codes_by_brand(void **state)
{
	static const struct {
		const char *number, *cvc;
		enum err e;
	} rows[] = {{"4242424242424242", "123", ERR_OK},      {"4242424242424242", "1234", ERR_CARD_CVC},
				{"4242424242424242", "12", ERR_CARD_CVC}, {"4242424242424242", "12a", ERR_CARD_CVC},
				{"378282246310005", "1234", ERR_OK},      {"378282246310005", "123", ERR_CARD_CVC}};
	sp_brand brand;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct card c = card_of(rows[i].number);
		c.cvc = (const uint8_t *)rows[i].cvc;
		c.cvc_len = strlen(rows[i].cvc);
		assert_int_equal(pan_check(&c, &test_rules, &brand), rows[i].e);
	}
	struct card c = card_of("4242424242424242");
	c.holder = (const uint8_t *)"ADA 4111 1111 1111 1111";
	c.holder_len = strlen((const char *)c.holder);
	assert_int_equal(pan_check(&c, &test_rules, &brand), ERR_PAN_IN_METADATA);
}

/* Property: the check digit makes it pass, any single changed digit makes it fail. */
static void
luhn_finds_every_single_slip(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		uint8_t d[19];
		size_t n = 2 + (size_t)rand() % 17;
		for (size_t i = 0; i < n; i++)
			d[i] = (uint8_t)('0' + rand() % 10);
		d[n] = pan_luhn_digit(d, n);
		assert_true(pan_luhn(d, n + 1));
		size_t at = (size_t)rand() % (n + 1);
		uint8_t was = d[at];
		d[at] = (uint8_t)('0' + (was - '0' + 1 + rand() % 9) % 10);
		assert_false(pan_luhn(d, n + 1));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(brands_by_range),
		cmocka_unit_test(every_published_number_is_a_card),
		cmocka_unit_test(expiry_to_the_hour),
		cmocka_unit_test(codes_by_brand),
		cmocka_unit_test(luhn_finds_every_single_slip),
	};
	return cmocka_run_group_tests_name("pan", tests, NULL, NULL);
}
