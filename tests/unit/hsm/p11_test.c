/* The broker's Cryptoki part against a real SoftHSM token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/hsm/token.h"
#include "vault/hsm/hsmdata.h"
#include "vault/hsm/hsmkey.h"
#include "vault/hsm/survey.h"
#include "vault/hsm/wrap.h"

static struct p11 *p;
static const uint8_t ad[] = "install/dek/1";

static int
set_up(void **state)
{
	(void)state;
	uint8_t pub[32];
	bool existed;
	static const char *const keys[] = {"kek", "ask", "xsk", "ahk"};
	token_make();
	p = token_logged_in(NULL);
	for (size_t i = 0; i < 4; i++) {
		if (hsmkey_make(p, keys[i], 1, pub, &existed) != ERR_OK || existed)
			return -1;
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	p11_free(p);
	token_remove();
	return 0;
}

static void
keys_stay_and_are_what_they_were_made(void **state)
{
	uint8_t first[32], again[32];
	bool existed;
	(void)state;
	assert_int_equal(hsmkey_public(p, "ask", 1, first), ERR_OK);
	assert_int_equal(hsmkey_make(p, "ask", 1, again, &existed), ERR_OK);
	assert_true(existed);
	assert_memory_equal(first, again, 32);
	assert_int_equal(hsmkey_public(p, "kek", 1, again), ERR_NOT_FOUND);
	assert_int_equal(hsmkey_public(p, "ask", 2, again), ERR_HSM_KEY);
	assert_int_equal(hsmkey_make(p, "dek", 1, again, &existed), ERR_NOT_FOUND);
	assert_int_equal(hsmkey_make(p, "kek", 0, again, &existed), ERR_NOT_FOUND);
}

static CK_BBOOL
flag(CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
	CK_BBOOL is = 42;
	CK_ATTRIBUTE a = {type, &is, sizeof is};
	assert_int_equal(p->f->C_GetAttributeValue(p->session, key, &a, 1), CKR_OK);
	return is;
}

/* Asked of the token itself, with the calls that a thief with the PIN would make. */
static void
nothing_gets_a_key_out(void **state)
{
	static const struct {
		CK_OBJECT_CLASS class;
		const char *label;
	} keys[] = {
		{CKO_SECRET_KEY, "kek-1"}, {CKO_SECRET_KEY, "ahk-1"}, {CKO_PRIVATE_KEY, "ask-1"}, {CKO_PRIVATE_KEY, "xsk-1"}};
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		CK_OBJECT_HANDLE key;
		CK_BYTE value[64];
		CK_BBOOL yes = CK_TRUE;
		CK_ATTRIBUTE read = {CKA_VALUE, value, sizeof value}, open = {CKA_EXTRACTABLE, &yes, sizeof yes};
		assert_int_equal(p11_find(p, keys[i].class, keys[i].label, &key), CKR_OK);
		assert_true(flag(key, CKA_SENSITIVE) && flag(key, CKA_PRIVATE) && flag(key, CKA_TOKEN) &&
					flag(key, CKA_NEVER_EXTRACTABLE));
		assert_false(flag(key, CKA_EXTRACTABLE));
		assert_int_not_equal(p->f->C_GetAttributeValue(p->session, key, &read, 1), CKR_OK);
		assert_int_not_equal(p->f->C_SetAttributeValue(p->session, key, &open, 1), CKR_OK);
	}
}

static void
a_kek_does_not_both_wrap_and_decrypt(void **state)
{
	CK_OBJECT_HANDLE key;
	(void)state;
	assert_int_equal(p11_find(p, CKO_SECRET_KEY, "kek-1", &key), CKR_OK);
	assert_true(flag(key, CKA_ENCRYPT) && flag(key, CKA_DECRYPT));
	assert_false(flag(key, CKA_WRAP) || flag(key, CKA_UNWRAP) || flag(key, CKA_SIGN));
	assert_int_equal(p11_find(p, CKO_SECRET_KEY, "ahk-1", &key), CKR_OK);
	assert_true(flag(key, CKA_SIGN));
	assert_false(flag(key, CKA_ENCRYPT) || flag(key, CKA_DECRYPT) || flag(key, CKA_WRAP) || flag(key, CKA_UNWRAP));
}

