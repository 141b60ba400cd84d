#include "daemon/gate/http.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

#include "daemon/base/mem.h"

#define NAME_BYTES 32

struct http {
	llhttp_t parser;
	struct http_limits limits;
	struct buf head; /* the target and the values of known headers, each with its NUL */
	struct buf body;
	size_t head_bytes, body_bytes; /* raw, as fed */
	unsigned headers;
	uint16_t at[HTTP_HEADER_MAX]; /* offset in head; 0: not there (the target is at 0) */
	uint16_t value_at;
	char name[NAME_BYTES];
	size_t name_n;
	int which; /* header being read, -1: dropped */
	enum method method;
	enum err why;
	bool began, in_body, paused_at_head, whole, keep_alive, dead;
};

static const struct {
	const char *name;
	bool once;
} known[] = {
#define HEADER(ID, name, once) {name, once},
	HTTP_HEADERS(HEADER)
#undef HEADER
};

static const char *const method_names[] = {"", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"};

const char *
method_name(enum method m)
{
	return m < METHOD_MAX ? method_names[m] : "";
}

static int
refuse(struct http *h, enum err why)
{
	if (!h->why)
		h->why = why;
	return HPE_USER;
}

static int
on_message_begin(llhttp_t *p)
{
	((struct http *)p->data)->began = true;
	return 0;
}

static int
on_url(llhttp_t *p, const char *at, size_t n)
{
	struct http *h = p->data;

	if (h->head.len + n > h->limits.target_bytes_max)
		return refuse(h, ERR_TARGET_TOO_LONG);
	for (size_t i = 0; i < n; i++)
		if (at[i] <= 0x20 || at[i] > 0x7e || at[i] == '#')
			return refuse(h, ERR_MALFORMED);
	return buf_add(&h->head, at, n) ? refuse(h, ERR_MEMORY) : 0;
}

static int
on_url_complete(llhttp_t *p)
{
	struct http *h = p->data;

	/* Origin form only: an absolute target would name a second host, and the two could differ. */
	if (h->head.len == 0 || *buf_at(&h->head) != '/')
		return refuse(h, ERR_MALFORMED);
	return buf_add(&h->head, "", 1) ? refuse(h, ERR_MEMORY) : 0;
}

static int
on_header_field(llhttp_t *p, const char *at, size_t n)
{
	struct http *h = p->data;

	for (size_t i = 0; i < n; i++, h->name_n++)
		if (h->name_n < NAME_BYTES)
			h->name[h->name_n] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + 32 : at[i]);
	return 0;
}

static int
on_header_field_complete(llhttp_t *p)
{
	struct http *h = p->data;

	h->which = -1;
	if (++h->headers > h->limits.headers_max)
		return refuse(h, ERR_HEADERS_TOO_LARGE);
	/* A trailer may not say afterwards what the head did not. */
	if (!(p->flags & F_TRAILING) && h->name_n < NAME_BYTES) {
		h->name[h->name_n] = '\0';
		for (int i = 0; i < HTTP_HEADER_MAX; i++)
			if (strcmp(h->name, known[i].name) == 0)
				h->which = i;
	}
	h->name_n = 0;
	if (h->which >= 0 && h->at[h->which]) {
		if (known[h->which].once)
			return refuse(h, ERR_HEADER_DUPLICATE);
		h->which = -1; /* of a list header the first line is enough for us */
	}
	h->value_at = (uint16_t)h->head.len;
	return 0;
}

static int
on_header_value(llhttp_t *p, const char *at, size_t n)
{
	struct http *h = p->data;

	if (h->which < 0)
		return 0;
	return buf_add(&h->head, at, n) ? refuse(h, ERR_HEADERS_TOO_LARGE) : 0;
}

static int
on_header_value_complete(llhttp_t *p)
{
	struct http *h = p->data;
	const uint8_t *value;

	if (h->which < 0)
		return 0;
	value = buf_at(&h->head);
	while (h->head.len > h->value_at && (value[h->head.len - 1] == ' ' || value[h->head.len - 1] == '\t'))
		h->head.len--;
	h->at[h->which] = h->value_at;
	return buf_add(&h->head, "", 1) ? refuse(h, ERR_HEADERS_TOO_LARGE) : 0;
}

