/* The road of a job: the vault's and the ledger's sides are played here, the connector is the simulator itself. */
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

#include "daemon/base/clock.h"
#include "daemon/base/secret.h"
#include "daemon/base/str.h"
#include "daemon/courier/gw.h"
#include "daemon/courier/jobs.h"
#include "daemon/courier/script.h"
#include "daemon/wire/proc.h"

/* ── a process without a monitor, and peers that answer what the test says ── */

static struct event_base *base;
static struct conf *conf;
static struct page page;
static char dir[] = "/tmp/sallyport-jobs-XXXXXX";

struct peer {
	enum process process;
};
struct call {
	bool answered, accepted;
};

static struct peer vault = {PROCESS_VAULT}, ledger = {PROCESS_LEDGER};
static enum err redeem_says; /* what the vault answers */
static bool vault_away, ledger_away;
static enum err ledger_says; /* to the next results */
static const char *card = "4242424242424242";
static sp_result_req results[4096];
static unsigned results_n, redeems;
static sp_running_req running[8];
static unsigned running_n;

struct event_base *
proc_base(void)
{
	return base;
}
const struct conf *
proc_conf(void)
{
	return conf;
}
struct page *
proc_page(void)
{
	return &page;
}
struct peer *
proc_peer(enum process p, unsigned index)
{
	assert_int_equal(index, 0);
	return p == PROCESS_VAULT ? &vault : &ledger;
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

void
call_reply(struct call *call, enum err e, const void *rep)
{
	assert_int_equal(e, ERR_OK);
	assert_false(call->answered);
	call->answered = true;
	call->accepted = ((const sp_job_rep *)rep)->accepted;
}

enum err
peer_tell(struct peer *p, enum msg number, const void *req)
{
	assert_ptr_equal(p, &ledger);
	if (number == MSG_ledger_note)
		return ERR_OK;
	assert_int_equal(number, MSG_running);
	running[running_n++ % 8] = *(const sp_running_req *)req;
	return ERR_OK;
}

/* Answers come from the loop, never from inside the question. */
struct later {
	peer_done_fn done;
	void *arg;
	enum msg number;
	enum err e;
};

static void
come(evutil_socket_t fd, short what, void *arg)
{
	struct later l = *(struct later *)arg;
	sp_redeem_rep redeemed = sp_redeem_rep_init_zero;
	sp_result_rep result = {.known = true};
	(void)fd, (void)what;
	free(arg);
	redeemed.pan.size = (pb_size_t)strlen(card);
	memcpy(redeemed.pan.bytes, card, strlen(card));
	l.done(l.arg, l.e, l.e != ERR_OK ? NULL : l.number == MSG_redeem ? (const void *)&redeemed : &result);
}

enum err
peer_ask(struct peer *p, enum msg number, const void *req, uint32_t deadline_ms, peer_done_fn done, void *arg)
{
	struct later *l;
	assert_true(deadline_ms > 0 && deadline_ms <= JOBS_DEADLINE_MS);
	assert_int_equal(p->process, number == MSG_redeem ? PROCESS_VAULT : PROCESS_LEDGER);
	if (number == MSG_redeem ? vault_away : ledger_away)
		return ERR_PEER_AWAY;
	if (number == MSG_result) {
		assert_in_range(results_n, 0, 4095);
		results[results_n++] = *(const sp_result_req *)req;
	} else
		redeems++;
	l = malloc(sizeof *l);
	*l = (struct later){done, arg, number, number == MSG_redeem ? redeem_says : ledger_says};
	struct timeval now = {0, 0};
	event_base_once(base, -1, EV_TIMEOUT, come, l, &now);
	return ERR_OK;
}

/* ── helpers ── */

static struct call
hand_in(const sp_job_req *req)
{
	struct call call = {false, false};
	jobs_answer(&call, req);
	assert_true(call.answered);
	return call;
}

static sp_job_req
job(sp_job_kind kind, unsigned n)
{
	sp_job_req j = sp_job_req_init_zero;
	j.kind = kind;
	j.amount_minor = 100;
	j.currency = 978;
	snprintf(j.attempt, sizeof j.attempt, "att_%u", n);
	snprintf(j.derived_key, sizeof j.derived_key, "key_%u", n);
	snprintf(j.payment, sizeof j.payment, "pay_%u", n);
	snprintf(j.connector, sizeof j.connector, "simulator");
	snprintf(j.token, sizeof j.token, "tok_secret_%u", n);
	return j;
}

static void
loop_until_idle(void)
{
	while (jobs_count())
		event_base_loop(base, EVLOOP_ONCE);
}

static const sp_result_req *
run(const sp_job_req *j)
{
	unsigned before = results_n;
	assert_true(hand_in(j).accepted);
	loop_until_idle();
	assert_true(results_n > before);
	assert_string_equal(results[before].attempt, j->attempt);
	size_t used, all;
	secret_use(&used, &all);
	assert_int_equal(used, 0); /* no card is left behind */
	return &results[before];
}

static int
set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chdir(dir) != 0 || secret_open(JOBS_ARENA_BYTES) != ERR_OK)
		return -1;
	base = event_base_new();
	conf = conf_new();
	if (conf_set(conf, CONF_SIM_TIMEOUT, "20ms") != ERR_OK)
		return -1;
	return jobs_open() == ERR_OK ? 0 : -1;
}

