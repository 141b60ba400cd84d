#include "daemon/gate/problem.h"

#include <stdio.h>
#include <string.h>

#include "daemon/gate/readiness.h"
#include "daemon/gate/render.h"

static void
write_complaints(struct writer *w, const struct complaints *c)
{
	writer_begin(w, "errors", '[');
	for (unsigned i = 0; i < c->n; i++) {
		const struct complaint *one = &c->at[i];

		writer_begin(w, NULL, '{');
		/* '?' marks a query parameter, for which there is no JSON pointer. */
		if (*one->pointer == '?')
			writer_text(w, "parameter", one->pointer + 1);
		else
			writer_text(w, "pointer", one->pointer);
		writer_text(w, "code", err_code(one->code));
		writer_text(w, "detail", err_title(one->code));
		if (one->nearest)
			writer_text(w, "nearest", one->nearest);
		writer_end(w, '}');
	}
	writer_end(w, ']');
}

static void
text_unless_empty(struct writer *w, const char *key, const char *text)
{
	if (*text)
		writer_text(w, key, text);
}

static void
write_decline(struct writer *w, const sp_payment_view *payment)
{
	text_unless_empty(w, "decline_code", payment->decline_code);
	text_unless_empty(w, "network_code", payment->network_code);
	text_unless_empty(w, "processor", payment->processor);
	text_unless_empty(w, "processor_code", payment->processor_code);
	text_unless_empty(w, "advice", payment->advice);
}

static void
write_payment(struct writer *w, const struct problem *p)
{
	if (p->code == ERR_CARD_DECLINED)
		write_decline(w, p->payment);
	if (p->code == ERR_INVALID_STATE)
		render_actions(w, p->payment);
	render_object(w, "payment", &render_payment, p->payment);
}

void
problem_write(struct writer *w, const struct problem *p)
{
	char type[80], instance[64], trace[33] = "";

	(void)snprintf(type, sizeof(type), "/problems/%s", err_code(p->code));
	(void)snprintf(instance, sizeof(instance), "/v1/requests/%s", p->request_id);
	writer_begin(w, NULL, '{');
	writer_text(w, "type", type);
	writer_text(w, "title", err_title(p->code));
	writer_int(w, "status", err_http(p->code));
	writer_text(w, "detail", err_next(p->code));
	writer_text(w, "instance", instance);
	writer_text(w, "code", err_code(p->code));
	writer_text(w, "category", err_category(p->code));
	writer_bool(w, "retryable", err_retryable(p->code));
	if (p->complaints && p->complaints->n)
		write_complaints(w, p->complaints);
	if (p->payment)
		write_payment(w, p);
	writer_text(w, "request_id", p->request_id);
	if (strlen(p->traceparent) == 55) {
		memcpy(trace, p->traceparent + 3, 32);
		writer_text(w, "trace_id", trace);
	}
	writer_end(w, '}');
}

unsigned
problem_retry_after_s(enum err e)
{
	int http = err_http(e);

	if (!err_retryable(e) || (http != 429 && http != 503 && http != 409))
		return 0;
	if (e == ERR_PROCESSOR_OUT)
		return readiness_outage_s();
	return e == ERR_RATE_LIMIT || e == ERR_NOT_READY || e == ERR_IDEMPOTENCY_BUSY || e == ERR_OPERATION_IN_FLIGHT ? 1
																												  : 2;
}
