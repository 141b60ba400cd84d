#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "vault/hsm/ckr.h"

/* The difference that matters: a device that is away comes back, a corrupt blob never does. */
static void
a_lost_device_is_never_called_corrupt(void **state)
{
	static const CK_RV lost[] = {CKR_DEVICE_REMOVED,  CKR_DEVICE_ERROR,           CKR_TOKEN_NOT_PRESENT,
								 CKR_SESSION_CLOSED,  CKR_SESSION_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN,
								 CKR_FUNCTION_FAILED, CKR_GENERAL_ERROR,          CKR_CRYPTOKI_NOT_INITIALIZED,
								 CKR_SLOT_ID_INVALID, CKR_DEVICE_MEMORY};
	(void)state;
	for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
		assert_int_equal(ckr_err(lost[i]), ERR_HSM_AWAY);
}

static void
every_value_has_a_meaning(void **state)
{
	(void)state;
	assert_int_equal(ckr_err(CKR_OK), ERR_OK);
	for (CK_RV rv = 1; rv < 0x300; rv++)
		assert_int_not_equal(ckr_err(rv), ERR_OK);
	assert_int_equal(ckr_err(CKR_VENDOR_DEFINED | 0x1234), ERR_HSM_AWAY);
	assert_string_equal(ckr_name(CKR_VENDOR_DEFINED | 0x1234), "CKR_?");
	assert_string_equal(ckr_name(CKR_PIN_LOCKED), "CKR_PIN_LOCKED");
	assert_int_equal(ckr_err(CKR_PIN_LOCKED), ERR_HSM_PIN_LOCKED);
	assert_int_equal(ckr_err(CKR_OUR_CORRUPT), ERR_HSM_CORRUPT);
}

static void
only_session_values_ask_for_a_new_session(void **state)
{
	(void)state;
	assert_true(ckr_session_lost(CKR_SESSION_HANDLE_INVALID));
	assert_true(ckr_session_lost(CKR_USER_NOT_LOGGED_IN));
	assert_true(ckr_session_lost(CKR_KEY_HANDLE_INVALID));
	assert_false(ckr_session_lost(CKR_DEVICE_REMOVED));
	assert_false(ckr_session_lost(CKR_OK));
	assert_true(ckr_vague(CKR_GENERAL_ERROR));
	assert_true(ckr_vague(CKR_VENDOR_DEFINED | 7));
	assert_false(ckr_vague(CKR_ENCRYPTED_DATA_INVALID));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_lost_device_is_never_called_corrupt),
		cmocka_unit_test(every_value_has_a_meaning),
		cmocka_unit_test(only_session_values_ask_for_a_new_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
