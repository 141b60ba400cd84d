#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "daemon/base/str.h"
#include "vault/hkdf.h"

/* RFC 5869, appendix A: the three cases of SHA-256. */
struct vector {
	const char *key, *salt, *info, *out;
};

static size_t
unhex(const char *hex, uint8_t *out)
{
	size_t n = strlen(hex) / 2;
	assert_int_equal(str_unhex(hex, out, n), ERR_OK);
	return n;
}

static void
rfc_5869(void **state)
{
	static const struct vector vectors[] = {
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
		 "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353"
		 "63738"
		 "393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
		 "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f9091929394959"
		 "69798"
		 "999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
		 "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e"
		 "6e7e8"
		 "e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		 "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f0"
		 "9b836"
		 "7793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
		{"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
		 "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		uint8_t key[80], salt[80], info[80], want[82], got[82];
		size_t k = unhex(vectors[i].key, key), s = unhex(vectors[i].salt, salt), n = unhex(vectors[i].info, info);
		size_t o = unhex(vectors[i].out, want);
		hkdf_sha256((struct hkdf_text){key, k}, (struct hkdf_text){salt, s}, (struct hkdf_text){info, n}, got, o);
		assert_memory_equal(got, want, o);
	}
}

static void
every_input_counts(void **state)
{
	uint8_t key[32] = {1}, a[32], b[32];
	const struct hkdf_text k = {key, 32};
	(void)state;
	hkdf_sha256(k, (struct hkdf_text){"salt", 4}, (struct hkdf_text){"info", 4}, a, 32);
	hkdf_sha256(k, (struct hkdf_text){"salT", 4}, (struct hkdf_text){"info", 4}, b, 32);
	assert_memory_not_equal(a, b, 32);
	hkdf_sha256(k, (struct hkdf_text){"salt", 4}, (struct hkdf_text){"infO", 4}, b, 32);
	assert_memory_not_equal(a, b, 32);
	key[31] = 1;
	hkdf_sha256(k, (struct hkdf_text){"salt", 4}, (struct hkdf_text){"info", 4}, b, 32);
	assert_memory_not_equal(a, b, 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_5869),
		cmocka_unit_test(every_input_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
