#include "console/ctl/officer.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "console/ctl/ctl.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#define MAGIC        "sallyport-officer-key v1\n"
#define PUBLIC_MAGIC "sallyport-officer-public v1\n"
#define FILE_BYTES   1024
#define SEED_BYTES   crypto_sign_SEEDBYTES
#define NONCE_BYTES  crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEALED_BYTES (NONCE_BYTES + SEED_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES)
/* What we write: libsodium's "moderate", most of a second on a laptop. What we read is bounded: a file must not be able
 * to eat the host. */
#define PASSES         3
#define MEMORY_KIB     262144
#define PASSES_MAX     16
#define MEMORY_KIB_MAX 1048576

static const char *const roles[] = {"security-officer", "custodian"};

/* How a key file is locked; passes 0: it is not. */
struct lock {
	unsigned passes, memory_kib;
	uint8_t salt[crypto_pwhash_SALTBYTES];
};

bool
officer_name_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
	return n >= 1 && n < OFFICER_NAME_BYTES && !name[n] && name[0] != '.' && name[0] != '-';
}

bool
officer_role_ok(const char *role)
{
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		if (strcmp(role, roles[i]) == 0)
			return true;
	return false;
}

/* Proquints: 16 bits are a word of five letters that can be said and heard. */
void
officer_words(const uint8_t public_key[32], char out[OFFICER_WORDS_BYTES])
{
	static const char consonants[] = "bdfghjklmnprstvz", vowels[] = "aiou";
	uint8_t hash[crypto_hash_sha256_BYTES];
	char *p = out;

	crypto_hash_sha256(hash, public_key, 32);
	for (unsigned i = 0; i < 12; i += 2) {
		unsigned w = (unsigned)hash[i] << 8 | hash[i + 1];
		if (i)
			*p++ = ' ';
		*p++ = consonants[w >> 12 & 15];
		*p++ = vowels[w >> 10 & 3];
		*p++ = consonants[w >> 6 & 15];
		*p++ = vowels[w >> 4 & 3];
		*p++ = consonants[w & 15];
	}
	*p = 0;
}

/* ── the lock ── */

static enum err
derive(const struct secret *passphrase, const struct lock *l, struct secret **out)
{
	enum err e = secret_new(crypto_aead_xchacha20poly1305_ietf_KEYBYTES, out);
	if (e != ERR_OK)
		return e;
	if (crypto_pwhash((*out)->bytes, (*out)->len, (const char *)passphrase->bytes, passphrase->len, l->salt, l->passes,
					  (size_t)l->memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13) == 0)
		return ERR_OK;
	secret_free(*out);
	*out = NULL;
	return ERR_MEMORY;
}

static enum err
seal(const struct officer *o, const struct secret *passphrase, const struct lock *l, const char *head,
	 uint8_t out[SEALED_BYTES])
{
	struct secret *key = NULL;
	enum err e = derive(passphrase, l, &key);

	if (e != ERR_OK)
		return e;
	randombytes_buf(out, NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_BYTES, NULL, o->key->bytes, SEED_BYTES,
											   (const uint8_t *)head, strlen(head), NULL, out, key->bytes);
	secret_free(key);
	return ERR_OK;
}

static enum err
unseal(const uint8_t sealed[SEALED_BYTES], const struct secret *passphrase, const struct lock *l, const char *head,
	   size_t head_bytes, uint8_t seed[SEED_BYTES])
{
	struct secret *key = NULL;
	enum err e = passphrase ? derive(passphrase, l, &key) : ERR_OFFICER_PASSPHRASE;

	if (e == ERR_OK &&
		crypto_aead_xchacha20poly1305_ietf_decrypt(seed, NULL, NULL, sealed + NONCE_BYTES, SEALED_BYTES - NONCE_BYTES,
												   (const uint8_t *)head, head_bytes, sealed, key->bytes) != 0)
		e = ERR_OFFICER_PASSPHRASE;
	secret_free(key);
	return e;
}

/* ── files ── */

enum err
officer_make(const char *name, const char *role, struct officer *out)
{
	enum err e;

	memset(out, 0, sizeof *out);
	if ((e = str_set(out->name, sizeof out->name, name)) != ERR_OK ||
		(e = str_set(out->role, sizeof out->role, role)) != ERR_OK ||
		(e = secret_new(crypto_sign_SECRETKEYBYTES, &out->key)) != ERR_OK)
		return e;
	crypto_sign_keypair(out->public_key, out->key->bytes);
	return ERR_OK;
}

