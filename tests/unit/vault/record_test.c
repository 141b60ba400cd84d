/* record: opens in its own place and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "vault/record.h"

static struct xaes *x, *other;

static int
set_up(void **state)
{
	struct secret *key;
	(void)state;
	assert_true(sodium_init() >= 0);
	assert_int_equal(secret_open(65536), ERR_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(secret_new(32, &key), ERR_OK);
		randombytes_buf(key->bytes, 32);
		assert_int_equal(xaes_new(key, i ? &other : &x), ERR_OK);
		secret_free(key);
	}
	return 0;
}

static const struct record_place place = {"install", "token", "card", "pan", "tok_A", "merchant", 1, 1};

static void
any_other_place_does_not_open(void **state)
{
	static const uint8_t plain[20] = "4242424242424242";
	uint8_t sealed[sizeof plain + RECORD_EXTRA_BYTES], again[sizeof sealed], opened[sizeof plain],
		zero[sizeof plain] = {0};
	(void)state;
	assert_int_equal(record_seal(x, &place, plain, sizeof plain, sealed), ERR_OK);
	assert_int_equal(record_seal(x, &place, plain, sizeof plain, again), ERR_OK);
	assert_memory_not_equal(sealed, again, sizeof sealed);
	assert_int_equal(record_open(x, &place, sealed, sizeof sealed, opened), ERR_OK);
	assert_memory_equal(opened, plain, sizeof plain);

	struct record_place moved[] = {place, place, place, place, place, place, place, place};
	moved[0].install = "instal";
	moved[1].table = "bank";
	moved[2].kind = "bank";
	moved[3].column = "person";
	moved[4].token = "tok_B";
	moved[5].merchant = "merchan";
	moved[6].key_generation = 2;
	moved[7].version = 2;
	for (size_t i = 0; i < 8; i++) {
		memset(opened, 1, sizeof opened);
		assert_int_equal(record_open(x, &moved[i], sealed, sizeof sealed, opened), ERR_RECORD_CORRUPT);
		assert_memory_equal(opened, zero, sizeof zero);
	}
	assert_int_equal(record_open(other, &place, sealed, sizeof sealed, opened), ERR_RECORD_CORRUPT);
	for (size_t bit = 0; bit < sizeof sealed * 8; bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(record_open(x, &place, sealed, sizeof sealed, opened), ERR_RECORD_CORRUPT);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t n = 0; n < sizeof sealed; n++)
		assert_int_equal(record_open(x, &place, sealed, n, opened), ERR_RECORD_CORRUPT);
}

/* Every pair of neighbouring texts shifted by a character, every two fields swapped: never the same bytes. */
static void
no_two_places_have_the_same_bytes(void **state)
{
	const char *f[6] = {"a", "b", "ab", "", "ba", "c"};
	uint8_t ad[RECORD_AD_MAX], moved[RECORD_AD_MAX];
	size_t n, m;
	(void)state;
	struct record_place p = {f[0], f[1], f[2], f[3], f[4], f[5], 1, 2};
	assert_int_equal(record_ad(&p, ad, &n), ERR_OK);
	for (int i = 0; i < 6; i++)
		for (int j = i + 1; j < 6; j++) {
			const char *g[6];
			memcpy(g, f, sizeof g);
			g[i] = f[j];
			g[j] = f[i];
			struct record_place q = {g[0], g[1], g[2], g[3], g[4], g[5], 1, 2};
			assert_int_equal(record_ad(&q, moved, &m), ERR_OK);
			assert_false(n == m && memcmp(ad, moved, n) == 0);
		}
	struct record_place shifted = {"ab", "", "ab", "", "ba", "c", 1, 2},
						numbers = {f[0], f[1], f[2], f[3], f[4], f[5], 2, 1};
	assert_int_equal(record_ad(&shifted, moved, &m), ERR_OK);
	assert_false(n == m && memcmp(ad, moved, n) == 0);
	assert_int_equal(record_ad(&numbers, moved, &m), ERR_OK);
	assert_false(n == m && memcmp(ad, moved, n) == 0);
	char longer[RECORD_AD_MAX];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	p.merchant = longer;
	assert_int_equal(record_ad(&p, moved, &m), ERR_OUT_OF_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_other_place_does_not_open),
		cmocka_unit_test(no_two_places_have_the_same_bytes),
	};
	return cmocka_run_group_tests_name("record", tests, set_up, NULL);
}
