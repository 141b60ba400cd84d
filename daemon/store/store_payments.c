#include <assert.h>
#include <string.h>

#include "daemon/domain/payment_view.h"
#include "daemon/store/store_impl.h"

/* ── one payment ── */

enum err
store_payment_load(struct store *s, const char *id, sp_payment_state *out)
{
	uint8_t key[STORE_ID_BYTES];
	struct store_blob row;
	bool found = false;

	if (id_pack("pay", id, key) != ERR_OK)
		return ERR_PAYMENT_NOT_FOUND;
	enum err e = s->ops->payment_get(s->kind, key, &row, &found);
	if (e != ERR_OK)
		return e;
	return found ? event_codec_get_state(id, row.bytes, row.n, out) : ERR_PAYMENT_NOT_FOUND;
}

/* FNV-1a: only an index entry that is small; the order id itself is compared too. Never 0 for an order id. */
int64_t
store_order_hash(const char *order_id)
{
	uint64_t h = UINT64_C(14695981039346656037);

	if (!*order_id)
		return 0;
	for (; *order_id; order_id++)
		h = (h ^ (uint8_t)*order_id) * UINT64_C(1099511628211);
	return (int64_t)(h >> 1) | 1;
}

static enum err
append_one(struct store *s, const uint8_t stream[STORE_ID_BYTES], const char *id, sp_payment_state *state,
		   const struct payment_event *ev)
{
	struct store_event_row row = {
		.seq = s->now.seq + 1, .version = ev->version, .type = (uint32_t)ev->type, .at_ms = ev->at_ms};
	uint8_t refund[STORE_ID_BYTES];
	size_t n = 0;

	enum err e = payment_apply(state, id, ev);
	if (e == ERR_OK)
		e = event_codec_put(ev, s->bytes, sizeof s->bytes, &n);
	if (e != ERR_OK)
		return e;
	memcpy(row.stream, stream, STORE_ID_BYTES);
	row.payload = store_blob_of(s->bytes, n);
	e = s->ops->event_add(s->kind, &row);
	if (e == ERR_OK) {
		s->now.seq = row.seq;
		store_outbox_keep(s, &row, state, ev);
	}
	if (e != ERR_OK || ev->type != sp_EV_REFUND_REQUESTED)
		return e;
	/* Refunds have names of their own. */
	e = id_pack("ref", ev->body.operation, refund);
	return e == ERR_OK ? s->ops->item_put(s->kind, STORE_ITEM_REFUND, store_blob_of(refund, sizeof refund),
										  store_blob_of(stream, STORE_ID_BYTES))
					   : e;
}

enum err
store_payment_append(struct store *s, const char *id, sp_payment_state *state, const struct payment_event *events,
					 unsigned n)
{
	struct store_payment_row row = {0};
	uint32_t was = state->version;
	int64_t expired_ms = was ? store_expiry_of(state) : 0;
	size_t bytes = 0;

	assert(s->in_batch);
	enum err e = id_pack("pay", id, row.id);
	for (unsigned i = 0; i < n && e == ERR_OK; i++)
		e = append_one(s, row.id, id, state, &events[i]);
	if (e != ERR_OK || n == 0)
		return e;
	e = event_codec_put_state(state, s->bytes, sizeof s->bytes, &bytes);
	if (e != ERR_OK)
		return e;
	row.version = state->version;
	row.order_hash = store_order_hash(state->order_id);
	row.state = store_blob_of(s->bytes, bytes);
	e = s->ops->payment_put(s->kind, &row, was);
	if (e == ERR_OK)
		e = store_expiry_move(s, row.id, expired_ms, store_expiry_of(state));
	if (e == ERR_OK && was == 0)
		s->now.position.payments++;
	return e;
}

/* ── events read back ── */

enum err
store_event_read(struct store *s, const uint8_t stream[STORE_ID_BYTES], uint32_t version)
{
	struct store_blob payload;
	bool found = false;
	enum err e = s->ops->event_get(s->kind, stream, version, &payload, &found);

	if (e != ERR_OK)
		return e;
	return found ? event_codec_get(payload.bytes, payload.n, &s->body, &s->detail) : ERR_PAYMENT_NOT_FOUND;
}

enum err
store_payment_requested(struct store *s, const char *id, sp_event_detail *out)
{
	uint8_t stream[STORE_ID_BYTES];

	if (id_pack("pay", id, stream) != ERR_OK)
		return ERR_PAYMENT_NOT_FOUND;
	enum err e = store_event_read(s, stream, 1);
	if (e == ERR_OK)
		*out = s->detail;
	return e;
}

enum err
store_payment_view_of(struct store *s, const sp_payment_state *state, sp_payment_view *out)
{
	uint8_t stream[STORE_ID_BYTES];
	enum err e = id_pack("pay", state->id, stream);
	if (e == ERR_OK)
		e = store_event_read(s, stream, 1);
	if (e == ERR_OK)
		payment_view_of(state, &s->detail, out);
	return e;
}

enum err
store_payment_view(struct store *s, const char *id, sp_payment_view *out)
{
	enum err e = store_payment_load(s, id, s->state);
	return e == ERR_OK ? store_payment_view_of(s, s->state, out) : e;
}

enum err
store_operation_view_of(struct store *s, const sp_payment_state *state, const sp_operation_state *op,
						sp_operation_view *out)
{
	uint8_t stream[STORE_ID_BYTES];
	enum err e = id_pack("pay", state->id, stream);
	if (e == ERR_OK)
		e = store_event_read(s, stream, op->requested_version);
	if (e == ERR_OK)
		payment_view_operation(state, op, &s->body, &s->detail, out);
	return e;
}
