/*
 * store — the event-store port: everything the ledger keeps, behind one ops struct, for one writer.
 * Invariants: all effects of a batch and their audit leaves commit together or not at all; (stream, version) is unique;
 * a read model is changed only by append, in the same transaction; a fact is written once (the outbox is a position in
 * the events, an idempotency row is a pointer, a finished attempt's row is gone and its events stay); nothing
 * acknowledged is lost by a crash. Shape of a batch: store_begin for each command: store_mark … load, append, attempt,
 * idempotency, leaf … store_release, or store_undo on refusal store_commit                 every answer waits for it;
 * on an error all of the batch is undone, leaves too store_between_batches A refusal's leaf is added after store_undo,
 * so that it stays. Reads may come at any time, in a batch or out of it, and see the batch's own writes. Errors of all:
 * ERR_DISK_FULL · ERR_IO · ERR_DB · ERR_MEMORY; further ones are named. After ERR_IO the process ends. Blocks: on the
 * disk only. Source: design "The authorization core", "After any crash", "The audit log".
 */
#ifndef DAEMON_STORE_STORE_H
#define DAEMON_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/audit/leaf.h"
#include "daemon/audit/note.h"
#include "daemon/base/buf.h"
#include "daemon/base/err.h"
#include "daemon/base/id.h"
#include "daemon/domain/idempotency.h"
#include "daemon/domain/payment.h"
#include "daemon/domain/routing.h"
#include "policy/schema/object.pb.h"
#include "policy/schema/wire.pb.h"

struct store;     /* an open store */
struct store_ops; /* one kind of store */

extern const struct store_ops store_sqlcipher;
extern const struct store_ops store_memory; /* the readable specification; keeps nothing */

struct store_options {
	const char *path;   /* "ledger.db"; unused by store_memory */
	const uint8_t *key; /* 32 bytes, borrowed during open; unused by store_memory */
	size_t cache_bytes, wal_bytes_max;
	bool must_exist;                     /* an empty one is never made in its place: ERR_ROLLBACK */
	const char *origin, *install, *proc; /* of the audit log; copied */
	int64_t idempotency_ttl_ms;          /* longest ordinary one; refunds three times that */
};

/*
 * store_open(kind, options, out)
 *   Open or make the store, migrate it, check its log's tail.
 *   Returns ERR_OK · ERR_DB_KEY · ERR_DB_VERSION · ERR_CRYPTO (the log does not fit its tree: refuse to start) · errors
 * of all.
 */
enum err store_open(const struct store_ops *kind, const struct store_options *options, struct store **out) MUST;
void store_close(struct store *s); /* NULL is fine; an open batch is undone */

/* ── one batch ── */
enum err store_begin(struct store *s) MUST;
enum err store_commit(struct store *s) MUST; /* on an error everything of the batch is undone */
void store_rollback(struct store *s);
enum err store_mark(struct store *s) MUST; /* one level */
enum err store_release(struct store *s) MUST;
void store_undo(struct store *s); /* back to the mark: rows, leaves and caches */
bool store_in_batch(const struct store *s);
enum err
store_between_batches(struct store *s) MUST; /* checkpoint the WAL when it is large, drop expired idempotency rows */

/* ── payments ── */
/* State by id. ERR_PAYMENT_NOT_FOUND. */
enum err store_payment_load(struct store *s, const char *id, sp_payment_state *out) MUST;
/*
 * store_payment_append(s, id, state, events, n)
 *   Apply n events to the state (as loaded, or cleared for a new payment), append them to the stream and write the read
 *   model. On an error the state is undefined: load it again after store_undo.
 *   Returns ERR_VERSION_CONFLICT (somebody else's events came first) · ERR_RECORD_CORRUPT (events do not apply: our
 * bug).
 */
enum err store_payment_append(struct store *s, const char *id, sp_payment_state *state,
							  const struct payment_event *events, unsigned n) MUST;
/* The object as the API shows it. ERR_PAYMENT_NOT_FOUND. */
enum err store_payment_view(struct store *s, const char *id, sp_payment_view *out) MUST;
/* The same for a state that is at hand (spares the load). */
enum err store_payment_view_of(struct store *s, const sp_payment_state *state, sp_payment_view *out) MUST;
enum err store_operation_view_of(struct store *s, const sp_payment_state *state, const sp_operation_state *op,
								 sp_operation_view *out) MUST;
/* What the first event holds (job fields after a restart). ERR_PAYMENT_NOT_FOUND. */
enum err store_payment_requested(struct store *s, const char *id, sp_event_detail *out) MUST;

/*
 * Lists: newest first; limit 1..100 (0: 20); cursor "" or next_cursor of the page before; merchants[n] is what the
 * caller may see (n 0: all). Views are appended to `data` length-delimited (varint length before each), at most
 * bytes_max. Returns ERR_CURSOR.
 */
