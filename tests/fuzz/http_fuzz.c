/* The HTTP reader on any bytes, in pieces of any size: it never reads past them and keeps what it promises. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/gate/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void
check_whole(const struct http *h)
{
	assert(http_target(h)[0] == '/' && strlen(http_target(h)) <= 256);
	for (int i = 0; i < HTTP_HEADER_MAX; i++) {
		const char *value = http_header(h, (enum http_header)i);

		assert(!value || strlen(value) <= 1024);
	}
	assert(http_body(h)->len <= 512);
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
