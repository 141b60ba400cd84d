#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "daemon/base/str.h"
#include "vault/xaes.h"

static int
set_up(void **state)
{
	(void)state;
	return sodium_init() >= 0 && secret_open(65536) == ERR_OK ? 0 : -1;
}

static struct xaes *
key_of(const uint8_t bytes[32])
{
	struct secret *s;
	struct xaes *x;
	assert_int_equal(secret_copy(bytes, 32, &s), ERR_OK);
	assert_int_equal(xaes_new(s, &x), ERR_OK);
	secret_free(s);
	return x;
}

/* c2sp.org/XAES-256-GCM: one vector for each value of the top bit of L. */
static void
c2sp_vectors(void **state)
{
	static const struct {
		uint8_t key;
		const char *ad, *sealed;
	} vectors[] = {
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	};
	const uint8_t *nonce = (const uint8_t *)"ABCDEFGHIJKLMNOPQRSTUVWX";
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint8_t key[32], sealed[28], opened[12];
		char hex[57];
		memset(key, vectors[i].key, 32);
		struct xaes *x = key_of(key);
		assert_int_equal(xaes_seal(x, nonce, vectors[i].ad, strlen(vectors[i].ad), "XAES-256-GCM", 12, sealed), ERR_OK);
		str_hex(sealed, sizeof sealed, hex);
		assert_string_equal(hex, vectors[i].sealed);
		assert_int_equal(xaes_open(x, nonce, vectors[i].ad, strlen(vectors[i].ad), sealed, sizeof sealed, opened),
						 ERR_OK);
		assert_memory_equal(opened, "XAES-256-GCM", 12);
		xaes_free(x);
	}
}

/* ── SHAKE128 (FIPS 202), which the accumulated vectors draw from; slow and plain ── */

struct shake {
	uint64_t a[25];
	unsigned at;
};

static uint64_t
turn(uint64_t x, unsigned n)
{
	return n ? x << n | x >> (64 - n) : x;
}

static void
keccak(uint64_t a[25])
{
	uint8_t lfsr = 1;
	for (int round = 0; round < 24; round++) {
		uint64_t c[5], d, b[25];
		for (int x = 0; x < 5; x++)
			c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
		for (int x = 0; x < 5; x++) {
			d = c[(x + 4) % 5] ^ turn(c[(x + 1) % 5], 1);
			for (int y = 0; y < 25; y += 5)
				a[y + x] ^= d;
		}
		b[0] = a[0];
		for (unsigned t = 0, x = 1, y = 0; t < 24; t++) {
			unsigned to = (2 * x + 3 * y) % 5;
			b[5 * to + y] = turn(a[5 * y + x], (t + 1) * (t + 2) / 2 % 64);
			x = y;
			y = to;
		}
		for (int i = 0; i < 25; i++)
			a[i] = b[i] ^ (~b[i / 5 * 5 + (i + 1) % 5] & b[i / 5 * 5 + (i + 2) % 5]);
		for (int j = 0; j < 7; j++) {
			if (lfsr & 1)
				a[0] ^= UINT64_C(1) << ((1 << j) - 1);
			lfsr = (uint8_t)(lfsr << 1 ^ (lfsr >> 7) * 0x71);
		}
	}
}

static void
put_byte(struct shake *s, unsigned at, uint8_t byte)
{
	s->a[at / 8] ^= (uint64_t)byte << at % 8 * 8;
}

static void
shake_write(struct shake *s, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		put_byte(s, s->at++, bytes[i]);
		if (s->at == 168) {
			keccak(s->a);
			s->at = 0;
		}
	}
}

static void
shake_end(struct shake *s)
{
	put_byte(s, s->at, 0x1f);
	put_byte(s, 167, 0x80);
	s->at = 168;
}

static void
shake_read(struct shake *s, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s->at == 168) {
			keccak(s->a);
			s->at = 0;
		}
		out[i] = (uint8_t)(s->a[s->at / 8] >> s->at % 8 * 8);
		s->at++;
	}
}

