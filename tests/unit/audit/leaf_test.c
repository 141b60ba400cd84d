/* The record encoder: its one form, its bound, and JSON that any reader takes whatever text came in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <sodium.h>

#include "daemon/audit/leaf.h"
#include "daemon/base/mem.h"

static char record[LEAF_BYTES_MAX + 1];

static const char *
encode(const struct leaf *l)
{
	size_t n;

	assert_int_equal(leaf_encode(l, record, &n), ERR_OK);
	assert_true(n <= LEAF_BYTES_MAX);
	record[n] = '\0';
	return record;
}

static void
has_one_order_of_members(void **state)
{
	uint8_t cert[32];
	struct leaf l = {
		.seq = 7,
		.wall_ms = 1795000000123,
		.mono_ms = 42,
		.install = "inst",
		.proc = "vault",
		.actor = ACTOR_OFFICER,
		.actor_id = "a.berg",
		.cert_sha256 = cert,
		.mfa = "totp",
		.ip = "127.0.0.1",
		.session = "s1",
		.event = EVENT_KEY_STATE,
		.object_id = "dek-2",
		.merchant = "mer_1",
		.outcome = LEAF_DENY,
		.code = ERR_PERMISSION,
		.request = "req_1",
		.reason = "why",
		.key_id = "dek",
		.key_generation = 2,
		.ceremony = "cer_1",
		.phase = LEAF_DONE,
		.of = 6,
		.count = 3,
	};

	(void)state;
	memset(cert, 0xab, sizeof(cert));
	assert_string_equal(
		encode(&l),
		"{\"v\":1,\"seq\":7,\"ts\":\"2026-11-18T11:06:40.123Z\",\"mono\":42,\"install\":\"inst\",\"proc\":\"vault\","
		"\"actor\":{\"kind\":\"officer\",\"id\":\"a.berg\",\"cert_sha256\":"
		"\"abababababababababababababababababababababababababababababababab\",\"mfa\":\"totp\"},"
		"\"origin\":{\"ip\":\"127.0.0.1\",\"session\":\"s1\"},\"ev\":\"key.state\",\"obj\":{\"kind\":\"key\",\"id\":"
		"\"dek-"
		"2\"},\"merchant\":\"mer_1\",\"outcome\":\"deny\",\"code\":\"not_permitted\",\"request\":\"req_1\",\"reason\":"
		"\"why\",\"key\":{\"id\":\"dek\",\"gen\":2},\"ceremony\":\"cer_1\",\"phase\":\"done\",\"of\":6,\"count\":3}");
}

static void
leaves_out_what_is_empty(void **state)
{
	struct leaf l = {.wall_ms = 0, .install = "i", .proc = "p", .event = EVENT_STOP, .merchant = ""};

	(void)state;
	assert_string_equal(encode(&l),
						"{\"v\":1,\"seq\":0,\"ts\":\"1970-01-01T00:00:00.000Z\",\"install\":\"i\",\"proc\":\"p\","
						"\"ev\":\"process.stop\",\"outcome\":\"ok\",\"phase\":\"single\"}");
}

static void
escapes_what_deceives(void **state)
{
	struct leaf l = {.install = "i", .proc = "p", .event = EVENT_STOP};
	const char *text;

	(void)state;
	/* quote, backslash, line feed, escape, DEL, C1, right-to-left override, isolate, line separator, BOM; ä and 😀 stay
	 */
	l.reason = "\"\\\n\x1b\x7f\xc2\x9b\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xef\xbb\xbf\xc3\xa4\xf0\x9f\x98\x80";
	text = encode(&l);
	assert_non_null(strstr(text, "\"\\u0022\\u005c\\u000a\\u001b\\u007f\\u009b\\u202e\\u2066\\u2028\\ufeff\xc3\xa4"
								 "\xf0\x9f\x98\x80\""));
	l.reason = "a\xff\xc0\x80z";
	assert_non_null(strstr(encode(&l), "\"a\\ufffd\\ufffd\\ufffdz\""));
}

static void
never_keeps_a_card_number(void **state)
{
	struct leaf l = {.install = "i", .proc = "p", .event = EVENT_STOP, .reason = "card 4242 4242 4242 4242 was used"};

	(void)state;
	assert_null(strstr(encode(&l), "4242"));
	l.reason = "card 4242 4242 4242 4241";
	assert_non_null(strstr(encode(&l), "4241")); /* fails Luhn: no card number */
}

static void
too_long_is_refused_and_writes_nothing(void **state)
{
	char reason[LEAF_BYTES_MAX];
	struct leaf l = {.install = "i", .proc = "p", .event = EVENT_STOP, .reason = reason};
	size_t n = 1, fits = 0, room;

	(void)state;
	for (room = 3000; room < sizeof(reason); room++) {
		memset(reason, 'r', room);
		reason[room] = '\0';
		memset(record, 'x', sizeof(record));
		if (leaf_encode(&l, record, &n) == ERR_OK) {
			fits = n;
			assert_true(record[n] == 'x' || n == LEAF_BYTES_MAX);
		} else {
			assert_int_equal(record[0], 'x');
		}
	}
	assert_int_equal(fits, LEAF_BYTES_MAX);
}

/* Any bytes in any text member: JSON comes out, on one line, and the members say what they should. */
static void
any_text_gives_valid_json(void **state)
{
	char text[5][64];

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct leaf l = {.seq = round,
						 .install = text[0],
						 .proc = text[1],
						 .actor = ACTOR_CLIENT,
						 .actor_id = text[2],
						 .reason = text[3],
						 .object_id = text[4]};
		json_error_t problem;
		json_t *j;

		for (size_t i = 0; i < 5; i++) {
			size_t n = 1 + randombytes_uniform(62);
			randombytes_buf(text[i], n);
			if (randombytes_uniform(2))
				for (size_t k = 0; k < n; k++)
					text[i][k] = (char)("\"\\\n\t\x7f ab{}\xc3\xa4\xe2\x80\xae"[randombytes_uniform(15)]);
			text[i][n] = '\0';
		}
		l.event = (enum audit_event)randombytes_uniform(EVENT_MAX);
		l.outcome = (enum leaf_outcome)randombytes_uniform(4);
		encode(&l);
		assert_null(strchr(record, '\n'));
		j = json_loads(record, JSON_REJECT_DUPLICATES, &problem);
		assert_non_null(j);
		assert_int_equal(json_integer_value(json_object_get(j, "seq")), round);
		assert_string_equal(json_string_value(json_object_get(j, "ev")), audit_event_name(l.event));
		json_decref(j);
	}
}

static int
set_up(void **state)
{
	(void)state;
	return sodium_init() < 0 ? -1 : 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_one_order_of_members),  cmocka_unit_test(leaves_out_what_is_empty),
		cmocka_unit_test(escapes_what_deceives),     cmocka_unit_test(never_keeps_a_card_number),
		cmocka_unit_test(any_text_gives_valid_json), cmocka_unit_test(too_long_is_refused_and_writes_nothing),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