static bool
host_is_plain(const char *host)
{
	size_t n = strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]");

	return n > 0 && n < 256 && host[n] == '\0';
}

static enum method
method_of(const llhttp_t *p)
{
	static const struct {
		uint8_t theirs;
		enum method ours;
	} map[] = {{HTTP_HEAD, METHOD_HEAD}, {HTTP_GET, METHOD_GET},     {HTTP_POST, METHOD_POST},
			   {HTTP_PUT, METHOD_PUT},   {HTTP_PATCH, METHOD_PATCH}, {HTTP_DELETE, METHOD_DELETE}};

	for (size_t i = 0; i < sizeof(map) / sizeof(*map); i++)
		if (map[i].theirs == p->method)
			return map[i].ours;
	return METHOD_OTHER;
}

/* The rules of RFC 9112 that llhttp leaves to its user, in the order in which they are told. */
static enum err
check_head(struct http *h)
{
	const llhttp_t *p = &h->parser;
	const char *host = http_header(h, HTTP_HOST), *coding = http_header(h, HTTP_TRANSFER_ENCODING);
	const char *packing = http_header(h, HTTP_CONTENT_ENCODING), *expect = http_header(h, HTTP_EXPECT);
	bool http_1_0 = p->http_minor == 0;

	if (p->http_major != 1 || p->http_minor > 1)
		return ERR_MALFORMED;
	if (host ? !host_is_plain(host) : !http_1_0)
		return ERR_MALFORMED;
	if (coding && (http_1_0 || strcasecmp(coding, "chunked") != 0 || (p->flags & F_CONTENT_LENGTH)))
		return ERR_MALFORMED;
	if ((p->flags & F_CONTENT_LENGTH) && p->content_length > h->limits.body_bytes_max)
		return ERR_BODY_TOO_LARGE;
	if (packing && strcasecmp(packing, "identity") != 0)
		return ERR_MEDIA_TYPE;
	if (expect && !http_1_0 && strcasecmp(expect, "100-continue") != 0)
		return ERR_EXPECT;
	return ERR_OK;
}

static int
on_headers_complete(llhttp_t *p)
{
	struct http *h = p->data;
	enum err e;

	h->method = method_of(p);
	/* We never upgrade; RFC 9110 7.8 lets a server go on with the protocol it has. */
	p->upgrade = 0;
	if ((e = check_head(h))) {
		refuse(h, e);
		return -1;
	}
	h->in_body = true;
	if (p->http_minor == 1 && http_header(h, HTTP_EXPECT) && ((p->flags & F_CHUNKED) || p->content_length > 0)) {
		h->paused_at_head = true;
		return HPE_PAUSED;
	}
	return 0;
}

static int
on_body(llhttp_t *p, const char *at, size_t n)
{
	struct http *h = p->data;

	if (h->body.len + n > h->limits.body_bytes_max)
		return refuse(h, ERR_BODY_TOO_LARGE);
	return buf_add(&h->body, at, n) ? refuse(h, ERR_MEMORY) : 0;
}

static int
on_message_complete(llhttp_t *p)
{
	struct http *h = p->data;

	h->whole = true;
	h->keep_alive = p->http_minor == 1 && llhttp_should_keep_alive(p);
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_message_begin = on_message_begin,
										   .on_url = on_url,
										   .on_url_complete = on_url_complete,
										   .on_header_field = on_header_field,
										   .on_header_field_complete = on_header_field_complete,
										   .on_header_value = on_header_value,
										   .on_header_value_complete = on_header_value_complete,
										   .on_headers_complete = on_headers_complete,
										   .on_body = on_body,
										   .on_message_complete = on_message_complete};

struct http *
http_new(const struct http_limits *limits)
{
	struct http *h = mem_new(1, sizeof(*h));

	if (!h)
		return NULL;
	h->limits = *limits;
	llhttp_init(&h->parser, HTTP_REQUEST, &settings);
	h->parser.data = h;
	buf_init(&h->head, limits->head_bytes_max + HTTP_HEADER_MAX + 1);
	buf_init(&h->body, limits->body_bytes_max);
	return h;
}