static int
fresh(void **state)
{
	(void)state;
	redeem_says = ledger_says = ERR_OK;
	vault_away = ledger_away = false;
	card = "4242424242424242";
	results_n = redeems = running_n = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	gw_simulator.close();
	unlink("simulator.jsonl");
	conf_free(conf);
	event_base_free(base);
	return chdir("/") == 0 ? rmdir(dir) : -1;
}

/* ── tests ── */

static void
an_authorization_redeems_calls_and_reports_once(void **state)
{
	(void)state;
	sp_job_req j = job(sp_JOB_AUTHORIZE, 1);
	const sp_result_req *r = run(&j);
	assert_int_equal(results_n, 1);
	assert_int_equal(redeems, 1);
	assert_int_equal(r->outcome, sp_OUTCOME_APPROVED);
	assert_true(r->redeemed);
	assert_int_equal(r->amount_minor, 100);
	assert_in_range(r->took_us, 1, 5000000);
	assert_int_equal(atomic_load(&page.value[METRIC_PROCESSOR_CALLS]), 1);

	j = job(sp_JOB_CAPTURE, 2);
	strcpy(j.reference, r->reference);
	r = run(&j);
	assert_int_equal(r->outcome, sp_OUTCOME_APPROVED);
	assert_int_equal(redeems, 1); /* a capture opens no card */
}

static void
a_job_that_comes_twice_runs_once(void **state)
{
	(void)state;
	sp_job_req j = job(sp_JOB_AUTHORIZE, 3);
	assert_true(hand_in(&j).accepted);
	assert_true(hand_in(&j).accepted);
	assert_int_equal(jobs_count(), 1);
	loop_until_idle();
	assert_int_equal(redeems, 1);
	assert_int_equal(results_n, 1);
}

static void
the_vaults_refusal_never_becomes_a_guess(void **state)
{
	static const struct {
		enum err says;
		sp_outcome outcome;
	} rows[] = {
		{ERR_GRANT_USED, sp_OUTCOME_UNKNOWN},          {ERR_GRANT_UNKNOWN, sp_OUTCOME_RETRYABLE},
		{ERR_TOKEN_NOT_FOUND, sp_OUTCOME_NOT_CHARGED}, {ERR_TOKEN_USED_UP, sp_OUTCOME_NOT_CHARGED},
		{ERR_REDEEM_CEILING, sp_OUTCOME_RETRYABLE},    {ERR_PEER_AWAY, sp_OUTCOME_RETRYABLE},
		{ERR_DEADLINE, sp_OUTCOME_RETRYABLE},          {ERR_VAULT_SEALED, sp_OUTCOME_RETRYABLE},
	};
	(void)state;
	uint64_t calls = atomic_load(&page.value[METRIC_PROCESSOR_CALLS]);
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		sp_job_req j = job(sp_JOB_AUTHORIZE, 100 + i);
		redeem_says = rows[i].says;
		const sp_result_req *r = run(&j);
		assert_int_equal(r->outcome, rows[i].outcome);
		assert_int_equal(r->cause, rows[i].says);
		assert_int_equal(r->redeemed, rows[i].says == ERR_GRANT_USED);
	}
	vault_away = true;
	sp_job_req j = job(sp_JOB_AUTHORIZE, 150);
	assert_int_equal(run(&j)->outcome, sp_OUTCOME_RETRYABLE);
	assert_int_equal(atomic_load(&page.value[METRIC_PROCESSOR_CALLS]), calls); /* nobody was called */
}

static void
a_processor_that_is_away_is_tried_again_with_the_same_key(void **state)
{
	(void)state;
	uint64_t calls = atomic_load(&page.value[METRIC_PROCESSOR_CALLS]);
	sp_job_req j = job(sp_JOB_AUTHORIZE, 200);
	card = "4000009900000277"; /* away once */
	assert_int_equal(run(&j)->outcome, sp_OUTCOME_APPROVED);
	assert_int_equal(atomic_load(&page.value[METRIC_PROCESSOR_CALLS]) - calls, 2);
	card = "4000009900000269"; /* away for ever */
	j = job(sp_JOB_AUTHORIZE, 201);
	const sp_result_req *r = run(&j);
	assert_int_equal(r->outcome, sp_OUTCOME_RETRYABLE);
	assert_int_equal(r->cause, ERR_PROCESSOR_AWAY);
	assert_int_equal(atomic_load(&page.value[METRIC_PROCESSOR_CALLS]) - calls, 2 + JOBS_TRIES_MAX);
	assert_int_equal(redeems, 2); /* a card is opened once per attempt */
}

