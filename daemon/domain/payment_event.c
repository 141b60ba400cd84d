#include "daemon/domain/payment_event.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/base/clock.h"
#include "daemon/base/currency.h"

static const struct payment_event_row rows[] = {
#define PAYMENT_EVENT(ID, type_name, kind_, status_, what_) \
	[sp_EV_##ID] = {.type = sp_EV_##ID,                     \
					.name = (type_name),                    \
					.cloud_type = type_name ".v1",          \
					.what = (what_),                        \
					.kind = sp_##kind_,                     \
					.status = sp_##status_},
#include "policy/payment_event.def"
#undef PAYMENT_EVENT
};
#define ROWS (sizeof rows / sizeof *rows)

const struct payment_event_row *
payment_event_row(sp_event_type type)
{
	return (size_t)type < ROWS && rows[type].name ? &rows[type] : NULL;
}

sp_event_type
payment_event_of(sp_operation_kind kind, sp_operation_status status)
{
	static const sp_event_type types[sp_KIND_INCREMENT + 1][sp_OP_NEEDS_REVIEW + 1] = {
		[sp_KIND_AUTHORIZE] = {[sp_OP_PENDING] = sp_EV_PAYMENT_REQUESTED,
							   [sp_OP_SUCCEEDED] = sp_EV_PAYMENT_AUTHORIZED,
							   [sp_OP_DECLINED] = sp_EV_PAYMENT_DECLINED,
							   [sp_OP_FAILED] = sp_EV_PAYMENT_FAILED,
							   [sp_OP_UNKNOWN] = sp_EV_PAYMENT_UNKNOWN,
							   [sp_OP_NEEDS_REVIEW] = sp_EV_PAYMENT_NEEDS_REVIEW},
		[sp_KIND_CAPTURE] = {[sp_OP_PENDING] = sp_EV_CAPTURE_REQUESTED,
							 [sp_OP_SUCCEEDED] = sp_EV_PAYMENT_CAPTURED,
							 [sp_OP_DECLINED] = sp_EV_CAPTURE_DECLINED,
							 [sp_OP_FAILED] = sp_EV_CAPTURE_FAILED,
							 [sp_OP_UNKNOWN] = sp_EV_CAPTURE_UNKNOWN,
							 [sp_OP_NEEDS_REVIEW] = sp_EV_CAPTURE_NEEDS_REVIEW},
		[sp_KIND_VOID] = {[sp_OP_PENDING] = sp_EV_VOID_REQUESTED,
						  [sp_OP_SUCCEEDED] = sp_EV_PAYMENT_VOIDED,
						  [sp_OP_DECLINED] = sp_EV_VOID_DECLINED,
						  [sp_OP_FAILED] = sp_EV_VOID_FAILED,
						  [sp_OP_UNKNOWN] = sp_EV_VOID_UNKNOWN,
						  [sp_OP_NEEDS_REVIEW] = sp_EV_VOID_NEEDS_REVIEW},
		[sp_KIND_REFUND] = {[sp_OP_PENDING] = sp_EV_REFUND_REQUESTED,
							[sp_OP_SUCCEEDED] = sp_EV_REFUND_SUCCEEDED,
							[sp_OP_DECLINED] = sp_EV_REFUND_DECLINED,
							[sp_OP_FAILED] = sp_EV_REFUND_FAILED,
							[sp_OP_UNKNOWN] = sp_EV_REFUND_UNKNOWN,
							[sp_OP_NEEDS_REVIEW] = sp_EV_REFUND_NEEDS_REVIEW},
	};
	if ((unsigned)kind > sp_KIND_INCREMENT || (unsigned)status > sp_OP_NEEDS_REVIEW)
		return sp_EV_NONE;
	return types[kind][status];
}

/* ── JSON: the first failure sticks, so that the callers read like the object ── */

struct json {
	struct buf *out;
	enum err e;
	bool first;
};

static void
raw(struct json *j, const char *text, size_t n)
{
	if (j->e == ERR_OK)
		j->e = buf_add(j->out, text, n);
}

static void
quoted(struct json *j, const char *text)
{
	raw(j, "\"", 1);
	for (const char *p = text; *p && j->e == ERR_OK; p++) {
		size_t plain = 0;
		while ((unsigned char)p[plain] >= 0x20 && p[plain] != '"' && p[plain] != '\\')
			plain++;
		raw(j, p, plain);
		p += plain;
		if (!*p)
			break;
		char escape[8];
		int n = snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*p);
		raw(j, escape, (size_t)n);
	}
	raw(j, "\"", 1);
}

static void
name(struct json *j, const char *key)
{
	if (!j->first)
		raw(j, ",", 1);
	j->first = false;
	quoted(j, key);
	raw(j, ":", 1);
}

static void
text(struct json *j, const char *key, const char *value)
{
	if (!*value)
		return;
	name(j, key);
	quoted(j, value);
}

static void
number(struct json *j, const char *key, int64_t value)
{
	char digits[24];
	int n = snprintf(digits, sizeof digits, "%" PRId64, value);
	name(j, key);
	raw(j, digits, (size_t)n);
}

static void
open_object(struct json *j, const char *key)
{
	if (key)
		name(j, key);
	raw(j, "{", 1);
	j->first = true;
}

static void
close_object(struct json *j)
{
	raw(j, "}", 1);
	j->first = false;
}

static void
operation_object(struct json *j, const sp_payment_state *s, const struct payment_event *ev)
{
	const sp_event_body *b = &ev->body;

	open_object(j, "operation");
	text(j, "id", *b->operation ? b->operation : s->id);
	text(j, "kind", payment_operation_kind_name(b->kind));
	text(j, "status", payment_operation_status_name(b->status));
	number(j, "amount", b->amount_minor);
	if (b->kind == sp_KIND_CAPTURE) {
		name(j, "final");
		raw(j, b->final ? "true" : "false", b->final ? 4 : 5);
	}
	text(j, "reason", b->reason);
	text(j, "attempt", b->attempt);
	text(j, "decline_code", b->decline_code);
	text(j, "network_code", b->network_code);
	text(j, "processor_code", b->processor_code);
	text(j, "advice", b->advice);
	text(j, "processor_reference", b->processor_reference);
	text(j, "code", b->code);
	close_object(j);
}

enum err
payment_event_json(const sp_payment_state *s, const struct payment_event *ev, struct buf *out)
{
	const struct currency *currency = currency_of((uint16_t)s->currency);
	struct json j = {.out = out};
	char at[CLOCK_TEXT_BYTES];

	clock_text(ev->at_ms, at);
	open_object(&j, NULL);
	open_object(&j, "payment");
	text(&j, "id", s->id);
	text(&j, "merchant", s->merchant);
	text(&j, "order_id", s->order_id);
	number(&j, "amount", s->amount_minor);
	text(&j, "currency", currency ? currency->code : "");
	text(&j, "processor", s->account);
	number(&j, "version", ev->version);
	close_object(&j);
	if (ev->body.kind != sp_KIND_NONE)
		operation_object(&j, s, ev);
	text(&j, "actor", ev->body.actor);
	text(&j, "rule", ev->body.rule);
	text(&j, "at", at);
	close_object(&j);
	return j.e;
}
