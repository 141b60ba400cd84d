#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/store/store_impl.h"

/*
 * Every stream is applied from its first event; at its end the state must be the stored one. One stream is in memory at
 * a time. A visitor may not call the store, so finished states are compared between two scans: a scan ends at the end
 * of its stream and the next one begins after it.
 */
struct rebuild {
	struct store *s;
	sp_ledger_rebuild_rep *out;
	uint8_t stream[STORE_ID_BYTES]; /* being rebuilt */
	uint8_t *made;                  /* its bytes */
	struct id id;
	bool open;
	uint64_t refunds;
};

static void
differs(struct rebuild *r, const char *what)
{
	if (r->out->differences++ == 0)
		snprintf(r->out->first_difference, sizeof r->out->first_difference, "%s: %s", r->id.text, what);
}

/* The rebuilt state against the row. */
static enum err
compare(struct rebuild *r)
{
	struct store *s = r->s;
	struct store_blob row;
	size_t made = 0;
	bool found = false;

	enum err e = event_codec_put_state(s->state, r->made, EVENT_CODEC_STATE_MAX, &made);
	if (e == ERR_OK)
		e = s->ops->payment_get(s->kind, r->stream, &row, &found);
	if (e != ERR_OK)
		return e;
	r->out->objects++;
	if (!found)
		differs(r, "events but no row");
	else if (row.n != made || memcmp(row.bytes, r->made, made) != 0)
		differs(r, "the row is not what its events make");
	return ERR_OK;
}

static enum err
check_refund(struct rebuild *r)
{
	const struct store *s = r->s;

	for (size_t i = 0; i < s->state->operations_count; i++) {
		const sp_operation_state *op = &s->state->operations[i];
		uint8_t key[STORE_ID_BYTES];
		struct store_blob value;
		bool found = false;
		if (op->kind != sp_KIND_REFUND)
			continue;
		r->refunds++;
		enum err e = id_pack("rcp", op->id, key);
		if (e == ERR_OK)
			e = s->ops->item_get(s->kind, STORE_ITEM_REFUND, store_blob_of(key, sizeof key), &value, &found);
		if (e != ERR_OK)
			return e;
		if (!found || value.n != STORE_ID_BYTES || memcmp(value.bytes, r->stream, STORE_ID_BYTES) != 0)
			differs(r, "a refund that does not lead to its payment");
	}
	return ERR_OK;
}

/* One event of the open stream; stops at the first of the next stream. */
static enum err
replay(void *arg, const struct store_event_row *row, bool *stop_out)
{
	struct rebuild *r = arg;
	struct store *s = r->s;
	struct payment_event ev = {
		.type = (sp_event_type)row->type, .version = row->version, .at_ms = row->at_ms, .detail = &s->detail};

	if (!r->open) {
		memcpy(r->stream, row->stream, STORE_ID_BYTES);
		id_unpack("pay", r->stream, &r->id);
		payment_clear(s->state);
		r->open = true;
	} else if (memcmp(r->stream, row->stream, STORE_ID_BYTES) != 0) {
		*stop_out = true;
		return ERR_OK;
	}
	r->out->events++;
	enum err e = event_codec_get(row->payload.bytes, row->payload.n, &ev.body, &s->detail);
	if (e == ERR_OK)
		e = payment_apply(s->state, r->id.text, &ev);
	if (e != ERR_OK && e != ERR_VERSION_CONFLICT && e != ERR_RECORD_CORRUPT)
		return e;
	if (e != ERR_OK)
		differs(r, "an event that does not follow from those before it");
	return ERR_OK;
}

static enum err
count_payment(void *arg, const struct store_payment_row *row, bool *stop_out)
{
	(void)row, (void)stop_out;
	++*(uint64_t *)arg;
	return ERR_OK;
}

static enum err
count_refund(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	(void)key, (void)value, (void)stop_out;
	++*(uint64_t *)arg;
	return ERR_OK;
}

/* Rows that no event made. */
static enum err
compare_counts(struct rebuild *r)
{
	struct store *s = r->s;
	struct store_payment_range all = {0};
	uint64_t payments = 0, refunds = 0;

	memset(all.below, 0xff, sizeof all.below);
	enum err e = s->ops->payment_scan(s->kind, &all, count_payment, &payments);
	if (e == ERR_OK)
		e = s->ops->item_scan(s->kind, STORE_ITEM_REFUND, store_blob_of("", 0), false, count_refund, &refunds);
	if (e != ERR_OK)
		return e;
	snprintf(r->id.text, sizeof r->id.text, "payments");
	if (payments != r->out->objects || payments != s->now.position.payments)
		differs(r, "their number is not that of the streams");
	snprintf(r->id.text, sizeof r->id.text, "refunds");
	if (refunds != r->refunds)
		differs(r, "their number is not that of the events");
	snprintf(r->id.text, sizeof r->id.text, "events");
	if (r->out->events != s->now.seq)
		differs(r, "their number is not the last sequence");
	return ERR_OK;
}

enum err
store_rebuild(struct store *s, sp_ledger_rebuild_rep *out)
{
	struct rebuild r = {.s = s, .out = out, .made = mem_new(1, EVENT_CODEC_STATE_MAX)};
	enum err e = r.made ? ERR_OK : ERR_MEMORY;

	assert(!s->in_batch);
	*out = (sp_ledger_rebuild_rep)sp_ledger_rebuild_rep_init_zero;
	while (e == ERR_OK) {
		r.open = false;
		e = s->ops->streams_scan(s->kind, r.stream, replay, &r);
		if (e != ERR_OK || !r.open)
			break;
		e = compare(&r);
		if (e == ERR_OK)
			e = check_refund(&r);
	}
	if (e == ERR_OK)
		e = compare_counts(&r);
	mem_free(r.made);
	return e;
}
