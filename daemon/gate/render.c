#include "daemon/gate/render.h"

#include <pb_decode.h>
#include <string.h>

#include "daemon/base/currency.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* ── names of values, by number; NULL ends each list ── */

static const char *const brand_names[] = {"unknown", "visa", "mastercard", "amex",    "discover",
										  "diners",  "jcb",  "unionpay",   "maestro", NULL};
static const char *const cvc_names[] = {"none", "held", "consumed", "expired", NULL};
static const char *const format_names[] = {"opaque", "bin6_last4", "luhn", NULL};
static const char *const capture_names[] = {"automatic", "manual", NULL};
static const char *const initiator_names[] = {"cit", "mit", NULL};
static const char *const kind_names[] = {"", "authorize", "capture", "void", "refund", "increment", NULL};
static const char *const operation_names[] = {"",       "pending", "succeeded",    "declined",
											  "failed", "unknown", "needs_review", NULL};
static const char *const status_names[] = {"",
										   "created",
										   "processing",
										   "requires_action",
										   "authorized",
										   "partially_captured",
										   "captured",
										   "partially_refunded",
										   "refunded",
										   "settled",
										   "voided",
										   "expired",
										   "declined",
										   "failed",
										   "unknown",
										   "reversed",
										   "needs_review",
										   NULL};

/* ── the tables ── */

#define CONST(name_, value_)                                   \
	{                                                          \
		.name = (name_), .kind = FIELD_CONST, .more = (value_) \
	}
#define MUSTHAVE(name_, kind_, view, member, what_)                                         \
	{                                                                                       \
		.name = (name_), .kind = (kind_), .offset = offsetof(view, member), .what = (what_) \
	}
#define MAYHAVE(name_, kind_, view, member, what_)                                                            \
	{                                                                                                         \
		.name = (name_), .kind = (kind_), .optional = true, .offset = offsetof(view, member), .what = (what_) \
	}
#define NAMED(name_, view, member, names, what_)                                                                \
	{                                                                                                           \
		.name = (name_), .kind = FIELD_ENUM, .offset = offsetof(view, member), .more = (names), .what = (what_) \
	}
#define MAYNAMED(name_, view, member, names, what_)                                                               \
	{                                                                                                             \
		.name = (name_), .kind = FIELD_ENUM, .optional = true, .offset = offsetof(view, member), .more = (names), \
		.what = (what_)                                                                                           \
	}

static const struct field card_fields[] = {
	NAMED("brand", sp_card_view, brand, brand_names, "card brand"),
	MUSTHAVE("bin", FIELD_TEXT, sp_card_view, bin, "first six or eight digits"),
	MUSTHAVE("last4", FIELD_TEXT, sp_card_view, last4, "last four digits"),
	MUSTHAVE("exp_month", FIELD_UINT32, sp_card_view, exp_month, "1 to 12"),
	MUSTHAVE("exp_year", FIELD_UINT32, sp_card_view, exp_year, "four digits"),
};
static const struct object card_object = {"Card", card_fields, COUNT(card_fields)};

#define CARD(view)                                                                                       \
	{                                                                                                    \
		.name = "card", .kind = FIELD_OBJECT, .optional = true, .offset = offsetof(view, card),          \
		.extra = offsetof(view, has_card), .more = &card_object, .what = "what may be shown of the card" \
	}
#define METADATA(view) MUSTHAVE("metadata", FIELD_METADATA, view, metadata, "as it was sent")

