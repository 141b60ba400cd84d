#include <string.h>
#include <strings.h>

#include "daemon/base/mem.h"
#include "daemon/base/money.h"
#include "daemon/base/str.h"
#include "daemon/gate/card.h"
#include "daemon/gate/operation.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

#define INLINE_CARD_TTL_MS 3600000

struct payment_in {
	struct card card;
	bool card_given, token_given;
	int initiator, async;
	sp_payment_create_req req;
};
#define OWN(member_) .offset = offsetof(struct payment_in, member_)
#define REQ(member_) \
	.offset = offsetof(struct payment_in, req.member_), .bytes = sizeof(((struct payment_in *)0)->req.member_)
#define TEXT(name_, most_, flags_, what_)                                                                \
	{                                                                                                    \
		.name = #name_, .kind = MEMBER_TEXT, .flags = (flags_), .least = 1, .most = (most_), REQ(name_), \
		.what = (what_)                                                                                  \
	}

static const struct choice capture_methods[] = {
	{"automatic", sp_capture_method_CAPTURE_AUTOMATIC}, {"manual", sp_capture_method_CAPTURE_MANUAL}, {NULL, 0}};
static const struct choice initiators[] = {{"cit", 0}, {"mit", 1}, {NULL, 0}};
static const struct choice modes[] = {{"sync", 0}, {"async", 1}, {NULL, 0}};

static const struct member members[] = {
	{.name = "encrypted", .kind = MEMBER_REFUSED, .bad = ERR_NOT_SUPPORTED, .what = "not served yet"},
	{.name = "three_ds", .kind = MEMBER_REFUSED, .bad = ERR_NOT_SUPPORTED, .what = "not served yet"},
	{.name = "amount",
	 .kind = MEMBER_INT64,
	 .flags = MEMBER_REQUIRED,
	 .least = 1,
	 .most = MONEY_MAX_MINOR,
	 .bad = ERR_AMOUNT_OUT_OF_RANGE,
	 REQ(amount_minor),
	 .what = "minor units"},
	{.name = "currency", .kind = MEMBER_CURRENCY, .flags = MEMBER_REQUIRED, REQ(currency), .what = "ISO 4217"},
	{.name = "token",
	 .kind = MEMBER_TEXT,
	 .flags = MEMBER_VISIBLE,
	 .least = 5,
	 .most = 39,
	 REQ(token),
	 .given = offsetof(struct payment_in, token_given),
	 .what = "this, or card"},
	{.name = "card",
	 .kind = MEMBER_OBJECT,
	 .shape = &card_shape,
	 OWN(card),
	 .given = offsetof(struct payment_in, card_given),
	 .what = "this, or token; it is not stored"},
	{.name = "capture_method",
	 .kind = MEMBER_CHOICE,
	 .choices = capture_methods,
	 REQ(capture_method),
	 .what = "automatic captures with the authorization"},
	{.name = "initiator", .kind = MEMBER_CHOICE, .choices = initiators, OWN(initiator), .what = "cardholder; merchant"},
	TEXT(merchant, 63, MEMBER_VISIBLE, "needed when the client acts for more than one"),
	TEXT(order_id, 127, MEMBER_NO_PAN, "your own id"),
	TEXT(origin, 63, MEMBER_NO_PAN, "where the payment comes from, for routing"),
	TEXT(processor, 63, MEMBER_VISIBLE, "a processor account; else routing decides"),
	TEXT(customer, 63, MEMBER_NO_PAN, "your own id"),
	TEXT(statement_descriptor, 22, MEMBER_NO_PAN, "on the cardholder's statement"),
	TEXT(description, 255, MEMBER_NO_PAN, "for people"),
	TEXT(network_transaction_id, 63, MEMBER_VISIBLE, "of the first payment of a series"),
	{.name = "metadata",
	 .kind = MEMBER_METADATA,
	 .offset = offsetof(struct payment_in, req.metadata),
	 .bytes = sizeof(((struct payment_in *)0)->req.metadata.bytes),
	 .what = "at most 50 keys"},
};
static const struct shape payment_shape = SHAPE("PaymentRequest", members);

static const struct member mode_members[] = {
	{.name = "mode", .kind = MEMBER_CHOICE, .choices = modes, OWN(async), .what = "sync waits for the outcome"},
};
static const struct shape mode_query = SHAPE("PaymentMode", mode_members);

static enum err
ask_create(struct request *r, uint32_t deadline_ms)
{
	struct payment_in *in = r->state;
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);

	request_waits(r, PROCESS_LEDGER);
	return ledger ? ask_payment_create(ledger, &in->req, deadline_ms, operation_payment_done, r) : ERR_LEDGER_AWAY;
}

static enum err
send_payment(struct request *r)
{
	return request_peer_error(operation_ask(r, ask_create), PROCESS_LEDGER);
}