static enum err
write_head(const struct officer *o, const struct secret *passphrase, struct lock *l, char head[FILE_BYTES])
{
	char salt[32] = "", kdf[40] = "none";

	if (passphrase) {
		*l = (struct lock){.passes = PASSES, .memory_kib = MEMORY_KIB};
		randombytes_buf(l->salt, sizeof l->salt);
		enum err e = str_base64(l->salt, sizeof l->salt, salt, sizeof salt);
		if (e != ERR_OK)
			return e;
		snprintf(kdf, sizeof kdf, "argon2id:%u:%u", l->passes, l->memory_kib);
	}
	int n = snprintf(head, FILE_BYTES, MAGIC "name=%s\nrole=%s\nkdf=%s\nsalt=%s\n", o->name, o->role, kdf, salt);
	return n > 0 && n < FILE_BYTES ? ERR_OK : ERR_OUT_OF_RANGE;
}

enum err
officer_write(const struct officer *o, const struct secret *passphrase, const char *path)
{
	char head[FILE_BYTES], seed[128] = "", text[FILE_BYTES + 160];
	uint8_t sealed[SEALED_BYTES];
	struct lock l = {0};
	enum err e = passphrase && passphrase->len < OFFICER_PASSPHRASE_MIN ? ERR_PASSPHRASE_SHORT
																		: write_head(o, passphrase, &l, head);
	if (e == ERR_OK && passphrase)
		e = seal(o, passphrase, &l, head, sealed);
	if (e == ERR_OK)
		e = passphrase ? str_base64(sealed, sizeof sealed, seed, sizeof seed)
					   : str_base64(o->key->bytes, SEED_BYTES, seed, sizeof seed);
	if (e == ERR_OK) {
		int n = snprintf(text, sizeof text, "%sseed=%s\n", head, seed);
		e = ctl_write_file(path, text, (size_t)n, 0600);
	}
	mem_wipe(seed, sizeof seed);
	mem_wipe(text, sizeof text);
	return e;
}

/* The value of one line "name=value"; false when it is missing or too long. */
static bool
line_of(const char *text, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);
	for (const char *p = text; p; p = strchr(p, '\n')) {
		if (*p == '\n')
			p++;
		if (strncmp(p, name, n) != 0 || p[n] != '=')
			continue;
		const char *end = strchr(p, '\n');
		if (!end || (size_t)(end - p) - n - 1 >= size)
			return false;
		memcpy(out, p + n + 1, (size_t)(end - p) - n - 1);
		out[(size_t)(end - p) - n - 1] = 0;
		return true;
	}
	return false;
}

static enum err
parse_lock(const char *text, struct lock *out)
{
	char kdf[40], salt[32], tail;
	size_t n;

	*out = (struct lock){0};
	if (!line_of(text, "kdf", kdf, sizeof kdf))
		return ERR_FILE_FORM;
	if (strcmp(kdf, "none") == 0)
		return ERR_OK;
	if (sscanf(kdf, "argon2id:%2u:%7u%c", &out->passes, &out->memory_kib, &tail) != 2 || out->passes < 1 ||
		out->passes > PASSES_MAX || out->memory_kib < 8192 || out->memory_kib > MEMORY_KIB_MAX ||
		!line_of(text, "salt", salt, sizeof salt) ||
		str_unbase64(salt, strlen(salt), out->salt, sizeof out->salt, &n) != ERR_OK || n != sizeof out->salt)
		return ERR_FILE_FORM;
	return ERR_OK;
}

static enum err
parse(const char *text, const struct secret *passphrase, struct officer *out)
{
	char seed64[128];
	uint8_t bytes[SEALED_BYTES], seed[SEED_BYTES];
	struct lock l;
	size_t n;
	const char *last = strstr(text, "\nseed=");
	enum err e = ERR_FILE_FORM;

	if (strncmp(text, MAGIC, strlen(MAGIC)) != 0 || !last || !line_of(text, "name", out->name, sizeof out->name) ||
		!line_of(text, "role", out->role, sizeof out->role) || !line_of(text, "seed", seed64, sizeof seed64) ||
		parse_lock(text, &l) != ERR_OK)
		return ERR_FILE_FORM;
	if (str_unbase64(seed64, strlen(seed64), bytes, sizeof bytes, &n) == ERR_OK &&
		n == (l.passes ? SEALED_BYTES : SEED_BYTES))
		e = ERR_OK;
	if (e == ERR_OK && l.passes)
		e = unseal(bytes, passphrase, &l, text, (size_t)(last + 1 - text), seed);
	else if (e == ERR_OK)
		memcpy(seed, bytes, SEED_BYTES);
	if (e == ERR_OK && (e = secret_new(crypto_sign_SECRETKEYBYTES, &out->key)) == ERR_OK)
		crypto_sign_seed_keypair(out->public_key, out->key->bytes, seed);
	mem_wipe(seed, sizeof seed);
	mem_wipe(bytes, sizeof bytes);
	mem_wipe(seed64, sizeof seed64);
	return e;
}