static const struct field token_fields[] = {
	MUSTHAVE("id", FIELD_TEXT, sp_token_view, id, "tok_… to pay with"),
	CONST("object", "token"),
	MUSTHAVE("created_at", FIELD_TIME, sp_token_view, created_at_ms, "when it was made"),
	MUSTHAVE("livemode", FIELD_BOOL, sp_token_view, livemode, "false in a test installation"),
	MUSTHAVE("merchant", FIELD_TEXT, sp_token_view, merchant, "the merchant that it belongs to"),
	CARD(sp_token_view),
	MAYHAVE("fingerprint", FIELD_TEXT, sp_token_view, fingerprint, "the same for the same card in this installation"),
	NAMED("cvc_state", sp_token_view, cvc_state, cvc_names, "is a security code held for an authorization"),
	NAMED("format", sp_token_view, format, format_names, "form of the token's id"),
	MUSTHAVE("key_version", FIELD_UINT32, sp_token_view, key_version, "generation of the data key"),
	MAYHAVE("expires_at", FIELD_TIME, sp_token_view, expires_at_ms, "when it ceases to exist; absent: never"),
	MAYHAVE("max_uses", FIELD_UINT32, sp_token_view, max_uses, "payments that it serves at most; absent: no limit"),
	MUSTHAVE("uses", FIELD_UINT32, sp_token_view, uses, "payments that it has served"),
	MAYHAVE("customer", FIELD_TEXT, sp_token_view, customer, "the caller's own customer id"),
	METADATA(sp_token_view),
};
const struct object render_token = {"Token", token_fields, COUNT(token_fields)};

static const struct field payment_fields[] = {
	MUSTHAVE("id", FIELD_TEXT, sp_payment_view, id, "pay_…"),
	CONST("object", "payment"),
	MUSTHAVE("created_at", FIELD_TIME, sp_payment_view, created_at_ms, "when it was accepted"),
	MUSTHAVE("updated_at", FIELD_TIME, sp_payment_view, updated_at_ms, "when it last changed"),
	MUSTHAVE("livemode", FIELD_BOOL, sp_payment_view, livemode, "false in a test installation"),
	MUSTHAVE("merchant", FIELD_TEXT, sp_payment_view, merchant, "whose payment it is"),
	NAMED("status", sp_payment_view, status, status_names, "derived from its operations; take unknown values too"),
	MUSTHAVE("amount", FIELD_INT64, sp_payment_view, amount_minor, "minor units"),
	MUSTHAVE("currency", FIELD_CURRENCY, sp_payment_view, currency, "ISO 4217"),
	MUSTHAVE("amount_authorized", FIELD_INT64, sp_payment_view, amount_authorized_minor, "minor units"),
	MUSTHAVE("amount_captured", FIELD_INT64, sp_payment_view, amount_captured_minor, "minor units"),
	MUSTHAVE("amount_refunded", FIELD_INT64, sp_payment_view, amount_refunded_minor, "minor units"),
	NAMED("capture_method", sp_payment_view, capture_method, capture_names,
		  "automatic captures with the authorization"),
	NAMED("initiator", sp_payment_view, initiator_mit, initiator_names, "cardholder or merchant"),
	MAYHAVE("token", FIELD_TEXT, sp_payment_view, token, "the token that was paid with"),
	CARD(sp_payment_view),
	MAYHAVE("order_id", FIELD_TEXT, sp_payment_view, order_id, "the caller's own order id"),
	MAYHAVE("origin", FIELD_TEXT, sp_payment_view, origin, "where the payment comes from, for routing"),
	MAYHAVE("processor", FIELD_TEXT, sp_payment_view, processor, "the account that it was routed to"),
	MAYHAVE("customer", FIELD_TEXT, sp_payment_view, customer, "the caller's own customer id"),
	MAYHAVE("statement_descriptor", FIELD_TEXT, sp_payment_view, statement_descriptor, "on the cardholder's statement"),
	MAYHAVE("description", FIELD_TEXT, sp_payment_view, description, "for people"),
	MAYHAVE("decline_code", FIELD_TEXT, sp_payment_view, decline_code, "why it was declined"),
	MAYHAVE("network_code", FIELD_TEXT, sp_payment_view, network_code, "the card network's code"),
	MAYHAVE("processor_code", FIELD_TEXT, sp_payment_view, processor_code, "the processor's code"),
	MAYHAVE("advice", FIELD_TEXT, sp_payment_view, advice, "what to do after a decline"),
	MAYHAVE("processor_reference", FIELD_TEXT, sp_payment_view, processor_reference, "the processor's reference"),
	MAYHAVE("authorization_expires_at", FIELD_TIME, sp_payment_view, authorization_expires_at_ms,
			"capture before this"),
	MUSTHAVE("version", FIELD_UINT32, sp_payment_view, version, "grows with every change"),
	{.name = "allowed_actions",
	 .kind = FIELD_ENUMS,
	 .offset = offsetof(sp_payment_view, allowed_actions_count),
	 .extra = offsetof(sp_payment_view, allowed_actions),
	 .more = kind_names,
	 .what = "what may be done now"},
	METADATA(sp_payment_view),
};
const struct object render_payment = {"Payment", payment_fields, COUNT(payment_fields)};

