#include "daemon/gate/denied.h"
#include "daemon/gate/request.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/gate/conn.h"
#include "daemon/gate/problem.h"
#include "daemon/gate/query.h"
#include "daemon/gate/rate.h"
#include "daemon/gate/readiness.h"
#include "daemon/gate/route.h"
#include "daemon/gate/story.h"
#include "daemon/wire/proc.h"

#define ANSWER_BYTES_MAX (1u << 20)
#define EXTRA_BYTES_MAX  1024

/* One answer is written at a time: its body, then head and body in one run for one TLS record. */
static struct buf body_out, whole_out;
static struct writer writer;

struct writer *
request_writer(void)
{
	if (!body_out.max)
		buf_init(&body_out, ANSWER_BYTES_MAX);
	buf_reset(&body_out);
	writer_init(&writer, &body_out);
	return &writer;
}

/* ── life ── */

static struct request *
make(struct conn *conn, struct http *http, const struct request_origin *from)
{
	struct request *r = mem_new(1, sizeof(*r));
	struct id id;

	if (!r)
		return NULL;
	r->conn = conn;
	r->http = http;
	r->loopback = from->loopback;
	r->cert_expires_at_s = from->cert_expires_at_s;
	r->began_us = clock_mono_us();
	r->keep_alive = http && http_keep_alive(http);
	r->head_only = http && http_method(http) == METHOD_HEAD;
	buf_init(&r->extra, EXTRA_BYTES_MAX);
	id_new("req", clock_wall_ms(), &id);
	memcpy(r->caller.request_id, id.text, sizeof(id.text));
	memcpy(r->caller.cert_sha256, from->cert_sha256, sizeof(r->caller.cert_sha256));
	if (str_set(r->caller.ip, sizeof(r->caller.ip), from->ip))
		r->caller.ip[0] = '\0';
	conn_expect(conn, r);
	return r;
}

static void
release(struct request *r)
{
	if (r->conn)
		conn_expect(r->conn, NULL);
	json_decref(r->body);
	buf_clear(&r->extra);
	mem_free(r->state);
	mem_free(r);
}

void
request_orphan(struct request *r)
{
	r->conn = NULL;
	r->http = NULL;
}

void
request_waits(struct request *r, enum process who)
{
	r->waits_for = who;
	r->waits_since_us = clock_mono_us();
}

/* Somebody has answered, or failed to. */
static void
wait_over(struct request *r)
{
	uint32_t *sum = r->waits_for == PROCESS_VAULT    ? &r->vault_us
					: r->waits_for == PROCESS_LEDGER ? &r->ledger_us
													 : NULL;
	if (sum)
		*sum += (uint32_t)(clock_mono_us() - r->waits_since_us);
	r->waits_for = PROCESS_MONITOR;
}

void
request_about(struct request *r, const char *payment)
{
	if (str_set(r->payment, sizeof(r->payment), payment))
		r->payment[0] = '\0';
}

bool
request_alive(struct request *r)
{
	wait_over(r);
	if (r->conn)
		return true;
	release(r);
	return false;
}

enum err
request_peer_error(enum err e, enum process who)
{
	if (e != ERR_PEER_AWAY)
		return e;
	return who == PROCESS_VAULT ? ERR_VAULT_AWAY : who == PROCESS_LEDGER ? ERR_LEDGER_AWAY : e;
}

/* ── trace: our own span in the caller's trace, or a trace of our own ── */

static bool
is_traceparent(const char *t)
{
	if (!t || strlen(t) != 55 || memcmp(t, "00-", 3) != 0 || t[35] != '-' || t[52] != '-')
		return false;
	for (size_t i = 3; i < 55; i++)
		if (i != 35 && i != 52 && !strchr("0123456789abcdef", t[i]))
			return false;
	return strspn(t + 3, "0") < 32 && strspn(t + 36, "0") < 16;
}