/* A key that somebody put there with a value he knows is not taken for ours, however well it looks otherwise. */
static void
a_planted_key_is_refused(void **state)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_BYTE value[32] = "known to the one who put it here", label[] = "kek-9";
	CK_ATTRIBUTE with[] = {
		{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type}, {CKA_TOKEN, &yes, sizeof yes},
		{CKA_PRIVATE, &yes, sizeof yes},   {CKA_SENSITIVE, &yes, sizeof yes},  {CKA_EXTRACTABLE, &no, sizeof no},
		{CKA_ENCRYPT, &yes, sizeof yes},   {CKA_DECRYPT, &yes, sizeof yes},    {CKA_LABEL, label, 5},
		{CKA_WRAP, &no, sizeof no},        {CKA_UNWRAP, &no, sizeof no},       {CKA_VALUE, value, sizeof value},
	};
	CK_OBJECT_HANDLE planted;
	struct wrap_blob blob;
	(void)state;
	assert_int_equal(p->f->C_CreateObject(p->session, with, sizeof with / sizeof *with, &planted), CKR_OK);
	assert_int_equal(wrap_seal(p, 9, ad, sizeof ad, value, 32, &blob), ERR_HSM_KEY);
	assert_int_equal(p->f->C_DestroyObject(p->session, planted), CKR_OK);
	p11_forget(p);
}

/* One made in the HSM, but by somebody who wants to decrypt what it wraps. */
static void
a_kek_that_can_do_too_much_is_refused(void **state)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bytes = 32;
	CK_BYTE label[] = "kek-8", value[32] = {0};
	CK_MECHANISM make = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE with[] = {
		{CKA_TOKEN, &yes, sizeof yes},     {CKA_PRIVATE, &yes, sizeof yes}, {CKA_SENSITIVE, &yes, sizeof yes},
		{CKA_EXTRACTABLE, &no, sizeof no}, {CKA_LABEL, label, 5},           {CKA_VALUE_LEN, &bytes, sizeof bytes},
		{CKA_ENCRYPT, &yes, sizeof yes},   {CKA_DECRYPT, &yes, sizeof yes}, {CKA_WRAP, &yes, sizeof yes},
		{CKA_UNWRAP, &yes, sizeof yes},
	};
	CK_OBJECT_HANDLE planted;
	struct wrap_blob blob;
	(void)state;
	assert_int_equal(p->f->C_GenerateKey(p->session, &make, with, sizeof with / sizeof *with, &planted), CKR_OK);
	assert_int_equal(wrap_seal(p, 8, ad, sizeof ad, value, 32, &blob), ERR_HSM_KEY);
	assert_int_equal(p->f->C_DestroyObject(p->session, planted), CKR_OK);
	p11_forget(p);
}

