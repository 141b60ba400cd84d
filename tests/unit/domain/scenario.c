#include "tests/unit/domain/scenario.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/mem.h"

#define PAYMENT "pay_01ARZ3NDEKTSV4RRFFQ69G5FAV"

void
scenario_open(struct scenario *s)
{
	*s = (struct scenario){.at_ms = 1000};
	s->state = payment_new();
	s->log = mem_new(SCENARIO_EVENTS_MAX, sizeof *s->log);
	s->detail = mem_new(1, sizeof *s->detail);
	assert(s->state && s->log && s->detail);
	s->detail->has_requested = true;
	strcpy(s->detail->requested.merchant, "demo");
	strcpy(s->detail->requested.client, "client");
	strcpy(s->detail->requested.order_id, "order-1");
}

void
scenario_close(struct scenario *s)
{
	mem_free(s->state);
	mem_free(s->log);
	mem_free(s->detail);
}

enum err
scenario_do(struct scenario *s, const struct payment_command *cmd)
{
	struct payment_event events[PAYMENT_EVENTS_MAX];
	unsigned n = 0;
	enum err e = payment_decide(s->state, cmd, events, &n);

	if (e != ERR_OK)
		assert(n == 0);
	for (unsigned i = 0; i < n; i++) {
		enum err applied = payment_apply(s->state, PAYMENT, &events[i]);
		assert(applied == ERR_OK);
		assert(s->n_log < SCENARIO_EVENTS_MAX);
		s->log[s->n_log++] = events[i];
	}
	return e;
}

static struct payment_command
command(struct scenario *s, enum payment_command_kind kind)
{
	return (struct payment_command){.kind = kind, .at_ms = ++s->at_ms, .actor = "test", .attempt = "att_1"};
}

enum err
scenario_create(struct scenario *s, int64_t amount_minor, sp_capture_method method)
{
	struct payment_command c = command(s, PAYMENT_CREATE);

	/* the first event keeps pointing here: a refused second CREATE must not change it */
	if (s->state->operations_count == 0)
		s->detail->requested.capture_method = method;
	c.payment = PAYMENT;
	c.amount_minor = amount_minor;
	c.currency = 978;
	c.account = "simulator";
	c.rule = "default";
	c.detail = s->detail;
	return scenario_do(s, &c);
}

enum err
scenario_request(struct scenario *s, enum payment_command_kind kind, int64_t amount_minor, bool final)
{
	struct payment_command c = command(s, kind);
	char id[32];

	snprintf(id, sizeof id, "cap_%u", ++s->serial);
	c.operation = id;
	c.amount_minor = amount_minor;
	c.final = final;
	c.reason = "because";
	return scenario_do(s, &c);
}

const char *
scenario_last_operation(const struct scenario *s)
{
	return s->state->operations[s->state->operations_count - 1].id;
}

enum err
scenario_result(struct scenario *s, const char *operation, sp_outcome said)
{
	struct payment_command c = command(s, PAYMENT_RESULT);
	sp_result_req r = sp_result_req_init_zero;
	char capture[32];

	if (!operation && s->state->operations_count)
		operation = scenario_last_operation(s);
	snprintf(r.operation, sizeof r.operation, "%s", operation ? operation : "");
	strcpy(r.attempt, "att_1");
	strcpy(r.reference, "sim-1");
	r.outcome = said;
	r.captured = !*r.operation && s->state->capture_method == sp_CAPTURE_AUTOMATIC && said == sp_OUTCOME_APPROVED;
	snprintf(capture, sizeof capture, "cap_%u", ++s->serial);
	c.operation = capture;
	c.expires_at_ms = 5000;
	c.result = &r;
	return scenario_do(s, &c);
}

static void
must(enum err e)
{
	assert(e == ERR_OK);
}

void
scenario_reach(struct scenario *s, sp_payment_status status)
{
	static const sp_outcome first[] = {[sp_STATUS_DECLINED] = sp_OUTCOME_DECLINED,
									   [sp_STATUS_FAILED] = sp_OUTCOME_NOT_CHARGED,
									   [sp_STATUS_UNKNOWN] = sp_OUTCOME_UNKNOWN,
									   [sp_STATUS_NEEDS_REVIEW] = sp_OUTCOME_UNKNOWN};

	if (status == sp_STATUS_NONE)
		return;
	must(scenario_create(s, 100, sp_CAPTURE_MANUAL));
	if (status == sp_STATUS_PROCESSING)
		return;
	bool ends = status < sizeof first / sizeof *first && first[status] != sp_OUTCOME_NONE;
	must(scenario_result(s, "", ends ? first[status] : sp_OUTCOME_APPROVED));
	if (status == sp_STATUS_NEEDS_REVIEW) {
		struct payment_command c = command(s, PAYMENT_GIVE_UP);
		must(scenario_do(s, &c));
	}
	if (ends || status == sp_STATUS_AUTHORIZED)
		return;
	if (status == sp_STATUS_EXPIRED) {
		struct payment_command c = command(s, PAYMENT_EXPIRE);
		c.at_ms = 5000;
		must(scenario_do(s, &c));
		return;
	}
	if (status == sp_STATUS_VOIDED) {
		must(scenario_request(s, PAYMENT_VOID, 0, false));
		must(scenario_result(s, NULL, sp_OUTCOME_APPROVED));
		return;
	}
	must(scenario_request(s, PAYMENT_CAPTURE, status == sp_STATUS_PARTIALLY_CAPTURED ? 40 : 0, false));
	must(scenario_result(s, NULL, sp_OUTCOME_APPROVED));
	if (status != sp_STATUS_PARTIALLY_REFUNDED && status != sp_STATUS_REFUNDED)
		return;
	must(scenario_request(s, PAYMENT_REFUND, status == sp_STATUS_REFUNDED ? 0 : 30, false));
	must(scenario_result(s, NULL, sp_OUTCOME_APPROVED));
}
