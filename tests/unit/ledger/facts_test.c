#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/ledger/facts.h"

static sp_token_view
view_of(unsigned n)
{
	static sp_token_view v;
	memset(&v, 0, sizeof v);
	snprintf(v.id, sizeof v.id, "tok_%026u", n);
	snprintf(v.merchant, sizeof v.merchant, "demo");
	snprintf(v.card.last4, sizeof v.card.last4, "%04u", n % 10000);
	return v;
}

static void
found_only_under_its_merchant_and_for_a_while(void **state)
{
	(void)state;
	struct facts f;
	sp_token_view v = view_of(7);
	facts_put(&v, 1000);
	assert_true(facts_get(v.id, "demo", 2000, &f));
	assert_string_equal(f.card.last4, "0007");
	assert_false(facts_get(v.id, "other", 2000, &f));
	assert_false(facts_get(v.id, "demo", 1000 + 10 * 60 * 1000, &f));
	facts_drop(v.id);
	assert_false(facts_get(v.id, "demo", 2000, &f));
}

static void
read_again_replaces(void **state)
{
	(void)state;
	struct facts f;
	sp_token_view v = view_of(8);
	facts_put(&v, 1000);
	snprintf(v.card.last4, sizeof v.card.last4, "9999");
	facts_put(&v, 2000);
	assert_true(facts_get(v.id, "demo", 2000, &f));
	assert_string_equal(f.card.last4, "9999");
	facts_drop(v.id);
	assert_false(facts_get(v.id, "demo", 2000, &f));
}

static void
bounded_tokens_are_not_kept(void **state)
{
	(void)state;
	struct facts f;
	sp_token_view v = view_of(9);
	v.max_uses = 1;
	facts_put(&v, 1000);
	assert_false(facts_get(v.id, "demo", 1000, &f));
	v.max_uses = 0;
	v.expires_at_ms = 5;
	facts_put(&v, 1000);
	assert_false(facts_get(v.id, "demo", 1000, &f));
}

static void
never_more_than_its_room_and_never_another_token(void **state)
{
	(void)state;
	struct facts f;
	unsigned found = 0;
	for (unsigned i = 0; i < 3 * FACTS_MAX; i++) {
		sp_token_view v = view_of(i);
		facts_put(&v, (int64_t)i);
	}
	for (unsigned i = 0; i < 3 * FACTS_MAX; i++) {
		sp_token_view v = view_of(i);
		if (facts_get(v.id, "demo", 3 * FACTS_MAX, &f)) {
			found++;
			assert_string_equal(f.token, v.id);
			assert_string_equal(f.card.last4, v.card.last4);
		}
	}
	assert_in_range(found, FACTS_MAX / 2, FACTS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_only_under_its_merchant_and_for_a_while),
		cmocka_unit_test(read_again_replaces),
		cmocka_unit_test(bounded_tokens_are_not_kept),
		cmocka_unit_test(never_more_than_its_room_and_never_another_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