static void
a_wrapped_key_opens_only_whole_and_in_its_place(void **state)
{
	uint8_t key[32], opened[WRAP_KEY_MAX], none[WRAP_KEY_MAX] = {0};
	struct wrap_blob blob, twin;
	size_t n;
	(void)state;
	randombytes_buf(key, sizeof key);
	assert_int_equal(wrap_seal(p, 1, ad, sizeof ad, key, sizeof key, &blob), ERR_OK);
	assert_int_equal(blob.len, 6 + 12 + 32 + 16);
	assert_int_equal(wrap_open(p, 1, ad, sizeof ad, blob.bytes, blob.len, opened, &n), ERR_OK);
	assert_int_equal(n, 32);
	assert_memory_equal(opened, key, 32);
	/* a fresh nonce each time */
	assert_int_equal(wrap_seal(p, 1, ad, sizeof ad, key, sizeof key, &twin), ERR_OK);
	assert_memory_not_equal(blob.bytes + 6, twin.bytes + 6, 12);
	for (size_t i = 0; i < blob.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			twin = blob;
			twin.bytes[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(wrap_open(p, 1, ad, sizeof ad, twin.bytes, twin.len, opened, &n), ERR_HSM_CORRUPT);
			assert_memory_equal(opened, none, sizeof none);
		}
	}
	for (size_t len = 0; len < blob.len; len++)
		assert_int_equal(wrap_open(p, 1, ad, sizeof ad, blob.bytes, len, opened, &n), ERR_HSM_CORRUPT);
	assert_int_equal(wrap_open(p, 1, ad, sizeof ad - 1, blob.bytes, blob.len, opened, &n), ERR_HSM_CORRUPT);
	assert_int_equal(wrap_open(p, 1, (const uint8_t *)"instalL/dek/1", sizeof ad, blob.bytes, blob.len, opened, &n),
					 ERR_HSM_CORRUPT);
	assert_int_equal(wrap_open(p, 2, ad, sizeof ad, blob.bytes, blob.len, opened, &n), ERR_HSM_CORRUPT);
}

static void
bounds_are_kept(void **state)
{
	uint8_t key[72] = {1}, opened[WRAP_KEY_MAX], big[300] = {0}, out[64];
	struct wrap_blob blob;
	size_t n;
	(void)state;
	assert_int_equal(wrap_seal(p, 1, ad, sizeof ad, key, 72, &blob), ERR_OUT_OF_RANGE);
	assert_int_equal(wrap_seal(p, 1, ad, sizeof ad, key, 8, &blob), ERR_OUT_OF_RANGE);
	assert_int_equal(wrap_seal(p, 1, ad, sizeof ad, key, 33, &blob), ERR_OUT_OF_RANGE);
	assert_int_equal(wrap_seal(p, 1, big, sizeof big, key, 32, &blob), ERR_OUT_OF_RANGE);
	assert_int_equal(wrap_seal(p, 1, NULL, 0, key, 64, &blob), ERR_OK);
	assert_int_equal(wrap_open(p, 1, NULL, 0, blob.bytes, blob.len, opened, &n), ERR_OK);
	assert_int_equal(n, 64);
	assert_int_equal(wrap_open(p, 1, NULL, 0, big, sizeof big, opened, &n), ERR_HSM_CORRUPT);
	assert_int_equal(wrap_seal(p, 7, NULL, 0, key, 32, &blob), ERR_HSM_KEY);
	assert_int_equal(hsmkey_sign(p, "ask", 1, big, 0, out), ERR_OUT_OF_RANGE);
	assert_int_equal(hsmkey_sign(p, "kek", 1, big, 8, out), ERR_NOT_FOUND);
	assert_int_equal(hsmkey_mac(p, "ask", 1, big, 8, out), ERR_NOT_FOUND);
}

static void
signatures_verify_outside(void **state)
{
	uint8_t ask[32], xsk[32], signature[64];
	(void)state;
	assert_int_equal(hsmkey_public(p, "ask", 1, ask), ERR_OK);
	assert_int_equal(hsmkey_public(p, "xsk", 1, xsk), ERR_OK);
	assert_memory_not_equal(ask, xsk, 32);
	assert_int_equal(hsmkey_sign(p, "ask", 1, ad, sizeof ad, signature), ERR_OK);
	assert_int_equal(crypto_sign_verify_detached(signature, ad, sizeof ad, ask), 0);
	assert_int_not_equal(crypto_sign_verify_detached(signature, ad, sizeof ad, xsk), 0);
}

