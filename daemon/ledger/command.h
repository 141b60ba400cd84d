/*
 * command — what creating a payment and operating on one have in common: idempotency, the answer, the refusal.
 * Invariants: a command answers its call exactly once; a key executes once; a replay answers from the object as it is
 * now. Source: API contract "Idempotency, exactly".
 */
#ifndef DAEMON_LEDGER_COMMAND_H
#define DAEMON_LEDGER_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/domain/idempotency.h"
#include "daemon/ledger/ledger.h"
#include "daemon/ledger/flight.h"

#define COMMAND_WAITING_MAX 512 /* that wait for the vault's facts, 20 KB each */

struct command {
	struct call *call; /* NULL: our own (the capture that follows an authorization) */
	sp_operation_kind kind;
	int64_t started_us;
	bool async;
	uint32_t wait_ms;
	/* who, borrowed from the request while act runs */
	const sp_caller *as;
	char client[64], merchant[64];
	/* the key */
	bool keyed;
	uint8_t key[IDEMPOTENCY_HASH_BYTES], fingerprint[IDEMPOTENCY_HASH_BYTES];
	struct idempotency_row row;
	bool has_row, replay;
	/* the effect */
	struct id payment, operation, attempt;
	const void *req; /* sp_payment_create_req or sp_payment_operate_req; borrowed or owned */
	void *owned;     /* the copy, when the request had to wait */
	bool dispatch;   /* the commit made an attempt */
	sp_job_req job;
};

/* command_new: ERR_OVERLOADED (bounded) · ERR_MEMORY. */
enum err command_new(struct call *call, sp_operation_kind kind, const void *req, struct command **out) MUST;
void command_free(struct command *c);
/* command_key: hashes of the request's key under its client. ERR_IDEMPOTENCY_MISSING. */
enum err command_key(struct command *c, bool has, const sp_idem *idem, const char *client) MUST;
/* Does a gate still wait for the first answer of what the row points to? */
bool command_waited_for(const struct idempotency_row *row);
/*
 * command_judge: what the key means now. ERR_OK with c->replay set (answer from the object) or not (execute) ·
 * ERR_IDEMPOTENCY_REUSED · ERR_IDEMPOTENCY_BUSY · errors of the store.
 */
enum err command_judge(struct command *c) MUST;
/* command_keep: the row of a fresh effect, or (e ≠ ERR_OK) of a refusal that is kept. In the batch. */
enum err command_keep(struct command *c, enum err e) MUST;
/*
 * command_refuse: answers with e; with the payment where that helps (an illegal move). Frees c.
 */
void command_refuse(struct command *c, enum err e);
/*
 * command_answer: from the object as it is now, first answer or replay. call is answered.
 *   cause   why it failed before it reached a processor (first answer only), or ERR_OK
 */
void command_answer(struct call *call, const char *payment, const char *operation, const struct idempotency_row *row,
					bool replayed, enum err cause);

#endif