#define OPERATION(object_)                                                                                \
	MUSTHAVE("id", FIELD_TEXT, sp_operation_view, id, "its own id"), CONST("object", object_),            \
		MUSTHAVE("created_at", FIELD_TIME, sp_operation_view, created_at_ms, "when it was accepted"),     \
		MUSTHAVE("updated_at", FIELD_TIME, sp_operation_view, updated_at_ms, "when it last changed"),     \
		MUSTHAVE("livemode", FIELD_BOOL, sp_operation_view, livemode, "false in a test installation"),    \
		MUSTHAVE("payment", FIELD_TEXT, sp_operation_view, payment, "the payment that it belongs to"),    \
		NAMED("status", sp_operation_view, status, operation_names, "take unknown values too"),           \
		MUSTHAVE("amount", FIELD_INT64, sp_operation_view, amount_minor, "minor units"),                  \
		MUSTHAVE("currency", FIELD_CURRENCY, sp_operation_view, currency, "ISO 4217"),                    \
		MAYHAVE("reason", FIELD_TEXT, sp_operation_view, reason, "as it was sent"),                       \
		MAYHAVE("decline_code", FIELD_TEXT, sp_operation_view, decline_code, "why it was declined"),      \
		MAYHAVE("network_code", FIELD_TEXT, sp_operation_view, network_code, "the card network's code"),  \
		MAYHAVE("processor_code", FIELD_TEXT, sp_operation_view, processor_code, "the processor's code"), \
		MAYHAVE("advice", FIELD_TEXT, sp_operation_view, advice, "what to do after a decline"),           \
		MAYHAVE("processor_reference", FIELD_TEXT, sp_operation_view, processor_reference,                \
				"the processor's reference")

static const struct field capture_fields[] = {
	OPERATION("capture"),
	MUSTHAVE("final", FIELD_BOOL, sp_operation_view, final, "the rest of the authorization is released"),
	METADATA(sp_operation_view),
};
const struct object render_capture = {"Capture", capture_fields, COUNT(capture_fields)};

static const struct field refund_fields[] = {OPERATION("refund"), METADATA(sp_operation_view)};
const struct object render_refund = {"Refund", refund_fields, COUNT(refund_fields)};

static const struct field event_fields[] = {
	MUSTHAVE("id", FIELD_TEXT, sp_timeline_view, id, "evt_…"),
	CONST("object", "event"),
	MUSTHAVE("type", FIELD_TEXT, sp_timeline_view, type, "payment.authorized.v1 and so on"),
	MUSTHAVE("created_at", FIELD_TIME, sp_timeline_view, at_ms, "when it happened"),
	{.name = "livemode", .kind = FIELD_MODE, .what = "false in a test installation"},
	MUSTHAVE("sequence", FIELD_UINT64, sp_timeline_view, sequence, "order within the installation"),
	MAYHAVE("actor", FIELD_TEXT, sp_timeline_view, actor, "who caused it"),
	MAYHAVE("operation", FIELD_TEXT, sp_timeline_view, operation, "id of the operation"),
	MAYNAMED("kind", sp_timeline_view, kind, kind_names, "kind of the operation"),
	MAYNAMED("operation_status", sp_timeline_view, status, operation_names, "status of the operation after it"),
	MAYNAMED("payment_status", sp_timeline_view, payment_status, status_names, "status of the payment after it"),
	MAYHAVE("amount", FIELD_INT64, sp_timeline_view, amount_minor, "minor units"),
	MAYHAVE("currency", FIELD_CURRENCY, sp_timeline_view, currency, "ISO 4217"),
	MAYHAVE("code", FIELD_TEXT, sp_timeline_view, code, "decline or error code"),
	MAYHAVE("processor", FIELD_TEXT, sp_timeline_view, processor, "processor account"),
	MAYHAVE("rule", FIELD_TEXT, sp_timeline_view, rule, "the routing rule that decided"),
};
const struct object render_event = {"Event", event_fields, COUNT(event_fields)};

