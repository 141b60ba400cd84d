/* JSON in: each wrong body has its code and pointer; the canonical hash; queries; paths; what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/gate/operation.h"
#include "daemon/gate/query.h"
#include "daemon/gate/route.h"
#include "daemon/gate/shape.h"
#include "daemon/gate/writer.h"

/* The real tables: the shapes of POST /v1/payments and POST /v1/tokens. */
static const struct shape *
shape_of(const char *path)
{
	char object[64], allow[64];
	const struct route *r;

	assert_int_equal(route_find(METHOD_POST, path, object, sizeof(object), allow, sizeof(allow), &r), ERR_OK);
	assert_non_null(r->body);
	return r->body;
}

#define TARGET_BYTES 65536 /* bigger than any act's struct */

static enum err
read_body(const char *path, const char *text, struct complaints *c)
{
	void *target = mem_new(1, TARGET_BYTES);
	json_t *body;
	enum err e = shape_parse((const uint8_t *)text, strlen(text), &body);

	c->n = 0;
	if (!e)
		e = shape_read(shape_of(path), body, target, c);
	json_decref(body);
	mem_free(target);
	return e;
}

#define PAY   "/v1/payments"
#define TOK   "/v1/tokens"
#define MONEY "\"amount\":1,\"currency\":\"EUR\""
#define CARD  "\"number\":\"4242424242424242\",\"exp_month\":12,\"exp_year\":2031"