/* The inline card has a token for this one payment; its digest stands for it in the idempotency fingerprint. */
static void
on_tokenized(void *arg, enum err e, const void *answer)
{
	const sp_tokenize_rep *rep = answer;
	struct request *r = arg;
	struct payment_in *in;

	if (!request_alive(r))
		return;
	in = r->state;
	if (!e && (!rep || !rep->has_token || rep->card_digest.size > sizeof(in->req.idem.card_digest.bytes)))
		e = ERR_PROTOCOL;
	if (!e)
		e = str_set(in->req.token, sizeof(in->req.token), rep->token.id);
	if (e) {
		card_complain(r, e);
		request_fail(r, request_peer_error(e, PROCESS_VAULT));
		return;
	}
	memcpy(in->req.idem.card_digest.bytes, rep->card_digest.bytes, rep->card_digest.size);
	in->req.idem.card_digest.size = rep->card_digest.size;
	in->req.inline_card = true;
	if ((e = send_payment(r)))
		request_fail(r, e);
}

static enum err
tokenize_inline(struct request *r, struct payment_in *in)
{
	sp_tokenize_req *req = mem_new(1, sizeof(*req));
	enum err e = ERR_MEMORY;

	if (req && !(e = str_set(req->merchant, sizeof(req->merchant), in->req.merchant))) {
		memcpy(req->idempotency_key, in->req.idem.key, sizeof(in->req.idem.key));
		memcpy(req->body_sha256, in->req.idem.body_sha256, sizeof(req->body_sha256));
		req->max_uses = 1;
		req->ttl_ms = INLINE_CARD_TTL_MS;
		req->single_use = true;
		e = card_send(r, &in->card, req, on_tokenized);
	}
	mem_free(req);
	return e;
}

static bool
prefers_async(const struct http *http)
{
	const char *prefer = http_header(http, HTTP_PREFER);

	return prefer && strcasecmp(prefer, "respond-async") == 0;
}

static void
act_create(struct request *r)
{
	struct payment_in *in = r->state = mem_new(1, sizeof(*in));
	const char *merchant;
	enum err e;

	if (!in) {
		request_fail(r, ERR_MEMORY);
		return;
	}
	if (prefers_async(r->http)) {
		in->async = 1;
		request_header(r, "Preference-Applied", "respond-async");
	}
	if (!request_read(r, in) || !request_idem(r, "card", &in->req.idem))
		return;
	in->req.has_caller = in->req.has_idem = true;
	in->req.caller = r->caller;
	in->req.initiator_mit = in->initiator;
	in->req.async = in->async;
	in->req.wait_ms = operation_wait_ms();
	e = in->card_given == in->token_given ? ERR_SOURCE_AMBIGUOUS : ERR_OK;
	if (!e && !(e = client_cache_merchant(r->client, in->req.merchant, &merchant)) && merchant != in->req.merchant)
		e = str_set(in->req.merchant, sizeof(in->req.merchant), merchant);
	/* Tokens that others stored need their own right; a card in hand needs the right to hand in cards. */
	if (!e && !client_cache_allows(r->client, in->card_given ? SCOPE_TOKENS_CREATE : SCOPE_TOKENS_USE))
		e = ERR_SCOPE;
	if (!e)
		e = in->card_given ? tokenize_inline(r, in) : send_payment(r);
	if (e)
		request_fail(r, e);
}

static void
on_got(void *arg, enum err e, const void *answer)
{
	const sp_payment_get_rep *rep = answer;
	struct request *r = arg;

	if (!request_alive(r))
		return;
	if (e || !rep || !rep->has_payment) {
		request_fail(r, e ? request_peer_error(e, PROCESS_LEDGER) : ERR_PROTOCOL);
		return;
	}
	request_about(r, rep->payment.id);
	render_object(request_writer(), NULL, &render_payment, &rep->payment);
	request_send(r, 200);
}

