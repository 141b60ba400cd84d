/*
 * breaker — the circuit breaker of one processor account: after so many calls in a row without an answer nothing new is
 * sent until a probe was answered. Pure: the clock is an argument, nothing is sent from here.
 * Invariants: it opens at the BREAKER_FAILURES-th failure in a row and at none before (on trial after a probe: at the
 * first); a call that began before the latest answer says nothing against it; pauses double from BREAKER_PAUSE_FIRST_MS
 * to BREAKER_PAUSE_MOST_MS and begin anew only when a call of a payment was answered; one probe at a time.
 *
 *   closed ──failures──▶ open ──pause over──▶ half-open ──probe answered──▶ closed, on trial
 *      ▲                  │ ▲                     │
 *      └─────an answer────┘ └────probe failed─────┘
 */
#ifndef DAEMON_COURIER_BREAKER_H
#define DAEMON_COURIER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES       5u
#define BREAKER_PAUSE_FIRST_MS INT64_C(1000)
#define BREAKER_PAUSE_MOST_MS  INT64_C(30000)

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATES };
enum breaker_event {
	BREAKER_ANSWERED, /* a call of a payment: whatever the processor said */
	BREAKER_FAILED,   /* likewise: refused, timed out, unreadable */
	BREAKER_DUE,      /* time has passed */
	BREAKER_PROBE_ANSWERED,
	BREAKER_PROBE_FAILED,
	BREAKER_EVENTS
};

/* All zero: closed, nothing known. */
struct breaker {
	enum breaker_state state;
	bool trial;          /* closed by a probe: the first failure opens it again */
	unsigned failures;   /* in a row, of calls that began after the latest answer */
	int64_t since_ms;    /* when the first of them failed */
	int64_t answered_ms; /* the latest answer */
	int64_t pause_ms;    /* the latest pause; 0: none since a payment was answered */
	int64_t retry_ms;    /* open: when it is due for a probe */
};

/* began_ms: when the call began (BREAKER_FAILED). Returns whether the state changed. */
bool breaker_take(struct breaker *b, enum breaker_event event, int64_t began_ms, int64_t now_ms);

#endif
