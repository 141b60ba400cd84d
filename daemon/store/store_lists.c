#include <inttypes.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"
#include "daemon/domain/payment_event.h"
#include "daemon/store/store_impl.h"

/* A list looks at this many rows at most and then gives what it has, with a cursor: no filter holds up the writer. */
#define LIST_ROWS_MAX 2000
#define LIST_DEFAULT  20
#define LIST_MAX      100

/* ── pages of a list ── */

/* One view behind its length. ERR_LIMIT: the page is full (nothing was added). */
static enum err
page_add(struct store *s, struct store_page *page, const pb_msgdesc_t *fields, const void *view)
{
	pb_ostream_t to = pb_ostream_from_buffer(s->bytes, sizeof s->bytes);

	if (!pb_encode_delimited(&to, fields, view))
		return ERR_OUT_OF_RANGE;
	if (page->data->len + to.bytes_written > page->bytes_max)
		return page->count ? ERR_LIMIT : ERR_OUT_OF_RANGE;
	enum err e = buf_add(page->data, s->bytes, to.bytes_written);
	if (e == ERR_OK)
		page->count++;
	return e;
}

static uint32_t
page_limit(uint32_t wanted)
{
	return wanted == 0 ? LIST_DEFAULT : wanted > LIST_MAX ? LIST_MAX : wanted;
}

static void
page_start(struct store_page *page)
{
	page->count = 0;
	page->has_more = false;
	page->next_cursor[0] = 0;
}

static bool
may_see(const char *merchant, const char (*merchants)[64], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(merchant, merchants[i]) == 0)
			return true;
	return n == 0;
}

/* The time at the front of a ULID, so that bounds in time are bounds in ids. Below: everything. */
static void
bound(uint8_t out[STORE_ID_BYTES], int64_t ms)
{
	if (ms < 0)
		ms = 0;
	memset(out, 0, STORE_ID_BYTES);
	for (int i = 0; i < 6; i++)
		out[i] = (uint8_t)(ms >> (40 - 8 * i));
}

static enum err
bounds(const sp_list_query *q, const char *prefix, uint8_t least[STORE_ID_BYTES], uint8_t below[STORE_ID_BYTES])
{
	int64_t from = q->created_gte_ms, until = q->created_lt_ms;

	if (q->created_gt_ms && q->created_gt_ms + 1 > from)
		from = q->created_gt_ms + 1;
	if (q->created_lte_ms && (!until || q->created_lte_ms + 1 < until))
		until = q->created_lte_ms + 1;
	bound(least, from);
	memset(below, 0xff, STORE_ID_BYTES);
	if (until)
		bound(below, until);
	if (!*q->cursor)
		return ERR_OK;
	uint8_t cursor[STORE_ID_BYTES];
	if (id_pack(prefix, q->cursor, cursor) != ERR_OK)
		return ERR_CURSOR;
	if (memcmp(cursor, below, STORE_ID_BYTES) < 0)
		memcpy(below, cursor, STORE_ID_BYTES);
	return ERR_OK;
}

/* ── payments, newest first ── */

/* Ids that a scan found; their objects are read after it, because a visitor must not call the store. */
struct found {
	struct store *s;
	const sp_list_query *q;
	const char (*merchants)[64];
	unsigned n_merchants;
	uint32_t want, n, looked;
	uint8_t ids[LIST_MAX + 1][STORE_ID_BYTES];
	uint8_t at[STORE_ID_BYTES]; /* the last one looked at */
	bool cut;                   /* ended by LIST_ROWS_MAX */
};

static enum err
find_payment(void *arg, const struct store_payment_row *row, bool *stop_out)
{
	struct found *f = arg;
	const sp_list_query *q = f->q;
	sp_payment_state *state = f->s->state;

	enum err e = event_codec_get_state("", row->state.bytes, row->state.n, state);
	if (e != ERR_OK)
		return e;
	memcpy(f->at, row->id, STORE_ID_BYTES);
	if (may_see(state->merchant, f->merchants, f->n_merchants) &&
		(!*q->merchant || !strcmp(q->merchant, state->merchant)) &&
		(!*q->order_id || !strcmp(q->order_id, state->order_id)) && (!q->status || q->status == payment_status(state)))
		memcpy(f->ids[f->n++], row->id, STORE_ID_BYTES);
	f->cut = ++f->looked == LIST_ROWS_MAX && f->n <= f->want;
	*stop_out = f->n > f->want || f->cut;
	return ERR_OK;
}

static void
page_more(struct store_page *page, const char *prefix, const uint8_t id[STORE_ID_BYTES])
{
	struct id text;
	id_unpack(prefix, id, &text);
	page->has_more = true;
	snprintf(page->next_cursor, sizeof page->next_cursor, "%s", text.text);
}

