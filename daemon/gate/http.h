/*
 * http — one HTTP/1.1 request out of a stream of bytes, strictly.
 * Invariants: at most http_limits are held; after a refusal nothing more of the connection is read as a request (what
 *   follows could be smuggled); a request has exactly one Host, an origin-form target, no transfer coding but chunked,
 *   and no header twice that may stand once. Nothing here does I/O.
 * Source: RFC 9110, RFC 9112; llhttp in its strict mode.
 */
#ifndef DAEMON_GATE_HTTP_H
#define DAEMON_GATE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

enum method { METHOD_OTHER, METHOD_HEAD, METHOD_GET, METHOD_POST, METHOD_PUT, METHOD_PATCH, METHOD_DELETE, METHOD_MAX };

/* The headers that anybody here reads; all others are counted and dropped. HEADER(ID, "name", may stand once only). */
#define HTTP_HEADERS(HEADER)                             \
	HEADER(HOST, "host", true)                           \
	HEADER(CONTENT_LENGTH, "content-length", true)       \
	HEADER(CONTENT_TYPE, "content-type", true)           \
	HEADER(CONTENT_ENCODING, "content-encoding", true)   \
	HEADER(TRANSFER_ENCODING, "transfer-encoding", true) \
	HEADER(EXPECT, "expect", true)                       \
	HEADER(IDEMPOTENCY_KEY, "idempotency-key", true)     \
	HEADER(ACCEPT, "accept", true)                       \
	HEADER(PREFER, "prefer", false)                      \
	HEADER(TRACEPARENT, "traceparent", true)             \
	HEADER(AUTHORIZATION, "authorization", true)

enum http_header {
#define HEADER(ID, name, once) HTTP_##ID,
	HTTP_HEADERS(HEADER)
#undef HEADER
		HTTP_HEADER_MAX
};

struct http_limits {
	size_t head_bytes_max, target_bytes_max, body_bytes_max;
	unsigned headers_max;
};
/* What every connection gets but for the body, which the configuration bounds. */
#define HTTP_HEAD_BYTES_MAX   16384
#define HTTP_TARGET_BYTES_MAX 2048
#define HTTP_HEADERS_MAX      64

struct http;

enum http_step {
	HTTP_MORE,     /* all bytes eaten, the request is not whole */
	HTTP_CONTINUE, /* the client waits for "100 Continue"; feed on after sending it */
	HTTP_WHOLE,    /* one request is there; http_next before the next feed */
	HTTP_REFUSED   /* never feed this connection again */
};

/* NULL: no memory. */
struct http *http_new(const struct http_limits *limits);
void http_free(struct http *h); /* NULL is fine; wipes */
/*
 * http_feed(h, bytes, n, eaten_out, why_out)
 *   eaten_out   how many of the n bytes belong to what was read so far; the rest is the next request's.
 *   why_out     of HTTP_REFUSED: ERR_MALFORMED · ERR_HEADERS_TOO_LARGE · ERR_TARGET_TOO_LONG · ERR_BODY_TOO_LARGE ·
 *               ERR_HEADER_DUPLICATE · ERR_EXPECT · ERR_MEDIA_TYPE · ERR_MEMORY.
 */
enum http_step http_feed(struct http *h, const uint8_t *bytes, size_t n, size_t *eaten_out, enum err *why_out);
/* Forget (and wipe) the request that was whole. */
void http_next(struct http *h);
/* Has a byte of a request arrived that is not whole yet? */
bool http_began(const struct http *h);

/* Of a whole request; borrowed until http_next. */
enum method http_method(const struct http *h);
const char *http_target(const struct http *h); /* "/v1/payments?mode=async", visible ASCII */
/* NULL when it was not sent. */
const char *http_header(const struct http *h, enum http_header which);
const struct buf *http_body(const struct http *h);
/* Wipe the body as soon as it is parsed: a card number waits nowhere for an answer. */
void http_drop_body(struct http *h);
/* May another request follow on this connection? Never for HTTP/1.0. */
bool http_keep_alive(const struct http *h);

const char *method_name(enum method m);

#endif
