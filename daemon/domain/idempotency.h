/*
 * idempotency — what a key that was seen before means now.
 * Invariants: a key executes once; the row is a pointer and a status, the body is the object as it is now; 400, 401,
 * 403, 413, 415, 429 and 503-before-execution never make a row. Source: API contract "Idempotency, exactly".
 */
#ifndef DAEMON_DOMAIN_IDEMPOTENCY_H
#define DAEMON_DOMAIN_IDEMPOTENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/id.h"
#include "policy/schema/object.pb.h"

#define IDEMPOTENCY_HASH_BYTES 16
#define IDEMPOTENCY_CODE_BYTES 48

struct idempotency_row {
	uint8_t key[IDEMPOTENCY_HASH_BYTES];         /* HMAC(LSK, scope ‖ key), cut to 16 bytes */
	uint8_t fingerprint[IDEMPOTENCY_HASH_BYTES]; /* HMAC(LSK, route ‖ body ‖ card digest), cut to 16 bytes */
	int64_t expires_at_ms;
	struct id payment;   /* the effect: "" when a refusal names no payment */
	struct id operation; /* "" for the authorization */
	uint16_t status; /* 0: follows the operation (201/200/402/202) · 202: accepted, asked for asynchronously · 409, 422:
						refused */
	char code[IDEMPOTENCY_CODE_BYTES]; /* of a stored refusal, else "" */
};

enum idempotency_verdict {
	IDEMPOTENCY_FRESH,  /* never seen (or expired): execute and store a row */
	IDEMPOTENCY_REPLAY, /* answer from the object as it is now */
	IDEMPOTENCY_BUSY,   /* 409 idempotency_in_progress */
	IDEMPOTENCY_REUSED, /* 409 idempotency_key_reused */
};

/*
 * idempotency_judge(row, fingerprint, now_ms, waited_for)
 *   row           the stored row, or NULL
 *   waited_for    somebody still waits for the first answer of this key (the ledger knows)
 */
enum idempotency_verdict idempotency_judge(const struct idempotency_row *row,
										   const uint8_t fingerprint[IDEMPOTENCY_HASH_BYTES], int64_t now_ms,
										   bool waited_for);

/*
 * idempotency_answer: the error (ERR_OK for a 2xx) and HTTP status of a command whose operation is `status` now, first
 *   answer and replay alike. row may be NULL (first answer) or the stored one (its 202 or its refusal wins).
 *   authorize: succeeded 201 · pending/unknown 202 · declined 402 ERR_CARD_DECLINED · failed 502 ERR_PROCESSOR_ERROR ·
 *   needs_review 202.  capture, refund: 201 · 202 · 402 · 502, a pending refund 201.  void: 200 · 202 · 402 · 502.
 */
enum err idempotency_answer(const struct idempotency_row *row, sp_operation_kind kind, sp_operation_status status,
							unsigned *http_out);

/* Is a refusal with this error one that a row is kept for (a state result or a 402), so that a repeat gets it again? */
bool idempotency_keeps(enum err e);
/* How long: refunds three times as long. */
int64_t idempotency_ttl_ms(sp_operation_kind kind, int64_t ttl_ms);

#endif