static void
begin_trace(struct request *r, const char *given)
{
	uint8_t random[24];
	char hex[2 * sizeof(random) + 1];
	char *to = r->caller.traceparent;
	bool ours = !is_traceparent(given);

	randombytes_buf(random, sizeof(random));
	str_hex(random, sizeof(random), hex);
	/* by hand: two of these lines are written for every answer */
	memcpy(to, "00-", 3);
	memcpy(to + 3, ours ? hex : given + 3, 32);
	to[35] = '-';
	memcpy(to + 36, hex + 32, 16);
	to[52] = '-';
	memcpy(to + 53, ours ? "01" : given + 53, 3);
}

/* ── the answer ── */

static const char *
reason_of(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {{200, "OK"},
				   {201, "Created"},
				   {202, "Accepted"},
				   {204, "No Content"},
				   {400, "Bad Request"},
				   {401, "Unauthorized"},
				   {402, "Payment Required"},
				   {403, "Forbidden"},
				   {404, "Not Found"},
				   {405, "Method Not Allowed"},
				   {406, "Not Acceptable"},
				   {408, "Request Timeout"},
				   {409, "Conflict"},
				   {412, "Precondition Failed"},
				   {413, "Content Too Large"},
				   {414, "URI Too Long"},
				   {415, "Unsupported Media Type"},
				   {417, "Expectation Failed"},
				   {422, "Unprocessable Content"},
				   {429, "Too Many Requests"},
				   {431, "Request Header Fields Too Large"},
				   {500, "Internal Server Error"},
				   {502, "Bad Gateway"},
				   {503, "Service Unavailable"},
				   {504, "Gateway Timeout"}};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Status";
}

/* RFC 9110 5.6.7, made once a second; by hand because strftime's names follow the locale. */
static const char *
date_text(void)
{
	static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static char text[40];
	static time_t made_at;
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	if (now == made_at || !gmtime_r(&now, &tm))
		return text;
	made_at = now;
	(void)snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
				   months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
	return text;
}

static void
count(const struct request *r, int status)
{
	struct page *page = proc_page();

	if (!page)
		return;
	page_add(page, METRIC_REQUESTS, 1);
	page_add(page, status < 400 ? METRIC_REQUESTS_2XX : status < 500 ? METRIC_REQUESTS_4XX : METRIC_REQUESTS_5XX, 1);
	page_observe(page, METRIC_REQUEST_SECONDS, (uint64_t)(clock_mono_us() - r->began_us));
}

void
request_header(struct request *r, const char *name, const char *value)
{
	if (buf_printf(&r->extra, "%s: %s\r\n", name, value))
		log_warn("header left out", LOG_S("header", name));
}

static enum err
write_head(const struct request *r, int status, const char *media_type)
{
	const char code[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10), ' ',
						 '\0'};
	const char *const parts[] = {"HTTP/1.1 ",
								 code,
								 reason_of(status),
								 "\r\nDate: ",
								 date_text(),
								 "\r\nRequest-Id: ",
								 r->caller.request_id,
								 "\r\ntraceparent: ",
								 r->caller.traceparent,
								 "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
								 r->keep_alive ? "" : "Connection: close\r\n"};
	enum err e = ERR_OK;

	if (!whole_out.max)
		buf_init(&whole_out, ANSWER_BYTES_MAX + 4096);
	buf_reset(&whole_out);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && !e; i++)
		e = buf_add_text(&whole_out, parts[i]);
	if (!e && r->extra.len)
		e = buf_add(&whole_out, buf_at(&r->extra), r->extra.len);
	if (!e && status == 204)
		return buf_add(&whole_out, "\r\n", 2);
	if (!e)
		e = buf_printf(&whole_out, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", media_type, body_out.len);
	return e || r->head_only ? e : buf_add(&whole_out, buf_at(&body_out), body_out.len);
}

