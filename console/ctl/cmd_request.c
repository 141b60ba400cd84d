/* sallyport request show — what became of one HTTP request, by the Request-Id of its answer. */
#include <stdio.h>

#include "console/ctl/ctl.h"
#include "daemon/base/clock.h"
#include "daemon/base/id.h"
#include "daemon/base/str.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"

/* As the API names them. */
static const char *const idempotency[] = {"none", "first", "replayed", "in_progress", "reused"};

static const char *
idempotency_of(const sp_request_record *q)
{
	return q->idempotency < sizeof idempotency / sizeof *idempotency ? idempotency[q->idempotency] : "unknown";
}

static int
print_json(const sp_request_record *q)
{
	char at[CLOCK_TEXT_BYTES];
	json_t *leaves = json_array();
	clock_text(q->at_ms, at);
	for (pb_size_t i = 0; i < q->leaves_count; i++)
		json_array_append_new(leaves, json_integer((json_int_t)q->leaves[i]));
	return ctl_print_json(json_pack("{ss ss ss ss si ss ss ss s{sI sI sI sI} so ss}", "id", q->id, "client", q->client,
									"created_at", at, "route", q->route, "status", (int)q->status, "code", q->code,
									"idempotency", idempotency_of(q), "payment", q->payment, "timings", "total_us",
									(json_int_t)q->timings.total_us, "gate_us", (json_int_t)q->timings.gate_us,
									"vault_us", (json_int_t)q->timings.vault_us, "ledger_us",
									(json_int_t)q->timings.ledger_us, "leaves", leaves, "traceparent", q->traceparent));
}

static double
ms(uint64_t us)
{
	return (double)us / 1000;
}

static int
print_text(const sp_request_record *q)
{
	char at[CLOCK_TEXT_BYTES];
	clock_text(q->at_ms, at);
	printf("%s  %s  %u%s%s\n\n  at           %s\n  client       %s\n  idempotency  %s\n  payment      %s\n", q->id,
		   q->route, (unsigned)q->status, q->code[0] ? " " : "", q->code, at, q->client, idempotency_of(q),
		   q->payment[0] ? q->payment : "–");
	printf("  took         %.1f ms: gate %.1f, vault %.1f, ledger and processor %.1f\n  leaves       ",
		   ms(q->timings.total_us), ms(q->timings.gate_us), ms(q->timings.vault_us), ms(q->timings.ledger_us));
	for (pb_size_t i = 0; i < q->leaves_count; i++)
		printf("%sledger:%llu", i ? " " : "", (unsigned long long)q->leaves[i]);
	printf("%s\n  trace        %s\n", q->leaves_count ? "" : "–", q->traceparent[0] ? q->traceparent : "–");
	return EXIT_CODE_DONE;
}

static int
act_show(struct run *r)
{
	static sp_request_show_req req;
	static sp_request_show_rep rep;
	int status;

	if (!id_check("req", r->args[0]) || str_set(req.id, sizeof req.id, r->args[0]) != ERR_OK)
		return ctl_usage(r, "a request's id is req_ and 26 characters, as Request-Id has it");
	struct client *c = ctl_connect(r, &status);
	if (!c)
		return status;
	enum err e = ctl_ask(c, MSG_request_show, &req, &rep);
	client_close(c);
	if (e != ERR_OK)
		return ctl_fail(r, e, "request show", e == ERR_NOT_FOUND ? "nothing is kept of this request" : NULL);
	return r->json ? print_json(&rep.record) : print_text(&rep.record);
}

const struct command cmd_request_show = {
	.words = "request show",
	.args = "ID",
	.args_min = 1,
	.args_max = 1,
	.summary = "Say what became of an HTTP request, by the Request-Id of its answer",
	.about =
		"Route, status, code, what its idempotency key meant, where the time went, its payment and the numbers of its "
		"records in the ledger's log. Kept for requests.keep; requests of clients that are not known are not kept.",
	.example = "sallyport request show req_01M5X8Q3Z7K2V4N6P8R0S2T4W6",
	.exits = "0 1 2 3 5 6 7 130",
	.schema = "request-show",
	.act = act_show,
};