/* None; the first with its key; answered from an earlier one; while that was in flight; with another body. */
static const char *const idempotency_names[] = {"none", "first", "replayed", "in_progress", "reused", NULL};

static const struct field timings_fields[] = {
	MUSTHAVE("total_us", FIELD_UINT64, sp_request_timings, total_us, "from its last byte to its answer, microseconds"),
	MUSTHAVE("gate_us", FIELD_UINT64, sp_request_timings, gate_us, "of these, in the gate"),
	MUSTHAVE("vault_us", FIELD_UINT64, sp_request_timings, vault_us, "waiting for the vault to take a card"),
	MUSTHAVE("ledger_us", FIELD_UINT64, sp_request_timings, ledger_us,
			 "waiting for the ledger, and through it for vault and processor"),
};
static const struct object timings_object = {"RequestTimings", timings_fields, COUNT(timings_fields)};

static const struct field request_fields[] = {
	MUSTHAVE("id", FIELD_TEXT, sp_request_record, id, "req_…, the Request-Id of its answer"),
	CONST("object", "request"),
	MUSTHAVE("created_at", FIELD_TIME, sp_request_record, at_ms, "when it came"),
	{.name = "livemode", .kind = FIELD_MODE, .what = "false in a test installation"},
	MUSTHAVE("route", FIELD_TEXT, sp_request_record, route, "method and path as the document has them"),
	MUSTHAVE("status", FIELD_UINT32, sp_request_record, status, "of the answer"),
	MAYHAVE("code", FIELD_TEXT, sp_request_record, code, "of the problem; absent: there was none"),
	NAMED("idempotency", sp_request_record, idempotency, idempotency_names, "what its key meant"),
	MAYHAVE("payment", FIELD_TEXT, sp_request_record, payment, "the payment that the answer was about"),
	{.name = "timings",
	 .kind = FIELD_OBJECT,
	 .offset = offsetof(sp_request_record, timings),
	 .extra = offsetof(sp_request_record, has_timings),
	 .more = &timings_object,
	 .what = "where the time went"},
	{.name = "leaves",
	 .kind = FIELD_UINT64S,
	 .offset = offsetof(sp_request_record, leaves_count),
	 .extra = offsetof(sp_request_record, leaves),
	 .what = "numbers of the records in the ledger's audit log that name it"},
	MAYHAVE("traceparent", FIELD_TEXT, sp_request_record, traceparent,
			"its span in the caller's trace, or in one of its own"),
};
const struct object render_request = {"Request", request_fields, COUNT(request_fields)};

/* ── values ── */

static const char *
name_of(const char *const *names, unsigned value)
{
	for (unsigned i = 0; names[i]; i++)
		if (i == value)
			return names[i];
	return "unknown";
}

const char *
render_status(sp_payment_status s)
{
	return name_of(status_names, s);
}

/* nanopb keeps one-byte bools and word-sized enums; `initiator` names the two values of a bool. */
static unsigned
enum_at(const struct field *f, const char *at)
{
	return f->more == initiator_names ? *(const bool *)at : *(const unsigned *)at;
}

