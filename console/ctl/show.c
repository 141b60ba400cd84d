#include "console/ctl/show.h"

#include <stdio.h>

#include "console/ctl/scopes.h"
#include "daemon/base/clock.h"
#include "daemon/base/currency.h"
#include "daemon/base/money.h"
#include "daemon/base/str.h"

static const char *
word(const char *const *words, size_t n, unsigned at)
{
	return at < n && words[at] ? words[at] : "unknown";
}
#define WORD(words, at) word(words, sizeof words / sizeof *words, (unsigned)(at))

const char *
show_payment_status(sp_payment_status s)
{
	static const char *const words[] = {"none",        "created",
										"processing",  "requires_action",
										"authorized",  "partially_captured",
										"captured",    "partially_refunded",
										"refunded",    "settled",
										"voided",      "expired",
										"declined",    "failed",
										"unknown",     "reversed",
										"needs_review"};
	return WORD(words, s);
}

const char *
show_operation_kind(sp_operation_kind k)
{
	static const char *const words[] = {"none", "authorize", "capture", "void", "refund", "increment"};
	return WORD(words, k);
}

const char *
show_operation_status(sp_operation_status s)
{
	static const char *const words[] = {"none",   "pending", "succeeded",   "declined",
										"failed", "unknown", "needs_review"};
	return WORD(words, s);
}

static const char *
brand(sp_brand b)
{
	static const char *const words[] = {"unknown", "visa", "mastercard", "amex",   "discover",
										"diners",  "jcb",  "unionpay",   "maestro"};
	return WORD(words, b);
}

void
show_money(int64_t minor, uint32_t currency, char out[32])
{
	money_text((struct money){minor, (uint16_t)currency}, out);
}

static json_t *
at_json(int64_t ms)
{
	char text[CLOCK_TEXT_BYTES];
	if (ms == 0)
		return json_null();
	clock_text(ms, text);
	return json_string(text);
}

static const char *
currency_code(uint32_t number)
{
	const struct currency *c = currency_of((uint16_t)number);
	return c ? c->code : "";
}

/* Members that are empty are left out: "?s" would write null. */
static void
set_text(json_t *doc, const char *name, const char *text)
{
	if (text[0])
		json_object_set_new(doc, name, json_string(text));
}

json_t *
show_payment_json(const sp_payment_view *p)
{
	json_t *actions = json_array();
	for (pb_size_t i = 0; i < p->allowed_actions_count; i++)
		json_array_append_new(actions, json_string(show_operation_kind(p->allowed_actions[i])));
	json_t *doc =
		json_pack("{ss ss so ss ss sI ss sI sI sI ss so sb}", "id", p->id, "object", "payment", "created_at",
				  at_json(p->created_at_ms), "merchant", p->merchant, "status", show_payment_status(p->status),
				  "amount", (json_int_t)p->amount_minor, "currency", currency_code(p->currency), "amount_authorized",
				  (json_int_t)p->amount_authorized_minor, "amount_captured", (json_int_t)p->amount_captured_minor,
				  "amount_refunded", (json_int_t)p->amount_refunded_minor, "token", p->token, "allowed_actions",
				  actions, "livemode", (int)p->livemode);
	if (p->has_card)
		json_object_set_new(doc, "card",
							json_pack("{ss ss ss si si}", "brand", brand(p->card.brand), "bin", p->card.bin, "last4",
									  p->card.last4, "exp_month", (int)p->card.exp_month, "exp_year",
									  (int)p->card.exp_year));
	set_text(doc, "order_id", p->order_id);
	set_text(doc, "origin", p->origin);
	set_text(doc, "processor", p->processor);
	set_text(doc, "processor_reference", p->processor_reference);
	set_text(doc, "decline_code", p->decline_code);
	set_text(doc, "advice", p->advice);
	set_text(doc, "client", p->client);
	return doc;
}

json_t *
show_operation_json(const sp_operation_view *o)
{
	json_t *doc = json_pack("{ss ss ss sI ss so}", "id", o->id, "kind", show_operation_kind(o->kind), "status",
							show_operation_status(o->status), "amount", (json_int_t)o->amount_minor, "currency",
							currency_code(o->currency), "created_at", at_json(o->created_at_ms));
	set_text(doc, "payment", o->payment);
	set_text(doc, "reason", o->reason);
	set_text(doc, "decline_code", o->decline_code);
	set_text(doc, "processor_reference", o->processor_reference);
	return doc;
}

json_t *
show_timeline_json(const sp_timeline_view *t)
{
	json_t *doc = json_pack("{ss sI ss so ss}", "id", t->id, "sequence", (json_int_t)t->sequence, "type", t->type, "at",
							at_json(t->at_ms), "actor", t->actor);
	set_text(doc, "operation", t->operation);
	set_text(doc, "code", t->code);
	set_text(doc, "processor", t->processor);
	set_text(doc, "rule", t->rule);
	if (t->amount_minor) {
		json_object_set_new(doc, "amount", json_integer((json_int_t)t->amount_minor));
		set_text(doc, "currency", currency_code(t->currency));
	}
	return doc;
}

json_t *
show_client_json(const sp_client_view *c)
{
	char scopes[512], hex[65];
	json_t *merchants = json_array();

	scopes_text(c->scopes, scopes, sizeof scopes);
	str_hex(c->cert_sha256, 32, hex);
	for (pb_size_t i = 0; i < c->merchants_count; i++)
		json_array_append_new(merchants, json_string(c->merchants[i]));
	return json_pack("{ss ss ss so so so sb ss}", "name", c->name, "certificate_sha256", hex, "scopes", scopes,
					 "merchants", merchants, "created_at", at_json(c->created_at_ms), "certificate_expires_at",
					 at_json(c->not_after_ms), "revoked", (int)c->revoked, "added_by", c->added_by);
}
