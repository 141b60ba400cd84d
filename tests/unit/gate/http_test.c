/* One HTTP request out of bytes: a table of what is refused, with which code, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/gate/http.h"

static const struct http_limits limits = {.head_bytes_max = HTTP_HEAD_BYTES_MAX,
										  .target_bytes_max = HTTP_TARGET_BYTES_MAX,
										  .body_bytes_max = 1024,
										  .headers_max = HTTP_HEADERS_MAX};

/* Feeds at most `piece` bytes at a time; 0 for all at once. */
static enum http_step
feed(struct http *h, const char *text, size_t n, size_t piece, size_t *eaten_out, enum err *why_out)
{
	enum http_step step = HTTP_MORE;
	size_t eaten;

	*eaten_out = 0;
	*why_out = ERR_OK;
	while (*eaten_out < n && (step == HTTP_MORE || step == HTTP_CONTINUE)) {
		size_t slice = piece && piece < n - *eaten_out ? piece : n - *eaten_out;

		step = http_feed(h, (const uint8_t *)text + *eaten_out, slice, &eaten, why_out);
		assert_true(eaten <= slice);
		*eaten_out += eaten;
	}
	return step;
}

#define H "Host: a\r\n"

static const struct {
	const char *what, *text;
	enum err why; /* ERR_OK: whole */
} table[] = {
	{"plain", "GET /livez HTTP/1.1\r\n" H "\r\n", ERR_OK},
	{"empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", ERR_OK},
	{"1.0 without host", "GET / HTTP/1.0\r\n\r\n", ERR_OK},
	{"chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", ERR_OK},
	{"trailer may not speak", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n", ERR_OK},
	{"no host", "GET / HTTP/1.1\r\n\r\n", ERR_MALFORMED},
	{"two hosts", "GET / HTTP/1.1\r\n" H H "\r\n", ERR_HEADER_DUPLICATE},
	{"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ERR_MALFORMED},
	{"host with a space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ERR_MALFORMED},
	{"absolute form", "GET http://a/ HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED},
	{"authority form", "CONNECT a:1 HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED},
	{"asterisk form", "OPTIONS * HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED},
	{"fragment", "GET /#x HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED},
	{"no version", "GET /\r\n\r\n", ERR_MALFORMED},
	{"0.9", "GET / HTTP/0.9\r\n" H "\r\n", ERR_MALFORMED},
	{"2.0", "GET / HTTP/2.0\r\n" H "\r\n", ERR_MALFORMED},
	{"9.9", "GET / HTTP/9.9\r\n" H "\r\n", ERR_MALFORMED},
	{"http/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ERR_MALFORMED},
	{"no method", "FOO / HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED},
	{"small method", "get / HTTP/1.1\r\n" H "\r\n", ERR_MALFORMED},
	{"bare LF", "GET / HTTP/1.1\nHost: a\n\n", ERR_MALFORMED},
	{"folded header", "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", ERR_MALFORMED},
	{"space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", ERR_MALFORMED},
	{"space in name", "GET / HTTP/1.1\r\n" H "X y: a\r\n\r\n", ERR_MALFORMED},
	{"control in value", "GET / HTTP/1.1\r\n" H "X: a\001b\r\n\r\n", ERR_MALFORMED},
	{"two lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", ERR_HEADER_DUPLICATE},
	{"the same length twice", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
	 ERR_HEADER_DUPLICATE},
	{"length list", "POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\nx", ERR_MALFORMED},
	{"length with plus", "POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\nx", ERR_MALFORMED},
	{"length below zero", "POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\nx", ERR_MALFORMED},
	{"length in hex", "POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\nx", ERR_MALFORMED},
	{"endless length", "POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999999\r\n\r\n", ERR_MALFORMED},
	{"length and chunked", "POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	 ERR_MALFORMED},
	{"chunked and length", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
	 ERR_MALFORMED},
	{"xchunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", ERR_MALFORMED},
	{"gzip, chunked", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ERR_MALFORMED},
	{"chunked twice",
	 "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	 ERR_HEADER_DUPLICATE},
	{"chunked in 1.0", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ERR_MALFORMED},
	{"bad chunk size", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n", ERR_MALFORMED},
	{"chunk longer than said", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
	 ERR_MALFORMED},
	{"body too large", "POST / HTTP/1.1\r\n" H "Content-Length: 1025\r\n\r\n", ERR_BODY_TOO_LARGE},
	{"packed body", "POST / HTTP/1.1\r\n" H "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", ERR_MEDIA_TYPE},
	{"unknown expectation", "POST / HTTP/1.1\r\n" H "Expect: tea\r\nContent-Length: 1\r\n\r\nx", ERR_EXPECT},
	{"two keys", "POST / HTTP/1.1\r\n" H "Idempotency-Key: a\r\nidempotency-key: b\r\n\r\n", ERR_HEADER_DUPLICATE},
	{"two types", "POST / HTTP/1.1\r\n" H "Content-Type: a\r\nContent-Type: b\r\n\r\n", ERR_HEADER_DUPLICATE},
	{"two traces", "POST / HTTP/1.1\r\n" H "traceparent: a\r\ntraceparent: b\r\n\r\n", ERR_HEADER_DUPLICATE},
	{"TLS in TLS", "\026\003\001\001\001\002\003", ERR_MALFORMED},
};

static void
each_bad_request_has_its_code_however_it_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (size_t piece = 0; piece < 4; piece++) {
			struct http *h = http_new(&limits);
			size_t eaten;
			enum err why;
			enum http_step step = feed(h, table[i].text, strlen(table[i].text), piece, &eaten, &why);

			if ((step == HTTP_WHOLE) != (table[i].why == ERR_OK) || (table[i].why && why != table[i].why))
				fail_msg("%s, pieces of %zu: step %d, %s", table[i].what, piece, step, err_code(why));
			if (step == HTTP_REFUSED) {
				assert_int_equal(feed(h, "GET / HTTP/1.1\r\n" H "\r\n", 27, 0, &eaten, &why), HTTP_REFUSED);
				assert_int_equal(eaten, 0);
			}
			http_free(h);
		}
	}
}

static enum err
refusal_of(const char *head, char filler, size_t n, const char *tail)
{
	size_t bytes = strlen(head) + n + strlen(tail), eaten;
	char *text = malloc(bytes + 1);
	struct http *h = http_new(&limits);
	enum err why;
	enum http_step step;

	strcpy(text, head);
	memset(text + strlen(head), filler, n);
	strcpy(text + strlen(head) + n, tail);
	step = feed(h, text, bytes, 1000, &eaten, &why);
	http_free(h);
	free(text);
	return step == HTTP_REFUSED ? why : ERR_OK;
}

static void
everything_has_a_ceiling(void **state)
{
	char many[8192] = "GET / HTTP/1.1\r\n" H;

	(void)state;
	assert_int_equal(refusal_of("GET /", 'a', 2047, " HTTP/1.1\r\n" H "\r\n"), ERR_OK);
	assert_int_equal(refusal_of("GET /", 'a', 2048, " HTTP/1.1\r\n" H "\r\n"), ERR_TARGET_TOO_LONG);
	assert_int_equal(refusal_of("GET / HTTP/1.1\r\n" H "X: ", 'a', 16000, "\r\n\r\n"), ERR_OK);
	assert_int_equal(refusal_of("GET / HTTP/1.1\r\n" H "X: ", 'a', 16384, "\r\n\r\n"), ERR_HEADERS_TOO_LARGE);
	/* of spaces and empty lines no callback tells */
	assert_int_equal(refusal_of("GET / HTTP/1.1\r\n" H "X: ", ' ', 20000, "a\r\n\r\n"), ERR_HEADERS_TOO_LARGE);
	assert_int_equal(refusal_of("", '\n', 20000, "GET / HTTP/1.1\r\n" H "\r\n"), ERR_HEADERS_TOO_LARGE);
	for (int i = 0; i < 63; i++)
		strcat(many, "X: 1\r\n");
	strcat(many, "\r\n");
	assert_int_equal(refusal_of(many, 'x', 0, ""), ERR_OK);
	strcpy(strrchr(many, 'X'), "X: 1\r\nX: 1\r\n\r\n");
	assert_int_equal(refusal_of(many, 'x', 0, ""), ERR_HEADERS_TOO_LARGE);
	/* chunks: the sum counts, and so does what stands between them */
	assert_int_equal(
		refusal_of("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n401\r\n", 'a', 0x401, "\r\n0\r\n\r\n"),
		ERR_BODY_TOO_LARGE);
	assert_int_equal(
		refusal_of("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;", 'a', 20000, "\r\nx\r\n0\r\n\r\n"),
		ERR_BODY_TOO_LARGE);
}

static void
requests_come_one_after_the_other(void **state)
{
	static const char two[] = "POST /a?b=c HTTP/1.1\r\n" H "IDEMPOTENCY-KEY:  k \t\r\nContent-Length: 2\r\n\r\n{}"
							  "GET /b HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
	struct http *h = http_new(&limits);
	size_t first, second;
	enum err why;

	(void)state;
	assert_false(http_began(h));
	assert_int_equal(feed(h, two, sizeof(two) - 1, 0, &first, &why), HTTP_WHOLE);
	assert_int_equal(http_method(h), METHOD_POST);
	assert_string_equal(http_target(h), "/a?b=c");
	assert_string_equal(http_header(h, HTTP_IDEMPOTENCY_KEY), "k");
	assert_null(http_header(h, HTTP_TRACEPARENT));
	assert_int_equal(http_body(h)->len, 2);
	assert_true(http_keep_alive(h));
	http_next(h);
	assert_false(http_began(h));
	assert_int_equal(http_body(h)->len, 0);
	assert_int_equal(feed(h, two + first, sizeof(two) - 1 - first, 0, &second, &why), HTTP_WHOLE);
	assert_int_equal(first + second, sizeof(two) - 1);
	assert_string_equal(http_target(h), "/b");
	assert_null(http_header(h, HTTP_IDEMPOTENCY_KEY));
	assert_false(http_keep_alive(h));
	http_free(h);
	/* an old client may ask for more than one request on a connection; it gets one */
	h = http_new(&limits);
	assert_int_equal(feed(h, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 44, 0, &first, &why), HTTP_WHOLE);
	assert_false(http_keep_alive(h));
	http_free(h);
}

static void
a_client_that_waits_is_told_to_go_on(void **state)
{
	static const char head[] = "POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n";
	struct http *h = http_new(&limits);
	size_t eaten;
	enum err why;

	(void)state;
	assert_int_equal(http_feed(h, (const uint8_t *)head, sizeof(head) - 1, &eaten, &why), HTTP_CONTINUE);
	assert_int_equal(eaten, sizeof(head) - 1);
	assert_int_equal(http_feed(h, (const uint8_t *)"{}", 2, &eaten, &why), HTTP_WHOLE);
	assert_int_equal(eaten, 2);
	assert_int_equal(http_body(h)->len, 2);
	http_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_bad_request_has_its_code_however_it_is_cut),
		cmocka_unit_test(everything_has_a_ceiling),
		cmocka_unit_test(requests_come_one_after_the_other),
		cmocka_unit_test(a_client_that_waits_is_told_to_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