static void
act_get(struct request *r)
{
	sp_payment_get_req req = {.has_caller = true, .caller = r->caller};
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	enum err e = str_set(req.id, sizeof(req.id), r->object);

	request_waits(r, PROCESS_LEDGER);
	if (!e)
		e = ledger ? ask_payment_get(ledger, &req, OPERATION_READ_DEADLINE_MS, on_got, r) : ERR_LEDGER_AWAY;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

/* What the three lists give; their answers have one shape, as the ledger's reader says too. */
static const struct {
	const struct object *object;
	const pb_msgdesc_t *fields;
} lists[] = {{&render_payment, sp_payment_view_fields},
			 {&render_refund, sp_operation_view_fields},
			 {&render_event, sp_timeline_view_fields}};
#define SAME_SHAPE(a, b)                                                               \
	_Static_assert(sizeof(a) == sizeof(b) && offsetof(a, data) == offsetof(b, data) && \
					   offsetof(a, has_more) == offsetof(b, has_more) &&               \
					   offsetof(a, next_cursor) == offsetof(b, next_cursor),           \
				   "one shape")
SAME_SHAPE(sp_payment_list_rep, sp_refund_list_rep);
SAME_SHAPE(sp_payment_list_rep, sp_payment_events_rep);

static void
on_page(void *arg, enum err e, const void *answer)
{
	const sp_payment_list_rep *rep = answer;
	struct request *r = arg;
	struct operation_page page = {0};

	if (!request_alive(r))
		return;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		if (lists[i].object == r->route->answer) {
			page.object = lists[i].object;
			page.fields = lists[i].fields;
		}
	if (rep) {
		page.data = rep->data.bytes;
		page.bytes = rep->data.size;
		page.has_more = rep->has_more;
		page.cursor = rep->next_cursor;
	}
	operation_list(r, !e && (!rep || !page.object) ? ERR_PROTOCOL : e, &page);
}

static void
act_list(struct request *r)
{
	sp_payment_list_req req = {.has_caller = true, .caller = r->caller, .has_query = true};
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	enum err e;

	req.query.limit = 10;
	if (!request_read(r, &req.query))
		return;
	e = ledger ? ask_payment_list(ledger, &req, OPERATION_READ_DEADLINE_MS, on_page, r) : ERR_LEDGER_AWAY;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

static void
act_refunds(struct request *r)
{
	sp_refund_list_req req = {.has_caller = true, .caller = r->caller, .has_query = true};
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	enum err e = str_set(req.payment, sizeof(req.payment), r->object);

	request_waits(r, PROCESS_LEDGER);
	req.query.limit = 10;
	if (!request_read(r, &req.query))
		return;
	if (!e)
		e = ledger ? ask_refund_list(ledger, &req, OPERATION_READ_DEADLINE_MS, on_page, r) : ERR_LEDGER_AWAY;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

static void
act_events(struct request *r)
{
	sp_payment_events_req req = {.has_caller = true, .caller = r->caller, .has_query = true};
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	enum err e = str_set(req.payment, sizeof(req.payment), r->object);

	request_waits(r, PROCESS_LEDGER);
	req.query.limit = 100;
	if (!request_read(r, &req.query))
		return;
	if (!e)
		e = ledger ? ask_payment_events(ledger, &req, OPERATION_READ_DEADLINE_MS, on_page, r) : ERR_LEDGER_AWAY;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

/* What a body of this shape asks for. */
static const struct {
	const struct shape *body;
	sp_operation_kind kind;
} operations[] = {{&operation_capture_shape, sp_operation_kind_KIND_CAPTURE},
				  {&operation_void_shape, sp_operation_kind_KIND_VOID},
				  {&operation_refund_shape, sp_operation_kind_KIND_REFUND}};

static void
act_operate(struct request *r)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		if (operations[i].body == r->route->body) {
			operation_start(r, operations[i].kind);
			return;
		}
	request_fail(r, ERR_INTERNAL);
}

#define MOVES_MONEY (ROUTE_EFFECT | ROUTE_KEY)

static const struct route routes[] = {
	{METHOD_POST, "/v1/payments", "createPayment", MOVES_MONEY | ROUTE_BODY, SCOPE_PAYMENTS_WRITE, &payment_shape,
	 &mode_query, act_create, 201, &render_payment, false, "Authorize a payment with a token or a card",
	 "{\"amount\":1000,\"currency\":\"EUR\",\"token\":\"tok_test_visa\",\"capture_method\":\"manual\",\"order_id\":\"o-"
	 "1\"}"},
	{METHOD_GET, "/v1/payments", "listPayments", 0, SCOPE_PAYMENTS_READ, NULL, &operation_list_query, act_list, 200,
	 &render_payment, true, "List payments, newest first"},
	{METHOD_GET, "/v1/payments/{pay}", "getPayment", 0, SCOPE_PAYMENTS_READ, NULL, NULL, act_get, 200, &render_payment,
	 false, "Read a payment"},
	{METHOD_POST, "/v1/payments/{pay}/capture", "capturePayment", MOVES_MONEY, SCOPE_PAYMENTS_WRITE,
	 &operation_capture_shape, NULL, act_operate, 201, &render_capture, false,
	 "Capture an authorization, whole or in part", "{\"amount\":400,\"final\":false}"},
	{METHOD_POST, "/v1/payments/{pay}/void", "voidPayment", MOVES_MONEY, SCOPE_PAYMENTS_WRITE, &operation_void_shape,
	 NULL, act_operate, 200, &render_payment, false, "Release an authorization", "{\"reason\":\"out of stock\"}"},
	{METHOD_POST, "/v1/payments/{pay}/refunds", "createRefund", MOVES_MONEY, SCOPE_REFUNDS_WRITE,
	 &operation_refund_shape, NULL, act_operate, 201, &render_refund, false,
	 "Give captured money back, whole or in part", "{\"amount\":100,\"reason\":\"one broken\"}"},
	{METHOD_GET, "/v1/payments/{pay}/refunds", "listRefunds", 0, SCOPE_PAYMENTS_READ, NULL, &operation_page_query,
	 act_refunds, 200, &render_refund, true, "List a payment's refunds"},
	{METHOD_GET, "/v1/payments/{pay}/events", "listPaymentEvents", 0, SCOPE_PAYMENTS_READ, NULL, &operation_page_query,
	 act_events, 200, &render_event, true, "Read a payment's timeline"},
};

const struct api api_payments = API_TABLE("payments", routes);