enum err
officer_read(const char *path, const struct secret *passphrase, struct officer *out)
{
	char *text = NULL;
	size_t n;
	enum err e;

	memset(out, 0, sizeof *out);
	if ((e = ctl_read_file(path, 4096, &text, &n)) != ERR_OK)
		return e;
	e = parse(text, passphrase, out);
	mem_free(text);
	if (e != ERR_OK)
		officer_clear(out);
	return e;
}

bool
officer_locked(const char *path)
{
	char *text = NULL;
	struct lock l;
	size_t n;
	bool locked = ctl_read_file(path, 4096, &text, &n) == ERR_OK && strncmp(text, MAGIC, strlen(MAGIC)) == 0 &&
				  parse_lock(text, &l) == ERR_OK && l.passes > 0;
	mem_free(text);
	return locked;
}

/* ── the public half ── */

enum err
officer_write_public(const struct officer *o, const char *path)
{
	char key[64], words[OFFICER_WORDS_BYTES], text[FILE_BYTES];
	enum err e = str_base64(o->public_key, sizeof o->public_key, key, sizeof key);

	officer_words(o->public_key, words);
	int n = snprintf(text, sizeof text, PUBLIC_MAGIC "name=%s\nrole=%s\npublic=%s\nfingerprint=%s\n", o->name, o->role,
					 key, words);
	return e == ERR_OK ? ctl_write_file(path, text, (size_t)n, 0644) : e;
}

/* Strict: a byte that is not where it should be is another file. */
static enum err
parse_public(const char *text, struct officer *out)
{
	char key[64], words[OFFICER_WORDS_BYTES], seen[OFFICER_WORDS_BYTES];
	size_t n;

	if (strncmp(text, MAGIC, strlen(MAGIC)) == 0 || strstr(text, "PRIVATE KEY"))
		return ERR_OFFICER_PRIVATE;
	if (strncmp(text, PUBLIC_MAGIC, strlen(PUBLIC_MAGIC)) != 0 || !line_of(text, "name", out->name, sizeof out->name) ||
		!line_of(text, "role", out->role, sizeof out->role) || !line_of(text, "public", key, sizeof key) ||
		!line_of(text, "fingerprint", seen, sizeof seen) || !officer_name_ok(out->name) ||
		!officer_role_ok(out->role) ||
		str_unbase64(key, strlen(key), out->public_key, sizeof out->public_key, &n) != ERR_OK || n != 32)
		return ERR_FILE_FORM;
	officer_words(out->public_key, words);
	return strcmp(words, seen) == 0 && crypto_core_ed25519_is_valid_point(out->public_key) ? ERR_OK : ERR_FILE_FORM;
}

enum err
officer_read_public(const char *path, struct officer *out)
{
	char *text = NULL;
	size_t n;
	enum err e;

	memset(out, 0, sizeof *out);
	if ((e = ctl_read_file(path, 4096, &text, &n)) != ERR_OK)
		return e;
	e = parse_public(text, out);
	mem_free(text);
	return e;
}

void
officer_clear(struct officer *o)
{
	secret_free(o->key);
	memset(o, 0, sizeof *o);
}

enum err
officer_sign(const struct officer *o, const char *operation, const char *install, const char *body,
			 char statement[OFFICER_STATEMENT_BYTES], size_t *bytes_out, uint8_t signature[64])
{
	uint8_t nonce[16];
	char hex[33], at[CLOCK_TEXT_BYTES];

	randombytes_buf(nonce, sizeof nonce);
	str_hex(nonce, sizeof nonce, hex);
	clock_text(clock_wall_ms(), at);
	int n = snprintf(statement, OFFICER_STATEMENT_BYTES, "operation=%s\ninstall=%s\nnonce=%s\nat=%s\n%s", operation,
					 install, hex, at, body);
	if (n < 0 || n >= OFFICER_STATEMENT_BYTES)
		return ERR_OUT_OF_RANGE;
	*bytes_out = (size_t)n;
	crypto_sign_detached(signature, NULL, (const uint8_t *)statement, *bytes_out, o->key->bytes);
	return ERR_OK;
}
