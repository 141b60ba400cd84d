/*
 * store_ops — what a kind of store has to do: keep rows in order, in transactions. All meaning is in store*.c above it.
 * Invariants: rows come back as the bytes that went in; a scan sees the writes of the open batch; blobs that a call
 * gives are borrowed until the next call on the same store (in a visitor: until it returns); a visitor must not call
 * the store.
 */
#ifndef DAEMON_STORE_STORE_OPS_H
#define DAEMON_STORE_STORE_OPS_H

#include "daemon/store/store.h"

#define STORE_ID_BYTES 16

struct store_blob {
	const uint8_t *bytes;
	size_t n;
};

struct store_event_row {
	uint64_t seq;
	uint8_t stream[STORE_ID_BYTES];
	uint32_t version;
	uint32_t type;
	int64_t at_ms;
	struct store_blob payload;
};

struct store_payment_row {
	uint8_t id[STORE_ID_BYTES];
	uint32_t version;
	int64_t order_hash; /* 0: no order id */
	struct store_blob state;
};

/* Rows with least ≤ id < below, newest first; order_hash 0: any. */
struct store_payment_range {
	uint8_t least[STORE_ID_BYTES], below[STORE_ID_BYTES];
	int64_t order_hash;
};

/* Small ordered maps, one per kind. */
enum store_item {
	STORE_ITEM_POSITION = 1,
	STORE_ITEM_ATTEMPT,
	STORE_ITEM_REFUND,
	STORE_ITEM_CLIENT,
	STORE_ITEM_CERTIFICATE,
	STORE_ITEM_MERCHANT,
	STORE_ITEM_ACCOUNT,
	STORE_ITEM_SETTING,
	STORE_ITEM_EXPIRY,
	STORE_ITEM_REQUESTS,
};

/* A visitor's *stop_out ends the scan without an error. */
typedef enum err (*store_event_fn)(void *arg, const struct store_event_row *row, bool *stop_out);
typedef enum err (*store_payment_fn)(void *arg, const struct store_payment_row *row, bool *stop_out);
typedef enum err (*store_item_fn)(void *arg, struct store_blob key, struct store_blob value, bool *stop_out);

struct store_ops {
	const char *name;
	enum err (*open)(const struct store_options *options, void **kind_out);
	void (*close)(void *k);

	enum err (*begin)(void *k);
	enum err (*commit)(void *k); /* on an error all is undone */
	void (*rollback)(void *k);
	enum err (*mark)(void *k);
	enum err (*release)(void *k);
	void (*undo)(void *k);
	/* Not in a batch; now_ms for what has expired. */
	enum err (*between_batches)(void *k, int64_t now_ms);

	enum err (*payment_get)(void *k, const uint8_t id[STORE_ID_BYTES], struct store_blob *state_out, bool *found_out);
	/* The row must have this version; 0: there is none. ERR_VERSION_CONFLICT. */
	enum err (*payment_put)(void *k, const struct store_payment_row *row, uint32_t was);
	enum err (*payment_scan)(void *k, const struct store_payment_range *range, store_payment_fn visit, void *arg);

	enum err (*event_last)(void *k, uint64_t *seq_out);
	/* ERR_VERSION_CONFLICT: (stream, version) or seq is there; now or at the commit (payment_put has told before). */
	enum err (*event_add)(void *k, const struct store_event_row *row);
	enum err (*event_get)(void *k, const uint8_t stream[STORE_ID_BYTES], uint32_t version,
						  struct store_blob *payload_out, bool *found_out);
	/* Events of the open batch need not be seen. */
	enum err (*event_scan)(void *k, uint64_t after_seq, store_event_fn visit, void *arg);
	enum err (*stream_scan)(void *k, const uint8_t stream[STORE_ID_BYTES], uint32_t after_version, store_event_fn visit,
							void *arg);
	/* The events of all streams above this one, by stream and version. */
	enum err (*streams_scan)(void *k, const uint8_t after[STORE_ID_BYTES], store_event_fn visit, void *arg);

	enum err (*item_get)(void *k, enum store_item kind, struct store_blob key, struct store_blob *value_out,
						 bool *found_out);
	enum err (*item_put)(void *k, enum store_item kind, struct store_blob key, struct store_blob value);
	enum err (*item_drop)(void *k, enum store_item kind, struct store_blob key, bool *was_out);
	/* Keys > after in rising order (or < after in falling; an empty `after` starts at the end). */
	enum err (*item_scan)(void *k, enum store_item kind, struct store_blob after, bool falling, store_item_fn visit,
						  void *arg);

	/* Idempotency: the newest row of a key, expired or not. */
	enum err (*key_get)(void *k, const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob *row_out,
						bool *found_out);
	enum err (*key_put)(void *k, const uint8_t key[IDEMPOTENCY_HASH_BYTES], struct store_blob row,
						int64_t expires_at_ms);

	enum err (*leaf)(void *k, const struct leaf *l, uint64_t *seq_out);
	size_t (*leaves_queued)(void *k);
	void (*leaves_drop_after)(void *k, size_t n);
	void (*log_position)(void *k, struct checkpoint *out);
	enum err (*log_read)(void *k, uint64_t from, uint32_t limit, size_t bytes_max, struct buf *out,
						 uint32_t *count_out);
	enum err (*log_hash)(void *k, uint64_t i, uint8_t out[HASH_BYTES]);
	enum err (*log_root)(void *k, uint64_t size, uint8_t out[HASH_BYTES]);
	enum err (*log_consistency)(void *k, uint64_t old_size, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
								size_t *n_out);
	enum err (*note_get)(void *k, char note_out[NOTE_BYTES_MAX], size_t *bytes_out, uint64_t *size_out);
	enum err (*note_set)(void *k, const char *note, size_t bytes, uint64_t size);
	uint64_t (*bytes)(void *k);
};

#endif