static const struct {
	const char *path, *text;
	enum err e;
	const char *pointer; /* of the first complaint; NULL: there is none */
	const char *nearest;
} bodies[] = {
	{PAY, "{" MONEY ",\"token\":\"tok_test_visa\"}", ERR_OK, NULL, NULL},
	{TOK, "{\"card\":{" CARD "}}", ERR_OK, NULL, NULL},
	/* not JSON, or not ours */
	{PAY, "", ERR_JSON, NULL, NULL},
	{PAY, "[]", ERR_JSON, NULL, NULL},
	{PAY, "1", ERR_JSON, NULL, NULL},
	{PAY, "{" MONEY, ERR_JSON, NULL, NULL},
	{PAY, "{" MONEY "} x", ERR_JSON, NULL, NULL},
	{PAY, "{" MONEY ",}", ERR_JSON, NULL, NULL},
	{PAY, "{" MONEY ",\"amount\":2}", ERR_JSON, NULL, NULL},
	{PAY, "{\"amount\":01,\"currency\":\"EUR\"}", ERR_JSON, NULL, NULL},
	{PAY, "{\"amount\":NaN}", ERR_JSON, NULL, NULL},
	{PAY, "{\"description\":\"\\u0000\"}", ERR_JSON, NULL, NULL},
	{PAY, "{\"description\":\"\xc0\xaf\"}", ERR_JSON, NULL, NULL},
	{PAY, "{\"description\":\"\\ud800\"}", ERR_JSON, NULL, NULL},
	{PAY, "{\"a\":[[[[[[[[1]]]]]]]]}", ERR_JSON, NULL, NULL},
	{PAY, "{\"amount\":99999999999999999999,\"currency\":\"EUR\"}", ERR_OUT_OF_RANGE, NULL, NULL},
	/* members */
	{PAY, "{}", ERR_MISSING_MEMBER, "/amount", NULL},
	{PAY, "{" MONEY ",\"capturemethod\":\"manual\"}", ERR_UNKNOWN_MEMBER, "/capturemethod", "capture_method"},
	{PAY, "{" MONEY ",\"zzz\":1}", ERR_UNKNOWN_MEMBER, "/zzz", NULL},
	{PAY, "{" MONEY ",\"4242424242424242\":1}", ERR_UNKNOWN_MEMBER, "", NULL},
	{PAY, "{" MONEY ",\"a b\":1}", ERR_UNKNOWN_MEMBER, "", NULL},
	{TOK, "{\"card\":{" CARD ",\"cvv\":\"123\"}}", ERR_UNKNOWN_MEMBER, "/card/cvv", "cvc"},
	/* numbers */
	{PAY, "{\"amount\":1.0,\"currency\":\"EUR\"}", ERR_WRONG_TYPE, "/amount", NULL},
	{PAY, "{\"amount\":1e2,\"currency\":\"EUR\"}", ERR_WRONG_TYPE, "/amount", NULL},
	{PAY, "{\"amount\":\"1\",\"currency\":\"EUR\"}", ERR_WRONG_TYPE, "/amount", NULL},
	{PAY, "{\"amount\":true,\"currency\":\"EUR\"}", ERR_WRONG_TYPE, "/amount", NULL},
	{PAY, "{\"amount\":null,\"currency\":\"EUR\"}", ERR_WRONG_TYPE, "/amount", NULL},
	{PAY, "{\"amount\":0,\"currency\":\"EUR\"}", ERR_AMOUNT_OUT_OF_RANGE, "/amount", NULL},
	{PAY, "{\"amount\":-1,\"currency\":\"EUR\"}", ERR_AMOUNT_OUT_OF_RANGE, "/amount", NULL},
	{PAY, "{\"amount\":1000000000000,\"currency\":\"EUR\"}", ERR_AMOUNT_OUT_OF_RANGE, "/amount", NULL},
	{TOK, "{\"card\":{" CARD "},\"max_uses\":0}", ERR_OUT_OF_RANGE, "/max_uses", NULL},
	/* texts and choices */
	{PAY, "{\"amount\":1,\"currency\":\"eur\"}", ERR_CURRENCY, "/currency", NULL},
	{PAY, "{\"amount\":1,\"currency\":\"XXXX\"}", ERR_CURRENCY, "/currency", NULL},
	{PAY, "{" MONEY ",\"capture_method\":\"later\"}", ERR_OUT_OF_RANGE, "/capture_method", NULL},
	{PAY, "{" MONEY ",\"order_id\":\"\"}", ERR_OUT_OF_RANGE, "/order_id", NULL},
	{PAY, "{" MONEY ",\"description\":\"a\\nb\"}", ERR_CHARACTERS, "/description", NULL},
	{PAY, "{" MONEY ",\"merchant\":\"a b\"}", ERR_CHARACTERS, "/merchant", NULL},
	{PAY, "{" MONEY ",\"statement_descriptor\":\"12345678901234567890123\"}", ERR_OUT_OF_RANGE, "/statement_descriptor",
	 NULL},
	/* what is not served yet says so */
	{PAY, "{" MONEY ",\"encrypted\":\"x\"}", ERR_NOT_SUPPORTED, "/encrypted", NULL},
	{PAY, "{" MONEY ",\"three_ds\":{}}", ERR_NOT_SUPPORTED, "/three_ds", NULL},
	{TOK, "{\"card\":{" CARD "},\"bank_account\":{}}", ERR_NOT_SUPPORTED, "/bank_account", NULL},
	/* cards, and cards where none may be */
	{TOK, "{\"card\":{\"number\":4242424242424242,\"exp_month\":12,\"exp_year\":2031}}", ERR_WRONG_TYPE, "/card/number",
	 NULL},
	{TOK, "{\"card\":{\"number\":\"4242 4242 4242 4242\",\"exp_month\":12,\"exp_year\":2031}}", ERR_CHARACTERS,
	 "/card/number", NULL},
	{TOK, "{\"card\":{\"number\":\"42424242424\",\"exp_month\":12,\"exp_year\":2031}}", ERR_CARD_LENGTH, "/card/number",
	 NULL},
	{TOK, "{\"card\":{\"number\":\"42424242424242424242\",\"exp_month\":12,\"exp_year\":2031}}", ERR_CARD_LENGTH,
	 "/card/number", NULL},
	{TOK, "{\"card\":{\"number\":\"4242424242424242\",\"exp_month\":13,\"exp_year\":2031}}", ERR_CARD_EXPIRY,
	 "/card/exp_month", NULL},
	{TOK, "{\"card\":{\"number\":\"4242424242424242\",\"exp_month\":1,\"exp_year\":31}}", ERR_CARD_EXPIRY,
	 "/card/exp_year", NULL},
	{TOK, "{\"card\":{" CARD ",\"cvc\":\"12\"}}", ERR_CARD_CVC, "/card/cvc", NULL},
	{TOK, "{\"card\":{" CARD ",\"cvc\":\"12x\"}}", ERR_CHARACTERS, "/card/cvc", NULL},
	{TOK, "{\"card\":{" CARD ",\"track2\":\"x\"}}", ERR_CARD_TRACK, "/card/track2", NULL},
	{TOK, "{\"card\":\"4242424242424242\"}", ERR_WRONG_TYPE, "/card", NULL},
	{TOK, "{\"card\":{" CARD ",\"holder\":\"4242-4242-4242-4242\"}}", ERR_PAN_IN_METADATA, "/card/holder", NULL},
	{PAY, "{" MONEY ",\"order_id\":\"x 4242424242424242\"}", ERR_PAN_IN_METADATA, "/order_id", NULL},
	{PAY, "{" MONEY ",\"metadata\":{\"a\":\"4242 4242 4242 4242\"}}", ERR_PAN_IN_METADATA, "/metadata", NULL},
	{PAY, "{" MONEY ",\"metadata\":{\"4242424242424242\":\"a\"}}", ERR_PAN_IN_METADATA, "/metadata", NULL},
	{PAY, "{" MONEY ",\"metadata\":{\"a\":1}}", ERR_WRONG_TYPE, "/metadata", NULL},
	{PAY, "{" MONEY ",\"metadata\":{\"\":\"a\"}}", ERR_METADATA, "/metadata", NULL},
	{PAY, "{" MONEY ",\"metadata\":{\"12345678901234567890123456789012345678901\":\"a\"}}", ERR_METADATA, "/metadata",
	 NULL},
};

