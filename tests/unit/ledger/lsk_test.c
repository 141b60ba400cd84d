#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "daemon/base/secret.h"
#include "daemon/ledger/lsk.h"

static int
open_secret(void **state)
{
	static const uint8_t key[32] = {7};
	(void)state;
	return sodium_init() < 0 || secret_open(4096) != ERR_OK || lsk_set(key, sizeof key) != ERR_OK;
}

static void
a_secret_of_another_length_is_refused(void **state)
{
	static const uint8_t key[33];
	(void)state;
	assert_int_equal(lsk_set(key, 31), ERR_CRYPTO);
	assert_int_equal(lsk_set(key, 33), ERR_CRYPTO);
}

static void
the_processors_key_follows_the_operation_and_nothing_else(void **state)
{
	char first[LSK_DERIVED_BYTES], again[LSK_DERIVED_BYTES];
	(void)state;
	lsk_derive("pay_1", "", "simulator", first);
	assert_int_equal(strspn(first, "0123456789abcdef"), 64);
	/* an authorization has the payment's own id in the API */
	lsk_derive("pay_1", "pay_1", "simulator", again);
	assert_string_equal(first, again);
	static const char *const others[][3] = {{"pay_1", "cap_1", "simulator"}, {"pay_1", "cap_2", "simulator"},
											{"pay_2", "", "simulator"},      {"pay_1", "", "simulator:eu"},
											{"pay_", "1", "simulator"},      {"pay_1s", "", "imulator"}};
	char seen[6][LSK_DERIVED_BYTES];
	for (unsigned i = 0; i < 6; i++) {
		lsk_derive(others[i][0], others[i][1], others[i][2], seen[i]);
		assert_string_not_equal(seen[i], first);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(seen[i], seen[k]);
	}
}

static void
keys_and_fingerprints_never_meet(void **state)
{
	uint8_t a[IDEMPOTENCY_HASH_BYTES], b[IDEMPOTENCY_HASH_BYTES];
	static const uint8_t body[32] = {1}, other[32] = {2}, digest[32] = {3};
	(void)state;
	/* where one part ends and the next begins is part of what is hashed */
	lsk_key("shop", "1key", a);
	lsk_key("shop1", "key", b);
	assert_memory_not_equal(a, b, sizeof a);
	lsk_fingerprint("payments", body, NULL, 0, a);
	lsk_fingerprint("payments", body, NULL, 0, b);
	assert_memory_equal(a, b, sizeof a);
	lsk_fingerprint("payments", other, NULL, 0, b);
	assert_memory_not_equal(a, b, sizeof a);
	lsk_fingerprint("refunds", body, NULL, 0, b);
	assert_memory_not_equal(a, b, sizeof a);
	lsk_fingerprint("payments", body, digest, sizeof digest, b);
	assert_memory_not_equal(a, b, sizeof a);
}

static void
another_installation_has_other_keys(void **state)
{
	static const uint8_t key[32] = {8}, back[32] = {7};
	char ours[LSK_DERIVED_BYTES], theirs[LSK_DERIVED_BYTES];
	(void)state;
	lsk_derive("pay_1", "", "simulator", ours);
	assert_int_equal(lsk_set(key, sizeof key), ERR_OK);
	lsk_derive("pay_1", "", "simulator", theirs);
	assert_string_not_equal(ours, theirs);
	assert_int_equal(lsk_set(back, sizeof back), ERR_OK);
	lsk_derive("pay_1", "", "simulator", theirs);
	assert_string_equal(ours, theirs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_of_another_length_is_refused),
		cmocka_unit_test(the_processors_key_follows_the_operation_and_nothing_else),
		cmocka_unit_test(keys_and_fingerprints_never_meet),
		cmocka_unit_test(another_installation_has_other_keys),
	};
	return cmocka_run_group_tests(tests, open_secret, NULL);
}