void
request_send_as(struct request *r, int status, const char *media_type)
{
	struct conn *conn = r->conn;
	bool keep;

	if (status != 204 && writer.e) {
		log_warn("answer could not be written", LOG_E("code", writer.e), LOG_I("status", status));
		request_fail(r, ERR_INTERNAL);
		return;
	}
	count(r, status);
	story_keep(r, status);
	if (conn_stopping())
		r->keep_alive = false;
	keep = r->keep_alive;
	if (conn && write_head(r, status, media_type))
		keep = false;
	release(r);
	if (conn)
		conn_answer(conn, buf_at(&whole_out), whole_out.len, keep);
}

void
request_send(struct request *r, int status)
{
	request_send_as(r, status, "application/json");
}

void
request_fail_with(struct request *r, enum err e, const sp_payment_view *payment)
{
	struct problem p = {.code = e,
						.request_id = r->caller.request_id,
						.traceparent = r->caller.traceparent,
						.complaints = &r->complaints,
						.payment = payment};
	unsigned retry_after_s = problem_retry_after_s(e);

	if (retry_after_s) {
		char seconds[12];

		(void)snprintf(seconds, sizeof(seconds), "%u", retry_after_s);
		request_header(r, "Retry-After", seconds);
	}
	r->code = e;
	if (payment)
		request_about(r, payment->id);
	denied_count(e, &r->caller);
	if (err_severity(e) == SEVERITY_PANIC)
		log_warn("internal error", LOG_S("request", r->caller.request_id), LOG_E("code", e));
	problem_write(request_writer(), &p);
	request_send_as(r, err_http(e), "application/problem+json");
}

void
request_fail(struct request *r, enum err e)
{
	request_fail_with(r, e, NULL);
}

/* ── checks, in order ── */

/* Is JSON among what is accepted? Weights are not compared: there is one representation. */
static bool
accepts_json(const char *accept)
{
	static const char *const fitting[] = {"application/json", "*/*",        "application/*", "application/problem+json",
										  "text/*",           "text/plain", "text/html"};

	if (!accept || !*accept)
		return true;
	for (const char *p = accept; *p; p += strcspn(p, ","), p += *p == ',') {
		p += strspn(p, " \t");
		for (size_t i = 0; i < sizeof(fitting) / sizeof(*fitting); i++) {
			size_t n = strlen(fitting[i]);

			if (strncasecmp(p, fitting[i], n) == 0 && strchr(",; \t", p[n]))
				return true;
		}
	}
	return false;
}

static bool
is_json(const char *type)
{
	size_t n = strlen("application/json");

	if (!type || strncasecmp(type, "application/json", n) != 0)
		return false;
	type += n + strspn(type + n, " \t");
	if (*type == '\0')
		return true;
	if (*type++ != ';')
		return false;
	type += strspn(type, " \t");
	return strcasecmp(type, "charset=utf-8") == 0 || strcasecmp(type, "charset=\"utf-8\"") == 0;
}

static enum err
check_key(const struct http *http)
{
	const char *key = http_header(http, HTTP_IDEMPOTENCY_KEY);

	if (!key)
		return ERR_IDEMPOTENCY_MISSING;
	return str_visible(key, 255) ? ERR_OK : ERR_IDEMPOTENCY_KEY;
}

static enum err
parse_body(struct request *r)
{
	const struct buf *body = http_body(r->http);
	const struct route *route = r->route;
	enum err e;

	if (body->len == 0)
		return route->flags & ROUTE_BODY ? ERR_JSON : ERR_OK;
	if (!route->body)
		return ERR_MALFORMED;
	if (!is_json(http_header(r->http, HTTP_CONTENT_TYPE)))
		return ERR_MEDIA_TYPE;
	e = shape_parse(buf_at(body), body->len, &r->body);
	http_drop_body(r->http);
	return e;
}

static enum err
check_query(struct request *r)
{
	return !r->route->query && strchr(http_target(r->http), '?') ? ERR_QUERY : ERR_OK;
}

