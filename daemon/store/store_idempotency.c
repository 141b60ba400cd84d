#include <assert.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "daemon/store/store_impl.h"

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
	struct store_blob bytes;

	if (now_ms > s->now_ms)
		s->now_ms = now_ms;
	enum err e = s->ops->key_get(s->kind, key, &bytes, found_out);
	if (e == ERR_OK && *found_out)
		e = row_of(key, bytes, out);
	/* An expired row may wait a while for its removal. */
	*found_out = e == ERR_OK && *found_out && out->expires_at_ms > now_ms;
	return e;
}

enum err
store_idempotency_put(struct store *s, const struct idempotency_row *row, int64_t now_ms)
{
	sp_idempotency_row r = {.expires_at_ms = row->expires_at_ms, .status = row->status};
	pb_ostream_t to = pb_ostream_from_buffer(s->bytes, sizeof s->bytes);
	struct idempotency_row old;
	bool found;

	assert(s->in_batch);
	if (row->expires_at_ms - now_ms > 3 * s->ttl_ms)
		return ERR_OUT_OF_RANGE;
	enum err e = store_idempotency_get(s, row->key, now_ms, &old, &found);
	if (e == ERR_OK && found)
		e = ERR_DB_CONFLICT;
	r.fingerprint.size = IDEMPOTENCY_HASH_BYTES;
	memcpy(r.fingerprint.bytes, row->fingerprint, IDEMPOTENCY_HASH_BYTES);
	memcpy(r.operation, row->operation.text, sizeof r.operation);
	memcpy(r.code, row->code, sizeof r.code);
	if (e == ERR_OK && *row->payment.text) {
		r.payment.size = STORE_ID_BYTES;
		e = id_pack("pay", row->payment.text, r.payment.bytes);
	}
	if (e == ERR_OK && !pb_encode(&to, sp_idempotency_row_fields, &r))
		e = ERR_OUT_OF_RANGE;
	return e == ERR_OK
			   ? s->ops->key_put(s->kind, row->key, store_blob_of(s->bytes, to.bytes_written), row->expires_at_ms)
			   : e;
}
