/* sallyport payment show|list — masked reads of payments for officers and operators. */
#include <pb_decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/ctl/ctl.h"
#include "console/ctl/show.h"
#include "daemon/base/clock.h"
#include "daemon/base/currency.h"
#include "daemon/base/str.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"

/* Views stand one after the other, each with its length before it. */
static json_t *
decode_all(const uint8_t *bytes, size_t n, const pb_msgdesc_t *fields, void *view, json_t *(*render)(const void *))
{
	json_t *all = json_array();
	pb_istream_t in = pb_istream_from_buffer(bytes, n);
	while (in.bytes_left > 0 && pb_decode_ex(&in, fields, view, PB_DECODE_DELIMITED))
		json_array_append_new(all, render(view));
	return all;
}

static json_t *
render_payment(const void *v)
{
	return show_payment_json(v);
}
static json_t *
render_operation(const void *v)
{
	return show_operation_json(v);
}
static json_t *
render_timeline(const void *v)
{
	return show_timeline_json(v);
}

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s ? s : "";
}

static void
print_payment(const sp_payment_view *p, const json_t *operations, const json_t *timeline)
{
	char amount[32], captured[32], refunded[32];
	size_t i;
	json_t *one;

	show_money(p->amount_minor, p->currency, amount);
	show_money(p->amount_captured_minor, p->currency, captured);
	show_money(p->amount_refunded_minor, p->currency, refunded);
	printf("%s  %s  %s\n\n  merchant   %s\n  captured   %s\n  refunded   %s\n  card       %s…%s\n  processor  %s %s\n",
		   p->id, show_payment_status(p->status), amount, p->merchant, captured, refunded, p->card.bin, p->card.last4,
		   p->processor, p->processor_reference);
	puts("\nOperations");
	json_array_foreach(operations, i, one)
	{
		show_money((int64_t)json_integer_value(json_object_get(one, "amount")), p->currency, amount);
		printf("  %-30s %-10s %-10s %s\n", text_of(one, "id"), text_of(one, "kind"), text_of(one, "status"), amount);
	}
	puts("\nTimeline");
	json_array_foreach(timeline, i, one) printf("  %s  %-32s %s %s\n", text_of(one, "at"), text_of(one, "type"),
												text_of(one, "actor"), text_of(one, "code"));
}

static int
act_show(struct run *r)
{
	static sp_payment_show_req req;
	static sp_payment_show_rep rep;
	static sp_operation_view operation;
	static sp_timeline_view line;
	int status;
	struct client *c;
	enum err e;

	if (str_set(req.id, sizeof req.id, r->args[0]) != ERR_OK)
		return ctl_usage(r, "that is not the id of a payment");
	if (!(c = ctl_connect(r, &status)))
		return status;
	e = ctl_ask(c, MSG_payment_show, &req, &rep);
	client_close(c);
	if (e != ERR_OK)
		return ctl_fail(r, e, "payment show", NULL);
	json_t *operations =
		decode_all(rep.operations.bytes, rep.operations.size, sp_operation_view_fields, &operation, render_operation);
	json_t *timeline =
		decode_all(rep.timeline.bytes, rep.timeline.size, sp_timeline_view_fields, &line, render_timeline);
	if (r->json)
		return ctl_print_json(json_pack("{so so so}", "payment", show_payment_json(&rep.payment), "operations",
										operations, "timeline", timeline));
	print_payment(&rep.payment, operations, timeline);
	json_decref(operations);
	json_decref(timeline);
	return EXIT_CODE_DONE;
}

static void
print_list(const json_t *payments)
{
	size_t i;
	json_t *one;

	printf("%-30s %-19s %20s  %s\n", "PAYMENT", "STATUS", "AMOUNT", "CREATED");
	json_array_foreach(payments, i, one)
	{
		const struct currency *c = currency_by_code(text_of(one, "currency"));
		char amount[32];

		show_money((int64_t)json_integer_value(json_object_get(one, "amount")), c ? c->number : 0, amount);
		printf("%-30s %-19s %20s  %s\n", text_of(one, "id"), text_of(one, "status"), amount,
			   text_of(one, "created_at"));
	}
}

static int
act_list(struct run *r)
{
	static sp_payment_search_req req;
	static sp_payment_search_rep rep;
	static sp_payment_view view;
	const char *limit = ctl_flag(r, "--limit"), *text = r->args_n ? r->args[0] : "";
	uint64_t n = 20;
	int status;
	struct client *c;
	enum err e;

	if (limit && (str_decimal(limit, 100, &n) != ERR_OK || n == 0))
		return ctl_usage(r, "--limit takes 1 to 100");
	if (str_set(req.text, sizeof req.text, text) != ERR_OK)
		return ctl_usage(r, "the text is too long");
	req.has_query = true;
	req.query.limit = (uint32_t)n;
	if (!(c = ctl_connect(r, &status)))
		return status;
	e = ctl_ask(c, MSG_payment_search, &req, &rep);
	client_close(c);
	if (e != ERR_OK)
		return ctl_fail(r, e, "payment list", NULL);
	json_t *all = decode_all(rep.data.bytes, rep.data.size, sp_payment_view_fields, &view, render_payment);
	if (r->json)
		return ctl_print_json(json_pack("{so sb}", "payments", all, "has_more", (int)rep.has_more));
	print_list(all);
	json_decref(all);
	return EXIT_CODE_DONE;
}

const struct command cmd_payment_show = {
	.words = "payment show",
	.args = "ID",
	.summary = "Show one payment with its operations and its timeline",
	.about = "Cards are masked; nothing here can open one.",
	.example = "sallyport --dir /srv/sallyport payment show pay_01J9ZD5T7Q8N3V6W2X4Y0ABCDE",
	.exits = "0 1 2 3 5 6 7 130",
	.schema = "payment-show",
	.args_min = 1,
	.args_max = 1,
	.act = act_show,
};

static const struct flag list_flags[] = {{"--limit", "N", "how many, newest first (20, at most 100)"},
										 {NULL, NULL, NULL}};

const struct command cmd_payment_list = {
	.words = "payment list",
	.args = "[TEXT]",
	.summary = "List payments, newest first; TEXT is an id or an order id",
	.about = "",
	.example = "sallyport --dir /srv/sallyport payment list --limit 5",
	.exits = "0 1 2 3 5 6 7 130",
	.schema = "payment-list",
	.args_max = 1,
	.flags = list_flags,
	.act = act_list,
};
