/* rate: a second's worth at once, then as fast as it fills; each client for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "daemon/gate/rate.h"

#define SECOND INT64_C(1000000)

static const uint8_t shop[32] = {1, 1}, other[32] = {1, 2};

static unsigned
taken(const uint8_t cert[32], uint32_t per_second, int64_t now_us, unsigned tries)
{
	unsigned n = 0;
	uint32_t left;

	while (tries-- > 0)
		n += rate_take(cert, per_second, now_us, &left);
	return n;
}

static void
a_second_at_once_then_as_it_fills(void **state)
{
	int64_t now = 5 * SECOND;
	uint32_t left;

	(void)state;
	assert_true(rate_take(shop, 10, now, &left));
	assert_int_equal(left, 9);
	assert_int_equal(taken(shop, 10, now, 50), 9);
	assert_false(rate_take(shop, 10, now, &left));
	assert_int_equal(left, 0);
	/* another certificate, even one of the same set, has not spent anything */
	assert_int_equal(taken(other, 10, now, 50), 10);
	assert_int_equal(taken(shop, 10, now + SECOND / 10 - 1, 50), 0);
	assert_int_equal(taken(shop, 10, now + SECOND / 10, 50), 1);
	/* parts of a request add up: a client that never stops asking still gets its rate */
	unsigned n = 0;
	for (unsigned ms = 101; ms <= 1100; ms++)
		n += taken(shop, 10, now + ms * SECOND / 1000, 3);
	assert_int_equal(n, 10);
	/* an hour of rest is one second's worth */
	assert_int_equal(taken(shop, 10, now + 3600 * SECOND, 50), 10);
	/* a lower rate counts at once, and the highest there is does not overflow */
	assert_int_equal(taken(shop, 1, now + 3700 * SECOND, 50), 1);
	assert_int_equal(taken(shop, UINT32_MAX, now + INT64_C(9000000000) * SECOND / 1000, 50), 50);
}

static void
many_certificates_take_no_more_room(void **state)
{
	int64_t now = INT64_C(100000000) * SECOND;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		const uint8_t cert[32] = {(uint8_t)i, 9, (uint8_t)(i >> 8), (uint8_t)(i >> 16)};
		assert_int_equal(taken(cert, 2, now + i, 3), 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_second_at_once_then_as_it_fills),
		cmocka_unit_test(many_certificates_take_no_more_room),
	};
	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
