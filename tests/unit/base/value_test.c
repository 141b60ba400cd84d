/* Properties of the small values that everything else is made of: money, ids, time, text, buffers, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/buf.h"
#include "daemon/base/clock.h"
#include "daemon/base/currency.h"
#include "daemon/base/err.h"
#include "daemon/base/id.h"
#include "daemon/base/mem.h"
#include "daemon/base/money.h"
#include "daemon/base/str.h"

#define ROUNDS 20000

static int64_t
some(int64_t least, int64_t most)
{
	uint64_t v;
	randombytes_buf(&v, sizeof v);
	return least + (int64_t)(v % (uint64_t)(most - least + 1));
}

static void
money_adds_and_subtracts_or_refuses(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		/* half of the time near the bound, where it matters */
		int64_t top = i & 1 ? 1000 : MONEY_MAX_MINOR;
		struct money a = {some(0, top), 978}, b = {some(0, top), 978}, sum = {-1, 0}, back;
		enum err e = money_add(a, b, &sum);
		assert_int_equal(e, a.minor + b.minor <= MONEY_MAX_MINOR ? ERR_OK : ERR_AMOUNT_OUT_OF_RANGE);
		if (e != ERR_OK) {
			assert_int_equal(sum.minor, -1);
			continue;
		}
		assert_int_equal(money_sub(sum, b, &back), ERR_OK);
		assert_int_equal(back.minor, a.minor);
		assert_int_equal(money_sub(a, sum, &back), b.minor == 0 ? ERR_OK : ERR_AMOUNT_OUT_OF_RANGE);
		b.currency = 840;
		assert_int_equal(money_add(a, b, &sum), ERR_CURRENCY);
		assert_int_equal(money_sub(a, b, &sum), ERR_CURRENCY);
	}
	struct money max = {MONEY_MAX_MINOR, 978}, one = {1, 978}, minus = {-1, 978}, out;
	assert_int_equal(money_add(max, one, &out), ERR_AMOUNT_OUT_OF_RANGE);
	assert_int_equal(money_add(max, minus, &out), ERR_AMOUNT_OUT_OF_RANGE);
	assert_int_equal(money_sub(one, minus, &out), ERR_AMOUNT_OUT_OF_RANGE);
}

static void
money_shows_the_exponent_of_its_currency(void **state)
{
	char text[MONEY_TEXT_BYTES];
	(void)state;
	money_text((struct money){1234, 978}, text);
	assert_string_equal(text, "12.34 EUR");
	money_text((struct money){5, 978}, text);
	assert_string_equal(text, "0.05 EUR");
	money_text((struct money){1234, 392}, text);
	assert_string_equal(text, "1234 JPY");
	money_text((struct money){1234, 414}, text);
	assert_string_equal(text, "1.234 KWD");
	money_text((struct money){MONEY_MAX_MINOR, 978}, text);
	assert_string_equal(text, "9999999999.99 EUR");
}

static void
currencies_are_found_both_ways(void **state)
{
	(void)state;
	unsigned n = 0;
	for (unsigned number = 0; number < 1000; number++) {
		const struct currency *c = currency_of((uint16_t)number);
		if (!c)
			continue;
		n++;
		assert_ptr_equal(currency_by_code(c->code), c);
		assert_in_range(c->exponent, 0, 4);
	}
	assert_true(n > 100);
	assert_null(currency_by_code("eur"));
	assert_null(currency_by_code("EURO"));
	assert_null(currency_by_code(""));
	assert_null(currency_of(0));
}

static void
ids_are_ordered_and_keep_their_time(void **state)
{
	struct id last = {""}, id;
	int64_t ms = 1763722000000;
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		ms += some(0, 3) - 1; /* the clock may also step back */
		id_new("pay", ms, &id);
		assert_true(id_check("pay", id.text));
		assert_true(strcmp(last.text, id.text) < 0);
		last = id;
	}
	ms += 1000000;
	id_new("pay", ms, &id);
	assert_int_equal(id_time_ms(&id), ms);
}

