#include "daemon/courier/breaker.h"

static void
forget_failures(struct breaker *b, int64_t now_ms)
{
	b->state = BREAKER_CLOSED;
	b->failures = 0;
	b->answered_ms = now_ms;
}

static void
open_again(struct breaker *b, int64_t began_ms, int64_t now_ms)
{
	(void)began_ms;
	b->state = BREAKER_OPEN;
	b->pause_ms = b->pause_ms ? 2 * b->pause_ms : BREAKER_PAUSE_FIRST_MS;
	if (b->pause_ms > BREAKER_PAUSE_MOST_MS)
		b->pause_ms = BREAKER_PAUSE_MOST_MS;
	b->retry_ms = now_ms + b->pause_ms;
}

static void
answered(struct breaker *b, int64_t began_ms, int64_t now_ms)
{
	(void)began_ms;
	forget_failures(b, now_ms);
	b->trial = false;
	b->pause_ms = 0;
}

/* A probe is an inquiry: that it was answered does not prove that a payment would be. */
static void
on_trial(struct breaker *b, int64_t began_ms, int64_t now_ms)
{
	(void)began_ms;
	forget_failures(b, now_ms);
	b->trial = true;
}

static void
count(struct breaker *b, int64_t began_ms, int64_t now_ms)
{
	/* it went out before the processor last answered: that it was lost is old news */
	if (began_ms < b->answered_ms)
		return;
	if (b->failures++ == 0)
		b->since_ms = now_ms;
}

static void
failed(struct breaker *b, int64_t began_ms, int64_t now_ms)
{
	count(b, began_ms, now_ms);
	if (b->failures >= (b->trial ? 1 : BREAKER_FAILURES))
		open_again(b, began_ms, now_ms);
}

static void
due(struct breaker *b, int64_t began_ms, int64_t now_ms)
{
	(void)began_ms;
	if (now_ms >= b->retry_ms)
		b->state = BREAKER_HALF_OPEN;
}

typedef void (*step_fn)(struct breaker *b, int64_t began_ms, int64_t now_ms);

/* NULL: nothing to do. A probe's word counts only while it is the probe that is waited for. */
static const step_fn steps[BREAKER_STATES][BREAKER_EVENTS] = {
	[BREAKER_CLOSED] = {[BREAKER_ANSWERED] = answered, [BREAKER_FAILED] = failed},
	[BREAKER_OPEN] = {[BREAKER_ANSWERED] = answered, [BREAKER_FAILED] = count, [BREAKER_DUE] = due},
	[BREAKER_HALF_OPEN] = {[BREAKER_ANSWERED] = answered,
						   [BREAKER_FAILED] = count,
						   [BREAKER_PROBE_ANSWERED] = on_trial,
						   [BREAKER_PROBE_FAILED] = open_again},
};

bool
breaker_take(struct breaker *b, enum breaker_event event, int64_t began_ms, int64_t now_ms)
{
	enum breaker_state before = b->state;
	step_fn step = steps[b->state][event];
	if (step)
		step(b, began_ms, now_ms);
	return b->state != before;
}