struct store_page {
	struct buf *data; /* caller's, buf_init'ed */
	size_t bytes_max;
	uint32_t count;
	bool has_more;
	char next_cursor[64];
};
enum err store_payment_list(struct store *s, const sp_list_query *q, const char (*merchants)[64], unsigned n_merchants,
							struct store_page *page) MUST; /* sp_payment_view */
/* payment "": refunds of all payments. */
enum err store_refund_list(struct store *s, const char *payment, const sp_list_query *q, const char (*merchants)[64],
						   unsigned n_merchants, struct store_page *page) MUST; /* sp_operation_view */
/* Oldest first. */
enum err store_timeline(struct store *s, const char *payment, uint32_t limit, const char *cursor,
						struct store_page *page) MUST; /* sp_timeline_view */
/* Which payment a refund belongs to. ERR_REFUND_NOT_FOUND. */
enum err store_refund_payment(struct store *s, const char *refund, struct id *payment_out) MUST;

/*
 * Authorizations whose time is over and that could still be captured, in the order of their ends; at most
 * STORE_DUE_MAX, then `more`, and the next call goes on behind them. Begin with a zeroed one. Costs what is due, not
 * what is stored.
 */
#define STORE_DUE_MAX 50
struct store_due {
	struct id payments[STORE_DUE_MAX];
	unsigned n;
	bool more;
	uint8_t cursor[24];
	size_t cursor_bytes;
};
enum err store_due_list(struct store *s, int64_t now_ms, struct store_due *io) MUST;

/* ── idempotency ── */
/* found_out false: never seen, or expired. */
enum err store_idempotency_get(struct store *s, const uint8_t key[IDEMPOTENCY_HASH_BYTES], int64_t now_ms,
							   struct idempotency_row *out, bool *found_out) MUST;
/* ERR_DB_CONFLICT: the key is there. */
enum err store_idempotency_put(struct store *s, const struct idempotency_row *row, int64_t now_ms) MUST;

/* ── attempts without a result ── */
enum attempt_state {
	ATTEMPT_PREPARED = 1, /* recorded; the card (if any) may or may not have been opened: ask the vault `redeemed?` */
	ATTEMPT_SENT = 2,     /* counts as sent: capture, void and refund from the commit of this row */
	ATTEMPT_WAITING = 3,  /* surely not charged, another dispatch at next_try_ms */
	ATTEMPT_INQUIRING = 4 /* unknown: inquiry at next_try_ms */
};
struct attempt {
	struct id id, payment, operation; /* operation "": the authorization */
	sp_job_kind kind;
	enum attempt_state state;
	char account[64];
	char derived_key[72];
	uint32_t tries; /* dispatches or inquiries made so far */
	int64_t created_at_ms, next_try_ms;
	bool maybe_charged; /* an earlier dispatch may have reached the processor: "not charged" proves nothing */
};
enum err store_attempt_put(struct store *s, const struct attempt *a) MUST; /* insert, or replace the row of this id */
enum err store_attempt_get(struct store *s, const char *id, struct attempt *out) MUST; /* ERR_NOT_FOUND */
enum err store_attempt_finish(struct store *s, const char *id) MUST; /* it has a result: the row goes. ERR_NOT_FOUND */
/* Each open attempt, oldest first; stops at the visitor's first error and returns it. The visitor must not write. */
typedef enum err (*store_attempt_fn)(void *arg, const struct attempt *a);
enum err store_attempt_list(struct store *s, store_attempt_fn visit, void *arg) MUST;

/* ── outbox: every event is an entry, in order of sequence; what is published is a position ── */
struct outbox_entry {
	uint64_t sequence;
	struct id id;      /* evt_…, constant */
	const char *type;  /* "payment.authorized.v1", static */
	struct id subject; /* pay_… */
	int64_t at_ms;
	char partition_key[128]; /* order id, else the payment's id */
	char traceparent[56];
	bool livemode;
	const uint8_t *data; /* JSON, borrowed until the visitor returns */
	size_t data_bytes;
};
typedef enum err (*store_outbox_fn)(void *arg, const struct outbox_entry *e);
/* Committed entries with sequence > after, unpublished, at most `limit`. The visitor must not call the store. */
enum err store_outbox_list(struct store *s, uint64_t after, uint32_t limit, store_outbox_fn visit, void *arg) MUST;
/*
 * store_outbox_published(s, sequence): in a batch. Out of order is fine: later ones are remembered in memory (and told
 * again after a crash: at least once). ERR_NOT_FOUND: beyond the last event.
 */
enum err store_outbox_published(struct store *s, uint64_t sequence) MUST;