static void
each_wrong_body_has_its_code_and_pointer(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		struct complaints c;
		enum err e = read_body(bodies[i].path, bodies[i].text, &c);

		if (e != bodies[i].e)
			fail_msg("%s: %s instead of %s", bodies[i].text, err_code(e), err_code(bodies[i].e));
		assert_int_equal(c.n > 0, bodies[i].pointer != NULL);
		if (!bodies[i].pointer)
			continue;
		assert_string_equal(c.at[0].pointer, bodies[i].pointer);
		assert_int_equal(c.at[0].code, bodies[i].e);
		if (bodies[i].nearest)
			assert_string_equal(c.at[0].nearest, bodies[i].nearest);
		else
			assert_null(c.at[0].nearest);
	}
}

static void
all_complaints_come_at_once_and_are_bounded(void **state)
{
	struct complaints c;

	(void)state;
	assert_int_equal(read_body(PAY, "{\"amount\":0,\"currency\":1,\"curency\":\"EUR\"}", &c), ERR_UNKNOWN_MEMBER);
	assert_int_equal(c.n, 3);
	assert_string_equal(c.at[1].pointer, "/amount");
	assert_string_equal(c.at[2].pointer, "/currency");
	(void)!read_body(PAY, "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1}", &c);
	assert_int_equal(c.n, COMPLAINTS_MAX);
}

static void
hash(const char *path, const char *text, const char *except, uint8_t out[32])
{
	json_t *body = NULL;

	if (*text)
		assert_int_equal(shape_parse((const uint8_t *)text, strlen(text), &body), ERR_OK);
	assert_int_equal(shape_hash("POST", path, body, except, out), ERR_OK);
	json_decref(body);
}

static void
the_hash_knows_the_request_and_not_its_spelling(void **state)
{
	uint8_t a[32], b[32];

	(void)state;
	hash("/x", "{\"b\":{\"d\":1,\"c\":[1,2]},\"a\":\"\xc3\xa9\"}", NULL, a);
	hash("/x", " { \"a\" : \"\\u00e9\" , \"b\":{\"c\":[1, 2],\"d\":1} } ", NULL, b);
	assert_memory_equal(a, b, 32);
	hash("/y", "{\"b\":{\"d\":1,\"c\":[1,2]},\"a\":\"\xc3\xa9\"}", NULL, b);
	assert_memory_not_equal(a, b, 32);
	hash("/x", "{\"b\":{\"d\":1,\"c\":[2,1]},\"a\":\"\xc3\xa9\"}", NULL, b);
	assert_memory_not_equal(a, b, 32);
	/* the card is left out, whatever it is: its digest is the vault's business */
	hash("/x", "{\"a\":1,\"card\":{\"number\":\"1\"}}", "card", a);
	hash("/x", "{\"card\":{\"number\":\"2\",\"cvc\":\"3\"},\"a\":1}", "card", b);
	assert_memory_equal(a, b, 32);
	hash("/x", "", NULL, a);
	hash("/x", "{}", NULL, b);
	assert_memory_equal(a, b, 32);
}

