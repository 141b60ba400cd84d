#include <assert.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"
#include "daemon/store/store_impl.h"

/*
 * Keys are random, so a table of them costs more the larger it is. They live in slots that take keys for half of the
 * time to live and are emptied whole when the last key has expired: at most three slots of a family are in use, one
 * more is being emptied. Refunds live three times as long and have a family of their own, so that they keep no other
 * slot.
 */
#define FAMILY_SLOTS (STORE_SLOTS / 2)

static int64_t
slot_opened(const struct store_slot *slot)
{
	return slot->accept_until_ms;
}

enum err
store_slots_load(struct store *s)
{
	for (uint8_t i = 0; i < STORE_SLOTS; i++) {
		sp_slot_row row = sp_slot_row_init_zero;
		bool found;
		enum err e = store_item_get_message(s, STORE_ITEM_IDEMPOTENCY_SLOT, store_blob_of(&i, 1), sp_slot_row_fields,
											&row, &found);
		if (e != ERR_OK)
			return e;
		s->now.slots[i] = (struct store_slot){row.accept_until_ms, row.free_after_ms};
	}
	return ERR_OK;
}

static enum err
save_slot(struct store *s, unsigned at, struct store_slot slot)
{
	sp_slot_row row = {.accept_until_ms = slot.accept_until_ms, .free_after_ms = slot.free_after_ms};
	uint8_t key = (uint8_t)at;
	enum err e =
		store_item_put_message(s, STORE_ITEM_IDEMPOTENCY_SLOT, store_blob_of(&key, 1), sp_slot_row_fields, &row);
	if (e == ERR_OK)
		s->now.slots[at] = slot;
	return e;
}

/* The slot that takes a key which expires then: the newest that still accepts and lives long enough, else a free one.
 */
static enum err
slot_for(struct store *s, int64_t now_ms, int64_t expires_at_ms, unsigned *at_out)
{
	bool long_lived = expires_at_ms - now_ms > s->ttl_ms;
	unsigned first = long_lived ? FAMILY_SLOTS : 0, unused = STORE_SLOTS;
	int64_t ttl_ms = long_lived ? 3 * s->ttl_ms : s->ttl_ms;

	if (expires_at_ms - now_ms > ttl_ms)
		return ERR_OUT_OF_RANGE;
	for (unsigned i = first; i < first + FAMILY_SLOTS; i++) {
		const struct store_slot *slot = &s->now.slots[i];
		if (slot_opened(slot) == 0) {
			unused = i;
		} else if (now_ms < slot->accept_until_ms && expires_at_ms <= slot->free_after_ms) {
			*at_out = i;
			return ERR_OK;
		}
	}
	if (unused == STORE_SLOTS)
		return ERR_LIMIT; /* only if the clock ran wild: sweeping frees one long before */
	*at_out = unused;
	return save_slot(s, unused,
					 (struct store_slot){.accept_until_ms = now_ms + ttl_ms / 2 + 1,
										 .free_after_ms = now_ms + ttl_ms / 2 + 1 + ttl_ms});
}

static enum err
row_of(const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob bytes, struct idempotency_row *out)
{
	sp_idempotency_row r = sp_idempotency_row_init_zero;
	pb_istream_t from = pb_istream_from_buffer(bytes.bytes, bytes.n);

	if (!pb_decode(&from, sp_idempotency_row_fields, &r) || r.fingerprint.size != IDEMPOTENCY_HASH_BYTES)
		return ERR_RECORD_CORRUPT;
	*out = (struct idempotency_row){.expires_at_ms = r.expires_at_ms, .status = (uint16_t)r.status};
	memcpy(out->key, key, IDEMPOTENCY_HASH_BYTES);
	memcpy(out->fingerprint, r.fingerprint.bytes, IDEMPOTENCY_HASH_BYTES);
	memcpy(out->code, r.code, sizeof out->code);
	memcpy(out->operation.text, r.operation, sizeof out->operation.text);
	if (r.payment.size == STORE_ID_BYTES)
		id_unpack("pay", r.payment.bytes, &out->payment);
	return ERR_OK;
}

