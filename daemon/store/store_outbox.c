#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/domain/payment_event.h"
#include "daemon/store/store_impl.h"

/*
 * The outbox is the events themselves: everything up to position.published is told, and of what comes after, the told
 * ones are bits in memory. One number in the store instead of a row per event; after a crash the bits are gone and
 * those entries are told again, which "at least once" allows.
 */

static bool
told(const struct store *s, uint64_t seq)
{
	unsigned bit = (unsigned)(seq % STORE_OUTBOX_WINDOW);
	return seq <= s->now.position.published || (s->outbox.told[bit / 8] >> bit % 8 & 1);
}

enum err
store_outbox_published(struct store *s, uint64_t seq)
{
	uint64_t *published = &s->now.position.published;
	unsigned bit = (unsigned)(seq % STORE_OUTBOX_WINDOW);

	assert(s->in_batch);
	if (seq > s->at_begin.seq || seq == 0)
		return ERR_NOT_FOUND;
	if (seq <= *published)
		return ERR_OK;
	if (seq - *published >= STORE_OUTBOX_WINDOW)
		return ERR_LIMIT;
	if (!s->outbox_changed)
		s->outbox_at_begin = s->outbox;
	s->outbox_changed = true;
	s->outbox.told[bit / 8] |= (uint8_t)(1u << bit % 8);
	for (uint64_t next = *published + 1; next <= s->at_begin.seq; next = *published + 1) {
		bit = (unsigned)(next % STORE_OUTBOX_WINDOW);
		if (!(s->outbox.told[bit / 8] >> bit % 8 & 1))
			break;
		s->outbox.told[bit / 8] &= (uint8_t) ~(1u << bit % 8);
		*published = next;
	}
	return ERR_OK;
}

/* One event, taken out of its scan: reading its payment needs the store. */
struct taken {
	const struct store *s;
	struct store_event_row row;
	uint8_t *bytes;
	bool found;
};

static enum err
take(void *arg, const struct store_event_row *row, bool *stop_out)
{
	struct taken *t = arg;

	if (told(t->s, row->seq))
		return ERR_OK;
	*stop_out = t->found = true;
	if (row->payload.n > EVENT_CODEC_EVENT_MAX)
		return ERR_RECORD_CORRUPT;
	t->row = *row;
	memcpy(t->bytes, row->payload.bytes, row->payload.n);
	t->row.payload.bytes = t->bytes;
	return ERR_OK;
}

static void
entry_head(const struct store_event_row *row, const sp_payment_state *state, struct outbox_entry *out)
{
	const struct payment_event_row *about = payment_event_row((sp_event_type)row->type);

	*out = (struct outbox_entry){
		.sequence = row->seq, .type = about->cloud_type, .at_ms = row->at_ms, .livemode = state->livemode};
	store_event_id(row, &out->id);
	memcpy(out->subject.text, state->id, sizeof out->subject.text);
	if (*state->order_id)
		memcpy(out->partition_key, state->order_id, sizeof out->partition_key);
	else
		memcpy(out->partition_key, state->id, sizeof state->id);
	memcpy(out->traceparent, state->traceparent, sizeof out->traceparent);
}

static enum err
entry_of(struct store *s, const struct taken *t, struct outbox_entry *out)
{
	const struct store_event_row *row = &t->row;
	struct payment_event ev = {.type = (sp_event_type)row->type, .version = row->version, .at_ms = row->at_ms};
	struct id id;

	if (!payment_event_row(ev.type))
		return ERR_RECORD_CORRUPT;
	/* Events of one payment often follow each other: its state is at hand then. */
	id_unpack("pay", row->stream, &id);
	enum err e = strcmp(s->state->id, id.text) ? store_payment_load(s, id.text, s->state) : ERR_OK;
	if (e == ERR_OK)
		e = event_codec_get(row->payload.bytes, row->payload.n, &ev.body, NULL);
	if (e != ERR_OK)
		return e;
	entry_head(row, s->state, out);
	buf_reset(&s->json);
	e = payment_event_json(s->state, &ev, &s->json);
	out->data = buf_at(&s->json);
	out->data_bytes = s->json.len;
	return e;
}

void
store_outbox_keep(struct store *s, const struct store_event_row *row, const sp_payment_state *state,
				  const struct payment_event *ev)
{
	struct store_hot *hot = &s->hot[row->seq % STORE_OUTBOX_HOT];

	/* What stood here is of a sequence that is long told, or of a command that was undone. */
	hot->entry.sequence = 0;
	buf_reset(&s->json);
	if (payment_event_json(state, ev, &s->json) != ERR_OK || s->json.len > sizeof hot->data)
		return; /* it will be read back */
	entry_head(row, state, &hot->entry);
	memcpy(hot->data, buf_at(&s->json), s->json.len);
	hot->entry.data = hot->data;
	hot->entry.data_bytes = s->json.len;
}

/* The next entry that is not told, from the last ones in memory or read back. found_out false: there is none. */
static enum err
next_entry(struct store *s, uint64_t seq, struct taken *t, struct outbox_entry *out, bool *found_out)
{
	const struct store_hot *hot = &s->hot[seq % STORE_OUTBOX_HOT];

	*found_out = hot->entry.sequence == seq;
	if (*found_out) {
		*out = hot->entry;
		return ERR_OK;
	}
	t->found = false;
	enum err e = s->ops->event_scan(s->kind, seq - 1, take, t);
	if (e == ERR_OK && t->found)
		e = entry_of(s, t, out);
	*found_out = e == ERR_OK && t->found;
	return e;
}

enum err
store_outbox_list(struct store *s, uint64_t after, uint32_t limit, store_outbox_fn visit, void *arg)
{
	uint64_t committed = s->in_batch ? s->at_begin.seq : s->now.seq;
	struct taken t = {.s = s, .bytes = s->bytes};
	struct outbox_entry entry;
	enum err e = ERR_OK;
	bool found;

	payment_clear(s->state); /* whatever it held may be older than the rows */
	if (after < s->now.position.published)
		after = s->now.position.published;
	for (uint64_t seq = after + 1; e == ERR_OK && limit > 0 && seq <= committed; seq++) {
		if (told(s, seq))
			continue;
		e = next_entry(s, seq, &t, &entry, &found);
		if (e != ERR_OK || !found || entry.sequence > committed)
			break;
		seq = entry.sequence;
		limit--;
		e = visit(arg, &entry);
	}
	return e;
}
