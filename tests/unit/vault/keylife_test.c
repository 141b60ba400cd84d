#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "vault/keylife.h"

/* SP 800-57 part 1, section 7, written down a second time: rows are states, columns protect, process, replace. */
static void
what_each_state_allows(void **state)
{
	static const bool want[KEY_STATE_MAX][KEY_OPERATION_MAX] = {
		[KEY_PRE_ACTIVE] = {false, false, false}, [KEY_ACTIVE] = {true, true, true},
		[KEY_SUSPENDED] = {false, true, false},   [KEY_DEACTIVATED] = {false, true, true},
		[KEY_COMPROMISED] = {false, false, true}, [KEY_DESTROYED] = {false, false, false},
	};
	(void)state;
	for (unsigned s = 0; s < KEY_STATE_MAX; s++)
		for (unsigned op = 0; op < KEY_OPERATION_MAX; op++)
			assert_int_equal(keylife_may(s, op), want[s][op] ? ERR_OK : ERR_KEY_RETIRED);
	assert_int_equal(keylife_may(KEY_STATE_MAX, KEY_PROCESS), ERR_KEY_RETIRED);
	assert_int_equal(keylife_may(KEY_ACTIVE, KEY_OPERATION_MAX), ERR_KEY_RETIRED);
}

static void
destroyed_is_final_and_nothing_becomes_unused_again(void **state)
{
	(void)state;
	for (unsigned s = 0; s < KEY_STATE_MAX; s++) {
		assert_int_equal(keylife_move(KEY_DESTROYED, s), ERR_INVALID_STATE);
		assert_int_equal(keylife_move(s, KEY_PRE_ACTIVE), ERR_INVALID_STATE);
		assert_int_equal(keylife_move(s, s), ERR_INVALID_STATE);
	}
	assert_int_equal(keylife_move(KEY_COMPROMISED, KEY_ACTIVE), ERR_INVALID_STATE);
	assert_int_equal(keylife_move(KEY_DEACTIVATED, KEY_ACTIVE), ERR_INVALID_STATE);
	assert_int_equal(keylife_move(KEY_ACTIVE, KEY_DESTROYED), ERR_INVALID_STATE);
	assert_int_equal(keylife_move(KEY_ACTIVE, KEY_DEACTIVATED), ERR_OK);
	assert_int_equal(keylife_move(KEY_STATE_MAX, KEY_ACTIVE), ERR_INVALID_STATE);
}

/* From any state a key can be got to its end. */
static void
every_key_can_end(void **state)
{
	(void)state;
	for (unsigned s = 0; s < KEY_DESTROYED; s++) {
		unsigned at = s;
		for (int moves = 0; moves < KEY_STATE_MAX && at != KEY_DESTROYED; moves++)
			for (unsigned to = KEY_STATE_MAX; to-- > 0;)
				if (keylife_move(at, to) == ERR_OK) {
					at = to;
					break;
				}
		assert_int_equal(at, KEY_DESTROYED);
	}
}

static void
names_go_both_ways(void **state)
{
	(void)state;
	for (unsigned i = 0; i < KEY_STATE_MAX; i++) {
		enum key_state back;
		assert_int_equal(keylife_state_of(keylife_state_name(i), &back), ERR_OK);
		assert_int_equal(back, i);
	}
	for (unsigned i = 0; i < KEY_PURPOSE_MAX; i++) {
		enum key_purpose back;
		assert_int_equal(keylife_purpose_of(keylife_purpose_name(i), &back), ERR_OK);
		assert_int_equal(back, i);
		assert_true(strlen(keylife_algorithm(i)) > 1);
	}
	enum key_state s;
	assert_int_equal(keylife_state_of("Active", &s), ERR_NOT_FOUND);
	assert_string_equal(keylife_state_name(KEY_STATE_MAX), "?");
	assert_int_equal(keylife_period_ms(KEY_SADK), 0);
	assert_true(keylife_period_ms(KEY_DEK) == INT64_C(90) * 86400000);
	assert_int_equal(keylife_where(KEY_KEK), KEY_IN_HSM);
	assert_int_equal(keylife_where(KEY_LSK), KEY_IN_LEDGER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_each_state_allows),
		cmocka_unit_test(destroyed_is_final_and_nothing_becomes_unused_again),
		cmocka_unit_test(every_key_can_end),
		cmocka_unit_test(names_go_both_ways),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