static void
queries_are_as_strict_as_bodies(void **state)
{
	static const struct {
		const char *target;
		enum err e;
		const char *pointer;
	} table[] = {{"/v1/payments", ERR_OK, NULL},
				 {"/v1/payments?", ERR_OK, NULL},
				 {"/v1/payments?limit=100&status=captured&created_at.gte=2026-11-21T00:00:00Z", ERR_OK, NULL},
				 {"/v1/payments?limit=0", ERR_QUERY, "?limit"},
				 {"/v1/payments?limit=101", ERR_QUERY, "?limit"},
				 {"/v1/payments?limit=1x", ERR_QUERY, "?limit"},
				 {"/v1/payments?limit=", ERR_QUERY, "?limit"},
				 {"/v1/payments?limit=1&limit=2", ERR_QUERY, "?limit"},
				 {"/v1/payments?limt=1", ERR_QUERY, "?limt"},
				 {"/v1/payments?4242424242424242=1", ERR_QUERY, "?"}, /* no number comes back, as a name neither */
				 {"/v1/payments?%0dlimt=1", ERR_QUERY, "?"},
				 {"/v1/payments?lim<t=1", ERR_QUERY, "?"},
				 {"/v1/payments?limit", ERR_QUERY, "?"},
				 {"/v1/payments?=1", ERR_QUERY, "?"},
				 {"/v1/payments?&", ERR_QUERY, "?"},
				 {"/v1/payments?status=rich", ERR_QUERY, "?status"},
				 {"/v1/payments?created_at.gte=yesterday", ERR_QUERY, "?created_at.gte"},
				 {"/v1/payments?order_id=%4", ERR_QUERY, "?"},
				 {"/v1/payments?order_id=%00", ERR_QUERY, "?"},
				 {"/v1/payments?order_id=%ff", ERR_QUERY, "?"}};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		sp_list_query q = sp_list_query_init_zero;
		struct complaints c = {0};
		enum err e = query_read(&operation_list_query, table[i].target, &q, &c);

		if (e != table[i].e)
			fail_msg("%s: %s", table[i].target, err_code(e));
		if (table[i].pointer)
			assert_string_equal(c.at[0].pointer, table[i].pointer);
	}
	sp_list_query q = sp_list_query_init_zero;
	struct complaints c = {0};
	assert_int_equal(query_read(&operation_list_query, "/?order_id=a%20b%2B&limit=7&created_at.lt=60", &q, &c), ERR_OK);
	assert_string_equal(q.order_id, "a b+");
	assert_int_equal(q.limit, 7);
	assert_int_equal(q.created_lt_ms, 60000);
}

static void
paths_are_found_in_one_spelling_only(void **state)
{
	static const char pay[] = "/v1/payments/pay_01M7YZ35997GEEHE97505TXCPC";
	static const struct {
		enum method method;
		const char *path;
		enum err e;
	} table[] = {{METHOD_GET, "/livez", ERR_OK},
				 {METHOD_GET, "/livez?x=1", ERR_OK}, /* the query is refused later, with its own code */
				 {METHOD_GET, "/livez/", ERR_ROUTE},
				 {METHOD_GET, "//livez", ERR_ROUTE},
				 {METHOD_GET, "/Livez", ERR_ROUTE},
				 {METHOD_GET, "/%6civez", ERR_ROUTE},
				 {METHOD_GET, "/v1/../livez", ERR_ROUTE},
				 {METHOD_GET, "/", ERR_ROUTE},
				 {METHOD_POST, "/livez", ERR_METHOD},
				 {METHOD_HEAD, "/livez", ERR_METHOD},
				 {METHOD_GET, pay, ERR_OK},
				 {METHOD_DELETE, pay, ERR_METHOD},
				 {METHOD_GET, "/v1/payments/pay_x", ERR_ID_FORM},
				 {METHOD_GET, "/v1/payments/", ERR_ROUTE},
				 {METHOD_GET, "/v1/payments/tok_01M7YZ35997GEEHE97505TXCPC", ERR_ID_FORM},
				 {METHOD_GET, "/v1/payments/pay_01M7YZ35997GEEHE97505TXCPC/events", ERR_OK},
				 {METHOD_GET, "/v1/payments/pay_01M7YZ35997GEEHE97505TXCPC/event", ERR_ROUTE},
				 {METHOD_GET, "/v1/tokens/tok_test_visa", ERR_OK},
				 {METHOD_GET, "/v1/tokens/tok%5ftest", ERR_ID_FORM}};
	char object[64], allow[64];
	const struct route *r;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		enum err e = route_find(table[i].method, table[i].path, object, sizeof(object), allow, sizeof(allow), &r);

		if (e != table[i].e)
			fail_msg("%s: %s", table[i].path, err_code(e));
	}
	assert_int_equal(route_find(METHOD_DELETE, "/v1/payments", object, sizeof(object), allow, sizeof(allow), &r),
					 ERR_METHOD);
	assert_string_equal(allow, "POST, GET");
	assert_int_equal(route_find(METHOD_GET, pay, object, sizeof(object), allow, sizeof(allow), &r), ERR_OK);
	assert_string_equal(object, pay + 13);
}