enum err
store_idempotency_get(struct store *s, const uint8_t key[IDEMPOTENCY_HASH_BYTES], int64_t now_ms,
					  struct idempotency_row *out, bool *found_out)
{
	enum err e = ERR_OK;
	bool found = false;

	if (now_ms > s->now_ms)
		s->now_ms = now_ms;
	for (unsigned i = 0; i < STORE_SLOTS && e == ERR_OK && !found; i++) {
		struct store_blob bytes;
		if (slot_opened(&s->now.slots[i]) == 0 || now_ms > s->now.slots[i].free_after_ms)
			continue;
		e = s->ops->slot_get(s->kind, i, key, &bytes, &found);
		if (e != ERR_OK || !found)
			continue;
		e = row_of(key, bytes, out);
		/* An expired row may stand in one slot and the key's new life in another. */
		found = e == ERR_OK && out->expires_at_ms > now_ms;
	}
	*found_out = found;
	return e;
}

enum err
store_idempotency_put(struct store *s, const struct idempotency_row *row, int64_t now_ms)
{
	sp_idempotency_row r = {.expires_at_ms = row->expires_at_ms, .status = row->status};
	pb_ostream_t to = pb_ostream_from_buffer(s->bytes, sizeof s->bytes);
	unsigned at = 0;

	assert(s->in_batch);
	enum err e = slot_for(s, now_ms, row->expires_at_ms, &at);
	if (e != ERR_OK)
		return e;
	r.fingerprint.size = IDEMPOTENCY_HASH_BYTES;
	memcpy(r.fingerprint.bytes, row->fingerprint, IDEMPOTENCY_HASH_BYTES);
	memcpy(r.operation, row->operation.text, sizeof r.operation);
	memcpy(r.code, row->code, sizeof r.code);
	if (*row->payment.text) {
		r.payment.size = STORE_ID_BYTES;
		e = id_pack("pay", row->payment.text, r.payment.bytes);
	}
	if (e == ERR_OK && !pb_encode(&to, sp_idempotency_row_fields, &r))
		e = ERR_OUT_OF_RANGE;
	struct store_blob bytes = store_blob_of(s->bytes, to.bytes_written);
	if (e == ERR_OK)
		e = s->ops->slot_put(s->kind, at, row->key, bytes, false);
	if (e != ERR_DB_CONFLICT)
		return e;

	/* The key may have had a shorter life in the same slot. */
	struct idempotency_row old;
	struct store_blob found_bytes;
	bool found;
	e = s->ops->slot_get(s->kind, at, row->key, &found_bytes, &found);
	if (e == ERR_OK)
		e = found ? row_of(row->key, found_bytes, &old) : ERR_DB_CONFLICT;
	if (e == ERR_OK && old.expires_at_ms > now_ms)
		e = ERR_DB_CONFLICT;
	return e == ERR_OK ? s->ops->slot_put(s->kind, at, row->key, bytes, true) : e;
}

/* One part of one expired slot at a time: emptying a day of keys must not hold up a batch. */
enum err
store_slots_sweep(struct store *s)
{
	for (unsigned i = 0; i < STORE_SLOTS; i++) {
		struct store_slot *slot = &s->now.slots[i];
		bool empty = false;
		if (slot_opened(slot) == 0 || s->now_ms <= slot->free_after_ms)
			continue;
		enum err e = store_begin(s);
		if (e != ERR_OK)
			return e;
		e = s->ops->slot_sweep(s->kind, i, &empty);
		if (e == ERR_OK && empty)
			e = save_slot(s, i, (struct store_slot){0});
		if (e != ERR_OK) {
			store_rollback(s);
			return e;
		}
		return store_commit(s);
	}
	return ERR_OK;
}
