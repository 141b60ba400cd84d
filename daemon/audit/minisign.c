#include "daemon/audit/minisign.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"

#define BASE64_SIZE(n) (((n) + 2) / 3 * 4 + 1)
#define PUBLIC_HEAD    "untrusted comment: minisign public key "
#define SIGNATURE_HEAD "untrusted comment: signature from sallyport's export key\n"
#define TRUSTED_HEAD   "trusted comment: "
#define PEM_HEAD       "-----BEGIN PUBLIC KEY-----\n"
#define PEM_TAIL       "\n-----END PUBLIC KEY-----\n"

/* RFC 8410: SEQUENCE { SEQUENCE { OID 1.3.101.112 } BIT STRING } up to the key's bytes. */
static const uint8_t spki_head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

void
minisign_key_id(const uint8_t public_key[32], uint8_t out[MINISIGN_KEY_ID_BYTES])
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(hash, public_key, 32);
	memcpy(out, hash, MINISIGN_KEY_ID_BYTES);
}

/* minisign prints a key's id as a little-endian number. */
static void
key_id_text(const uint8_t id[MINISIGN_KEY_ID_BYTES], char out[2 * MINISIGN_KEY_ID_BYTES + 1])
{
	for (size_t i = 0; i < MINISIGN_KEY_ID_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02X", id[MINISIGN_KEY_ID_BYTES - 1 - i]);
}

static enum err
write_public(const uint8_t public_key[32], const uint8_t id[MINISIGN_KEY_ID_BYTES], char out[MINISIGN_FILE_MAX])
{
	uint8_t raw[2 + MINISIGN_KEY_ID_BYTES + 32] = {'E', 'd'};
	char code[BASE64_SIZE(sizeof(raw))], name[2 * MINISIGN_KEY_ID_BYTES + 1];
	enum err e;

	memcpy(raw + 2, id, MINISIGN_KEY_ID_BYTES);
	memcpy(raw + 2 + MINISIGN_KEY_ID_BYTES, public_key, 32);
	key_id_text(id, name);
	e = str_base64(raw, sizeof(raw), code, sizeof(code));
	if (!e)
		snprintf(out, MINISIGN_FILE_MAX, PUBLIC_HEAD "%s\n%s\n", name, code);
	return e;
}

enum err
minisign_public(const uint8_t public_key[32], char out[MINISIGN_FILE_MAX])
{
	uint8_t id[MINISIGN_KEY_ID_BYTES];

	minisign_key_id(public_key, id);
	return write_public(public_key, id, out);
}

/* The line that starts at *at without its end, which must be a line feed; moves on. */
static bool
take_line(const char *text, size_t bytes, size_t *at, const char **line_out, size_t *n_out)
{
	const char *end = *at < bytes ? memchr(text + *at, '\n', bytes - *at) : NULL;

	if (!end)
		return false;
	*line_out = text + *at;
	*n_out = (size_t)(end - *line_out);
	*at += *n_out + 1;
	return true;
}

/* Does the text end here, in exactly these bytes? */
static bool
is_same(const char *text, size_t bytes, const char *again)
{
	return strlen(again) == bytes && memcmp(text, again, bytes) == 0;
}

enum err
minisign_public_parse(const char *text, size_t bytes, uint8_t public_key_out[32],
					  uint8_t key_id_out[MINISIGN_KEY_ID_BYTES])
{
	uint8_t raw[2 + MINISIGN_KEY_ID_BYTES + 32];
	char again[MINISIGN_FILE_MAX];
	const char *line;
	size_t at = 0, n, got;

	if (!take_line(text, bytes, &at, &line, &n) || !take_line(text, bytes, &at, &line, &n) ||
		str_unbase64(line, n, raw, sizeof(raw), &got) || got != sizeof(raw) || memcmp(raw, "Ed", 2) != 0)
		return ERR_FILE_FORM;
	if (write_public(raw + 2 + MINISIGN_KEY_ID_BYTES, raw + 2, again) || !is_same(text, bytes, again))
		return ERR_FILE_FORM;
	memcpy(key_id_out, raw + 2, MINISIGN_KEY_ID_BYTES);
	memcpy(public_key_out, raw + 2 + MINISIGN_KEY_ID_BYTES, 32);
	return ERR_OK;
}

enum err
minisign_global(const uint8_t tar_signature[64], const char *comment, uint8_t out[MINISIGN_SIGNED_MAX],
				size_t *bytes_out)
{
	size_t n = strnlen(comment, MINISIGN_COMMENT_MAX);

	if (n == 0 || n == MINISIGN_COMMENT_MAX)
		return ERR_CHARACTERS;
	for (size_t i = 0; i < n; i++)
		if (comment[i] < 0x20 || comment[i] > 0x7e)
			return ERR_CHARACTERS;
	memcpy(out, tar_signature, 64);
	memcpy(out + 64, comment, n);
	*bytes_out = 64 + n;
	return ERR_OK;
}

enum err
minisign_text(const struct minisign_signature *s, char out[MINISIGN_FILE_MAX])
{
	uint8_t raw[2 + MINISIGN_KEY_ID_BYTES + 64] = {'E', 'D'}, unused[MINISIGN_SIGNED_MAX];
	char code[BASE64_SIZE(sizeof(raw))], global[BASE64_SIZE(64)];
	size_t n;
	enum err e = minisign_global(s->tar, s->comment, unused, &n);

	if (e)
		return e;
	memcpy(raw + 2, s->key_id, MINISIGN_KEY_ID_BYTES);
	memcpy(raw + 2 + MINISIGN_KEY_ID_BYTES, s->tar, 64);
	e = str_base64(raw, sizeof(raw), code, sizeof(code));
	if (!e)
		e = str_base64(s->global, 64, global, sizeof(global));
	if (!e)
		snprintf(out, MINISIGN_FILE_MAX, SIGNATURE_HEAD "%s\n" TRUSTED_HEAD "%s\n%s\n", code, s->comment, global);
	return e;
}

enum err
minisign_parse(const char *text, size_t bytes, struct minisign_signature *out)
{
	const size_t head = strlen(TRUSTED_HEAD);
	uint8_t raw[2 + MINISIGN_KEY_ID_BYTES + 64];
	char again[MINISIGN_FILE_MAX];
	const char *line;
	size_t at = 0, n, got;

	memset(out, 0, sizeof(*out));
	if (!take_line(text, bytes, &at, &line, &n) || !take_line(text, bytes, &at, &line, &n) ||
		str_unbase64(line, n, raw, sizeof(raw), &got) || got != sizeof(raw) || memcmp(raw, "ED", 2) != 0)
		return ERR_FILE_FORM;
	memcpy(out->key_id, raw + 2, MINISIGN_KEY_ID_BYTES);
	memcpy(out->tar, raw + 2 + MINISIGN_KEY_ID_BYTES, 64);
	if (!take_line(text, bytes, &at, &line, &n) || n <= head || n - head >= sizeof(out->comment) ||
		memcmp(line, TRUSTED_HEAD, head) != 0)
		return ERR_FILE_FORM;
	memcpy(out->comment, line + head, n - head);
	if (!take_line(text, bytes, &at, &line, &n) || str_unbase64(line, n, out->global, 64, &got) || got != 64)
		return ERR_FILE_FORM;
	return minisign_text(out, again) == ERR_OK && is_same(text, bytes, again) ? ERR_OK : ERR_FILE_FORM;
}

enum err
minisign_check(const struct minisign_signature *s, const uint8_t blake2b[64], const uint8_t public_key[32],
			   const uint8_t key_id[MINISIGN_KEY_ID_BYTES])
{
	uint8_t text[MINISIGN_SIGNED_MAX];
	size_t n;

	if (memcmp(s->key_id, key_id, MINISIGN_KEY_ID_BYTES) != 0 || minisign_global(s->tar, s->comment, text, &n) ||
		crypto_sign_verify_detached(s->tar, blake2b, 64, public_key) != 0 ||
		crypto_sign_verify_detached(s->global, text, n, public_key) != 0)
		return ERR_VERIFY_FAILED;
	return ERR_OK;
}

enum err
minisign_pem(const uint8_t public_key[32], char out[MINISIGN_PEM_MAX])
{
	uint8_t der[sizeof(spki_head) + 32];
	char code[BASE64_SIZE(sizeof(der))];
	enum err e;

	memcpy(der, spki_head, sizeof(spki_head));
	memcpy(der + sizeof(spki_head), public_key, 32);
	e = str_base64(der, sizeof(der), code, sizeof(code));
	if (!e)
		snprintf(out, MINISIGN_PEM_MAX, PEM_HEAD "%s" PEM_TAIL, code);
	return e;
}

enum err
minisign_pem_parse(const char *text, size_t bytes, uint8_t public_key_out[32])
{
	uint8_t der[sizeof(spki_head) + 32];
	char again[MINISIGN_PEM_MAX];
	const char *line;
	size_t at = 0, n, got;

	if (!take_line(text, bytes, &at, &line, &n) || !take_line(text, bytes, &at, &line, &n) ||
		str_unbase64(line, n, der, sizeof(der), &got) || got != sizeof(der) ||
		memcmp(der, spki_head, sizeof(spki_head)) != 0)
		return ERR_FILE_FORM;
	if (minisign_pem(der + sizeof(spki_head), again) || !is_same(text, bytes, again))
		return ERR_FILE_FORM;
	memcpy(public_key_out, der + sizeof(spki_head), 32);
	return ERR_OK;
}
