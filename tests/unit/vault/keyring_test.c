#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "tests/unit/vault/softhand.h"
#include "vault/keyring.h"

static struct boot b;
static struct keyring *k;
static bool ran;
static enum err ended;

static int
set_up_group(void **state)
{
	(void)state;
	return sodium_init() >= 0 && secret_open(4 * KEYRING_ARENA_BYTES) == ERR_OK ? 0 : -1;
}

static void
on_done(void *arg, enum err e)
{
	assert_ptr_equal(arg, &ran);
	assert_false(ran);
	ran = true;
	ended = e;
}

static enum err
make(struct keyring *which)
{
	ran = false;
	enum err e = keyring_make_all(which, NULL, 100, on_done, &ran);
	if (e != ERR_OK)
		return e;
	assert_false(ran);
	softhand_run();
	assert_true(ran);
	return ended;
}

static enum err
unwrap(struct keyring *which)
{
	ran = false;
	enum err e = keyring_unwrap_all(which, NULL, 100, on_done, &ran);
	if (e != ERR_OK)
		return e;
	assert_false(ran);
	softhand_run();
	assert_true(ran);
	return ended;
}

static int
set_up(void **state)
{
	(void)state;
	softhand_reset();
	return boot_init(&b, "acme", "a", true) == ERR_OK && keyring_new(&b, &k) == ERR_OK && make(k) == ERR_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	size_t used, all;
	keyring_free(k);
	secret_use(&used, &all);
	return used == 0 ? 0 : -1;
}

static const struct secret *
get(const struct keyring *which, enum key_purpose p)
{
	const struct secret *s;
	assert_int_equal(keyring_get(which, p, 1, KEY_PROCESS, &s), ERR_OK);
	return s;
}

static void
all_keys_are_there_and_differ(void **state)
{
	static const enum key_purpose all[] = {KEY_DEK, KEY_EPK, KEY_FPK, KEY_PGK_VAULT, KEY_PGK_LEDGER, KEY_LSK, KEY_SADK};
	(void)state;
	assert_true(keyring_ready(k));
	for (size_t i = 0; i < 7; i++)
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(get(k, all[i])->bytes, get(k, all[j])->bytes, 32);
	const struct xaes *x;
	assert_int_equal(keyring_xaes(k, KEY_DEK, 1, KEY_PROTECT, &x), ERR_OK);
	assert_int_equal(keyring_xaes(k, KEY_SADK, 1, KEY_PROTECT, &x), ERR_OK);
	assert_int_equal(keyring_xaes(k, KEY_FPK, 1, KEY_PROTECT, &x), ERR_HSM_KEY);
	assert_int_equal(keyring_xaes(k, KEY_DEK, 2, KEY_PROTECT, &x), ERR_HSM_KEY);
	assert_int_equal(keyring_make_all(k, NULL, 100, on_done, &ran), ERR_EXISTS);
}

/* The file on the disk holds none of them. */
static void
nothing_of_a_key_is_in_the_boot_file(void **state)
{
	struct buf text;
	(void)state;
	buf_init(&text, BOOT_BYTES_MAX);
	assert_int_equal(boot_encode(&b, &text), ERR_OK);
	for (size_t i = 0; i < b.keys_n; i++) {
		const struct secret *s;
		char hex[17];
		if (keyring_get(k, b.keys[i].purpose, 1, KEY_PROCESS, &s) != ERR_OK)
			continue;
		sodium_bin2hex(hex, sizeof hex, s->bytes, 8);
		assert_null(memmem(buf_at(&text), text.len, hex, 16));
		assert_null(memmem(buf_at(&text), text.len, s->bytes, 8));
		assert_null(memmem(&b, sizeof b, s->bytes, 8));
	}
	buf_clear(&text);
}

static void
the_next_start_gives_the_same_keys(void **state)
{
	struct keyring *again;
	(void)state;
	assert_int_equal(keyring_new(&b, &again), ERR_OK);
	assert_int_equal(unwrap(again), ERR_OK);
	assert_memory_equal(get(k, KEY_DEK)->bytes, get(again, KEY_DEK)->bytes, 32);
	assert_memory_equal(get(k, KEY_LSK)->bytes, get(again, KEY_LSK)->bytes, 32);
	assert_memory_not_equal(get(k, KEY_SADK)->bytes, get(again, KEY_SADK)->bytes, 32);
	keyring_free(again);
	/* and so does a second init after a kill */
	size_t rows = b.keys_n;
	assert_int_equal(keyring_new(&b, &again), ERR_OK);
	assert_int_equal(make(again), ERR_OK);
	assert_int_equal(b.keys_n, rows);
	assert_memory_equal(get(k, KEY_DEK)->bytes, get(again, KEY_DEK)->bytes, 32);
	keyring_free(again);
}

/* Every question of both runs fails once, in each of three ways; after each the keyring is empty and works again. */
static void
a_run_that_fails_leaves_nothing(void **state)
{
	static const enum err causes[] = {ERR_HSM_AWAY, ERR_PEER_AWAY, ERR_DEADLINE};
	struct boot fresh;
	(void)state;
	for (int making = 0; making < 2; making++) {
		for (unsigned at = 1; at <= 12; at++) {
			for (unsigned how = 0; how < 4; how++) {
				struct keyring *q;
				const struct secret *s;
				if (making)
					assert_int_equal(boot_init(&fresh, "acme", "a", true), ERR_OK);
				else
					fresh = b;
				size_t rows = fresh.keys_n;
				assert_int_equal(keyring_new(&fresh, &q), ERR_OK);
				softhand.asked = 0;
				softhand.fail_at = at;
				softhand.refuse = how == 3;
				softhand.fail_with = causes[how % 3];
				enum err e = making ? make(q) : unwrap(q);
				bool reached = softhand.asked >= at;
				assert_int_equal(e, reached ? causes[how % 3] : ERR_OK);
				if (reached) {
					assert_false(keyring_ready(q));
					assert_int_equal(fresh.keys_n, rows);
					assert_int_not_equal(keyring_get(q, KEY_DEK, 1, KEY_PROCESS, &s), ERR_OK);
					assert_int_equal(keyring_get(q, KEY_SADK, 1, KEY_PROCESS, &s), ERR_OK);
					softhand.fail_at = 0;
					softhand.refuse = false;
					assert_int_equal(making ? make(q) : unwrap(q), ERR_OK);
				}
				keyring_free(q);
			}
		}
	}
}

