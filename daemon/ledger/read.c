#include "daemon/ledger/read.h"

#include <string.h>

#include "daemon/base/str.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/caller.h"
#include "daemon/ledger/ledger.h"

/* Answers carry at most this many bytes of views: the rows' cap less the other members. */
#define DATA_BYTES_MAX 57344

/* ── who am I ── */

static void
client_of(struct call *call, const void *request)
{
	static sp_client_of_rep rep;
	const sp_client_of_req *req = request;
	const sp_client_view *client;
	enum err e = caller_find(req->cert_sha256, &client);
	if (e) {
		call_reply(call, e, NULL);
		return;
	}
	rep.has_client = true;
	rep.client = *client;
	rep.epoch = store_clients_epoch(ledger.store);
	rep.livemode = ledger.livemode;
	memcpy(rep.install, ledger.install, sizeof rep.install);
	call_reply(call, ERR_OK, &rep);
}

void
read_client_of(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_client_of_req), client_of);
}

/* ── one payment ── */

/* The state in ledger.state, if this client may know of it. */
static enum err
load_seen(const sp_client_view *client, const char *payment)
{
	enum err e = store_payment_load(ledger.store, payment, ledger.state);
	if (!e && !caller_sees(client, ledger.state->merchant))
		e = ERR_PAYMENT_NOT_FOUND;
	return e;
}

static void
payment_get(struct call *call, const void *request)
{
	static sp_payment_get_rep rep;
	const sp_payment_get_req *req = request;
	const sp_client_view *client;
	enum err e = caller_check(req->has_caller, &req->caller, CALLER_PAYMENTS_READ, &client);
	if (!e)
		e = load_seen(client, req->id);
	if (!e)
		e = store_payment_view_of(ledger.store, ledger.state, &rep.payment);
	rep.has_payment = true;
	call_reply(call, e, e ? NULL : &rep);
}

void
read_payment_get(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_payment_get_req), payment_get);
}

/* ── pages: three messages of one shape ── */

typedef enum err (*list_fn)(const void *req, const sp_client_view *client, struct store_page *page);

static void
answer_page(struct call *call, bool has_caller, const sp_caller *as, const void *req, list_fn list)
{
	static sp_payment_list_rep rep;
	const sp_client_view *client;
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = DATA_BYTES_MAX};
	buf_init(&data, DATA_BYTES_MAX);
	enum err e = caller_check(has_caller, as, CALLER_PAYMENTS_READ, &client);
	/* to the store no merchants means all of them, as officers see it */
	if (!e && !client->merchants_count)
		e = ERR_MERCHANT_DENIED;
	if (!e)
		e = list(req, client, &page);
	if (!e) {
		rep.data.size = (pb_size_t)data.len;
		if (data.len)
			memcpy(rep.data.bytes, buf_at(&data), data.len);
		rep.count = page.count;
		rep.has_more = page.has_more;
		e = str_set(rep.next_cursor, sizeof rep.next_cursor, page.next_cursor);
	}
	call_reply(call, e, e ? NULL : &rep);
	buf_clear(&data);
}
/* the answers of the three rows have the same members in the same order */
_Static_assert(sizeof(sp_payment_list_rep) == sizeof(sp_refund_list_rep) &&
				   sizeof(sp_payment_list_rep) == sizeof(sp_payment_events_rep),
			   "one shape");

static enum err
list_payments(const void *request, const sp_client_view *client, struct store_page *page)
{
	const sp_payment_list_req *req = request;
	return store_payment_list(ledger.store, &req->query, client->merchants, client->merchants_count, page);
}

static void
payment_list(struct call *call, const void *request)
{
	const sp_payment_list_req *req = request;
	answer_page(call, req->has_caller, &req->caller, req, list_payments);
}

void
read_payment_list(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_payment_list_req), payment_list);
}

static enum err
list_refunds(const void *request, const sp_client_view *client, struct store_page *page)
{
	const sp_refund_list_req *req = request;
	enum err e = req->payment[0] ? load_seen(client, req->payment) : ERR_OK;
	return e ? e
			 : store_refund_list(ledger.store, req->payment, &req->query, client->merchants, client->merchants_count,
								 page);
}

static void
refund_list(struct call *call, const void *request)
{
	const sp_refund_list_req *req = request;
	answer_page(call, req->has_caller, &req->caller, req, list_refunds);
}

void
read_refund_list(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_refund_list_req), refund_list);
}

static enum err
list_events(const void *request, const sp_client_view *client, struct store_page *page)
{
	const sp_payment_events_req *req = request;
	enum err e = load_seen(client, req->payment);
	return e ? e : store_timeline(ledger.store, req->payment, req->query.limit, req->query.cursor, page);
}

static void
payment_events(struct call *call, const void *request)
{
	const sp_payment_events_req *req = request;
	answer_page(call, req->has_caller, &req->caller, req, list_events);
}

void
read_payment_events(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_payment_events_req), payment_events);
}

/* ── one refund ── */

static enum err
find_refund(const sp_refund_get_req *req, sp_operation_view *out)
{
	const sp_client_view *client;
	struct id payment;
	enum err e = caller_check(req->has_caller, &req->caller, CALLER_PAYMENTS_READ, &client);
	if (e)
		return e;
	if ((e = store_refund_payment(ledger.store, req->id, &payment)))
		return e;
	if ((e = load_seen(client, payment.text)))
		return e == ERR_PAYMENT_NOT_FOUND ? ERR_REFUND_NOT_FOUND : e;
	const sp_operation_state *op = payment_operation(ledger.state, req->id);
	return op ? store_operation_view_of(ledger.store, ledger.state, op, out) : ERR_REFUND_NOT_FOUND;
}

static void
refund_get(struct call *call, const void *request)
{
	static sp_refund_get_rep rep;
	enum err e = find_refund(request, &rep.refund);
	rep.has_refund = true;
	call_reply(call, e, e ? NULL : &rep);
}

void
read_refund_get(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_refund_get_req), refund_get);
}