static void
macs_are_stable_and_bound_to_their_data(void **state)
{
	uint8_t a[32], b[32];
	(void)state;
	assert_int_equal(hsmkey_mac(p, "ahk", 1, ad, sizeof ad, a), ERR_OK);
	assert_int_equal(hsmkey_mac(p, "ahk", 1, ad, sizeof ad, b), ERR_OK);
	assert_memory_equal(a, b, 32);
	assert_int_equal(hsmkey_mac(p, "ahk", 1, ad, sizeof ad - 1, b), ERR_OK);
	assert_memory_not_equal(a, b, 32);
}

static void
the_newest_anchor_counts(void **state)
{
	uint8_t out[HSMDATA_MAX], big[HSMDATA_MAX + 1] = {7};
	size_t n;
	(void)state;
	assert_int_equal(hsmdata_get(p, "a", out, &n), ERR_OK);
	assert_int_equal(n, 0);
	for (uint8_t i = 1; i <= 20; i++) {
		assert_int_equal(hsmdata_set(p, "a", (uint8_t[]){i, i, i}, 3), ERR_OK);
		assert_int_equal(hsmdata_get(p, "a", out, &n), ERR_OK);
		assert_int_equal(n, 3);
		assert_int_equal(out[2], i);
	}
	assert_int_equal(hsmdata_get(p, "b", out, &n), ERR_OK);
	assert_int_equal(n, 0);
	assert_int_equal(hsmdata_set(p, "a", big, sizeof big), ERR_OUT_OF_RANGE);
	assert_int_equal(hsmdata_set(p, "", big, 3), ERR_OUT_OF_RANGE);
	assert_int_equal(hsmdata_set(p, "a", big, HSMDATA_MAX), ERR_OK);
	assert_int_equal(hsmdata_get(p, "a", out, &n), ERR_OK);
	assert_int_equal(n, HSMDATA_MAX);
}

static void
a_lost_session_is_opened_again_but_not_the_login(void **state)
{
	uint8_t out[HSMDATA_MAX];
	CK_SESSION_HANDLE other;
	size_t n;
	(void)state;
	/* only the handle is lost: another session holds the log-in */
	assert_int_equal(p->f->C_OpenSession(p->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &other), CKR_OK);
	assert_int_equal(p->f->C_CloseSession(p->session), CKR_OK);
	assert_int_equal(hsmkey_sign(p, "ask", 1, ad, sizeof ad, out), ERR_OK);
	assert_int_equal(p->f->C_CloseSession(other), CKR_OK);
	/* the log-in is lost too */
	assert_int_equal(p->f->C_CloseAllSessions(p->slot), CKR_OK);
	assert_int_equal(hsmkey_sign(p, "ask", 1, ad, sizeof ad, out), ERR_HSM_AWAY);
	assert_false(p->logged_in);
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_OK);
	assert_int_equal(hsmkey_sign(p, "ask", 1, ad, sizeof ad, out), ERR_OK);
	/* logged out behind our back: a key that can't be seen is not a key that is gone */
	assert_int_equal(p->f->C_Logout(p->session), CKR_OK);
	p11_forget(p);
	assert_int_equal(hsmkey_mac(p, "ahk", 1, ad, sizeof ad, out), ERR_HSM_AWAY);
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_OK);
	/* and an anchor that can't be seen is not "no anchor" */
	assert_int_equal(hsmdata_set(p, "seen", ad, sizeof ad), ERR_OK);
	assert_int_equal(p->f->C_Logout(p->session), CKR_OK);
	assert_int_equal(hsmdata_get(p, "seen", out, &n), ERR_HSM_AWAY);
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_OK);
	assert_int_equal(hsmdata_get(p, "seen", out, &n), ERR_OK);
	assert_int_equal(n, sizeof ad);
}

static void
a_wrong_pin_never_passes(void **state)
{
	uint8_t out[64];
	(void)state;
	/* logged in rightly a moment ago: that must not help */
	assert_int_equal(p11_login(p, (const uint8_t *)"wrong-pin-123", 13), ERR_HSM_PIN_LOW);
	assert_int_equal(hsmkey_sign(p, "ask", 1, ad, sizeof ad, out), ERR_HSM_AWAY);
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_OK);
	p11_logout(p);
	assert_int_equal(hsmkey_sign(p, "ask", 1, ad, sizeof ad, out), ERR_HSM_AWAY);
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_OK);
}