/* The specification's accumulated test: 10,000 random keys, nonces, texts and associated data in one digest. */
static void
c2sp_accumulated(void **state)
{
	static struct shake source, digest;
	uint8_t key[32], nonce[24], n, plain[255], ad_bytes, ad[255], sealed[271], opened[255], sum[32];
	char hex[65];
	(void)state;
	shake_end(&source);
	for (int i = 0; i < 10000; i++) {
		shake_read(&source, key, 32);
		shake_read(&source, nonce, 24);
		shake_read(&source, &n, 1);
		shake_read(&source, plain, n);
		shake_read(&source, &ad_bytes, 1);
		shake_read(&source, ad, ad_bytes);
		struct xaes *x = key_of(key);
		assert_int_equal(xaes_seal(x, nonce, ad, ad_bytes, plain, n, sealed), ERR_OK);
		assert_int_equal(xaes_open(x, nonce, ad, ad_bytes, sealed, n + 16u, opened), ERR_OK);
		assert_memory_equal(opened, plain, n);
		xaes_free(x);
		shake_write(&digest, sealed, n + 16u);
	}
	shake_end(&digest);
	shake_read(&digest, sum, sizeof sum);
	str_hex(sum, sizeof sum, hex);
	assert_string_equal(hex, "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

/* Any one bit of what was sealed, of the nonce, of the associated data or of the key. */
static void
nothing_changed_opens(void **state)
{
	uint8_t key[32] = {9}, nonce[24], ad[20], plain[19], sealed[35], opened[19], none[19] = {0};
	(void)state;
	randombytes_buf(nonce, sizeof nonce);
	randombytes_buf(ad, sizeof ad);
	randombytes_buf(plain, sizeof plain);
	struct xaes *x = key_of(key);
	assert_int_equal(xaes_seal(x, nonce, ad, sizeof ad, plain, sizeof plain, sealed), ERR_OK);
	struct {
		uint8_t *bytes;
		size_t n;
	} parts[] = {{sealed, sizeof sealed}, {nonce, sizeof nonce}, {ad, sizeof ad}};
	for (size_t p = 0; p < 3; p++) {
		for (size_t bit = 0; bit < 8 * parts[p].n; bit++) {
			parts[p].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			memset(opened, 1, sizeof opened);
			assert_int_equal(xaes_open(x, nonce, ad, sizeof ad, sealed, sizeof sealed, opened), ERR_RECORD_CORRUPT);
			assert_memory_equal(opened, none, sizeof none);
			parts[p].bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	for (size_t n = 0; n < sizeof sealed; n++)
		assert_int_equal(xaes_open(x, nonce, ad, sizeof ad, sealed, n, opened), ERR_RECORD_CORRUPT);
	assert_int_equal(xaes_open(x, nonce, ad, sizeof ad - 1, sealed, sizeof sealed, opened), ERR_RECORD_CORRUPT);
	for (size_t bit = 0; bit < 256; bit++) {
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct xaes *y = key_of(key);
		assert_int_equal(xaes_open(y, nonce, ad, sizeof ad, sealed, sizeof sealed, opened), ERR_RECORD_CORRUPT);
		xaes_free(y);
		key[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(xaes_open(x, nonce, ad, sizeof ad, sealed, sizeof sealed, opened), ERR_OK);
	assert_memory_equal(opened, plain, sizeof plain);
	xaes_free(x);
}

static void
keys_leave_nothing_in_the_arena(void **state)
{
	uint8_t key[32] = {7};
	size_t before, after, all;
	(void)state;
	secret_use(&before, &all);
	xaes_free(key_of(key));
	xaes_free(NULL);
	secret_use(&after, &all);
	assert_int_equal(before, after);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(c2sp_vectors),
		cmocka_unit_test(c2sp_accumulated),
		cmocka_unit_test(nothing_changed_opens),
		cmocka_unit_test(keys_leave_nothing_in_the_arena),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