static void
ids_are_checked_to_the_letter(void **state)
{
	static const char *const bad[] = {"",
									  "pay",
									  "pay_",
									  "pay_01J8Z3K4M5N6P7Q8R9S0T1V2W",
									  "pay_01J8Z3K4M5N6P7Q8R9S0T1V2W33",
									  "pay_01j8z3k4m5n6p7q8r9s0t1v2w3",
									  "pay_01J8Z3K4M5N6P7Q8R9S0T1V2WU",
									  "pay_01J8Z3K4M5N6P7Q8R9S0T1V2WI",
									  "tok_01J8Z3K4M5N6P7Q8R9S0T1V2W3",
									  "pay-01J8Z3K4M5N6P7Q8R9S0T1V2W3"};
	struct id id;
	(void)state;
	assert_int_equal(id_take("pay", "pay_01J8Z3K4M5N6P7Q8R9S0T1V2W3", &id), ERR_OK);
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(id_take("pay", bad[i], &id), ERR_ID_FORM);
		assert_string_equal(id.text, "");
	}
}

static void
random_ids_use_every_letter(void **state)
{
	unsigned seen[128] = {0};
	struct id a, b;
	(void)state;
	for (int i = 0; i < 2000; i++) {
		id_random("tok", &a);
		id_random("tok", &b);
		assert_true(id_check("tok", a.text));
		assert_string_not_equal(a.text, b.text);
		for (const char *p = a.text + 4; *p; p++)
			seen[(unsigned char)*p]++;
	}
	for (const char *p = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; *p; p++)
		assert_in_range(seen[(unsigned char)*p], 1300, 1950); /* 1625 expected */
}

