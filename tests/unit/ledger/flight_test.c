#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ledger/flight.h"

static sp_job_req
job_of(unsigned n)
{
	sp_job_req j = sp_job_req_init_zero;
	snprintf(j.attempt, sizeof j.attempt, "att_%026u", n);
	snprintf(j.payment, sizeof j.payment, "pay_%026u", n);
	return j;
}

static void
end_each(struct flight *f, void *arg)
{
	(void)arg;
	flight_end(f);
}

static void
one_flight_per_payment(void **state)
{
	(void)state;
	struct flight *f, *g;
	sp_job_req j = job_of(1);
	assert_int_equal(flight_new(&j, FLIGHT_LODGING, &f), ERR_OK);
	snprintf(j.attempt, sizeof j.attempt, "att_other");
	assert_int_equal(flight_new(&j, FLIGHT_LODGING, &g), ERR_OPERATION_IN_FLIGHT);
	assert_null(g);
	flight_end(f);
	assert_int_equal(flight_new(&j, FLIGHT_LODGING, &g), ERR_OK);
	flight_end(g);
	assert_int_equal(flight_count(), 0);
}

static void
found_under_both_names_and_after_a_new_attempt(void **state)
{
	(void)state;
	struct flight *f;
	sp_job_req j = job_of(2);
	assert_int_equal(flight_new(&j, FLIGHT_SENT, &f), ERR_OK);
	assert_ptr_equal(flight_of(j.attempt), f);
	assert_ptr_equal(flight_of_payment(j.payment), f);
	flight_rename(f, "att_again");
	assert_null(flight_of(j.attempt));
	assert_ptr_equal(flight_of("att_again"), f);
	assert_ptr_equal(flight_of_payment(j.payment), f);
	assert_int_equal(f->tries, 2);
	flight_end(f);
	assert_null(flight_of("att_again"));
	assert_null(flight_of_payment(j.payment));
}

static void
full_is_overloaded_and_empties(void **state)
{
	(void)state;
	struct flight *f;
	for (unsigned i = 0; i < FLIGHT_MAX; i++) {
		sp_job_req j = job_of(i);
		assert_int_equal(flight_new(&j, FLIGHT_SENT, &f), ERR_OK);
	}
	sp_job_req j = job_of(FLIGHT_MAX);
	assert_int_equal(flight_new(&j, FLIGHT_SENT, &f), ERR_OVERLOADED);
	assert_int_equal(flight_count(), FLIGHT_MAX);
	for (unsigned i = 0; i < FLIGHT_MAX; i++) {
		j = job_of(i);
		assert_non_null(flight_of(j.attempt));
	}
	flight_each(end_each, NULL);
	assert_int_equal(flight_count(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_flight_per_payment),
		cmocka_unit_test(found_under_both_names_and_after_a_new_attempt),
		cmocka_unit_test(full_is_overloaded_and_empties),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
