#include "daemon/store/store.h"

#include <assert.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/store/store_impl.h"

static const uint8_t position_key[] = {'p'};

/* ── opening ── */

enum err
store_open(const struct store_ops *ops, const struct store_options *options, struct store **out)
{
	struct store *s = mem_new(1, sizeof *s);
	enum err e = ERR_MEMORY;
	bool found;

	if (!s || !(s->state = payment_new()) || !(s->hot = mem_new(STORE_OUTBOX_HOT, sizeof *s->hot)))
		goto out;
	buf_init(&s->json, EVENT_CODEC_EVENT_MAX);
	s->ops = ops;
	s->ttl_ms = options->idempotency_ttl_ms;
	e = ops->open(options, &s->kind);
	if (e == ERR_OK)
		e = ops->event_last(s->kind, &s->now.seq);
	if (e == ERR_OK)
		e = store_item_get_message(s, STORE_ITEM_POSITION, store_blob_of(position_key, sizeof position_key),
								   sp_store_position_fields, &s->now.position, &found);
	if (e == ERR_OK)
		e = store_expiry_open(s);
out:
	if (e != ERR_OK) {
		store_close(s);
		s = NULL;
	}
	*out = s;
	return e;
}

void
store_close(struct store *s)
{
	if (!s)
		return;
	if (s->in_batch)
		store_rollback(s);
	if (s->kind)
		s->ops->close(s->kind);
	buf_clear(&s->json);
	mem_free(s->hot);
	mem_free(s->state);
	mem_free(s);
}

/* ── one batch ── */

enum err
store_begin(struct store *s)
{
	assert(!s->in_batch);
	enum err e = s->ops->begin(s->kind);
	if (e != ERR_OK)
		return e;
	s->in_batch = true;
	s->outbox_changed = s->kept_changed = false;
	s->at_begin = s->now;
	return ERR_OK;
}

static void
forget_batch(struct store *s)
{
	s->now = s->at_begin;
	store_kept_forget(s);
	if (s->outbox_changed)
		s->outbox = s->outbox_at_begin;
	s->in_batch = s->marked = false;
}

enum err
store_commit(struct store *s)
{
	assert(s->in_batch && !s->marked);
	enum err e = ERR_OK;
	if (memcmp(&s->now.position, &s->at_begin.position, sizeof s->now.position) != 0)
		e = store_item_put_message(s, STORE_ITEM_POSITION, store_blob_of(position_key, sizeof position_key),
								   sp_store_position_fields, &s->now.position);
	if (e == ERR_OK) {
		e = s->ops->commit(s->kind);
		if (e != ERR_OK)
			forget_batch(s); /* the kind has undone its part */
		s->in_batch = false;
		return e;
	}
	store_rollback(s);
	return e;
}

void
store_rollback(struct store *s)
{
	if (!s->in_batch)
		return;
	s->ops->rollback(s->kind);
	forget_batch(s);
}

enum err
store_mark(struct store *s)
{
	assert(s->in_batch && !s->marked);
	enum err e = s->ops->mark(s->kind);
	if (e != ERR_OK)
		return e;
	s->at_mark = s->now;
	s->leaves_at_mark = s->ops->leaves_queued(s->kind);
	s->marked = true;
	return ERR_OK;
}

enum err
store_release(struct store *s)
{
	assert(s->marked);
	s->marked = false;
	return s->ops->release(s->kind);
}

void
store_undo(struct store *s)
{
	assert(s->marked);
	s->marked = false;
	s->ops->undo(s->kind);
	s->ops->leaves_drop_after(s->kind, s->leaves_at_mark);
	/* What herald has told stays told: it is no part of the command. */
	uint64_t published = s->now.position.published;
	s->now = s->at_mark;
	store_kept_forget(s);
	s->now.position.published = published;
}

bool
store_in_batch(const struct store *s)
{
	return s->in_batch;
}

enum err
store_between_batches(struct store *s)
{
	assert(!s->in_batch);
	return s->ops->between_batches(s->kind, s->now_ms);
}

/* ── items ── */

enum err
store_item_get_message(struct store *s, enum store_item kind, struct store_blob key, const pb_msgdesc_t *fields,
					   void *out, bool *found_out)
{
	struct store_blob value;
	bool found = false;
	enum err e = s->ops->item_get(s->kind, kind, key, &value, &found);

	if (e == ERR_OK && found) {
		pb_istream_t from = pb_istream_from_buffer(value.bytes, value.n);
		e = pb_decode(&from, fields, out) ? ERR_OK : ERR_RECORD_CORRUPT;
	}
	if (found_out)
		*found_out = found;
	else if (e == ERR_OK && !found)
		e = ERR_NOT_FOUND;
	return e;
}

enum err
store_item_put_message(struct store *s, enum store_item kind, struct store_blob key, const pb_msgdesc_t *fields,
					   const void *message)
{
	pb_ostream_t to = pb_ostream_from_buffer(s->bytes, sizeof s->bytes);

	if (!pb_encode(&to, fields, message))
		return ERR_OUT_OF_RANGE;
	return s->ops->item_put(s->kind, kind, key, store_blob_of(s->bytes, to.bytes_written));
}

/* ── the audit log: nothing to add to what the kind does ── */

enum err
store_leaf(struct store *s, const struct leaf *l, uint64_t *seq_out)
{
	assert(s->in_batch);
	return s->ops->leaf(s->kind, l, seq_out);
}

void
store_log_position(struct store *s, struct checkpoint *out)
{
	s->ops->log_position(s->kind, out);
}

enum err
store_log_read(struct store *s, uint64_t from, uint32_t limit, size_t bytes_max, struct buf *out, uint32_t *count_out)
{
	return s->ops->log_read(s->kind, from, limit, bytes_max, out, count_out);
}

enum err
store_log_hash(void *store, uint64_t i, uint8_t out[HASH_BYTES])
{
	struct store *s = store;
	return s->ops->log_hash(s->kind, i, out);
}

enum err
store_log_root(struct store *s, uint64_t size, uint8_t out[HASH_BYTES])
{
	return s->ops->log_root(s->kind, size, out);
}

enum err
store_log_consistency(struct store *s, uint64_t old_size, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
					  size_t *n_out)
{
	return s->ops->log_consistency(s->kind, old_size, size, proof_out, n_out);
}

enum err
store_log_note_get(struct store *s, char note_out[NOTE_BYTES_MAX], size_t *bytes_out, uint64_t *size_out)
{
	return s->ops->note_get(s->kind, note_out, bytes_out, size_out);
}

enum err
store_log_note_set(struct store *s, const char *note, size_t bytes, uint64_t size)
{
	return s->ops->note_set(s->kind, note, bytes, size);
}