static void
late_and_second_answers_are_results_too_and_in_order(void **state)
{
	(void)state;
	sp_job_req j = job(sp_JOB_AUTHORIZE, 300);
	card = "4000009900000228"; /* late */
	run(&j);
	assert_int_equal(results_n, 2);
	assert_int_equal(results[0].outcome, sp_OUTCOME_UNKNOWN);
	assert_int_equal(results[1].outcome, sp_OUTCOME_APPROVED);
	j = job(sp_JOB_AUTHORIZE, 301);
	card = "4000009900000236"; /* duplicate */
	run(&j);
	assert_int_equal(results_n, 4);
	assert_int_equal(results[2].outcome, sp_OUTCOME_APPROVED);
	assert_string_equal(results[2].reference, results[3].reference);
}

static void
the_deadline_makes_unknown_and_the_answer_still_comes(void **state)
{
	(void)state;
	sp_job_req j = job(sp_JOB_AUTHORIZE, 400);
	j.deadline_ms = 5;
	card = "4000009900000251"; /* slow: 10 ms */
	run(&j);
	assert_int_equal(results_n, 2);
	assert_int_equal(results[0].outcome, sp_OUTCOME_UNKNOWN);
	assert_int_equal(results[0].cause, ERR_DEADLINE);
	assert_int_equal(results[1].outcome, sp_OUTCOME_APPROVED);
}

static void
a_result_is_kept_until_the_ledger_has_it(void **state)
{
	(void)state;
	sp_job_req j = job(sp_JOB_AUTHORIZE, 500);
	ledger_away = true;
	assert_true(hand_in(&j).accepted);
	int64_t until = clock_mono_ms() + 50;
	while (clock_mono_ms() < until)
		event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(jobs_count(), 1);
	jobs_list(&ledger);
	assert_int_equal(running_n, 1);
	assert_int_equal(running[0].attempts_count, 1);
	assert_true(running[0].last);
	assert_string_equal(running[0].attempts[0], j.attempt);
	ledger_away = false;
	ledger_says = ERR_AUDIT_AWAY; /* it can't write it down yet */
	while (results_n == 0)
		event_base_loop(base, EVLOOP_ONCE);
	event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(jobs_count(), 1);
	ledger_says = ERR_OK;
	loop_until_idle();
	assert_true(results_n >= 2);
	assert_int_equal(results[0].outcome, results[1].outcome);
	jobs_list(&ledger);
	assert_int_equal(running[1].attempts_count, 0);
}

static void
there_is_room_for_so_many_and_no_more(void **state)
{
	(void)state;
	sp_job_req j;
	ledger_away = true;
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		j = job(sp_JOB_AUTHORIZE, 10000 + i);
		assert_true(hand_in(&j).accepted);
	}
	j = job(sp_JOB_AUTHORIZE, 20000);
	assert_false(hand_in(&j).accepted);
	j = job(sp_JOB_AUTHORIZE, 10000); /* one that is here is accepted still */
	assert_true(hand_in(&j).accepted);
	jobs_list(&ledger);
	assert_int_equal(running_n, JOBS_MAX / 256 + 1);
	ledger_away = false;
	while (jobs_count()) {
		results_n = 0;
		event_base_loop(base, EVLOOP_ONCE);
	}
}

static void
what_nobody_can_do_is_refused_as_not_charged(void **state)
{
	(void)state;
	sp_job_req j = job(sp_JOB_AUTHORIZE, 600);
	strcpy(j.connector, "nobody");
	const sp_result_req *r = run(&j);
	assert_int_equal(r->outcome, sp_OUTCOME_NOT_CHARGED);
	assert_int_equal(r->cause, ERR_PROCESSOR_UNKNOWN);
	j = job((sp_job_kind)77, 601);
	assert_int_equal(run(&j)->cause, ERR_NOT_SUPPORTED);
	assert_int_equal(redeems, 0);
}

/* ── a storm: whatever vault, ledger and processor do, no result contradicts the issuer's books ── */

/* The issuer's own word about a key, asked beside courier. */
static sp_outcome seen_outcome;
static void
see_inquiry(void *arg, const struct gw_answer *a, bool more)
{
	(void)arg, (void)more;
	seen_outcome = a->outcome;
}