enum err
store_payment_list(struct store *s, const sp_list_query *q, const char (*merchants)[64], unsigned n_merchants,
				   struct store_page *page)
{
	struct found f = {.s = s, .q = q, .merchants = merchants, .n_merchants = n_merchants, .want = page_limit(q->limit)};
	struct store_payment_range range = {.order_hash = store_order_hash(q->order_id)};
	struct id id;

	page_start(page);
	enum err e = bounds(q, "pay", range.least, range.below);
	if (e == ERR_OK)
		e = s->ops->payment_scan(s->kind, &range, find_payment, &f);
	for (uint32_t i = 0; i < f.n && i < f.want && e == ERR_OK; i++) {
		id_unpack("pay", f.ids[i], &id);
		e = store_payment_view(s, id.text, &s->payment_view);
		if (e == ERR_OK)
			e = page_add(s, page, sp_payment_view_fields, &s->payment_view);
	}
	if (e != ERR_OK && e != ERR_LIMIT)
		return e;
	if (e == ERR_LIMIT || f.n > f.want)
		page_more(page, "pay", f.ids[page->count - 1]);
	else if (f.cut)
		page_more(page, "pay", f.at);
	return ERR_OK;
}

/* ── refunds, newest first ── */

struct found_refunds {
	uint32_t want, n;
	uint8_t least[STORE_ID_BYTES];
	struct {
		uint8_t refund[STORE_ID_BYTES], payment[STORE_ID_BYTES];
	} rows[LIST_MAX + 1];
};

static enum err
find_refund(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	struct found_refunds *f = arg;

	if (key.n != STORE_ID_BYTES || value.n != STORE_ID_BYTES)
		return ERR_RECORD_CORRUPT;
	*stop_out = memcmp(key.bytes, f->least, STORE_ID_BYTES) < 0;
	if (*stop_out)
		return ERR_OK;
	memcpy(f->rows[f->n].refund, key.bytes, STORE_ID_BYTES);
	memcpy(f->rows[f->n++].payment, value.bytes, STORE_ID_BYTES);
	*stop_out = f->n > f->want;
	return ERR_OK;
}

static enum err
add_refund(struct store *s, struct store_page *page, const struct id *refund)
{
	const sp_operation_state *op = payment_operation(s->state, refund->text);

	if (!op)
		return ERR_RECORD_CORRUPT;
	enum err e = store_operation_view_of(s, s->state, op, &s->operation_view);
	return e == ERR_OK ? page_add(s, page, sp_operation_view_fields, &s->operation_view) : e;
}

static enum err
refunds_of_all(struct store *s, const sp_list_query *q, const char (*merchants)[64], unsigned n_merchants,
			   struct store_page *page)
{
	struct found_refunds f = {.want = page_limit(q->limit)};
	uint8_t below[STORE_ID_BYTES];
	struct id payment, refund;
	uint32_t i = 0;

	enum err e = bounds(q, "ref", f.least, below);
	if (e == ERR_OK)
		e = s->ops->item_scan(s->kind, STORE_ITEM_REFUND, store_blob_of(below, sizeof below), true, find_refund, &f);
	for (; i < f.n && i < f.want && e == ERR_OK; i++) {
		id_unpack("pay", f.rows[i].payment, &payment);
		id_unpack("ref", f.rows[i].refund, &refund);
		e = store_payment_load(s, payment.text, s->state);
		if (e == ERR_OK && may_see(s->state->merchant, merchants, n_merchants) &&
			(!*q->merchant || !strcmp(q->merchant, s->state->merchant)))
			e = add_refund(s, page, &refund);
	}
	if (e != ERR_OK && e != ERR_LIMIT)
		return e;
	i -= e == ERR_LIMIT; /* the one that did not fit comes first on the next page */
	if (i > 0 && i < f.n)
		page_more(page, "ref", f.rows[i - 1].refund);
	return ERR_OK;
}

static enum err
refunds_of_payment(struct store *s, const char *payment, const sp_list_query *q, struct store_page *page)
{
	uint32_t want = page_limit(q->limit);
	size_t i = s->state->operations_count;
	enum err e = ERR_OK;
	struct id id = {""};

	(void)payment;
	if (*q->cursor) {
		const sp_operation_state *op = payment_operation(s->state, q->cursor);
		if (!op)
			return ERR_CURSOR;
		i = (size_t)(op - s->state->operations);
	}
	while (i-- > 0 && e == ERR_OK) {
		const sp_operation_state *op = &s->state->operations[i];
		if (op->kind != sp_KIND_REFUND)
			continue;
		if (page->count == want) {
			e = ERR_LIMIT;
			break;
		}
		struct id next;
		memcpy(next.text, op->id, sizeof next.text);
		e = add_refund(s, page, &next);
		if (e == ERR_OK)
			id = next;
	}
	if (e != ERR_OK && e != ERR_LIMIT)
		return e;
	page->has_more = e == ERR_LIMIT;
	if (page->has_more)
		memcpy(page->next_cursor, id.text, sizeof id.text);
	return ERR_OK;
}