/* ── clients, merchants, processor accounts, settings (small; cache them) ── */
enum err store_client_put(struct store *s, const sp_client_view *c)
	MUST; /* insert or replace by name; epoch + 1. ERR_CLIENT_EXISTS: the certificate is another's */
enum err store_client_by_cert(struct store *s, const uint8_t cert_sha256[32],
							  sp_client_view *out) MUST;                                    /* ERR_CLIENT_UNKNOWN */
enum err store_client_by_name(struct store *s, const char *name, sp_client_view *out) MUST; /* ERR_CLIENT_UNKNOWN */
typedef enum err (*store_client_fn)(void *arg, const sp_client_view *c);
enum err store_client_list(struct store *s, const char *after, uint32_t limit, store_client_fn visit, void *arg,
						   bool *has_more_out) MUST; /* by name */
uint64_t store_clients_epoch(struct store *s);

struct merchant {
	char id[64];
	char account[ROUTING_NAME_BYTES]; /* default processor account, may be "" */
	bool livemode;
	int64_t created_at_ms;
};
enum err store_merchant_put(struct store *s, const struct merchant *m) MUST;
enum err store_merchant_get(struct store *s, const char *id, struct merchant *out) MUST; /* ERR_NOT_FOUND */
enum err store_account_put(struct store *s, const struct routing_account *a) MUST;
/* At most `max` (and 64) accounts, by id. */
enum err store_account_list(struct store *s, struct routing_account *out, unsigned max, unsigned *n_out) MUST;
enum err store_setting_put(struct store *s, const char *name, const char *value) MUST; /* ≤ 63, ≤ 255 characters */
enum err store_setting_get(struct store *s, const char *name, char *out, size_t out_bytes) MUST; /* ERR_NOT_FOUND */

/* ── what became of requests: chunks of records, by the second in which the requests began ── */
enum err store_requests_put(struct store *s, uint64_t second, const void *records, size_t n, int64_t now_ms) MUST;
/* Every chunk of that second, in the order of their coming; *stop_out ends it. The visitor must not call the store. */
typedef enum err (*store_requests_fn)(void *arg, const uint8_t *records, size_t n, bool *stop_out);
enum err store_requests_find(struct store *s, uint64_t second, store_requests_fn visit, void *arg) MUST;
/* In a batch: some of the oldest go, those from before that second and what is more than bytes_max in all. */
enum err store_requests_prune(struct store *s, uint64_t before_second, uint64_t bytes_max) MUST;

/* ── the audit log of this store (daemon/db/logbook) ── */
enum err store_leaf(struct store *s, const struct leaf *l,
					uint64_t *seq_out) MUST;                      /* in a batch; ERR_LIMIT · ERR_OUT_OF_RANGE */
void store_log_position(struct store *s, struct checkpoint *out); /* committed size and root */
enum err store_log_read(struct store *s, uint64_t from, uint32_t limit, size_t bytes_max, struct buf *out,
						uint32_t *count_out) MUST; /* 4-byte big-endian length + record, each */
enum err store_log_hash(void *store, uint64_t i, uint8_t out[HASH_BYTES]) MUST; /* a tree_hash_fn; arg is the store */
/* Root and proofs of any committed size; quick, unlike tree_* over store_log_hash. ERR_OUT_OF_RANGE · ERR_CRYPTO. */
enum err store_log_root(struct store *s, uint64_t size, uint8_t out[HASH_BYTES]) MUST;
enum err store_log_consistency(struct store *s, uint64_t old_size, uint64_t size,
							   uint8_t proof_out[PROOF_MAX][HASH_BYTES], size_t *n_out) MUST;
enum err store_log_note_get(struct store *s, char note_out[NOTE_BYTES_MAX], size_t *bytes_out, uint64_t *size_out) MUST;
enum err store_log_note_set(struct store *s, const char *note, size_t bytes, uint64_t size) MUST;

/* ── looking after it ── */
enum err store_facts(struct store *s, sp_ledger_facts_rep *out) MUST; /* fills what the store knows, leaves the rest */
/*
 * Make every read model anew from the events, one payment in memory at a time, and compare; differences 0 is well. In
 * steps, so that nobody waits for all of a large store: each step looks at some payments, not in a batch; between steps
 * work may go on (only a store that stayed quiet is also counted). end gives what was found so far; out may be NULL.
 */
struct store_rebuild;
enum err store_rebuild_begin(struct store *s, struct store_rebuild **out) MUST;
enum err store_rebuild_step(struct store_rebuild *r, unsigned payments, bool *done_out) MUST;
void store_rebuild_end(struct store_rebuild *r, sp_ledger_rebuild_rep *out);
/* All steps at once. */
enum err store_rebuild(struct store *s, sp_ledger_rebuild_rep *out) MUST;

#endif
