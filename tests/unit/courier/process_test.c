/*
 * The real courier in its real jail: this program is its monitor, its ledger and its vault. Thousands of jobs, a kill
 * in the middle, and the same books afterwards. JOBS=100000 makes a measurement of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/wire/ask.h"
#include "policy/schema/wire.pb.h"
#include "tests/unit/courier/stage.h"

#define IN_FLIGHT 512
#define PAN       "4242424242424242"

static char dir[] = "/tmp/sallyport-courier-XXXXXX";
static struct stage stage = {.process = PROCESS_COURIER,
							 .program = "daemon/courier/courier",
							 .conf = "mode = test\ninstall = lab\n",
							 .dir = dir,
							 .listen_fd = -1};
static struct hub ledger, vault;

/* ── the three sides ── */

static unsigned jobs_n, handed_in, approved, running_lists, redeemed;

static void
answer_redeem(struct call *call, const void *req)
{
	sp_redeem_rep rep = {.exp_month = 12, .exp_year = 2031, .first = true};
	(void)req;
	redeemed++;
	rep.pan.size = sizeof PAN - 1;
	memcpy(rep.pan.bytes, PAN, sizeof PAN - 1);
	call_reply(call, ERR_OK, &rep);
}

static void
answer_result(struct call *call, const void *req)
{
	const sp_result_req *r = req;
	sp_result_rep rep = {.known = true};
	assert_int_equal(r->outcome, sp_OUTCOME_APPROVED);
	approved++;
	call_reply(call, ERR_OK, &rep);
}

static void
answer_running(struct call *call, const void *req)
{
	const sp_running_req *r = req;
	(void)call;
	running_lists += r->last;
}

static void
accepted(void *arg, enum err e, const void *rep)
{
	(void)arg;
	if (e == ERR_OK)
		assert_true(((const sp_job_rep *)rep)->accepted);
	else
		assert_int_equal(e, ERR_PEER_AWAY);
}

static void
hand_in(struct peer *courier)
{
	sp_job_req j = sp_job_req_init_zero;
	j.kind = sp_JOB_AUTHORIZE;
	j.amount_minor = 100;
	j.currency = 978;
	snprintf(j.connector, sizeof j.connector, "simulator");
	snprintf(j.attempt, sizeof j.attempt, "att_%u", handed_in);
	snprintf(j.payment, sizeof j.payment, "pay_%u", handed_in);
	snprintf(j.operation, sizeof j.operation, "pay_%u", handed_in);
	snprintf(j.derived_key, sizeof j.derived_key, "key_%u", handed_in);
	assert_int_equal(ask_job(courier, &j, 5000, accepted, NULL), ERR_OK);
	handed_in++;
}

static void
start_courier(void)
{
	unsigned lists = running_lists;
	stage_start(&stage);
	while (running_lists == lists)
		stage_turn(&stage);
}

static int
set_up(void **state)
{
	static const struct answer of_ledger[] = {
		{MSG_result, answer_result}, {MSG_running, answer_running}, {MSG_NONE, NULL}};
	static const struct answer of_vault[] = {{MSG_redeem, answer_redeem}, {MSG_NONE, NULL}};
	(void)state;
	jobs_n = getenv("JOBS") ? (unsigned)atoi(getenv("JOBS")) : 3000;
	if (!mkdtemp(dir))
		return -1;
	stage_open(&stage);
	stage_peer(&stage, &ledger, PROCESS_LEDGER, of_ledger);
	stage_peer(&stage, &vault, PROCESS_VAULT, of_vault);
	return 0;
}

static int
tear_down(void **state)
{
	char path[64];
	(void)state;
	snprintf(path, sizeof path, "%s/simulator.jsonl", dir);
	unlink(path);
	return rmdir(dir);
}

static unsigned
charges(void)
{
	char path[64], line[1024];
	unsigned n = 0;
	snprintf(path, sizeof path, "%s/simulator.jsonl", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		assert_non_null(strstr(line, "\"kind\":\"authorize\""));
		assert_null(strstr(line, PAN));
		n++;
	}
	fclose(f);
	return n;
}

static void
every_job_ends_in_one_charge_and_one_result(void **state)
{
	(void)state;
	start_courier();
	struct peer *courier = hub_peer(&ledger, PROCESS_COURIER, 0);
	int64_t start = clock_mono_us();
	while (approved < jobs_n) {
		while (handed_in < jobs_n && handed_in - approved < IN_FLIGHT)
			hand_in(courier);
		stage_turn(&stage);
	}
	double s = (double)(clock_mono_us() - start) / 1e6;
	assert_int_equal(redeemed, jobs_n);
	assert_int_equal(charges(), jobs_n);
	assert_int_equal(atomic_load(&stage.page->value[METRIC_PROCESSOR_CALLS]), jobs_n);
	assert_int_equal(atomic_load(&stage.page->value[METRIC_PROCESSOR_UNKNOWN]), 0);
	printf("courier: %u jobs in %.2f s = %.0f/s with %u in flight\n", jobs_n, s, jobs_n / s, IN_FLIGHT);
}

static void
killed_in_the_middle_it_loses_no_charge_and_makes_none_twice(void **state)
{
	int status;
	struct rusage use;
	(void)state;
	struct peer *courier = hub_peer(&ledger, PROCESS_COURIER, 0);
	unsigned from = handed_in, before = approved;
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		hand_in(courier);
	while (approved == before)
		stage_turn(&stage);
	kill(stage.child, SIGKILL);
	assert_int_equal(wait4(stage.child, &status, 0, &use), stage.child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* and of nothing else before: no SIGSYS */
	printf("courier: %.1f us of processor time a job\n",
		   ((double)use.ru_utime.tv_sec + (double)use.ru_stime.tv_sec) * 1e6 / jobs_n +
			   (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / jobs_n);
	while (peer_up(courier))
		stage_turn(&stage);
	assert_in_range(charges(), before + 1, handed_in);

	/* the crash rule: everything without a result is sent again under its key */
	start_courier();
	approved = 0;
	handed_in = from;
	for (unsigned i = 0; i < IN_FLIGHT; i++)
		hand_in(courier);
	while (approved < IN_FLIGHT)
		stage_turn(&stage);
	assert_int_equal(charges(), jobs_n + IN_FLIGHT);
}

static void
asked_to_stop_it_ends(void **state)
{
	(void)state;
	int status = stage_stop(&stage);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_job_ends_in_one_charge_and_one_result),
		cmocka_unit_test(killed_in_the_middle_it_loses_no_charge_and_makes_none_twice),
		cmocka_unit_test(asked_to_stop_it_ends),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
