#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/gate/docs_page.h"
#include "daemon/gate/openapi.h"
#include "daemon/gate/prometheus.h"
#include "daemon/gate/readiness.h"
#include "daemon/gate/request.h"
#include "daemon/wire/proc.h"

static void
act_livez(struct request *r)
{
	struct writer *w = request_writer();

	writer_begin(w, NULL, '{');
	writer_text(w, "status", "live");
	writer_end(w, '}');
	request_send(r, 200);
}

/* State, cause and checks in the words of `sallyport status`; failing_only is the readiness probe's short form. */
static void
send_health(struct request *r, bool failing_only)
{
	struct health h = readiness_now();
	struct writer *w = request_writer();
	char line[256], detail[256];

	health_line(h, line, sizeof(line));
	health_detail(h, detail, sizeof(detail));
	writer_begin(w, NULL, '{');
	writer_text(w, "status", page_state_word(h.state));
	writer_text(w, "line", line);
	if (h.cause) {
		writer_text(w, "code", err_code(h.cause));
		writer_text(w, "detail", detail);
		writer_text(w, "next", health_next(h));
		writer_text(w, "runbook", err_runbook(h.cause));
	}
	writer_bool(w, "livemode", strcmp(conf_text(proc_conf(), CONF_MODE), "live") == 0);
	writer_begin(w, "checks", '{');
	(void)readiness_checks(w, failing_only);
	writer_end(w, '}');
	writer_time(w, "at", clock_wall_ms());
	writer_end(w, '}');
	request_send(r, h.state == PAGE_SERVING ? 200 : 503);
}

static void
act_readyz(struct request *r)
{
	send_health(r, true);
}

static void
act_health(struct request *r)
{
	send_health(r, false);
}

static void
act_version(struct request *r)
{
	struct writer *w = request_writer();

	writer_begin(w, NULL, '{');
	writer_text(w, "name", "sallyport");
	writer_text(w, "version", PACKAGE_VERSION);
	writer_text(w, "api", "v1");
	writer_end(w, '}');
	request_send(r, 200);
}

static void
send_metrics(struct request *r)
{
	struct writer *w = request_writer();

	w->e = prometheus_write(w->out);
	request_send_as(r, 200, PROMETHEUS_TYPE);
}

static void
on_metrics_client(void *arg, enum err e)
{
	struct request *r = arg;
	const struct client *c;

	if (!request_alive(r))
		return;
	c = client_cache_find(r->caller.cert_sha256);
	if (e || !c || c->standing || !client_cache_allows(c, SCOPE_OPS_READ))
		request_fail(r, ERR_LOOPBACK_ONLY);
	else
		send_metrics(r);
}

/* A scraper on the host needs no client record; from elsewhere it is a client like any other. */
static void
act_metrics(struct request *r)
{
	if (r->loopback)
		send_metrics(r);
	else if (client_cache_find(r->caller.cert_sha256))
		on_metrics_client(r, ERR_OK);
	else if (client_cache_ask(r->caller.cert_sha256, on_metrics_client, r))
		request_fail(r, ERR_LOOPBACK_ONLY);
}

static void
act_whoami(struct request *r)
{
	const struct client *c = r->client;
	struct writer *w = request_writer();

	writer_begin(w, NULL, '{');
	writer_text(w, "id", c->name);
	writer_text(w, "object", "client");
	writer_bool(w, "livemode", c->livemode);
	writer_text(w, "install", c->install);
	writer_begin(w, "scopes", '[');
	for (int s = 0; s < SCOPE_MAX; s++)
		if (client_cache_allows(c, (enum scope)s))
			writer_text(w, NULL, client_cache_scope_name((enum scope)s));
	writer_end(w, ']');
	writer_begin(w, "merchants", '[');
	for (unsigned i = 0; i < c->merchants_n; i++)
		writer_text(w, NULL, c->merchants[i]);
	writer_end(w, ']');
	writer_begin(w, "certificate", '{');
	writer_hex(w, "sha256", c->cert_sha256, sizeof(c->cert_sha256));
	writer_time(w, "expires_at", r->cert_expires_at_s * 1000);
	writer_end(w, '}');
	writer_begin(w, "limits", '{');
	writer_int(w, "requests_per_second", conf_int(proc_conf(), CONF_GATE_RATE));
	writer_int(w, "requests_left", r->rate_left);
	writer_end(w, '}');
	writer_text(w, "address", r->caller.ip);
	writer_time(w, "server_time", clock_wall_ms());
	writer_end(w, '}');
	request_send(r, 200);
}

