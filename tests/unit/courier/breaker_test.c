/* The circuit breaker: its table by hand, and against a plain second telling of the rules under a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "daemon/courier/breaker.h"

static int64_t now_ms;

static bool
take(struct breaker *b, enum breaker_event event)
{
	return breaker_take(b, event, now_ms, now_ms);
}

static void
fail_times(struct breaker *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++, now_ms += 10)
		assert_false(take(b, BREAKER_FAILED));
}

static struct breaker
opened(void)
{
	struct breaker b = {0};
	fail_times(&b, BREAKER_FAILURES - 1);
	assert_true(take(&b, BREAKER_FAILED));
	assert_int_equal(b.state, BREAKER_OPEN);
	return b;
}

static void
it_opens_at_the_fifth_failure_in_a_row(void **state)
{
	struct breaker b = {0};
	(void)state;
	now_ms = 1000;
	fail_times(&b, BREAKER_FAILURES - 1);
	assert_int_equal(b.since_ms, 1000);
	assert_false(take(&b, BREAKER_ANSWERED)); /* one answer, and they are not in a row */
	fail_times(&b, BREAKER_FAILURES - 1);
	assert_int_equal(b.since_ms, 1040);
	assert_true(take(&b, BREAKER_FAILED));
	assert_int_equal(b.state, BREAKER_OPEN);
	assert_int_equal(b.failures, BREAKER_FAILURES);
	assert_int_equal(b.retry_ms, now_ms + BREAKER_PAUSE_FIRST_MS);
	assert_false(take(&b, BREAKER_FAILED)); /* what was under way goes on failing: counted, not more */
	assert_int_equal(b.failures, BREAKER_FAILURES + 1);
}

static void
what_began_before_the_latest_answer_is_old_news(void **state)
{
	struct breaker b = {0};
	(void)state;
	now_ms = 50000;
	take(&b, BREAKER_ANSWERED);
	for (unsigned i = 0; i < 100; i++)
		assert_false(breaker_take(&b, BREAKER_FAILED, 49999, 70000 + i));
	assert_int_equal(b.failures, 0);
	for (unsigned i = 0; i < BREAKER_FAILURES; i++)
		breaker_take(&b, BREAKER_FAILED, 50000, 70000 + i);
	assert_int_equal(b.state, BREAKER_OPEN);
}

static void
a_probe_closes_it_on_trial_and_an_answer_for_good(void **state)
{
	struct breaker b = opened();
	(void)state;
	assert_false(take(&b, BREAKER_DUE)); /* not yet */
	now_ms = b.retry_ms;
	assert_true(take(&b, BREAKER_DUE));
	assert_int_equal(b.state, BREAKER_HALF_OPEN);
	assert_false(take(&b, BREAKER_DUE));
	assert_true(take(&b, BREAKER_PROBE_ANSWERED));
	assert_int_equal(b.state, BREAKER_CLOSED);
	now_ms += 5;
	assert_true(take(&b, BREAKER_FAILED)); /* on trial: the first one opens it, for longer */
	assert_int_equal(b.failures, 1);
	assert_int_equal(b.retry_ms, now_ms + 2 * BREAKER_PAUSE_FIRST_MS);
	now_ms = b.retry_ms;
	take(&b, BREAKER_DUE);
	take(&b, BREAKER_PROBE_ANSWERED);
	take(&b, BREAKER_ANSWERED); /* a payment was: all is forgotten */
	fail_times(&b, BREAKER_FAILURES - 1);
	take(&b, BREAKER_FAILED);
	assert_int_equal(b.retry_ms, now_ms + BREAKER_PAUSE_FIRST_MS);
}

static void
pauses_double_up_to_their_bound(void **state)
{
	static const int64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
	struct breaker b = opened();
	(void)state;
	for (unsigned i = 0; i < sizeof pauses / sizeof *pauses; i++) {
		assert_int_equal(b.retry_ms - now_ms, pauses[i]);
		now_ms = b.retry_ms;
		assert_true(take(&b, BREAKER_DUE));
		assert_true(take(&b, BREAKER_PROBE_FAILED));
	}
}