static void
times_make_the_round(void **state)
{
	char text[CLOCK_TEXT_BYTES];
	int64_t back;
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		int64_t ms = some(0, INT64_C(253402300799999));
		clock_text(ms, text);
		assert_int_equal(clock_parse(text, &back), ERR_OK);
		assert_int_equal(back, ms);
	}
	clock_text(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	clock_text(INT64_C(951782400000), text);
	assert_string_equal(text, "2000-02-29T00:00:00.000Z");
	clock_text(-5, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	clock_text(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void
times_are_read_strictly(void **state)
{
	static const char *const bad[] = {"",
									  "2026-11-21",
									  "2026-11-21T10:46:00",
									  "2026-11-21T10:46:00+01:00",
									  "2026-02-29T00:00:00Z",
									  "2026-13-01T00:00:00Z",
									  "2026-00-01T00:00:00Z",
									  "2026-04-31T00:00:00Z",
									  "2026-11-21T24:00:00Z",
									  "2026-11-21T10:60:00Z",
									  "2026-11-21T10:46:60Z",
									  "2026-11-21t10:46:00z",
									  "2026-11-21T10:46:00.Z",
									  "2026-11-21T10:46:00.1234567890Z",
									  "2026-11-21T10:46:00Z ",
									  "1969-12-31T23:59:59Z",
									  " 2026-11-21T10:46:00Z"};
	int64_t ms = -1;
	(void)state;
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
		if (clock_parse(bad[i], &ms) == ERR_OK)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(clock_parse("2024-02-29T00:00:00.5Z", &ms), ERR_OK);
	assert_int_equal(ms % 1000, 500);
	assert_int_equal(clock_parse("2026-11-21T10:46:00.123456789Z", &ms), ERR_OK);
	assert_int_equal(ms % 1000, 123);
}

/* ── text ── */

static size_t
utf8_of(uint32_t code, uint8_t *out)
{
	if (code < 0x80)
		return out[0] = (uint8_t)code, 1;
	if (code < 0x800)
		return out[0] = (uint8_t)(0xc0 | code >> 6), out[1] = (uint8_t)(0x80 | (code & 63)), 2;
	if (code < 0x10000)
		return out[0] = (uint8_t)(0xe0 | code >> 12), out[1] = (uint8_t)(0x80 | (code >> 6 & 63)),
			   out[2] = (uint8_t)(0x80 | (code & 63)), 3;
	out[0] = (uint8_t)(0xf0 | code >> 18);
	out[1] = (uint8_t)(0x80 | (code >> 12 & 63));
	out[2] = (uint8_t)(0x80 | (code >> 6 & 63));
	out[3] = (uint8_t)(0x80 | (code & 63));
	return 4;
}

static void
utf8_takes_every_character_and_nothing_else(void **state)
{
	uint8_t b[4];
	(void)state;
	for (uint32_t code = 1; code < 0x120000; code++) {
		size_t n = utf8_of(code, b);
		bool good = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
		if (str_utf8(b, n) != good)
			fail_msg("U+%04X", code);
		if (n > 1)
			assert_false(str_utf8(b, n - 1));
	}
	assert_false(str_utf8((const uint8_t *)"\0", 1));
	assert_false(str_utf8((const uint8_t *)"\xc0\x80", 2));
	assert_false(str_utf8((const uint8_t *)"\xc1\xbf", 2));
	assert_false(str_utf8((const uint8_t *)"\xe0\x9f\xbf", 3));
	assert_false(str_utf8((const uint8_t *)"\xf0\x8f\xbf\xbf", 4));
	assert_false(str_utf8((const uint8_t *)"\x80", 1));
	assert_false(str_utf8((const uint8_t *)"\xff", 1));
	assert_true(str_utf8(NULL, 0));
}

/* A number that passes Luhn, n digits long. */
static void
make_pan(char *out, size_t n)
{
	unsigned sum = 0;
	for (size_t i = 0; i < n - 1; i++)
		out[i] = (char)('0' + some(0, 9));
	for (size_t i = 0; i < n - 1; i++) {
		unsigned d = (unsigned)(out[n - 2 - i] - '0');
		if (i % 2 == 0)
			d = d * 2 > 9 ? d * 2 - 9 : d * 2;
		sum += d;
	}
	out[n - 1] = (char)('0' + (10 - sum % 10) % 10);
	out[n] = 0;
}

static void
card_numbers_are_found_wherever_they_stand(void **state)
{
	char pan[24], text[96];
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		size_t n = (size_t)some(12, 19);
		make_pan(pan, n);
		snprintf(text, sizeof text, "%.*s%s%s", (int)some(0, 5), "abc: ", pan, some(0, 1) ? "." : "");
		if (!str_holds_pan(text, strlen(text)))
			fail_msg("%s", text);
		/* spaced as people write it */
		size_t at = 0;
		for (size_t k = 0; k < n; k++) {
			if (k && k % 4 == 0)
				text[at++] = i & 1 ? ' ' : '-';
			text[at++] = pan[k];
		}
		assert_true(str_holds_pan(text, at));
		/* one digit changed never passes Luhn */
		pan[0] = (char)(pan[0] == '9' ? '0' : pan[0] + 1);
		assert_false(str_holds_pan(pan, n));
	}
	assert_false(str_holds_pan("4242424242", 10));
	assert_false(str_holds_pan("", 0));
	assert_true(str_holds_pan("order 4242424242424242", 22));
	assert_false(str_holds_pan("order 4242424242424241", 22));
	/* these UUIDs have Luhn's digits in them, by chance; what only looks a little like one is looked into */
	assert_false(str_holds_pan("4877f315-125b-49d2-9862-831200708cfd", 36));
	assert_false(str_holds_pan("order-77f07900-1772-4cbb-b294-959939871957.", 43));
	assert_false(str_holds_pan("4242424242424242abcdef4242424242", 32));
	assert_true(str_holds_pan("4242424242424242abcde42424242424", 32));
	assert_true(str_holds_pan("4242424242424242abcdef424242424", 31));
	assert_true(str_holds_pan("77f07900-1772-4cbb-b294-959939871957 4242424242424242", 53));
	assert_true(str_holds_pan("77f07900-1772-0cbb-b294-959939871957", 36));
}

static void
numbers_in_text_keep_their_bounds(void **state)
{
	uint64_t v;
	char text[32];
	(void)state;
	assert_int_equal(str_decimal("18446744073709551615", UINT64_MAX, &v), ERR_OK);
	assert_true(v == UINT64_MAX);
	assert_int_equal(str_decimal("18446744073709551616", UINT64_MAX, &v), ERR_OUT_OF_RANGE);
	assert_int_equal(str_decimal("7", 5, &v), ERR_OUT_OF_RANGE);
	assert_int_equal(str_decimal("", 5, &v), ERR_WRONG_TYPE);
	assert_int_equal(str_decimal("+1", 5, &v), ERR_WRONG_TYPE);
	assert_int_equal(str_decimal("1 ", 5, &v), ERR_WRONG_TYPE);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t max = (uint64_t)some(0, 100000), n = (uint64_t)some(0, 100000);
		snprintf(text, sizeof text, "%llu", (unsigned long long)n);
		enum err e = str_decimal(text, max, &v);
		assert_int_equal(e, n <= max ? ERR_OK : ERR_OUT_OF_RANGE);
		if (e == ERR_OK)
			assert_int_equal(v, n);
	}
}

static void
hex_and_base64_make_the_round(void **state)
{
	uint8_t bytes[48], back[48];
	char hex[97], b64[80];
	(void)state;
	for (int i = 0; i < 2000; i++) {
		size_t n = (size_t)some(0, sizeof bytes), got;
		randombytes_buf(bytes, sizeof bytes);
		str_hex(bytes, n, hex);
		assert_int_equal(str_unhex(hex, back, n), ERR_OK);
		assert_memory_equal(bytes, back, n);
		assert_int_equal(str_base64(bytes, n, b64, sizeof b64), ERR_OK);
		assert_int_equal(str_unbase64(b64, strlen(b64), back, sizeof back, &got), ERR_OK);
		assert_int_equal(got, n);
		assert_memory_equal(bytes, back, n);
	}
	assert_int_equal(str_unhex("0g", back, 1), ERR_FILE_FORM);
	assert_int_equal(str_unhex("000", back, 1), ERR_FILE_FORM);
	assert_int_equal(str_unbase64("AAA", 3, back, sizeof back, &(size_t){0}), ERR_FILE_FORM);
	assert_int_equal(str_unbase64("AA==x", 5, back, sizeof back, &(size_t){0}), ERR_FILE_FORM);
	assert_int_equal(str_base64(bytes, 48, b64, 64), ERR_OUT_OF_RANGE);
}

static void
distances_suggest_the_right_name(void **state)
{
	static const char *const names[] = {"status", "client", "payment", NULL};
	(void)state;
	assert_int_equal(str_distance("status", "status", 8), 0);
	assert_int_equal(str_distance("stauts", "status", 8), 2);
	assert_int_equal(str_distance("", "abc", 8), 3);
	assert_int_equal(str_distance("abc", "xyz", 1), 2);
	assert_string_equal(str_nearest("statsu", names), "status");
	assert_string_equal(str_nearest("paymnt", names), "payment");
	assert_null(str_nearest("refund", names));
}

static void
text_that_does_not_fit_is_refused_whole(void **state)
{
	char to[4] = "xyz";
	(void)state;
	assert_int_equal(str_set(to, sizeof to, "abc"), ERR_OK);
	assert_int_equal(str_set(to, sizeof to, "abcd"), ERR_OUT_OF_RANGE);
	assert_string_equal(to, "");
	assert_true(str_visible("a~!", 3));
	assert_false(str_visible("a b", 3));
	assert_false(str_visible("", 3));
	assert_false(str_visible("abcd", 3));
}

/* ── buffers ── */

/* Outside of what is unread there is nothing: not before it, not behind it. */
static void
assert_clean(const struct buf *b)
{
	for (size_t i = 0; i < b->cap; i++)
		if ((i < b->start || i >= b->start + b->len) && b->bytes[i] != 0)
			fail_msg("byte %zu of a buffer with %zu from %zu", i, b->len, b->start);
}

static void
buffers_are_queues_with_a_ceiling(void **state)
{
	struct buf b;
	uint8_t in[300], next_in = 0, next_out = 0;
	(void)state;
	buf_init(&b, 4096);
	for (int i = 0; i < ROUNDS; i++) {
		size_t n = (size_t)some(0, 300), before = b.len;
		if (some(0, 1)) {
			for (size_t k = 0; k < n; k++)
				in[k] = (uint8_t)(next_in + k);
			enum err e = buf_add(&b, in, n);
			assert_int_equal(e, before + n <= 4096 ? ERR_OK : ERR_LIMIT);
			assert_int_equal(b.len, e == ERR_OK ? before + n : before);
			if (e == ERR_OK)
				next_in = (uint8_t)(next_in + n);
		} else {
			n = n < b.len ? n : b.len;
			for (size_t k = 0; k < n; k++)
				assert_int_equal(buf_at(&b)[k], (uint8_t)(next_out + k));
			const uint8_t *eaten = buf_at(&b);
			buf_eat(&b, n);
			for (size_t k = 0; k < n; k++)
				assert_int_equal(eaten[k], 0); /* wiped */
			next_out = (uint8_t)(next_out + n);
		}
		if (i % 8 == 0)
			assert_clean(&b);
	}
	buf_clear(&b);
	assert_null(b.bytes);
}

static void
errors_have_all_that_people_need(void **state)
{
	(void)state;
	for (unsigned e = ERR_OK + 1; e < ERR_MAX; e++) {
		assert_true(strlen(err_code(e)) > 1);
		assert_true(strlen(err_title(e)) > 5);
		assert_true(strlen(err_next(e)) > 3);
		assert_in_range(err_http(e), 200, 599);
		for (unsigned k = ERR_OK; k < e; k++)
			assert_string_not_equal(err_code(e), err_code(k));
	}
	assert_string_equal(err_code((enum err)9999), "internal_error");
	/* what an operator has to do has a page; what a client did wrong has none */
	for (unsigned e = ERR_OK + 1; e < ERR_MAX; e++)
		assert_int_equal(strncmp(err_runbook(e), "sallyport-", 10) == 0, err_http(e) >= 500);
	assert_string_equal(err_runbook(ERR_HSM_PIN_MISSING), "sallyport-sealed");
	assert_string_equal(err_runbook(ERR_ROLLBACK), "sallyport-operations");
}

static void
memory_is_zero_when_it_comes(void **state)
{
	(void)state;
	uint8_t *p = mem_new(10, 10);
	for (int i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	memset(p, 7, 100);
	p = mem_grow(p, 100000);
	assert_int_equal(p[99], 7);
	assert_int_equal(p[99999], 0);
	mem_free(p);
#ifndef SANITIZERS /* they report it and end */
	assert_null(mem_new(SIZE_MAX, 16));
#endif
	char *s = mem_strdup("abc");
	assert_string_equal(s, "abc");
	mem_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(money_adds_and_subtracts_or_refuses),
		cmocka_unit_test(money_shows_the_exponent_of_its_currency),
		cmocka_unit_test(currencies_are_found_both_ways),
		cmocka_unit_test(ids_are_ordered_and_keep_their_time),
		cmocka_unit_test(ids_are_checked_to_the_letter),
		cmocka_unit_test(random_ids_use_every_letter),
		cmocka_unit_test(times_make_the_round),
		cmocka_unit_test(times_are_read_strictly),
		cmocka_unit_test(utf8_takes_every_character_and_nothing_else),
		cmocka_unit_test(card_numbers_are_found_wherever_they_stand),
		cmocka_unit_test(numbers_in_text_keep_their_bounds),
		cmocka_unit_test(hex_and_base64_make_the_round),
		cmocka_unit_test(distances_suggest_the_right_name),
		cmocka_unit_test(text_that_does_not_fit_is_refused_whole),
		cmocka_unit_test(buffers_are_queues_with_a_ceiling),
		cmocka_unit_test(errors_have_all_that_people_need),
		cmocka_unit_test(memory_is_zero_when_it_comes),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
