#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/mem.h"
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

static enum err
entry_of(struct store *s, const struct taken *t, struct buf *json, struct outbox_entry *out)
{
	const struct store_event_row *row = &t->row;
	const struct payment_event_row *about = payment_event_row((sp_event_type)row->type);
	struct payment_event ev = {.type = (sp_event_type)row->type, .version = row->version, .at_ms = row->at_ms};

	if (!about)
		return ERR_RECORD_CORRUPT;
	*out = (struct outbox_entry){.sequence = row->seq, .type = about->cloud_type, .at_ms = row->at_ms};
	store_event_id(row, &out->id);
	id_unpack("pay", row->stream, &out->subject);
	/* Events of one payment often follow each other: its state is at hand then. */
	enum err e = strcmp(s->state->id, out->subject.text) ? store_payment_load(s, out->subject.text, s->state) : ERR_OK;
	if (e == ERR_OK)
		e = event_codec_get(row->payload.bytes, row->payload.n, &ev.body, NULL);
	if (e == ERR_OK)
		e = payment_event_json(s->state, &ev, json);
	if (e != ERR_OK)
		return e;
	snprintf(out->partition_key, sizeof out->partition_key, "%s",
			 *s->state->order_id ? s->state->order_id : out->subject.text);
	memcpy(out->traceparent, s->state->traceparent, sizeof out->traceparent);
	out->livemode = s->state->livemode;
	out->data = buf_at(json);
	out->data_bytes = json->len;
	return ERR_OK;
}

enum err
store_outbox_list(struct store *s, uint64_t after, uint32_t limit, store_outbox_fn visit, void *arg)
{
	uint64_t committed = s->in_batch ? s->at_begin.seq : s->now.seq;
	struct taken t = {.s = s, .bytes = mem_new(1, EVENT_CODEC_EVENT_MAX)};
	struct outbox_entry entry;
	struct buf json;
	enum err e = t.bytes ? ERR_OK : ERR_MEMORY;

	buf_init(&json, EVENT_CODEC_EVENT_MAX);
	payment_clear(s->state); /* whatever it held may be older than the rows */
	if (after < s->now.position.published)
		after = s->now.position.published;
	while (e == ERR_OK && limit-- > 0 && after < committed) {
		t.found = false;
		e = s->ops->event_scan(s->kind, after, take, &t);
		if (e != ERR_OK || !t.found || t.row.seq > committed)
			break;
		after = t.row.seq;
		buf_reset(&json);
		e = entry_of(s, &t, &json, &entry);
		if (e == ERR_OK)
			e = visit(arg, &entry);
	}
	buf_clear(&json);
	mem_free(t.bytes);
	return e;
}