/* What routing and the document rely on: one name per operation, keys on all that moves money or mints. */
static void
the_tables_keep_their_promises(void **state)
{
	(void)state;
	for (const struct api *const *a = route_apis(); *a; a++) {
		for (size_t i = 0; i < (*a)->n; i++) {
			const struct route *r = &(*a)->routes[i];

			assert_true(strlen(r->id) < sizeof(((sp_idem *)0)->route));
			if (r->method == METHOD_POST)
				assert_int_equal(r->flags & (ROUTE_KEY | ROUTE_EFFECT), ROUTE_KEY | ROUTE_EFFECT);
			if (!(r->flags & ROUTE_OPEN))
				assert_memory_equal(r->path, "/v1/", 4);
			for (const struct api *const *b = route_apis(); *b; b++)
				for (size_t k = 0; k < (*b)->n; k++)
					if (&(*b)->routes[k] != r)
						assert_string_not_equal((*b)->routes[k].id, r->id);
		}
	}
}

/* What the documents show must work: an example that the tables refuse is worse than none. */
static void
every_example_is_taken(void **state)
{
	unsigned examples = 0;

	(void)state;
	for (const struct api *const *a = route_apis(); *a; a++) {
		for (size_t i = 0; i < (*a)->n; i++) {
			const struct route *r = &(*a)->routes[i];
			void *target = mem_new(1, TARGET_BYTES);
			struct complaints c = {0};
			json_t *body;

			assert_true(r->example || !(r->flags & ROUTE_BODY));
			if (r->example) {
				assert_int_equal(shape_parse((const uint8_t *)r->example, strlen(r->example), &body), ERR_OK);
				assert_int_equal(shape_read(r->body, body, target, &c), ERR_OK);
				json_decref(body);
				examples++;
			}
			mem_free(target);
		}
	}
	assert_true(examples >= 5);
}

static void
what_is_written_is_read_back(void **state)
{
	struct buf out;
	struct writer w;
	json_t *j;

	(void)state;
	buf_init(&out, 4096);
	writer_init(&w, &out);
	writer_begin(&w, NULL, '{');
	writer_text(&w, "t\"", "\x01 \" \\ \n \xe2\x82\xac \x7f");
	writer_int(&w, "least", INT64_MIN);
	writer_int(&w, "most", INT64_MAX);
	writer_begin(&w, "a", '[');
	writer_bool(&w, NULL, true);
	writer_begin(&w, NULL, '{');
	writer_end(&w, '}');
	writer_time(&w, NULL, 1);
	writer_end(&w, ']');
	writer_end(&w, '}');
	assert_int_equal(w.e, ERR_OK);
	j = json_loadb((const char *)buf_at(&out), out.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "t\"")), "\x01 \" \\ \n \xe2\x82\xac \x7f");
	assert_int_equal(json_integer_value(json_object_get(j, "least")), INT64_MIN);
	assert_int_equal(json_integer_value(json_object_get(j, "most")), INT64_MAX);
	assert_int_equal(json_array_size(json_object_get(j, "a")), 3);
	json_decref(j);
	buf_clear(&out);
	buf_init(&out, 8);
	writer_init(&w, &out);
	writer_text(&w, NULL, "more than eight bytes");
	assert_int_equal(w.e, ERR_LIMIT);
	buf_clear(&out);
}

static int
set_up(void **state)
{
	(void)state;
	shape_open();
	return 0;
}

/* jansson passes over a NUL behind a number: at every place of a good body one is put in, and put in the place of a
 * byte. */
static void
a_nul_byte_is_no_json_wherever_it_stands(void **state)
{
	static const char good[] = "{" MONEY ",\"token\":\"tok_test_visa\",\"capture\":true }";
	char body[sizeof good + 1];
	json_t *j;
	(void)state;
	assert_int_equal(shape_parse((const uint8_t *)good, sizeof good - 1, &j), ERR_OK);
	json_decref(j);
	for (size_t at = 0; at < sizeof good; at++) {
		memcpy(body, good, at);
		body[at] = 0;
		memcpy(body + at + 1, good + at, sizeof good - 1 - at);
		assert_int_equal(shape_parse((const uint8_t *)body, sizeof good, &j), ERR_JSON);
		memcpy(body, good, sizeof good);
		body[at] = 0;
		assert_int_equal(shape_parse((const uint8_t *)body, sizeof good, &j), ERR_JSON);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wrong_body_has_its_code_and_pointer),
		cmocka_unit_test(all_complaints_come_at_once_and_are_bounded),
		cmocka_unit_test(the_hash_knows_the_request_and_not_its_spelling),
		cmocka_unit_test(queries_are_as_strict_as_bodies),
		cmocka_unit_test(paths_are_found_in_one_spelling_only),
		cmocka_unit_test(the_tables_keep_their_promises),
		cmocka_unit_test(every_example_is_taken),
		cmocka_unit_test(what_is_written_is_read_back),
		cmocka_unit_test(a_nul_byte_is_no_json_wherever_it_stands),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
