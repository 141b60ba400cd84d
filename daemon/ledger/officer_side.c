#include "daemon/ledger/officer_side.h"

#include <event2/event.h>
#include <pb_encode.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/str.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/flight.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"

#define RECORDS_BYTES_MAX 57344

/* ── clients ── */

static enum err
take_client(void *arg, const sp_client_view *c)
{
	sp_client_list_rep *rep = arg;
	rep->clients[rep->clients_count++] = *c;
	return ERR_OK;
}

static void
client_list(struct call *call, const void *request)
{
	static sp_client_list_rep rep;
	const sp_client_list_req *req = request;
	const uint32_t most = sizeof rep.clients / sizeof *rep.clients;
	uint32_t limit = req->limit && req->limit < most ? req->limit : most;
	rep.clients_count = 0;
	enum err e = store_client_list(ledger.store, req->after, limit, take_client, &rep, &rep.has_more);
	call_reply(call, e, e ? NULL : &rep);
}

void
officer_side_client_list(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_client_list_req), client_list);
}

/* ── payments ── */

/* Appends one view with its length before it, as lists carry them. ERR_LIMIT when it does not fit. */
static enum err
append_view(const pb_msgdesc_t *fields, const void *view, uint8_t *to, size_t size, pb_size_t *used)
{
	pb_ostream_t out = pb_ostream_from_buffer(to + *used, size - *used);
	if (!pb_encode_delimited(&out, fields, view))
		return ERR_LIMIT;
	*used = (pb_size_t)(*used + out.bytes_written);
	return ERR_OK;
}

static void
show_operations(const sp_payment_state *state, sp_payment_show_rep *rep)
{
	static sp_operation_view view;
	rep->operations.size = 0;
	/* the newest ones matter when not all fit; [0] is the authorization, which the payment itself shows */
	for (pb_size_t i = state->operations_count; i-- > 1;) {
		if (store_operation_view_of(ledger.store, state, &state->operations[i], &view) != ERR_OK)
			return;
		view.metadata.size = 0;
		if (append_view(sp_operation_view_fields, &view, rep->operations.bytes, sizeof rep->operations.bytes,
						&rep->operations.size) != ERR_OK)
			return;
	}
}

static enum err
show_timeline(const char *payment, sp_payment_show_rep *rep)
{
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = sizeof rep->timeline.bytes};
	buf_init(&data, sizeof rep->timeline.bytes);
	enum err e = store_timeline(ledger.store, payment, 100, "", &page);
	if (!e && data.len)
		memcpy(rep->timeline.bytes, buf_at(&data), data.len);
	rep->timeline.size = (pb_size_t)(e ? 0 : data.len);
	buf_clear(&data);
	return e;
}

static void
payment_show(struct call *call, const void *request)
{
	static sp_payment_show_rep rep;
	const sp_payment_show_req *req = request;
	enum err e = store_payment_load(ledger.store, req->id, ledger.state);
	if (!e)
		e = store_payment_view_of(ledger.store, ledger.state, &rep.payment);
	rep.has_payment = true;
	if (!e) {
		show_operations(ledger.state, &rep);
		e = show_timeline(req->id, &rep);
	}
	call_reply(call, e, e ? NULL : &rep);
}

void
officer_side_payment_show(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_payment_show_req), payment_show);
}

/* The text of a search is an id, or the caller's own order id. */
static void
payment_search(struct call *call, const void *request)
{
	static sp_payment_search_rep rep;
	static sp_list_query query;
	static sp_payment_view view;
	const sp_payment_search_req *req = request;
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = sizeof rep.data.bytes};
	enum err e = ERR_OK;

	buf_init(&data, sizeof rep.data.bytes);
	rep.data.size = 0;
	if (id_check("pay", req->text)) {
		e = store_payment_view(ledger.store, req->text, &view);
		if (!e)
			e = append_view(sp_payment_view_fields, &view, rep.data.bytes, sizeof rep.data.bytes, &rep.data.size);
		page.count = e ? 0 : 1;
		e = e == ERR_PAYMENT_NOT_FOUND ? ERR_OK : e;
	} else {
		query = req->has_query ? req->query : (sp_list_query)sp_list_query_init_zero;
		if (req->text[0])
			memcpy(query.order_id, req->text, sizeof query.order_id);
		e = store_payment_list(ledger.store, &query, NULL, 0, &page);
		rep.data.size = (pb_size_t)(e ? 0 : data.len);
		if (rep.data.size)
			memcpy(rep.data.bytes, buf_at(&data), data.len);
	}
	rep.count = page.count;
	rep.has_more = page.has_more;
	if (!e)
		e = str_set(rep.next_cursor, sizeof rep.next_cursor, page.next_cursor);
	call_reply(call, e, e ? NULL : &rep);
	buf_clear(&data);
}

void
officer_side_payment_search(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_payment_search_req), payment_search);
}

/* ── the log ── */