static void
act_openapi(struct request *r)
{
	openapi_write(request_writer());
	request_send(r, 200);
}

static void
act_docs(struct request *r)
{
	struct writer *w = request_writer();

	w->e = docs_page_write(w->out);
	/* nothing is loaded from anywhere; the style stands in the page */
	request_header(r, "Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'");
	request_send_as(r, 200, DOCS_PAGE_TYPE);
}

static void
act_problem(struct request *r)
{
	struct writer *w = request_writer();

	for (int e = 1; e < ERR_MAX; e++) {
		if (strcmp(err_code((enum err)e), r->object) != 0)
			continue;
		writer_begin(w, NULL, '{');
		writer_text(w, "object", "problem_type");
		writer_text(w, "code", err_code((enum err)e));
		writer_text(w, "title", err_title((enum err)e));
		writer_int(w, "status", err_http((enum err)e));
		writer_text(w, "category", err_category((enum err)e));
		writer_bool(w, "retryable", err_retryable((enum err)e));
		writer_text(w, "next", err_next((enum err)e));
		if (*err_runbook((enum err)e))
			writer_text(w, "runbook", err_runbook((enum err)e));
		writer_end(w, '}');
		request_send(r, 200);
		return;
	}
	request_fail(r, ERR_ROUTE);
}

static const struct {
	const char *outcome, *number, *token;
	int64_t amount;
	const char *decline_code, *network_code, *advice;
} test_values[] = {
#define TEST(outcome, number, token, amount, decline_code, network_code, advice) \
	{#outcome, number, token, amount, decline_code, network_code, advice},
#include "policy/test_values.def"
#undef TEST
};

static void
act_test_values(struct request *r)
{
	struct writer *w;

	if (strcmp(conf_text(proc_conf(), CONF_MODE), "test") != 0) {
		request_fail(r, ERR_ROUTE);
		return;
	}
	w = request_writer();
	writer_begin(w, NULL, '{');
	writer_text(w, "object", "list");
	writer_begin(w, "data", '[');
	for (size_t i = 0; i < sizeof(test_values) / sizeof(*test_values); i++) {
		writer_begin(w, NULL, '{');
		writer_text(w, "object", "test_value");
		writer_text(w, "outcome", test_values[i].outcome);
		writer_text(w, "number", test_values[i].number);
		writer_text(w, "token", test_values[i].token);
		writer_int(w, "amount", test_values[i].amount);
		writer_text(w, "decline_code", test_values[i].decline_code);
		writer_text(w, "network_code", test_values[i].network_code);
		writer_text(w, "advice", test_values[i].advice);
		writer_end(w, '}');
	}
	writer_end(w, ']');
	writer_bool(w, "has_more", false);
	writer_end(w, '}');
	request_send(r, 200);
}

#define OPEN(path_, id_, act_, summary_)                                                             \
	{                                                                                                \
		METHOD_GET, path_, id_, ROUTE_OPEN, SCOPE_NONE, NULL, NULL, act_, 200, NULL, false, summary_ \
	}

static const struct route routes[] = {
	OPEN("/livez", "livez", act_livez, "Does the process run?"),
	OPEN("/readyz", "readyz", act_readyz,
		 "Should traffic come here? With the failing checks; 503 when any appliance but this one would do better"),
	OPEN("/health", "health", act_health, "State, cause and checks"),
	OPEN("/version", "version", act_version, "Which version runs"),
	OPEN("/metrics", "metrics", act_metrics, "Figures for Prometheus; on loopback or with the scope ops:read"),
	OPEN("/openapi.json", "openapi", act_openapi, "This document"),
	OPEN("/docs", "docs", act_docs, "This API as a page, with a command for each operation"),
	OPEN("/problems/{any}", "getProblemType", act_problem, "What a problem's code means"),
	{METHOD_GET, "/v1/whoami", "whoami", 0, SCOPE_NONE, NULL, NULL, act_whoami, 200, NULL, false,
	 "Who am I, and what may I do?"},
	{METHOD_GET, "/v1/test_values", "listTestValues", 0, SCOPE_NONE, NULL, NULL, act_test_values, 200, NULL, false,
	 "Numbers, tokens and amounts that script an outcome (test installations)"},
};

const struct api api_meta = API_TABLE("meta", routes);
