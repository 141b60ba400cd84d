#include "daemon/gate/operation.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/money.h"
#include "daemon/base/str.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

/* Deadlines nest: the ledger ends its wait before gate does, so that its answer still finds somebody. */
#define NEST_MS 1000

uint32_t
operation_deadline_ms(void)
{
	return (uint32_t)conf_int(proc_conf(), CONF_GATE_WAIT);
}

uint32_t
operation_wait_ms(void)
{
	uint32_t all = operation_deadline_ms();

	return all > 2 * NEST_MS ? all - NEST_MS : all / 2;
}

/* ── a ledger that dies and comes back ── */

#define AGAIN_AFTER_MS 150

static int64_t
left_ms(const struct request *r)
{
	return operation_deadline_ms() - (clock_mono_us() - r->began_us) / 1000;
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct request *r = arg;
	enum err e = ERR_PEER_AWAY;

	(void)fd, (void)what;
	if (!request_alive(r))
		return;
	r->asked_again = true;
	request_waits(r, PROCESS_LEDGER);
	if (left_ms(r) > 0)
		e = r->ask(r, (uint32_t)left_ms(r));
	if (e && !operation_again(r, e))
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

bool
operation_again(struct request *r, enum err e)
{
	struct timeval after = {0, AGAIN_AFTER_MS * 1000};

	/* What we asked first may still be under way after the restart: then our own key is "in progress" for a while. */
	if (e != ERR_PEER_AWAY && !(r->asked_again && (e == ERR_IDEMPOTENCY_BUSY || e == ERR_NOT_READY)))
		return false;
	return left_ms(r) > 2 * AGAIN_AFTER_MS && event_base_once(proc_base(), -1, EV_TIMEOUT, on_again, r, &after) == 0;
}

enum err
operation_ask(struct request *r, enum err (*ask)(struct request *r, uint32_t deadline_ms))
{
	r->ask = ask;
	request_waits(r, PROCESS_LEDGER);
	return ask(r, operation_deadline_ms());
}

/* ── queries ── */

static const struct choice statuses[] = {{"created", sp_payment_status_STATUS_CREATED},
										 {"processing", sp_payment_status_STATUS_PROCESSING},
										 {"requires_action", sp_payment_status_STATUS_REQUIRES_ACTION},
										 {"authorized", sp_payment_status_STATUS_AUTHORIZED},
										 {"partially_captured", sp_payment_status_STATUS_PARTIALLY_CAPTURED},
										 {"captured", sp_payment_status_STATUS_CAPTURED},
										 {"partially_refunded", sp_payment_status_STATUS_PARTIALLY_REFUNDED},
										 {"refunded", sp_payment_status_STATUS_REFUNDED},
										 {"settled", sp_payment_status_STATUS_SETTLED},
										 {"voided", sp_payment_status_STATUS_VOIDED},
										 {"expired", sp_payment_status_STATUS_EXPIRED},
										 {"declined", sp_payment_status_STATUS_DECLINED},
										 {"failed", sp_payment_status_STATUS_FAILED},
										 {"unknown", sp_payment_status_STATUS_UNKNOWN},
										 {"reversed", sp_payment_status_STATUS_REVERSED},
										 {"needs_review", sp_payment_status_STATUS_NEEDS_REVIEW},
										 {NULL, 0}};

#define QUERY(member_) .offset = offsetof(sp_list_query, member_), .bytes = sizeof(((sp_list_query *)0)->member_)
#define PAGE                                                                                                           \
	{.name = "limit", .kind = MEMBER_UINT32, .least = 1, .most = 100, QUERY(limit), .what = "1 to 100; 10"},           \
	{                                                                                                                  \
		.name = "cursor", .kind = MEMBER_TEXT, .least = 1, .most = 127, QUERY(cursor), .what = "next_cursor of a page" \
	}

static const struct member page_members[] = {PAGE};
const struct shape operation_page_query = SHAPE("PageQuery", page_members);

static const struct member list_members[] = {
	PAGE,
	{.name = "created_at.gte", .kind = MEMBER_TIME, QUERY(created_gte_ms), .what = "RFC 3339 or Unix seconds"},
	{.name = "created_at.gt", .kind = MEMBER_TIME, QUERY(created_gt_ms), .what = "RFC 3339 or Unix seconds"},
	{.name = "created_at.lte", .kind = MEMBER_TIME, QUERY(created_lte_ms), .what = "RFC 3339 or Unix seconds"},
	{.name = "created_at.lt", .kind = MEMBER_TIME, QUERY(created_lt_ms), .what = "RFC 3339 or Unix seconds"},
	{.name = "merchant", .kind = MEMBER_TEXT, .least = 1, .most = 63, QUERY(merchant), .what = "of this merchant only"},
	{.name = "order_id", .kind = MEMBER_TEXT, .least = 1, .most = 127, QUERY(order_id), .what = "of this order only"},
	{.name = "status", .kind = MEMBER_CHOICE, .choices = statuses, QUERY(status), .what = "in this status only"},
};
const struct shape operation_list_query = SHAPE("ListQuery", list_members);

void
operation_list(struct request *r, enum err e, const struct operation_page *page)
{
	/* The biggest view; decoding one after the other needs room for one. */
	static union {
		sp_payment_view payment;
		sp_operation_view operation;
		sp_timeline_view event;
	} view;

	if (!e)
		e = render_list(request_writer(), page->object, &view, page->fields, page->data, page->bytes, page->has_more,
						page->cursor);
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
	else
		request_send(r, 200);
}

/* ── answers to commands ── */

static void
add_location(struct request *r, const char *payment)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/v1/payments/%s", payment);
	request_header(r, "Location", path);
}