/* Who reads the log leaves a leaf; one per reading, not per chunk. */
static uint32_t reader_uid;

static enum err
read_act(void *arg)
{
	(void)arg;
	return leaves_officer(EVENT_L_AUDIT_READ, "", reader_uid, "ledger", ERR_OK);
}

static void
read_done(void *arg, enum err e)
{
	(void)arg, (void)e;
}

static const struct batch_row read_row = {read_act, NULL, read_done};

static void
audit_read(struct call *call, const void *request)
{
	static sp_ledger_audit_read_rep rep;
	const sp_ledger_audit_read_req *req = request;
	char note[NOTE_BYTES_MAX];
	size_t note_bytes = 0;
	uint64_t signed_size = 0;
	struct checkpoint now;
	struct buf records;
	uint32_t count = 0;

	buf_init(&records, RECORDS_BYTES_MAX);
	enum err e = store_log_note_get(ledger.store, note, &note_bytes, &signed_size);
	store_log_position(ledger.store, &now);
	/* an export is cut at the checkpoint that it carries; a tail shows all that is committed */
	uint64_t size = req->size ? req->size : req->latest ? now.size : signed_size;
	if (!e && size > now.size)
		e = ERR_OUT_OF_RANGE;
	uint64_t left = req->from < size ? size - req->from : 0;
	uint32_t limit = req->limit < left ? req->limit : (uint32_t)left;
	if (!e && limit)
		e = store_log_read(ledger.store, req->from, limit, RECORDS_BYTES_MAX, &records, &count);
	if (!e) {
		rep.records.size = (pb_size_t)records.len;
		if (records.len)
			memcpy(rep.records.bytes, buf_at(&records), records.len);
		rep.count = count;
		rep.size = size;
		rep.checkpoint.size = (pb_size_t)note_bytes;
		memcpy(rep.checkpoint.bytes, note, note_bytes);
		memcpy(rep.origin, ledger.origin, sizeof rep.origin);
	}
	call_reply(call, e, e ? NULL : &rep);
	buf_clear(&records);
	/* the question that an export begins with; the pinned reads that follow are the same reading */
	if (!e && req->export && req->size == 0 && req->limit == 0) {
		reader_uid = req->uid;
		batch_run(&read_row, NULL, 512);
	}
}

void
officer_side_audit_read(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_ledger_audit_read_req), audit_read);
}

/* ── facts and rebuild ── */

static void
facts(struct call *call, const void *req)
{
	static sp_ledger_facts_rep rep;
	(void)req;
	rep = (sp_ledger_facts_rep)sp_ledger_facts_rep_init_zero;
	enum err e = store_facts(ledger.store, &rep);
	rep.in_flight = flight_count();
	rep.cause = (uint32_t)effects_allowed();
	call_reply(call, e, e ? NULL : &rep);
}

void
officer_side_facts(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_ledger_facts_req), facts);
}

static uint64_t differences;

static enum err
rebuild_act(void *arg)
{
	(void)arg;
	return leaves_process(EVENT_L_REBUILD, "ledger", "", differences ? ERR_VERIFY_FAILED : ERR_OK, 0);
}

static const struct batch_row rebuild_row = {rebuild_act, NULL, read_done};

/* One at a time, some payments in each turn of the loop: a large store must not keep payments waiting. */
#define REBUILD_PAYMENTS 200
static struct store_rebuild *rebuilding;
static struct call *rebuild_call;
static struct event *rebuild_turn;

static void
rebuild_answer(enum err e)
{
	static sp_ledger_rebuild_rep rep;
	struct call *call = rebuild_call;
	store_rebuild_end(rebuilding, &rep);
	rebuilding = NULL;
	rebuild_call = NULL;
	differences = rep.differences;
	if (!e)
		batch_run(&rebuild_row, NULL, 512);
	call_reply(call, e, e ? NULL : &rep);
}

static void
rebuild_some(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval soon = {.tv_usec = 1000};
	bool done = false;
	(void)fd, (void)what, (void)arg;
	enum err e = ledger.stopping ? ERR_SHUTTING_DOWN : ERR_OK;
	if (!e && !store_in_batch(ledger.store))
		e = store_rebuild_step(rebuilding, REBUILD_PAYMENTS, &done);
	if (e || done)
		rebuild_answer(e);
	else
		event_add(rebuild_turn, &soon);
}

static void
rebuild(struct call *call, const void *req)
{
	(void)req;
	enum err e = rebuilding ? ERR_OVERLOADED : ERR_OK;
	if (!e && !rebuild_turn && !(rebuild_turn = evtimer_new(proc_base(), rebuild_some, NULL)))
		e = ERR_MEMORY;
	if (!e)
		e = store_rebuild_begin(ledger.store, &rebuilding);
	if (e) {
		call_reply(call, e, NULL);
		return;
	}
	rebuild_call = call;
	rebuild_some(-1, 0, NULL);
}

void
officer_side_rebuild(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_ledger_rebuild_req), rebuild);
}