void
http_free(struct http *h)
{
	if (!h)
		return;
	buf_clear(&h->head);
	buf_clear(&h->body);
	mem_free(h);
}

void
http_drop_body(struct http *h)
{
	/* A big body's room is not kept for the life of a connection. */
	if (h->body.cap > 4096)
		buf_clear(&h->body);
	else
		buf_reset(&h->body);
}

void
http_next(struct http *h)
{
	llhttp_errno_t e = llhttp_get_errno(&h->parser);

	http_drop_body(h);
	buf_reset(&h->head);
	memset(h->at, 0, sizeof(h->at));
	h->head_bytes = h->body_bytes = 0;
	h->headers = 0;
	h->began = h->in_body = h->paused_at_head = h->whole = false;
	if (e == HPE_PAUSED)
		llhttp_resume(&h->parser);
}

/* One call of llhttp; returns how many bytes it took. */
static size_t
execute(struct http *h, const uint8_t *bytes, size_t n, llhttp_errno_t *e_out)
{
	*e_out = llhttp_execute(&h->parser, (const char *)bytes, n);
	if (*e_out == HPE_OK)
		return n;
	return (size_t)(llhttp_get_error_pos(&h->parser) - (const char *)bytes);
}

/* The head is bounded as it is fed, spaces and empty lines included, of which no callback tells. */
static enum err
check_sizes(struct http *h, size_t eaten, bool was_body)
{
	if (was_body) {
		h->body_bytes += eaten;
		/* Chunks of one byte cost six: some overhead is a client's right, endless extensions are not. */
		return h->body_bytes > 8 * h->limits.body_bytes_max + 4096 ? ERR_BODY_TOO_LARGE : ERR_OK;
	}
	h->head_bytes += eaten;
	return !h->in_body && h->head_bytes > h->limits.head_bytes_max ? ERR_HEADERS_TOO_LARGE : ERR_OK;
}

enum http_step
http_feed(struct http *h, const uint8_t *bytes, size_t n, size_t *eaten_out, enum err *why_out)
{
	llhttp_errno_t e = HPE_OK;

	*eaten_out = 0;
	*why_out = h->why ? h->why : ERR_MALFORMED;
	if (h->dead)
		return HTTP_REFUSED;
	if (h->paused_at_head) {
		h->paused_at_head = false;
		llhttp_resume(&h->parser);
	}
	while (*eaten_out < n && e == HPE_OK) {
		size_t slice = n - *eaten_out, room = h->limits.head_bytes_max + 1 - h->head_bytes, eaten;
		bool was_body = h->in_body;

		if (!was_body && slice > room)
			slice = room;
		eaten = execute(h, bytes + *eaten_out, slice, &e);
		*eaten_out += eaten;
		if ((*why_out = check_sizes(h, eaten, was_body))) {
			h->dead = true;
			return HTTP_REFUSED;
		}
	}
	if (e == HPE_OK)
		return HTTP_MORE;
	if (e == HPE_PAUSED && h->whole)
		return HTTP_WHOLE;
	if (e == HPE_PAUSED && h->paused_at_head)
		return HTTP_CONTINUE;
	h->dead = true;
	*why_out = h->why ? h->why : ERR_MALFORMED;
	return HTTP_REFUSED;
}

bool
http_began(const struct http *h)
{
	return h->began || h->head_bytes > 0;
}

enum method
http_method(const struct http *h)
{
	return h->method;
}

const char *
http_target(const struct http *h)
{
	return (const char *)buf_at(&h->head);
}

const char *
http_header(const struct http *h, enum http_header which)
{
	return h->at[which] ? (const char *)buf_at(&h->head) + h->at[which] : NULL;
}

const struct buf *
http_body(const struct http *h)
{
	return &h->body;
}

bool
http_keep_alive(const struct http *h)
{
	return h->keep_alive;
}
