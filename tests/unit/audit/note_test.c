/* C2SP signed notes: published keys, round trips, and forms that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "daemon/audit/note.h"

#define NAME "sallyport.test/node-1"

static uint8_t public_key[32], secret_key[64];

static int
set_up(void **state)
{
	(void)state;
	return sodium_init() < 0 || crypto_sign_keypair(public_key, secret_key);
}

static size_t
sign(const char *text, size_t bytes, const char *name, char note[NOTE_BYTES_MAX])
{
	uint8_t signature[64];
	size_t n = bytes;

	memcpy(note, text, bytes);
	crypto_sign_detached(signature, NULL, (const uint8_t *)text, bytes, secret_key);
	assert_int_equal(note_add_signature(note, &n, name, note_key_hash(name, public_key), signature), ERR_OK);
	return n;
}

static size_t
make(const struct checkpoint *c, char note[NOTE_BYTES_MAX])
{
	char text[NOTE_BYTES_MAX];
	size_t n;

	assert_int_equal(note_text(c, text, &n), ERR_OK);
	return sign(text, n, NAME, note);
}

static void
reads_published_keys(void **state)
{
	static const char *const keys[] = {
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
	};
	char name[NOTE_ORIGIN_MAX], again[192], bad[192];
	uint8_t key[32];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(note_vkey_parse(keys[i], name, key), ERR_OK);
		assert_int_equal(note_vkey(name, key, again, sizeof(again)), ERR_OK);
		assert_string_equal(again, keys[i]);
		/* any changed character is another key, another hash, or no key at all */
		for (size_t at = 0; keys[i][at]; at++) {
			snprintf(bad, sizeof(bad), "%s", keys[i]);
			bad[at] = bad[at] == 'A' ? 'B' : 'A';
			assert_int_equal(note_vkey_parse(bad, name, key), ERR_FILE_FORM);
		}
	}
	assert_int_equal(note_vkey("a b", key, again, sizeof(again)), ERR_OUT_OF_RANGE);
	assert_int_equal(note_vkey("a+b", key, again, sizeof(again)), ERR_OUT_OF_RANGE);
	assert_int_equal(note_vkey("ab", key, again, 20), ERR_OUT_OF_RANGE);
}

static void
opens_what_it_made(void **state)
{
	struct checkpoint c = {.origin = NAME "/vault", .size = INT64_MAX}, back;
	uint8_t other[32], other_secret[64], signature[64];
	char note[NOTE_BYTES_MAX];
	size_t n;

	(void)state;
	randombytes_buf(c.root, sizeof(c.root));
	n = make(&c, note);
	assert_int_equal(note_open(note, n, NAME, public_key, &back), ERR_OK);
	assert_string_equal(back.origin, c.origin);
	assert_true(back.size == c.size);
	assert_memory_equal(back.root, c.root, HASH_BYTES);
	crypto_sign_keypair(other, other_secret);
	assert_int_equal(note_open(note, n, NAME, other, &back), ERR_VERIFY_FAILED);
	assert_int_equal(note_open(note, n, "another", public_key, &back), ERR_VERIFY_FAILED);
	/* a witness' line beside ours is passed over; a false line in our name condemns the note */
	crypto_sign_detached(signature, NULL, (const uint8_t *)"x", 1, other_secret);
	assert_int_equal(note_add_signature(note, &n, "witness", note_key_hash("witness", other), signature), ERR_OK);
	assert_int_equal(note_open(note, n, NAME, public_key, &back), ERR_OK);
	assert_int_equal(note_add_signature(note, &n, NAME, note_key_hash(NAME, public_key), signature), ERR_OK);
	assert_int_equal(note_open(note, n, NAME, public_key, &back), ERR_VERIFY_FAILED);
}

static void
every_changed_byte_is_refused(void **state)
{
	struct checkpoint c = {.origin = NAME "/ledger", .size = 70}, back;
	char note[NOTE_BYTES_MAX], bad[NOTE_BYTES_MAX];
	size_t n = make(&c, note);

	(void)state;
	for (size_t at = 0; at < n; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			memcpy(bad, note, n);
			bad[at] = (char)(bad[at] ^ (1 << bit));
			assert_int_not_equal(note_open(bad, n, NAME, public_key, &back), ERR_OK);
		}
	for (size_t cut = 0; cut < n; cut++)
		assert_int_not_equal(note_open(note, cut, NAME, public_key, &back), ERR_OK);
}

/* Signed by the true key, yet not the one spelling of a checkpoint. */
static void
other_spellings_are_refused(void **state)
{
	static const char *const texts[] = {
		"a/vault\n07\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a/vault\n+7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a/vault\n-7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a/vault\n\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a/vault\n9223372036854775808\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a/vault\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		"a/vault\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n",
		"a/vault\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
		"a/vault\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nmore\n",
		"a vault\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a+vault\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
		"a/vault\r\n7\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
		"a/vault\n7\n",
		"\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
	};
	static const char right[] = "a/vault\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
	struct checkpoint c;
	char note[NOTE_BYTES_MAX];
	size_t n;

	(void)state;
	n = sign(right, strlen(right), NAME, note);
	assert_int_equal(note_open(note, n, NAME, public_key, &c), ERR_OK);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		n = sign(texts[i], strlen(texts[i]), NAME, note);
		assert_int_not_equal(note_open(note, n, NAME, public_key, &c), ERR_OK);
	}
}

static void
nothing_runs_over(void **state)
{
	struct checkpoint c = {.size = 1};
	uint8_t signature[64] = {0};
	char note[NOTE_BYTES_MAX];
	size_t n, added = 0;

	(void)state;
	memset(c.origin, 'o', sizeof(c.origin) - 1);
	assert_int_equal(note_text(&c, note, &n), ERR_OK);
	while (note_add_signature(note, &n, NAME, 1, signature) == ERR_OK)
		added++;
	assert_true(n < NOTE_BYTES_MAX && added > 2);
	c.size = UINT64_C(1) << 63;
	assert_int_equal(note_text(&c, note, &n), ERR_OUT_OF_RANGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_published_keys),
		cmocka_unit_test(opens_what_it_made),
		cmocka_unit_test(every_changed_byte_is_refused),
		cmocka_unit_test(other_spellings_are_refused),
		cmocka_unit_test(nothing_runs_over),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