static void
an_answer_closes_it_whenever_it_comes(void **state)
{
	struct breaker b = opened();
	(void)state;
	assert_true(take(&b, BREAKER_ANSWERED));
	assert_int_equal(b.state, BREAKER_CLOSED);
	b = opened();
	now_ms = b.retry_ms;
	take(&b, BREAKER_DUE);
	assert_true(take(&b, BREAKER_ANSWERED));
	assert_int_equal(b.state, BREAKER_CLOSED);
	/* the probe that was under way comes too late to say anything */
	assert_false(take(&b, BREAKER_PROBE_FAILED));
	assert_false(take(&b, BREAKER_PROBE_ANSWERED));
	assert_false(b.trial);
}

/* ── the rules told a second time, as a list of what happened ── */

struct told {
	unsigned run;      /* failures in a row that count */
	int64_t answer;    /* latest */
	unsigned openings; /* since a payment was answered */
	bool trial;
	enum breaker_state state;
	int64_t until;
};

static int64_t
pause_of(unsigned openings)
{
	int64_t ms = BREAKER_PAUSE_FIRST_MS;
	for (unsigned i = 1; i < openings && ms < BREAKER_PAUSE_MOST_MS; i++)
		ms *= 2;
	return ms < BREAKER_PAUSE_MOST_MS ? ms : BREAKER_PAUSE_MOST_MS;
}

static void
tell(struct told *t, enum breaker_event event, int64_t began)
{
	bool open = false;
	if (event == BREAKER_ANSWERED) {
		*t = (struct told){.answer = now_ms};
		return;
	}
	if (event == BREAKER_FAILED && began >= t->answer) {
		t->run++;
		open = t->state == BREAKER_CLOSED && (t->run == BREAKER_FAILURES || t->trial);
	}
	if (event == BREAKER_DUE && t->state == BREAKER_OPEN && now_ms >= t->until)
		t->state = BREAKER_HALF_OPEN;
	else if (t->state == BREAKER_HALF_OPEN && event == BREAKER_PROBE_FAILED)
		open = true;
	else if (t->state == BREAKER_HALF_OPEN && event == BREAKER_PROBE_ANSWERED)
		*t = (struct told){.answer = now_ms, .trial = true, .openings = t->openings};
	if (open) {
		t->state = BREAKER_OPEN;
		t->until = now_ms + pause_of(++t->openings);
	}
}

static void
any_story_ends_as_the_rules_say(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	unsigned opened_n = 0, closed_n = 0;
	(void)state;
	srand(seed);
	for (unsigned story = 0; story < 2000; story++) {
		struct breaker b = {0};
		struct told t = {0};
		unsigned bad = (unsigned)rand() % 11; /* of ten: from a processor that is well to one that is gone */
		now_ms = 1;
		for (unsigned i = 0; i < 200; i++) {
			now_ms += rand() % (rand() % 20 ? 50 : 40000);
			unsigned draw = (unsigned)rand() % 20;
			bool fails = (unsigned)rand() % 10 < bad;
			enum breaker_event event = draw < 10   ? fails ? BREAKER_FAILED : BREAKER_ANSWERED
									   : draw < 14 ? BREAKER_DUE
									   : fails     ? BREAKER_PROBE_FAILED
												   : BREAKER_PROBE_ANSWERED;
			int64_t began = now_ms - rand() % 3000;
			enum breaker_state before = b.state;
			bool changed = breaker_take(&b, event, began, now_ms);
			tell(&t, event, began);
			if (b.state != t.state || b.failures != t.run || changed != (b.state != before) ||
				(b.state == BREAKER_OPEN && b.retry_ms != t.until))
				fail_msg("SEED=%u story %u step %u event %d: %d/%u, by the rules %d/%u", seed, story, i, event, b.state,
						 b.failures, t.state, t.run);
			assert_true(b.state == BREAKER_CLOSED || b.failures > 0);
			assert_true(b.state != BREAKER_OPEN || b.retry_ms <= now_ms + BREAKER_PAUSE_MOST_MS);
			opened_n += changed && b.state == BREAKER_OPEN;
			closed_n += changed && b.state == BREAKER_CLOSED;
		}
	}
	/* the stories were not all the same */
	assert_true(opened_n > 1000 && closed_n > 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_at_the_fifth_failure_in_a_row),
		cmocka_unit_test(what_began_before_the_latest_answer_is_old_news),
		cmocka_unit_test(a_probe_closes_it_on_trial_and_an_answer_for_good),
		cmocka_unit_test(pauses_double_up_to_their_bound),
		cmocka_unit_test(an_answer_closes_it_whenever_it_comes),
		cmocka_unit_test(any_story_ends_as_the_rules_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