static void
render_enums(struct writer *w, const struct field *f, const char *view)
{
	pb_size_t n = *(const pb_size_t *)(view + f->offset);
	const unsigned *values = (const void *)(view + f->extra);

	writer_begin(w, f->name, '[');
	for (pb_size_t i = 0; i < n; i++)
		writer_text(w, NULL, name_of(f->more, values[i]));
	writer_end(w, ']');
}

static void
render_numbers(struct writer *w, const struct field *f, const char *view)
{
	pb_size_t n = *(const pb_size_t *)(const void *)(view + f->offset);
	const uint64_t *values = (const void *)(view + f->extra);

	writer_begin(w, f->name, '[');
	for (pb_size_t i = 0; i < n; i++)
		writer_int(w, NULL, (int64_t)values[i]);
	writer_end(w, ']');
}

static void
render_metadata(struct writer *w, const struct field *f, const char *at)
{
	const PB_BYTES_ARRAY_T(1) *bytes = (const void *)at;

	if (bytes->size == 0)
		writer_raw(w, f->name, "{}", 2);
	else
		writer_raw(w, f->name, bytes->bytes, bytes->size);
}

static void
render_currency(struct writer *w, const struct field *f, const char *at)
{
	const struct currency *c = currency_of((uint16_t) * (const uint32_t *)at);

	writer_text(w, f->name, c ? c->code : "");
}

static bool livemode;

void
render_livemode(bool live)
{
	livemode = live;
}

static bool
is_empty(const struct field *f, const char *view)
{
	const char *at = view + f->offset;

	switch (f->kind) {
	case FIELD_TEXT:
		return *at == '\0';
	case FIELD_TIME:
	case FIELD_INT64:
	case FIELD_UINT64:
		return *(const int64_t *)(const void *)at == 0;
	case FIELD_UINT32:
	case FIELD_CURRENCY:
		return *(const uint32_t *)(const void *)at == 0;
	case FIELD_ENUM:
		return enum_at(f, at) == 0;
	case FIELD_OBJECT:
		return !*(const bool *)(view + f->extra);
	default:
		return false;
	}
}

static void
render_field(struct writer *w, const struct field *f, const char *view)
{
	const char *at = view + f->offset;

	switch (f->kind) {
	case FIELD_CONST:
		writer_text(w, f->name, f->more);
		break;
	case FIELD_TEXT:
		writer_text(w, f->name, at);
		break;
	case FIELD_TIME:
		writer_time(w, f->name, *(const int64_t *)(const void *)at);
		break;
	case FIELD_INT64:
	case FIELD_UINT64:
		writer_int(w, f->name, *(const int64_t *)(const void *)at);
		break;
	case FIELD_UINT32:
		writer_int(w, f->name, *(const uint32_t *)(const void *)at);
		break;
	case FIELD_BOOL:
		writer_bool(w, f->name, *(const bool *)at);
		break;
	case FIELD_CURRENCY:
		render_currency(w, f, at);
		break;
	case FIELD_ENUM:
		writer_text(w, f->name, name_of(f->more, enum_at(f, at)));
		break;
	case FIELD_ENUMS:
		render_enums(w, f, view);
		break;
	case FIELD_UINT64S:
		render_numbers(w, f, view);
		break;
	case FIELD_OBJECT:
		render_object(w, f->name, f->more, at);
		break;
	case FIELD_METADATA:
		render_metadata(w, f, at);
		break;
	case FIELD_MODE:
		writer_bool(w, f->name, livemode);
		break;
	}
}

void
render_object(struct writer *w, const char *key, const struct object *o, const void *view)
{
	writer_begin(w, key, '{');
	for (size_t i = 0; i < o->n; i++)
		if (!o->fields[i].optional || !is_empty(&o->fields[i], view))
			render_field(w, &o->fields[i], view);
	writer_end(w, '}');
}

void
render_actions(struct writer *w, const sp_payment_view *p)
{
	for (size_t i = 0; i < COUNT(payment_fields); i++)
		if (payment_fields[i].kind == FIELD_ENUMS)
			render_field(w, &payment_fields[i], (const char *)p);
}

