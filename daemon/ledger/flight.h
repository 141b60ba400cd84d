/*
 * flight — the attempts that have no result yet, in memory: by attempt and by payment.
 * Invariants: at most FLIGHT_MAX; at most one per payment (the processing lease); a flight that ends has answered the
 *   gate's call that waits on it. The rows in the store are the truth: this table is made anew from them after a start.
 */
#ifndef DAEMON_LEDGER_FLIGHT_H
#define DAEMON_LEDGER_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/id.h"
#include "daemon/wire/peer.h"
#include "policy/schema/wire.pb.h"

#define FLIGHT_MAX 4096

enum flight_stage {
	FLIGHT_LODGING, /* the vault was asked to take the grant; the courier knows nothing */
	FLIGHT_PARKED,  /* ready for the courier, which is away or has no room; it knows nothing */
	FLIGHT_SENT,    /* the job is on its way or runs */
	FLIGHT_LOST,    /* it may have been sent: the courier or we were away */
	FLIGHT_ASKING,  /* the vault was asked whether the card was opened */
	FLIGHT_ENDING,  /* we concluded and the conclusion is being committed: nothing may be sent any more */
	FLIGHT_WAITING, /* surely not charged: the next attempt is due at deadline_mono_ms */
	FLIGHT_STAGES
};

struct flight {
	sp_job_req job; /* what the courier gets; job.attempt and job.payment are the keys */
	struct id row;  /* its row in the store: the attempt, or for an inquiry the attempt that it is about */
	enum flight_stage stage;
	unsigned tries;              /* attempts of this operation, this one included */
	bool listed;                 /* the courier said, since it came up, that it runs this one */
	bool maybe_charged;          /* an earlier dispatch may have reached the processor (struct attempt) */
	int64_t deadline_mono_ms;    /* no result by then: the outcome is unknown (FLIGHT_WAITING: see there) */
	int64_t started_us;          /* monotonic, of the command; 0 after a restart */
	struct call *waiting;        /* the gate's call, or NULL */
	int64_t wait_until_mono_ms;  /* then it gets `processing` */
	struct flight *next_attempt; /* chains */
	struct flight *next_payment;
};

/* flight_new: copies the job. ERR_OVERLOADED (FLIGHT_MAX) · ERR_MEMORY · ERR_OPERATION_IN_FLIGHT (its payment has one).
 */
enum err flight_new(const sp_job_req *job, enum flight_stage stage, struct flight **out) MUST;
/* flight_set: the next stage. Nobody else writes f->stage. */
void flight_set(struct flight *f, enum flight_stage stage);
/* How many are in this stage. */
unsigned flight_in(enum flight_stage stage);
struct flight *flight_of(const char *attempt);         /* NULL: none; borrowed until flight_end */
struct flight *flight_of_payment(const char *payment); /* likewise */
/* flight_rename: the same operation under a new attempt, with a row of its own. */
void flight_rename(struct flight *f, const char *attempt);
/* flight_end: forgets it. Its waiting call must have been answered. */
void flight_end(struct flight *f);
unsigned flight_count(void);
/* flight_each: visits all, some perhaps twice; the visitor may do anything, also cause a commit that ends others. */
void flight_each(void (*visit)(struct flight *f, void *arg), void *arg);

#endif
