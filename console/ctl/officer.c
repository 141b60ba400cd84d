#include "console/ctl/officer.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "console/ctl/ctl.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#define MAGIC "sallyport-officer-key v1\n"

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

enum err
officer_write(const struct officer *o, const char *path)
{
	char seed[48], text[512];
	enum err e = str_base64(o->key->bytes, crypto_sign_SEEDBYTES, seed, sizeof seed);

	if (e == ERR_OK) {
		int n =
			snprintf(text, sizeof text, MAGIC "name=%s\nrole=%s\nkdf=none\nsalt=\nseed=%s\n", o->name, o->role, seed);
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
parse(const char *text, struct officer *out)
{
	char kdf[16], seed64[64];
	uint8_t seed[crypto_sign_SEEDBYTES];
	size_t n;
	enum err e = ERR_FILE_FORM;

	if (strncmp(text, MAGIC, strlen(MAGIC)) != 0 || !line_of(text, "name", out->name, sizeof out->name) ||
		!line_of(text, "role", out->role, sizeof out->role) || !line_of(text, "kdf", kdf, sizeof kdf) ||
		!line_of(text, "seed", seed64, sizeof seed64))
		return ERR_FILE_FORM;
	if (strcmp(kdf, "none") != 0)
		return ERR_NOT_SUPPORTED;
	if (str_unbase64(seed64, strlen(seed64), seed, sizeof seed, &n) == ERR_OK && n == sizeof seed &&
		(e = secret_new(crypto_sign_SECRETKEYBYTES, &out->key)) == ERR_OK)
		crypto_sign_seed_keypair(out->public_key, out->key->bytes, seed);
	mem_wipe(seed, sizeof seed);
	mem_wipe(seed64, sizeof seed64);
	return e;
}

enum err
officer_read(const char *path, struct officer *out)
{
	char *text = NULL;
	size_t n;
	enum err e;

	memset(out, 0, sizeof *out);
	if ((e = ctl_read_file(path, 4096, &text, &n)) != ERR_OK)
		return e;
	e = parse(text, out);
	mem_free(text);
	if (e != ERR_OK)
		officer_clear(out);
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