static void
anothers_keys_are_seen_and_ours_go_on(void **state)
{
	uint8_t pub[32];
	bool existed;
	(void)state;
	assert_int_equal(survey_run(p, "a"), ERR_OK);
	assert_int_equal(p11_bind(p, "another-one"), ERR_OK);
	assert_int_equal(survey_run(p, "a"), ERR_HSM_TOKEN_USED);
	/* one key of the other one among ours is enough */
	assert_int_equal(hsmkey_make(p, "xsk", 77, pub, &existed), ERR_OK);
	assert_int_equal(p11_bind(p, ""), ERR_OK);
	assert_int_equal(survey_run(p, "a"), ERR_HSM_TOKEN_USED);
	assert_false(hsmkey_is_label("kek") || hsmkey_is_label("kek-") || hsmkey_is_label("kek-1a") ||
				 hsmkey_is_label("tls-1") || !hsmkey_is_label("kek-12"));
	assert_int_equal(survey_run(p, ""), ERR_OUT_OF_RANGE);
	/* the one that was not ours goes again */
	CK_OBJECT_HANDLE key;
	assert_int_equal(p11_find(p, CKO_PRIVATE_KEY, "xsk-77", &key), CKR_OK);
	assert_int_equal(p->f->C_DestroyObject(p->session, key), CKR_OK);
	assert_int_equal(p11_find(p, CKO_PUBLIC_KEY, "xsk-77", &key), CKR_OK);
	assert_int_equal(p->f->C_DestroyObject(p->session, key), CKR_OK);
	p11_forget(p);
	assert_int_equal(survey_run(p, "a"), ERR_OK);
}

static void
a_token_is_made_once(void **state)
{
	bool existed;
	(void)state;
	assert_int_equal(p11_init_token(p, TOKEN_LABEL, (const uint8_t *)"other-pin", 9, &existed), ERR_OK);
	assert_true(existed);
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_OK);
	assert_int_equal(p11_init_token(p, "", (const uint8_t *)"other-pin", 9, &existed), ERR_OUT_OF_RANGE);
}

static void
what_it_can_is_found_by_trying(void **state)
{
	(void)state;
	assert_int_equal(p->power.wrap, P11_WRAP_GCM);
	assert_true(p->power.hmac && p->power.ed25519 && p->power.random);
	assert_true(p->software);
}

/* A KEK that wraps by key wrap, as on a module without GCM. */
static void
key_wrap_serves_where_gcm_is_missing(void **state)
{
	static const enum p11_wrap hows[] = {P11_WRAP_KWP, P11_WRAP_KW};
	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		uint8_t key[32], opened[WRAP_KEY_MAX], pub[32];
		struct wrap_blob blob, twin;
		size_t n;
		bool existed;
		p->power.wrap = hows[i];
		assert_int_equal(hsmkey_make(p, "kek", 20 + i, pub, &existed), ERR_OK);
		randombytes_buf(key, sizeof key);
		assert_int_equal(wrap_seal(p, 20 + i, ad, sizeof ad, key, 32, &blob), ERR_OK);
		assert_int_equal(blob.bytes[1], hows[i]);
		assert_int_equal(wrap_open(p, 20 + i, ad, sizeof ad, blob.bytes, blob.len, opened, &n), ERR_OK);
		assert_memory_equal(opened, key, 32);
		assert_int_equal(wrap_open(p, 20 + i, ad, sizeof ad - 1, blob.bytes, blob.len, opened, &n), ERR_HSM_CORRUPT);
		for (size_t k = 0; k < blob.len; k++) {
			twin = blob;
			twin.bytes[k] ^= 0x10;
			assert_int_equal(wrap_open(p, 20 + i, ad, sizeof ad, twin.bytes, twin.len, opened, &n), ERR_HSM_CORRUPT);
		}
	}
	p->power.wrap = P11_WRAP_GCM;
}