enum err
render_list(struct writer *w, const struct object *o, void *view, const pb_msgdesc_t *fields, const uint8_t *data,
			size_t n, bool has_more, const char *cursor)
{
	pb_istream_t in = pb_istream_from_buffer(data, n);

	writer_begin(w, NULL, '{');
	writer_text(w, "object", "list");
	writer_begin(w, "data", '[');
	while (in.bytes_left > 0) {
		if (!pb_decode_ex(&in, fields, view, PB_DECODE_DELIMITED))
			return ERR_PROTOCOL;
		render_object(w, NULL, o, view);
	}
	writer_end(w, ']');
	writer_bool(w, "has_more", has_more);
	if (has_more)
		writer_text(w, "next_cursor", cursor);
	writer_end(w, '}');
	return w->e;
}

/* ── the same tables as schemas ── */

static const struct {
	const char *type, *format;
} schema_types[] = {
	[FIELD_CONST] = {"string", NULL},     [FIELD_TEXT] = {"string", NULL},     [FIELD_TIME] = {"string", "date-time"},
	[FIELD_INT64] = {"integer", "int64"}, [FIELD_UINT32] = {"integer", NULL},  [FIELD_UINT64] = {"integer", "int64"},
	[FIELD_BOOL] = {"boolean", NULL},     [FIELD_CURRENCY] = {"string", NULL}, [FIELD_ENUM] = {"string", NULL},
	[FIELD_UINT64S] = {"array", NULL},    [FIELD_ENUMS] = {"array", NULL},     [FIELD_OBJECT] = {"object", NULL},
	[FIELD_METADATA] = {"object", NULL},  [FIELD_MODE] = {"boolean", NULL}};

static void
render_field_schema(struct writer *w, const struct field *f)
{
	writer_begin(w, f->name, '{');
	if (f->kind == FIELD_OBJECT) {
		char ref[64] = "#/components/schemas/";

		strncat(ref, ((const struct object *)f->more)->schema, sizeof(ref) - strlen(ref) - 1);
		writer_text(w, "$ref", ref);
		writer_end(w, '}');
		return;
	}
	writer_text(w, "type", schema_types[f->kind].type);
	if (schema_types[f->kind].format)
		writer_text(w, "format", schema_types[f->kind].format);
	if (f->kind == FIELD_CONST)
		writer_text(w, "const", f->more);
	if (f->kind == FIELD_ENUMS || f->kind == FIELD_UINT64S) {
		writer_begin(w, "items", '{');
		writer_text(w, "type", f->kind == FIELD_ENUMS ? "string" : "integer");
		writer_end(w, '}');
	}
	if (f->kind == FIELD_METADATA) {
		writer_begin(w, "additionalProperties", '{');
		writer_text(w, "type", "string");
		writer_end(w, '}');
	}
	/* Values of answers are open: they are examples here and no enum, so that a new one breaks no generated client. */
	if (f->kind == FIELD_ENUM) {
		writer_begin(w, "examples", '[');
		for (const char *const *name = f->more; *name; name++)
			if (**name)
				writer_text(w, NULL, *name);
		writer_end(w, ']');
	}
	if (f->what)
		writer_text(w, "description", f->what);
	writer_end(w, '}');
}

void
render_schema(struct writer *w, const struct object *o)
{
	writer_begin(w, o->schema, '{');
	writer_text(w, "type", "object");
	writer_begin(w, "properties", '{');
	for (size_t i = 0; i < o->n; i++)
		render_field_schema(w, &o->fields[i]);
	writer_end(w, '}');
	writer_begin(w, "required", '[');
	for (size_t i = 0; i < o->n; i++)
		if (!o->fields[i].optional)
			writer_text(w, NULL, o->fields[i].name);
	writer_end(w, ']');
	writer_end(w, '}');
	if (o == &render_payment)
		render_schema(w, &card_object);
	if (o == &render_request)
		render_schema(w, &timings_object);
}
