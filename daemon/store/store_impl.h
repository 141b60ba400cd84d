/*
 * store_impl — an open store, as the files store*.c of this folder see it.
 * Invariant: what a batch or a command may take back (sequence, position) has a copy from its begin and from its mark.
 */
#ifndef DAEMON_STORE_STORE_IMPL_H
#define DAEMON_STORE_STORE_IMPL_H

#include "daemon/store/event_codec.h"
#include "daemon/store/store.h"
#include "daemon/store/store_ops.h"

/* How far herald may run ahead of the first entry that it has not told about. */
#define STORE_OUTBOX_WINDOW 8192

struct store_outbox {
	uint8_t told[STORE_OUTBOX_WINDOW / 8]; /* beyond position.published: published, by sequence modulo the window */
};

/* The last entries of the outbox, ready to be told. */
#define STORE_OUTBOX_HOT 1024
struct store_hot {
	struct outbox_entry entry; /* sequence 0: none */
	uint8_t data[1024];
};

#define STORE_ACCOUNTS_KEPT 64

/* What a batch changes in memory. */
struct store_state {
	uint64_t seq; /* of the last event */
	sp_store_position position;
};

struct store {
	const struct store_ops *ops;
	void *kind;
	bool in_batch, marked;
	struct store_state now, at_begin, at_mark;
	size_t leaves_at_mark;
	struct store_outbox outbox, outbox_at_begin;
	bool outbox_changed;
	int64_t ttl_ms, now_ms; /* now_ms: the latest time that a caller gave */

	/* Asked for with every payment, changed once a year. Forgotten by a put, and by what undoes a put. */
	struct routing_account accounts[STORE_ACCOUNTS_KEPT];
	unsigned n_accounts;
	struct merchant merchant;
	bool accounts_kept, merchant_kept, kept_changed;
	struct store_hot *hot; /* [STORE_OUTBOX_HOT], by sequence */
	struct buf json;

	/* Room to work in: one thing at a time, never held across a call from outside. */
	uint8_t bytes[EVENT_CODEC_STATE_MAX];
	sp_payment_state *state;
	sp_event_detail detail;
	sp_event_body body;
	sp_payment_view payment_view;
	sp_operation_view operation_view;
};

static inline struct store_blob
store_blob_of(const void *bytes, size_t n)
{
	return (struct store_blob){bytes, n};
}

/* ── shared among the files ── */
struct pb_msgdesc_s;
/* An item whose value is a protobuf message. found_out NULL: not there is ERR_NOT_FOUND. */
enum err store_item_get_message(struct store *s, enum store_item kind, struct store_blob key,
								const struct pb_msgdesc_s *fields, void *out, bool *found_out) MUST;
enum err store_item_put_message(struct store *s, enum store_item kind, struct store_blob key,
								const struct pb_msgdesc_s *fields, const void *message) MUST;
/* The event (stream, version) into s->body and s->detail. ERR_PAYMENT_NOT_FOUND. */
enum err store_event_read(struct store *s, const uint8_t stream[STORE_ID_BYTES], uint32_t version) MUST;
/* An index entry of eight bytes for an order id; 0 for none. */
int64_t store_order_hash(const char *order_id);
/* When the payment's authorization runs out, or 0: it does not. */
int64_t store_expiry_of(const sp_payment_state *state);
/* Its entry moves in the index; 0: there was none, or is none any more. In a batch. */
enum err store_expiry_move(struct store *s, const uint8_t payment[STORE_ID_BYTES], int64_t from_ms, int64_t to_ms) MUST;
enum err store_expiry_has(struct store *s, const uint8_t payment[STORE_ID_BYTES], int64_t at_ms, bool *found_out) MUST;
/* Makes the index of a store from before there was one. */
enum err store_expiry_open(struct store *s) MUST;
/* evt_…: time, the stream's last bits and the sequence; the same for ever. */
void store_event_id(const struct store_event_row *row, struct id *out);
/* What a batch or a command that put merchants or accounts took back. */
static inline void
store_kept_forget(struct store *s)
{
	if (s->kept_changed)
		s->accounts_kept = s->merchant_kept = false;
}

/* Keep the entry of an event that was just appended. */
void store_outbox_keep(struct store *s, const struct store_event_row *row, const sp_payment_state *state,
					   const struct payment_event *ev);

#endif
