#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/store/store_impl.h"

/*
 * Every stream is applied from its first event; at its end the state must be the stored one. One stream is in memory at
 * a time. Streams are ULIDs: what is made while a rebuild goes on comes behind it, and is looked at too.
 */
struct store_rebuild {
	struct store *s;
	sp_ledger_rebuild_rep rep;
	uint64_t seq_at_begin;
	uint8_t stream[STORE_ID_BYTES]; /* the last one looked at */
	struct id id;
	bool open;
	uint64_t refunds, expiries;
	uint8_t made[EVENT_CODEC_STATE_MAX]; /* the rebuilt state's bytes */
	size_t n_made;
};

static void
differs(struct store_rebuild *r, const char *what)
{
	if (r->rep.differences++ == 0)
		snprintf(r->rep.first_difference, sizeof r->rep.first_difference, "%s: %s", r->id.text, what);
}

/* ── one stream ── */

/* One event of the open stream; stops at the first of the next stream. */
static enum err
replay(void *arg, const struct store_event_row *row, bool *stop_out)
{
	struct store_rebuild *r = arg;
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
	r->rep.events++;
	enum err e = event_codec_get(row->payload.bytes, row->payload.n, &ev.body, &s->detail);
	if (e == ERR_OK)
		e = payment_apply(s->state, r->id.text, &ev);
	if (e != ERR_OK && e != ERR_VERSION_CONFLICT && e != ERR_RECORD_CORRUPT)
		return e;
	if (e != ERR_OK)
		differs(r, "an event that does not follow from those before it");
	return ERR_OK;
}

struct stored {
	struct store_rebuild *r;
	bool found, same;
};

static enum err
compare_row(void *arg, const struct store_payment_row *row, bool *stop_out)
{
	struct stored *stored = arg;
	const struct store_rebuild *r = stored->r;

	*stop_out = true;
	stored->found = memcmp(row->id, r->stream, STORE_ID_BYTES) == 0;
	stored->same = row->state.n == r->n_made && memcmp(row->state.bytes, r->made, r->n_made) == 0;
	return ERR_OK;
}

/* The rebuilt state against the row. By a scan, because a scan reads what is stored and not what is remembered of it.
 */
static enum err
compare(struct store_rebuild *r)
{
	struct store_payment_range one = {0};
	struct stored stored = {.r = r};
	struct store *s = r->s;

	memcpy(one.least, r->stream, STORE_ID_BYTES);
	memcpy(one.below, r->stream, STORE_ID_BYTES);
	for (int i = STORE_ID_BYTES - 1; i >= 0 && ++one.below[i] == 0; i--)
		;
	enum err e = event_codec_put_state(s->state, r->made, sizeof r->made, &r->n_made);
	if (e == ERR_OK)
		e = s->ops->payment_scan(s->kind, &one, compare_row, &stored);
	if (e != ERR_OK)
		return e;
	r->rep.objects++;
	if (!stored.found)
		differs(r, "events but no row");
	else if (!stored.same)
		differs(r, "the row is not what its events make");
	return ERR_OK;
}

static enum err
check_refunds(struct store_rebuild *r)
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
		enum err e = id_pack("ref", op->id, key);
		if (e == ERR_OK)
			e = s->ops->item_get(s->kind, STORE_ITEM_REFUND, store_blob_of(key, sizeof key), &value, &found);
		if (e != ERR_OK)
			return e;
		if (!found || value.n != STORE_ID_BYTES || memcmp(value.bytes, r->stream, STORE_ID_BYTES) != 0)
			differs(r, "a refund that does not lead to its payment");
	}
	return ERR_OK;
}

static enum err
check_expiry(struct store_rebuild *r)
{
	struct store *s = r->s;
	bool found = false;

	if (!store_expiry_of(s->state))
		return ERR_OK;
	r->expiries++;
	enum err e = store_expiry_has(s, r->stream, store_expiry_of(s->state), &found);
	if (e == ERR_OK && !found)
		differs(r, "an authorization that would never run out");
	return e;
}

/* ── the whole: rows that no event made ── */

static enum err
count_payment(void *arg, const struct store_payment_row *row, bool *stop_out)
{
	(void)row, (void)stop_out;
	++*(uint64_t *)arg;
	return ERR_OK;
}

static enum err
count_item(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	(void)key, (void)value, (void)stop_out;
	++*(uint64_t *)arg;
	return ERR_OK;
}

static enum err
compare_counts(struct store_rebuild *r)
{
	struct store *s = r->s;
	struct store_payment_range all = {0};
	uint64_t payments = 0, refunds = 0, expiries = 0;

	/* Work went on meanwhile: streams that were looked at have grown, and only a quiet store can be counted. */
	if (s->now.seq != r->seq_at_begin)
		return ERR_OK;
	memset(all.below, 0xff, sizeof all.below);
	enum err e = s->ops->payment_scan(s->kind, &all, count_payment, &payments);
	if (e == ERR_OK)
		e = s->ops->item_scan(s->kind, STORE_ITEM_REFUND, store_blob_of("", 0), false, count_item, &refunds);
	if (e == ERR_OK)
		e = s->ops->item_scan(s->kind, STORE_ITEM_EXPIRY, store_blob_of("", 0), false, count_item, &expiries);
	if (e != ERR_OK)
		return e;
	snprintf(r->id.text, sizeof r->id.text, "payments");
	if (payments != r->rep.objects || payments != s->now.position.payments)
		differs(r, "their number is not that of the streams");
	snprintf(r->id.text, sizeof r->id.text, "refunds");
	if (refunds != r->refunds)
		differs(r, "their number is not that of the events");
	snprintf(r->id.text, sizeof r->id.text, "authorizations that run out");
	if (expiries != r->expiries)
		differs(r, "their number is not that of the payments");
	snprintf(r->id.text, sizeof r->id.text, "events");
	if (r->rep.events != s->now.seq)
		differs(r, "their number is not the last sequence");
	return ERR_OK;
}

/* ── from outside ── */

enum err
store_rebuild_begin(struct store *s, struct store_rebuild **out)
{
	struct store_rebuild *r = mem_new(1, sizeof *r);

	*out = r;
	if (!r)
		return ERR_MEMORY;
	r->s = s;
	r->seq_at_begin = s->now.seq;
	return ERR_OK;
}

enum err
store_rebuild_step(struct store_rebuild *r, unsigned payments, bool *done_out)
{
	struct store *s = r->s;
	enum err e = ERR_OK;

	assert(!s->in_batch);
	*done_out = false;
	while (e == ERR_OK && payments-- > 0) {
		r->open = false;
		e = s->ops->streams_scan(s->kind, r->stream, replay, r);
		if (e == ERR_OK && !r->open) {
			*done_out = true;
			return compare_counts(r);
		}
		if (e == ERR_OK)
			e = compare(r);
		if (e == ERR_OK)
			e = check_refunds(r);
		if (e == ERR_OK)
			e = check_expiry(r);
	}
	return e;
}

void
store_rebuild_end(struct store_rebuild *r, sp_ledger_rebuild_rep *out)
{
	if (out)
		*out = r->rep;
	mem_free(r);
}

enum err
store_rebuild(struct store *s, sp_ledger_rebuild_rep *out)
{
	struct store_rebuild *r;
	bool done = false;

	*out = (sp_ledger_rebuild_rep)sp_ledger_rebuild_rep_init_zero;
	enum err e = store_rebuild_begin(s, &r);
	while (e == ERR_OK && !done)
		e = store_rebuild_step(r, 1000, &done);
	if (r)
		store_rebuild_end(r, out);
	return e;
}