/* Half a pair is what a kill leaves between two objects. */
static void
half_a_pair_is_made_whole(void **state)
{
	uint8_t pub[32], before[32], signature[64];
	bool existed;
	CK_OBJECT_HANDLE key;
	(void)state;
	assert_int_equal(hsmkey_make(p, "xsk", 5, before, &existed), ERR_OK);
	assert_int_equal(p11_find(p, CKO_PRIVATE_KEY, "xsk-5", &key), CKR_OK);
	assert_int_equal(p->f->C_DestroyObject(p->session, key), CKR_OK);
	p11_forget(p);
	assert_int_equal(hsmkey_make(p, "xsk", 5, pub, &existed), ERR_OK);
	assert_false(existed);
	assert_memory_not_equal(before, pub, 32);
	assert_int_equal(hsmkey_sign(p, "xsk", 5, ad, sizeof ad, signature), ERR_OK);
	assert_int_equal(p11_find(p, CKO_PUBLIC_KEY, "xsk-5", &key), CKR_OK);
	assert_int_equal(p->f->C_DestroyObject(p->session, key), CKR_OK);
	p11_forget(p);
	assert_int_equal(hsmkey_make(p, "xsk", 5, pub, &existed), ERR_OK);
	assert_false(existed);
	assert_int_equal(hsmkey_sign(p, "xsk", 5, ad, sizeof ad, signature), ERR_OK);
}

static void
a_software_token_needs_to_be_allowed(void **state)
{
	struct p11 *q;
	(void)state;
	assert_int_equal(p11_load("/nowhere/module.so", "x", true, &q), ERR_HSM_MODULE);
	assert_int_equal(p11_load(TOKEN_MODULE, "a label that is longer than thirty-two characters", true, &q),
					 ERR_OUT_OF_RANGE);
	p->allow_software = false;
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_HSM_SOFTWARE);
	p->allow_software = true;
	strcpy(p->token, "no such token");
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_HSM_TOKEN);
	strcpy(p->token, TOKEN_LABEL);
	assert_int_equal(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)), ERR_OK);
}

static void
random_bytes_differ(void **state)
{
	uint8_t a[32], b[32];
	(void)state;
	assert_int_equal(p11_random(p, a, 32), ERR_OK);
	assert_int_equal(p11_random(p, b, 32), ERR_OK);
	assert_memory_not_equal(a, b, 32);
	assert_int_equal(p11_random(p, a, 257), ERR_OUT_OF_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_stay_and_are_what_they_were_made),
		cmocka_unit_test(nothing_gets_a_key_out),
		cmocka_unit_test(a_kek_does_not_both_wrap_and_decrypt),
		cmocka_unit_test(a_planted_key_is_refused),
		cmocka_unit_test(a_kek_that_can_do_too_much_is_refused),
		cmocka_unit_test(a_wrapped_key_opens_only_whole_and_in_its_place),
		cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(signatures_verify_outside),
		cmocka_unit_test(macs_are_stable_and_bound_to_their_data),
		cmocka_unit_test(the_newest_anchor_counts),
		cmocka_unit_test(a_lost_session_is_opened_again_but_not_the_login),
		cmocka_unit_test(a_wrong_pin_never_passes),
		cmocka_unit_test(anothers_keys_are_seen_and_ours_go_on),
		cmocka_unit_test(a_token_is_made_once),
		cmocka_unit_test(what_it_can_is_found_by_trying),
		cmocka_unit_test(key_wrap_serves_where_gcm_is_missing),
		cmocka_unit_test(half_a_pair_is_made_whole),
		cmocka_unit_test(a_software_token_needs_to_be_allowed),
		cmocka_unit_test(random_bytes_differ),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
