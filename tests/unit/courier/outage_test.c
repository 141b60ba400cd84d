/* What calls come to is what the page says: which words count, that a probe brings it back, and that accounts are
 * apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/audit/leaf.h"
#include "daemon/base/clock.h"
#include "daemon/courier/breaker.h"
#include "daemon/courier/outage.h"
#include "daemon/wire/page_account.h"
#include "daemon/wire/proc.h"

static struct event_base *base;
static struct page page;
static unsigned notes_n;
static uint32_t noted;

struct peer {
	enum process process;
};
static struct peer ledger = {PROCESS_LEDGER};

struct event_base *
proc_base(void)
{
	return base;
}
struct page *
proc_page(void)
{
	return &page;
}
struct peer *
proc_peer(enum process p, unsigned index)
{
	assert_int_equal(p, PROCESS_LEDGER);
	assert_int_equal(index, 0);
	return &ledger;
}
void
proc_state(enum page_state state, enum err cause)
{
	atomic_store(&page.state, (uint32_t)state);
	atomic_store(&page.cause, (uint32_t)cause);
}
_Noreturn void
proc_die(enum err e, const char *what)
{
	fail_msg("%s: %s", what, err_code(e));
	abort();
}
enum err
peer_tell(struct peer *p, enum msg number, const void *req)
{
	assert_ptr_equal(p, &ledger);
	assert_int_equal(number, MSG_ledger_note);
	noted = ((const sp_ledger_note_req *)req)->event;
	notes_n++;
	return ERR_OK;
}

/* A processor of which nothing is known but whether it answers inquiries. */
static unsigned inquiries, answered_from; /* the first inquiry that is answered */

static void
say(evutil_socket_t fd, short what, void *arg)
{
	struct gw_call *call = arg;
	bool gone = inquiries < answered_from;
	const struct gw_answer a = {.outcome = gone ? sp_OUTCOME_RETRYABLE : sp_OUTCOME_NOT_FOUND,
								.cause = gone ? ERR_PROCESSOR_AWAY : ERR_OK};
	(void)fd, (void)what;
	call->done(call->arg, &a, false);
}

static enum err
act_inquire(struct gw_call *call)
{
	struct timeval at_once = {0, 0};
	inquiries++;
	assert_int_equal(call->job->kind, sp_JOB_INQUIRE);
	assert_true(strlen(call->job->derived_key) < 64);
	return event_base_once(base, -1, EV_TIMEOUT, say, call, &at_once) == 0 ? ERR_OK : ERR_MEMORY;
}

static const struct gw asked = {.name = "asked", .act = {[sp_JOB_INQUIRE] = act_inquire}};
static const struct gw dumb = {.name = "dumb"};

static void
saw(const char *account, const struct gw *gw, sp_outcome outcome, enum err cause, bool scripted)
{
	const struct gw_answer a = {.outcome = outcome, .cause = cause, .scripted = scripted};
	outage_saw(account, gw, clock_mono_ms(), &a);
}

static bool
answers(const char *account)
{
	return page_account_answers(&page, account);
}

static void
wait_for(const char *account, bool answer)
{
	int64_t until = clock_mono_ms() + 5000;
	while (answers(account) != answer && clock_mono_ms() < until)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(answers(account), answer);
}

static void
only_silence_counts(void **state)
{
	static const struct {
		sp_outcome outcome;
		enum err cause;
		bool scripted, opens;
	} rows[] = {
		{sp_OUTCOME_RETRYABLE, ERR_PROCESSOR_AWAY, false, true}, /* connection refused */
		{sp_OUTCOME_UNKNOWN, ERR_DEADLINE, false, true},
		{sp_OUTCOME_UNKNOWN, ERR_PROTOCOL, false, true}, /* an answer that can't be read */
		{sp_OUTCOME_RETRYABLE, ERR_PROCESSOR_AWAY, true, false},
		{sp_OUTCOME_UNKNOWN, ERR_DEADLINE, true, false},
		{sp_OUTCOME_DECLINED, ERR_OK, false, false},
		{sp_OUTCOME_APPROVED, ERR_OK, false, false},
		{sp_OUTCOME_NOT_FOUND, ERR_OK, false, false},
		{sp_OUTCOME_NOT_CHARGED, ERR_PROCESSOR_ERROR, false, false}, /* it told an error: it is there */
		{sp_OUTCOME_RETRYABLE, ERR_VAULT_AWAY, false, false},        /* ours */
		{sp_OUTCOME_UNKNOWN, ERR_IDEMPOTENCY_REUSED, false, false},
	};
	char account[32];
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		snprintf(account, sizeof account, "asked:%u", i);
		for (unsigned n = 0; n < BREAKER_FAILURES; n++) {
			assert_true(answers(account));
			saw(account, &asked, rows[i].outcome, rows[i].cause, rows[i].scripted);
		}
		if (answers(account) == rows[i].opens)
			fail_msg("row %u", i);
		if (rows[i].opens) {
			assert_int_equal(atomic_load(&page.cause), ERR_PROCESSOR_OUT);
			assert_int_equal(noted, EVENT_PROCESSOR_LOST);
			saw(account, &asked, sp_OUTCOME_APPROVED, ERR_OK, false);
			assert_int_equal(noted, EVENT_PROCESSOR_BACK);
		}
		assert_int_equal(atomic_load(&page.cause), ERR_OK);
		assert_int_equal(atomic_load(&page.state), PAGE_SERVING);
	}
	assert_int_equal(notes_n, 6);
}