static sp_outcome
books_say(const sp_job_req *of)
{
	sp_job_req j = *of;
	struct gw_call call = {.job = &j, .done = see_inquiry};
	j.kind = sp_JOB_INQUIRE;
	seen_outcome = sp_OUTCOME_NONE;
	assert_int_equal(gw_simulator.act[sp_JOB_INQUIRE](&call), ERR_OK);
	while (seen_outcome == sp_OUTCOME_NONE)
		event_base_loop(base, EVLOOP_ONCE);
	return seen_outcome;
}

static void
check_against_books(const sp_job_req *jobs_in, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		sp_outcome truth = books_say(&jobs_in[i]);
		unsigned told = 0;
		for (unsigned r = 0; r < results_n; r++) {
			if (strcmp(results[r].attempt, jobs_in[i].attempt) != 0)
				continue;
			told++;
			switch (results[r].outcome) {
			case sp_OUTCOME_APPROVED:
			case sp_OUTCOME_DECLINED:
				assert_int_equal(results[r].outcome, truth);
				break;
			case sp_OUTCOME_NOT_CHARGED:
			case sp_OUTCOME_RETRYABLE:
				assert_int_equal(truth, sp_OUTCOME_NOT_FOUND); /* "not charged" is never a guess */
				break;
			default:
				assert_int_equal(results[r].outcome, sp_OUTCOME_UNKNOWN);
			}
		}
		assert_true(told >= 1);
	}
}

static void
no_result_ever_contradicts_the_books(void **state)
{
	static const enum err vault_moods[] = {ERR_OK,
										   ERR_OK,
										   ERR_OK,
										   ERR_OK,
										   ERR_GRANT_USED,
										   ERR_DEADLINE,
										   ERR_PEER_AWAY,
										   ERR_GRANT_UNKNOWN,
										   ERR_TOKEN_NOT_FOUND};
	static sp_job_req in[40];
	size_t rows_n;
	const struct script_row *rows = script_rows(&rows_n);
	(void)state;
	unsigned seeds = getenv("SEEDS") ? (unsigned)atoi(getenv("SEEDS")) : 8;
	for (unsigned seed = 1; seed <= seeds; seed++) {
		srand(seed);
		results_n = 0;
		for (unsigned i = 0; i < 40; i++) {
			const struct script_row *row = &rows[(unsigned)rand() % rows_n];
			in[i] = job(sp_JOB_AUTHORIZE, 100000 + seed * 100 + i);
			in[i].deadline_ms = rand() % 3 ? 1000 : 1 + (uint32_t)rand() % 40;
			card = row->outcome == SCRIPT_SILENT ? "4242424242424242" : row->number; /* its books never speak */
			redeem_says = vault_moods[(unsigned)rand() % (sizeof vault_moods / sizeof *vault_moods)];
			ledger_says = rand() % 4 ? ERR_OK : ERR_AUDIT_AWAY;
			vault_away = rand() % 10 == 0;
			ledger_away = rand() % 10 == 0;
			assert_true(hand_in(&in[i]).accepted);
			if (rand() % 4 == 0)
				assert_true(hand_in(&in[i]).accepted); /* it comes twice */
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
		vault_away = ledger_away = false;
		ledger_says = ERR_OK;
		loop_until_idle();
		check_against_books(in, 40);
	}
}

static unsigned finished;
static void
count_finished(void)
{
	finished++;
}

static void
a_stop_takes_nothing_new_and_waits_for_what_runs(void **state)
{
	(void)state;
	sp_job_req j = job(sp_JOB_AUTHORIZE, 700);
	card = "4000009900000251";
	assert_true(hand_in(&j).accepted);
	jobs_stop(10000, count_finished);
	sp_job_req other = job(sp_JOB_AUTHORIZE, 701);
	assert_false(hand_in(&other).accepted);
	assert_int_equal(finished, 0);
	loop_until_idle();
	assert_int_equal(finished, 1);
	assert_int_equal(results[0].outcome, sp_OUTCOME_APPROVED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_authorization_redeems_calls_and_reports_once, fresh),
		cmocka_unit_test_setup(a_job_that_comes_twice_runs_once, fresh),
		cmocka_unit_test_setup(the_vaults_refusal_never_becomes_a_guess, fresh),
		cmocka_unit_test_setup(a_processor_that_is_away_is_tried_again_with_the_same_key, fresh),
		cmocka_unit_test_setup(late_and_second_answers_are_results_too_and_in_order, fresh),
		cmocka_unit_test_setup(the_deadline_makes_unknown_and_the_answer_still_comes, fresh),
		cmocka_unit_test_setup(a_result_is_kept_until_the_ledger_has_it, fresh),
		cmocka_unit_test_setup(there_is_room_for_so_many_and_no_more, fresh),
		cmocka_unit_test_setup(what_nobody_can_do_is_refused_as_not_charged, fresh),
		cmocka_unit_test_setup(no_result_ever_contradicts_the_books, fresh),
		cmocka_unit_test_setup(a_stop_takes_nothing_new_and_waits_for_what_runs, fresh),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