enum err
store_refund_list(struct store *s, const char *payment, const sp_list_query *q, const char (*merchants)[64],
				  unsigned n_merchants, struct store_page *page)
{
	page_start(page);
	if (!*payment)
		return refunds_of_all(s, q, merchants, n_merchants, page);
	enum err e = store_payment_load(s, payment, s->state);
	if (e == ERR_OK && !may_see(s->state->merchant, merchants, n_merchants))
		e = ERR_PAYMENT_NOT_FOUND;
	return e == ERR_OK ? refunds_of_payment(s, payment, q, page) : e;
}

enum err
store_refund_payment(struct store *s, const char *refund, struct id *payment_out)
{
	uint8_t key[STORE_ID_BYTES];
	struct store_blob value;
	bool found = false;

	if (id_pack("ref", refund, key) != ERR_OK)
		return ERR_REFUND_NOT_FOUND;
	enum err e = s->ops->item_get(s->kind, STORE_ITEM_REFUND, store_blob_of(key, sizeof key), &value, &found);
	if (e != ERR_OK)
		return e;
	if (!found)
		return ERR_REFUND_NOT_FOUND;
	if (value.n != STORE_ID_BYTES)
		return ERR_RECORD_CORRUPT;
	id_unpack("pay", value.bytes, payment_out);
	return ERR_OK;
}

/* ── the timeline: events applied one after the other, so that each line can tell the status it led to ── */

struct timeline {
	struct store *s;
	const char *payment;
	struct store_page *page;
	uint32_t after, want;
	sp_timeline_view view;
};

void
store_event_id(const struct store_event_row *row, struct id *out)
{
	uint8_t bytes[STORE_ID_BYTES];

	bound(bytes, row->at_ms);
	memcpy(bytes + 6, row->stream + 14, 2);
	for (int i = 0; i < 8; i++)
		bytes[8 + i] = (uint8_t)(row->seq >> (56 - 8 * i));
	id_unpack("evt", bytes, out);
}

static void
timeline_line(struct timeline *t, const struct store_event_row *row)
{
	const struct payment_event_row *about = payment_event_row((sp_event_type)row->type);
	const sp_event_body *b = &t->s->body;
	sp_timeline_view *v = &t->view;
	struct id id;

	*v = (sp_timeline_view)sp_timeline_view_init_zero;
	store_event_id(row, &id);
	memcpy(v->id, id.text, sizeof v->id);
	v->sequence = row->seq;
	snprintf(v->type, sizeof v->type, "%s", about->cloud_type);
	v->at_ms = row->at_ms;
	memcpy(v->actor, b->actor, sizeof v->actor);
	snprintf(v->operation, sizeof v->operation, "%s", *b->operation ? b->operation : t->payment);
	v->kind = b->kind;
	v->status = b->status;
	v->amount_minor = b->amount_minor;
	v->currency = t->s->state->currency;
	memcpy(v->code, *b->decline_code ? b->decline_code : b->code, sizeof v->code);
	memcpy(v->processor, b->account, sizeof v->processor);
	memcpy(v->rule, b->rule, sizeof v->rule);
	v->payment_status = payment_status(t->s->state);
}

static enum err
add_line(void *arg, const struct store_event_row *row, bool *stop_out)
{
	struct timeline *t = arg;
	struct store *s = t->s;
	struct payment_event ev = {
		.type = (sp_event_type)row->type, .version = row->version, .at_ms = row->at_ms, .detail = &s->detail};

	enum err e = event_codec_get(row->payload.bytes, row->payload.n, &s->body, &s->detail);
	ev.body = s->body;
	if (e == ERR_OK)
		e = payment_apply(s->state, t->payment, &ev);
	if (e != ERR_OK || row->version <= t->after)
		return e;
	e = ERR_LIMIT;
	if (t->page->count < t->want) {
		timeline_line(t, row);
		e = page_add(s, t->page, sp_timeline_view_fields, &t->view);
	}
	if (e != ERR_LIMIT)
		return e;
	*stop_out = t->page->has_more = true;
	snprintf(t->page->next_cursor, sizeof t->page->next_cursor, "%" PRIu32, row->version - 1);
	return ERR_OK;
}

enum err
store_timeline(struct store *s, const char *payment, uint32_t limit, const char *cursor, struct store_page *page)
{
	struct timeline t = {.s = s, .payment = payment, .page = page, .want = page_limit(limit)};
	uint8_t stream[STORE_ID_BYTES];
	uint64_t after = 0;

	page_start(page);
	if (*cursor && str_decimal(cursor, UINT32_MAX, &after) != ERR_OK)
		return ERR_CURSOR;
	if (id_pack("pay", payment, stream) != ERR_OK)
		return ERR_PAYMENT_NOT_FOUND;
	t.after = (uint32_t)after;
	payment_clear(s->state);
	enum err e = s->ops->stream_scan(s->kind, stream, 0, add_line, &t);
	if (e == ERR_OK && s->state->version == 0)
		e = ERR_PAYMENT_NOT_FOUND;
	return e;
}