/* Said with every answer to a client that is known, so that a good one need never run into it. */
static enum err
check_rate(struct request *r)
{
	uint32_t quota = (uint32_t)conf_int(proc_conf(), CONF_GATE_RATE), left;
	bool may = rate_take(r->caller.cert_sha256, quota, r->began_us, &left);

	if (buf_printf(&r->extra, "RateLimit-Policy: \"client\";q=%u;w=1\r\nRateLimit: \"client\";r=%u;t=1\r\n", quota,
				   left))
		log_warn("header left out", LOG_S("header", "RateLimit"));
	r->rate_left = left;
	return may ? ERR_OK : ERR_RATE_LIMIT;
}

/* Everything after the caller is known; ends in the act. */
static void
go_on(struct request *r)
{
	const struct route *route = r->route;
	enum err e = ERR_OK;

	if (!(route->flags & ROUTE_OPEN)) {
		if (!(r->client = client_cache_find(r->caller.cert_sha256)))
			e = ERR_LEDGER_AWAY;
		else if (r->client->standing)
			e = r->client->standing;
		else if (!(e = check_rate(r)) && !client_cache_allows(r->client, route->scope))
			e = ERR_SCOPE;
	}
	if (!e && (route->flags & ROUTE_EFFECT))
		e = readiness_refusal(true);
	if (!e && (route->flags & ROUTE_KEY))
		e = check_key(r->http);
	if (!e && !(e = check_query(r)))
		e = parse_body(r);
	if (e)
		request_fail(r, e);
	else
		route->act(r);
}

static void
on_client(void *arg, enum err e)
{
	struct request *r = arg;

	if (!request_alive(r))
		return;
	if (e)
		request_fail(r, e);
	else
		go_on(r);
}

void
request_begin(struct conn *conn, struct http *http, const struct request_origin *from)
{
	struct request *r = make(conn, http, from);
	char allow[64];
	enum err e;

	if (!r) {
		conn_answer(conn, "", 0, false);
		return;
	}
	begin_trace(r, http_header(http, HTTP_TRACEPARENT));
	e = route_find(http_method(http), http_target(http), r->object, sizeof(r->object), allow, sizeof(allow), &r->route);
	if (e == ERR_METHOD)
		request_header(r, "Allow", allow);
	if (!e && !accepts_json(http_header(http, HTTP_ACCEPT)))
		e = ERR_NOT_ACCEPTABLE;
	if (!e && !(r->route->flags & ROUTE_OPEN))
		e = readiness_refusal(false);
	if (e) {
		request_fail(r, e);
		return;
	}
	if ((r->route->flags & ROUTE_OPEN) || client_cache_find(r->caller.cert_sha256)) {
		go_on(r);
		return;
	}
	if ((e = client_cache_ask(r->caller.cert_sha256, on_client, r)))
		request_fail(r, e);
}

void
request_refuse(struct conn *conn, enum err why, const struct request_origin *from)
{
	struct request *r = make(conn, NULL, from);

	if (!r) {
		conn_answer(conn, "", 0, false);
		return;
	}
	begin_trace(r, NULL);
	request_fail(r, why);
}

/* ── for acts ── */

bool
request_read(struct request *r, void *target)
{
	enum err e;

	if (r->route->query)
		e = query_read(r->route->query, http_target(r->http), target, &r->complaints);
	else
		e = ERR_OK;
	if (!e && r->route->body && r->body)
		e = shape_read(r->route->body, r->body, target, &r->complaints);
	if (!e)
		return true;
	request_fail(r, e);
	return false;
}

bool
request_idem(struct request *r, const char *except, sp_idem *out)
{
	char path[HTTP_TARGET_BYTES_MAX + 1];
	const char *target = http_target(r->http);
	enum err e;

	(void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(target, "?"), target);
	if ((e = str_set(out->key, sizeof(out->key), http_header(r->http, HTTP_IDEMPOTENCY_KEY))) ||
		(e = str_set(out->route, sizeof(out->route), r->route->id)) ||
		(e = shape_hash(method_name(r->route->method), path, r->body, except, out->body_sha256))) {
		request_fail(r, e);
		return false;
	}
	json_decref(r->body);
	r->body = NULL;
	return true;
}