static void
silence(const char *account, const struct gw *gw)
{
	for (unsigned n = 0; n < BREAKER_FAILURES; n++)
		saw(account, gw, sp_OUTCOME_RETRYABLE, ERR_PROCESSOR_AWAY, false);
	assert_false(answers(account));
}

static void
a_probe_that_is_answered_brings_it_back_without_traffic(void **state)
{
	struct health_outage first;
	(void)state;
	inquiries = 0;
	answered_from = 2; /* the second probe: after 1 s, and 2 s later */
	int64_t began = clock_wall_ms();
	silence("asked:probe", &asked);
	assert_int_equal(page_account_out(&page, &first), 1);
	assert_string_equal(first.account, "asked:probe");
	assert_int_equal(first.failures, BREAKER_FAILURES);
	assert_in_range(first.since_wall_ms, began, clock_wall_ms());
	wait_for("asked:probe", true);
	assert_int_equal(inquiries, 2);
	assert_in_range(clock_wall_ms() - began, 2900, 5000);
	assert_int_equal(atomic_load(&page.cause), ERR_OK);
}

/* The loop's clock stands still during a turn: a timer set late in a long one comes early by ours. */
static void
fail_late_in_a_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	usleep(80000);
	silence(arg, &asked);
}

static void
a_timer_that_comes_early_is_set_again(void **state)
{
	char account[] = "asked:late";
	struct timeval at_once = {0, 0};
	(void)state;
	answered_from = 0;
	assert_int_equal(event_base_once(base, -1, EV_TIMEOUT, fail_late_in_a_turn, account, &at_once), 0);
	wait_for(account, false);
	wait_for(account, true);
}

static void
accounts_are_apart_and_the_last_one_back_ends_the_words(void **state)
{
	struct health_outage first;
	(void)state;
	silence("asked:a", &asked);
	silence("asked:b", &asked);
	assert_true(answers("asked:c"));
	assert_int_equal(page_account_out(&page, &first), 2);
	saw("asked:a", &asked, sp_OUTCOME_DECLINED, ERR_OK, false);
	assert_true(answers("asked:a"));
	assert_false(answers("asked:b"));
	assert_int_equal(atomic_load(&page.cause), ERR_PROCESSOR_OUT);
	saw("asked:b", &asked, sp_OUTCOME_PENDING, ERR_OK, false);
	assert_int_equal(atomic_load(&page.cause), ERR_OK);
}

static void
where_nothing_can_be_asked_the_next_payment_is_the_probe(void **state)
{
	(void)state;
	silence("dumb", &dumb);
	wait_for("dumb", true);
	saw("dumb", &dumb, sp_OUTCOME_RETRYABLE, ERR_PROCESSOR_AWAY, false);
	assert_false(answers("dumb"));
	saw("dumb", &dumb, sp_OUTCOME_APPROVED, ERR_OK, false);
}

static void
a_stop_is_not_taken_back(void **state)
{
	(void)state;
	proc_state(PAGE_STOPPING, ERR_SHUTTING_DOWN);
	silence("asked:stop", &asked);
	assert_int_equal(atomic_load(&page.state), PAGE_STOPPING);
	saw("asked:stop", &asked, sp_OUTCOME_APPROVED, ERR_OK, false);
	assert_int_equal(atomic_load(&page.state), PAGE_STOPPING);
	proc_state(PAGE_SERVING, ERR_OK);
}

/* Last: it takes all places. */
static void
more_accounts_than_places_are_not_watched(void **state)
{
	char account[32];
	(void)state;
	for (unsigned i = 0; i < 2 * PAGE_ACCOUNTS; i++) {
		snprintf(account, sizeof account, "many:%u", i);
		for (unsigned n = 0; n < BREAKER_FAILURES; n++)
			saw(account, &asked, sp_OUTCOME_RETRYABLE, ERR_PROCESSOR_AWAY, false);
	}
	assert_int_equal(page.accounts_n, PAGE_ACCOUNTS);
	assert_true(answers(account));
	outage_open(); /* a courier that was started again knows of none */
	struct health_outage first;
	assert_int_equal(page_account_out(&page, &first), 0);
}

static int
set_up(void **state)
{
	(void)state;
	base = event_base_new();
	proc_state(PAGE_SERVING, ERR_OK);
	outage_open();
	return base ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_silence_counts),
		cmocka_unit_test(a_probe_that_is_answered_brings_it_back_without_traffic),
		cmocka_unit_test(a_timer_that_comes_early_is_set_again),
		cmocka_unit_test(accounts_are_apart_and_the_last_one_back_ends_the_words),
		cmocka_unit_test(where_nothing_can_be_asked_the_next_payment_is_the_probe),
		cmocka_unit_test(a_stop_is_not_taken_back),
		cmocka_unit_test(more_accounts_than_places_are_not_watched),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