static bool
is_pending(const sp_payment_view *p)
{
	return p->status == sp_payment_status_STATUS_PROCESSING || p->status == sp_payment_status_STATUS_CREATED;
}

void
operation_payment_done(void *arg, enum err e, const void *answer)
{
	const sp_payment_create_rep *rep = answer;
	struct request *r = arg;
	int status;

	if (!request_alive(r) || operation_again(r, e))
		return;
	/* Replayed for us, not for the client, when we asked again ourselves. */
	r->replayed = rep && rep->replayed && !r->asked_again;
	if (r->replayed)
		request_header(r, "Idempotent-Replayed", "true");
	if (rep && rep->has_payment)
		request_about(r, rep->payment.id);
	if (e == ERR_PAYMENT_PROCESSING)
		e = ERR_OK;
	if (!e && (!rep || !rep->has_payment))
		e = ERR_PROTOCOL;
	if (e) {
		request_fail_with(r, request_peer_error(e, PROCESS_LEDGER), rep && rep->has_payment ? &rep->payment : NULL);
		return;
	}
	status = rep->http_status ? (int)rep->http_status : is_pending(&rep->payment) ? 202 : 201;
	if (status == 201 || status == 202)
		add_location(r, rep->payment.id);
	render_object(request_writer(), NULL, &render_payment, &rep->payment);
	request_send(r, status);
}

static void
on_operated(void *arg, enum err e, const void *answer)
{
	const sp_payment_operate_rep *rep = answer;
	struct request *r = arg;
	bool is_void = r->route->answer == &render_payment;

	if (!request_alive(r) || operation_again(r, e))
		return;
	/* Replayed for us, not for the client, when we asked again ourselves. */
	r->replayed = rep && rep->replayed && !r->asked_again;
	if (r->replayed)
		request_header(r, "Idempotent-Replayed", "true");
	if (rep && rep->has_payment)
		request_about(r, rep->payment.id);
	if (e == ERR_PAYMENT_PROCESSING)
		e = ERR_OK;
	if (!e && (!rep || !(is_void ? rep->has_payment : rep->has_operation)))
		e = ERR_PROTOCOL;
	if (e) {
		request_fail_with(r, request_peer_error(e, PROCESS_LEDGER), rep && rep->has_payment ? &rep->payment : NULL);
		return;
	}
	if (is_void)
		render_object(request_writer(), NULL, r->route->answer, &rep->payment);
	else
		render_object(request_writer(), NULL, r->route->answer, &rep->operation);
	request_send(r, rep->http_status ? (int)rep->http_status : r->route->status);
}

/* ── captures, voids, refunds ── */

struct operate_in {
	sp_payment_operate_req req;
};
#define OPERATE(member_) \
	.offset = offsetof(struct operate_in, req.member_), .bytes = sizeof(((struct operate_in *)0)->req.member_)
#define AMOUNT                                                                                                       \
	{                                                                                                                \
		.name = "amount", .kind = MEMBER_INT64, .least = 1, .most = MONEY_MAX_MINOR, .bad = ERR_AMOUNT_OUT_OF_RANGE, \
		OPERATE(amount_minor), .what = "minor units; what is left"                                                   \
	}
#define REASON                                                                                                   \
	{                                                                                                            \
		.name = "reason", .kind = MEMBER_TEXT, .flags = MEMBER_NO_PAN, .least = 1, .most = 127, OPERATE(reason), \
		.what = "for people"                                                                                     \
	}
#define METADATA                                                                                          \
	{                                                                                                     \
		.name = "metadata", .kind = MEMBER_METADATA, .offset = offsetof(struct operate_in, req.metadata), \
		.bytes = sizeof(((struct operate_in *)0)->req.metadata.bytes), .what = "at most 50 keys"          \
	}

static const struct member capture_members[] = {
	AMOUNT,
	{.name = "final", .kind = MEMBER_BOOL, OPERATE(final), .what = "release what is left; true"},
	METADATA,
};
const struct shape operation_capture_shape = SHAPE("CaptureRequest", capture_members);
static const struct member void_members[] = {REASON, METADATA};
const struct shape operation_void_shape = SHAPE("VoidRequest", void_members);
static const struct member refund_members[] = {AMOUNT, REASON, METADATA};
const struct shape operation_refund_shape = SHAPE("RefundRequest", refund_members);

static enum err
ask_operate(struct request *r, uint32_t deadline_ms)
{
	struct operate_in *in = r->state;
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);

	return ledger ? ask_payment_operate(ledger, &in->req, deadline_ms, on_operated, r) : ERR_LEDGER_AWAY;
}

void
operation_start(struct request *r, sp_operation_kind kind)
{
	struct operate_in *in = r->state = mem_new(1, sizeof(*in));
	enum err e;

	if (!in) {
		request_fail(r, ERR_MEMORY);
		return;
	}
	in->req.final = true;
	if (!request_read(r, in) || !request_idem(r, NULL, &in->req.idem))
		return;
	in->req.has_idem = in->req.has_caller = true;
	in->req.caller = r->caller;
	in->req.kind = kind;
	in->req.wait_ms = operation_wait_ms();
	e = str_set(in->req.payment, sizeof(in->req.payment), r->object);
	if (!e)
		e = operation_ask(r, ask_operate);
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}
