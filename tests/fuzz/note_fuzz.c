/* Checkpoints and verifier keys from strangers: nothing breaks, nothing unsigned opens, what opens has one spelling. */
#include <assert.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "daemon/audit/note.h"

#define NAME "sallyport.fuzz/node"

static uint8_t public_key[32], secret_key[64];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_vkey(const char *text)
{
	char name[NOTE_ORIGIN_MAX], again[192];
	uint8_t key[32];

	if (note_vkey_parse(text, name, key) == ERR_OK)
		assert(note_vkey(name, key, again, sizeof(again)) == ERR_OK && strcmp(again, text) == 0);
}

/* The same bytes as a text that the true key signed: it opens only if it is a checkpoint in its one spelling. */
static void
try_signed(const char *text, size_t n)
{
	char note[NOTE_BYTES_MAX], again[NOTE_BYTES_MAX];
	uint8_t signature[64];
	struct checkpoint c;
	size_t bytes = n;

	if (n >= NOTE_BYTES_MAX)
		return;
	memcpy(note, text, n);
	crypto_sign_detached(signature, NULL, (const uint8_t *)text, n, secret_key);
	if (note_add_signature(note, &bytes, NAME, note_key_hash(NAME, public_key), signature) != ERR_OK)
		return;
	if (note_open(note, bytes, NAME, public_key, &c) == ERR_OK) {
		assert(note_text(&c, again, &bytes) == ERR_OK);
		assert(bytes == n && memcmp(again, text, n) == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[2 * NOTE_BYTES_MAX];
	struct checkpoint c;
	static const uint8_t seed[32] = {1};

	if (secret_key[0] == 0 && (sodium_init() < 0 || crypto_sign_seed_keypair(public_key, secret_key, seed) != 0))
		return 0;
	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	assert(note_open(text, size, NAME, public_key, &c) != ERR_OK);
	try_vkey(text);
	try_signed(text, size);
	return 0;
}
