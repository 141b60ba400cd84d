/* The HTTP reader on any bytes, in pieces of any size: it never reads past them and keeps what it promises. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/gate/http.h"
#include "daemon/gate/operation.h"
#include "daemon/gate/query.h"
#include "daemon/gate/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* What the next readers make of the target: a route or none, a query or a complaint. */
static void
try_target(enum method method, const char *target)
{
	sp_list_query query = sp_list_query_init_zero;
	struct complaints c = {0};
	char object[48], allow[64];
	const struct route *r;
	enum err e = route_find(method, target, object, sizeof(object), allow, sizeof(allow), &r);

	assert((r != NULL) == (e == ERR_OK || e == ERR_ID_FORM));
	assert(strlen(object) < sizeof(object) && strlen(allow) < sizeof(allow));
	e = query_read(&operation_list_query, target, &query, &c);
	assert((e == ERR_OK) == (c.n == 0));
	assert(e || query.limit <= 100);
}

static void
check_whole(const struct http *h)
{
	assert(http_target(h)[0] == '/' && strlen(http_target(h)) <= 256);
	for (int i = 0; i < HTTP_HEADER_MAX; i++) {
		const char *value = http_header(h, (enum http_header)i);

		assert(!value || strlen(value) <= 1024);
	}
	assert(http_body(h)->len <= 512);
	try_target(http_method(h), http_target(h));
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	static const struct http_limits limits = {
		.head_bytes_max = 1024, .target_bytes_max = 256, .body_bytes_max = 512, .headers_max = 8};
	struct http *h = http_new(&limits);
	size_t piece = n ? bytes[0] % 64 + 1u : 1, at = n ? 1 : 0;

	assert(h);
	while (at < n) {
		size_t slice = piece < n - at ? piece : n - at, eaten;
		enum err why;
		enum http_step step = http_feed(h, bytes + at, slice, &eaten, &why);

		assert(eaten <= slice);
		assert(step != HTTP_MORE || eaten == slice);
		at += eaten;
		if (step == HTTP_REFUSED)
			break;
		if (step == HTTP_WHOLE) {
			check_whole(h);
			http_next(h);
		}
	}
	http_free(h);
	return 0;
}
