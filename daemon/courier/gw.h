/*
 * gw — what a connector to a processor has to do; one file gw_<name>.c per connector, ending in `const struct gw
 * gw_<name>`. Invariants: a connector never blocks and never guesses: once a request may have left, anything but an
 * answer is OUTCOME_UNKNOWN. A clear card lives in guarded memory that courier owns; a connector keeps no copy of it.
 * gw_simulator is the readable specification of this interface.
 */
#ifndef DAEMON_COURIER_GW_H
#define DAEMON_COURIER_GW_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/conf.h"
#include "daemon/base/err.h"
#include "policy/schema/wire.pb.h"

struct event_base;

/* A clear card; only ever inside a struct secret. All text is ASCII digits or UTF-8 and ends in NUL. */
struct gw_card {
	char pan[20];
	char cvc[5]; /* "" when none is held */
	char holder[128];
	uint32_t exp_month, exp_year;
};

/* What the processor says, in courier's words. Text is copied. */
struct gw_answer {
	sp_outcome outcome;
	enum err cause; /* for NOT_CHARGED, RETRYABLE, UNKNOWN */
	char reference[64];
	char decline_code[48], network_code[16], processor_code[48], advice[96];
	int64_t amount_minor; /* what it says it moved */
	bool captured;
	bool scripted; /* a test value played it: it says nothing of the processor */
};

/*
 * One call of a connector. Owned by courier, alive until `done` has run with more == false.
 *   done(arg, answer, more)   answer is borrowed. more: another answer to this call will follow (a late or second one).
 *                             The first answer comes within job->deadline_ms; done never runs inside the act function.
 */
struct gw_call {
	const sp_job_req *job;
	const struct gw_card *card; /* JOB_AUTHORIZE only, and only until the first answer */
	void (*done)(void *arg, const struct gw_answer *answer, bool more);
	void *arg;
};

/* ERR_OK: done will run. Anything else: nothing was sent and done never runs. */
typedef enum err (*gw_act_fn)(struct gw_call *call);

/* What an inbound webhook says after its signature was verified. */
struct gw_event {
	char derived_key[72], event_id[64];
	struct gw_answer answer;
};

struct gw {
	const char *name;
	/* The same derived key never moves money twice: after a crash a job may be sent again as it is. */
	bool idempotent;
	/* It needs an account's credentials from the vault before its first call. */
	bool credentials;
	enum err (*open)(struct event_base *base, const struct conf *conf);
	void (*reload)(const struct conf *conf);
	void (*close)(void);
	/* authorize, capture, void, refund, inquire, reverse; NULL: this processor has no such thing. */
	gw_act_fn act[_sp_job_kind_ARRAYSIZE];
	/* NULL: it sends none. ERR_CRYPTO when the signature does not hold. */
	enum err (*parse_webhook)(const uint8_t *body, size_t body_bytes, const char *signature,
							  struct gw_event *event_out);
};

#define GW(name) extern const struct gw gw_##name;
#include "daemon/courier/gw.def"
#undef GW

/* The i-th connector from 0, NULL past the last. Static. */
const struct gw *gw_at(size_t i);
/* gw_of("simulator"), or NULL. Static. */
const struct gw *gw_of(const char *name);

#endif