/* A HSM that answers wrongly at the k-th question is never believed. */
static void
a_wrong_answer_is_seen(void **state)
{
	(void)state;
	unsigned seen = 0;
	for (unsigned at = 1; at <= 8; at++) {
		struct keyring *q;
		assert_int_equal(keyring_new(&b, &q), ERR_OK);
		softhand.asked = 0;
		softhand.fail_at = at;
		softhand.lie = true;
		enum err e = unwrap(q);
		assert_true(e == ERR_HSM_CORRUPT || e == ERR_HSM_KEY);
		assert_false(keyring_ready(q));
		seen++;
		keyring_free(q);
	}
	assert_int_equal(seen, 8); /* two public keys, five wrapped, one derived */
}

/* Rows whose blobs are exchanged, or moved to another installation or generation, do not open. */
static void
rows_do_not_open_in_another_place(void **state)
{
	struct boot other;
	struct keyring *q;
	(void)state;
	for (int how = 0; how < 5; how++) {
		other = b;
		struct boot_key *dek = boot_key_of(&other, KEY_DEK, 1), *epk = boot_key_of(&other, KEY_EPK, 1);
		struct boot_key saved = *dek;
		switch (how) {
		case 0: /* blobs exchanged */
			memcpy(dek->wrapped, epk->wrapped, sizeof dek->wrapped);
			break;
		case 1: /* whole rows exchanged */
			dek->purpose = KEY_EPK;
			epk->purpose = KEY_DEK;
			break;
		case 2:
			strcpy(other.install, "bcme");
			break;
		case 3:
			dek->generation = 2;
			break;
		default: /* an older commitment */
			dek->commitment[3] ^= 4;
		}
		(void)saved;
		assert_int_equal(keyring_new(&other, &q), ERR_OK);
		assert_int_equal(unwrap(q), ERR_HSM_CORRUPT);
		keyring_free(q);
	}
}

/* The HSM itself is told whose key it is and where it belongs. */
static void
the_hsm_binds_a_key_to_its_place(void **state)
{
	static const char want[] = "sallyport/1/wrap/pgk-ledger\0\0\0\0\0\0\0\1acme";
	(void)state;
	/* the last one that was made */
	assert_int_equal(softhand.ad_bytes, sizeof want - 1);
	assert_memory_equal(softhand.ad, want, sizeof want - 1);
}

static void
another_token_is_refused(void **state)
{
	struct keyring *q;
	(void)state;
	softhand_reset();
	assert_int_equal(keyring_new(&b, &q), ERR_OK);
	assert_int_equal(unwrap(q), ERR_HSM_KEY);
	assert_int_equal(make(q), ERR_HSM_KEY);
	keyring_free(q);
	struct boot empty;
	assert_int_equal(boot_init(&empty, "acme", "a", true), ERR_OK);
	assert_int_equal(keyring_new(&empty, &q), ERR_OK);
	assert_int_equal(unwrap(q), ERR_HSM_KEY);
	keyring_free(q);
}

/* What a state forbids is refused with the key in memory. */
static void
states_are_obeyed(void **state)
{
	const struct secret *s;
	uint32_t g;
	(void)state;
	struct boot_key *dek = boot_key_of(&b, KEY_DEK, 1);
	for (unsigned st = 0; st < KEY_STATE_MAX; st++) {
		for (unsigned op = 0; op < KEY_OPERATION_MAX; op++) {
			dek->state = st;
			assert_int_equal(keyring_get(k, KEY_DEK, 1, op, &s), keylife_may(st, op));
			assert_true((s != NULL) == (keylife_may(st, op) == ERR_OK));
		}
		assert_int_equal(keyring_active(k, KEY_DEK, &g), st == KEY_ACTIVE ? ERR_OK : ERR_KEY_RETIRED);
	}
}

static void
the_list_tells_all_and_no_secret(void **state)
{
	static sp_key_view views[64];
	(void)state;
	size_t n = keyring_list(k, views, 64);
	assert_int_equal(n, 11); /* 4 in the HSM, 5 wrapped, lsk, sadk */
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(views[i].generation, 1);
		assert_string_equal(views[i].state, "active");
		assert_true(*views[i].key && *views[i].where && *views[i].algorithm);
		if (strcmp(views[i].key, "dek") == 0) {
			assert_string_equal(views[i].where, "vault, wrapped by kek-1");
			assert_true(views[i].rotate_by_ms > views[i].activated_at_ms);
		}
	}
	assert_int_equal(keyring_list(k, views, 3), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_keys_are_there_and_differ, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_of_a_key_is_in_the_boot_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_next_start_gives_the_same_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_run_that_fails_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_wrong_answer_is_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(rows_do_not_open_in_another_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_hsm_binds_a_key_to_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(another_token_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(states_are_obeyed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_list_tells_all_and_no_secret, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, set_up_group, NULL);
}
