/*
 * officer — an officer's key file and what is signed with it.
 * Invariants: the secret key is in guarded memory while it is used; a statement is canonical text, one "name=value" per
 *   line, with operation, install, nonce and time, so that the vault can check it without knowing this program.
 * File: "sallyport-officer-key v1", then lines name=, role=, kdf=none|argon2id, salt=, seed= (base64; for argon2id
 *   XChaCha20-Poly1305 under the passphrase's key). kdf=none is made for test installations only.
 */
#ifndef CONSOLE_CTL_OFFICER_H
#define CONSOLE_CTL_OFFICER_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/secret.h"

#define OFFICER_NAME_BYTES      64
#define OFFICER_STATEMENT_BYTES 4096

struct officer {
	char name[OFFICER_NAME_BYTES];
	char role[24];
	uint8_t public_key[32];
	struct secret *key; /* 64 bytes, libsodium's form; NULL after officer_clear */
};

/* officer_make: a new key. officer_write: to a 0600 file, unprotected (test installations). */
enum err officer_make(const char *name, const char *role, struct officer *out) MUST;
enum err officer_write(const struct officer *o, const char *path) MUST;
/* ERR_FILE_MISSING · ERR_PERMISSION · ERR_FILE_FORM · ERR_NOT_SUPPORTED (a key file with a passphrase) · ERR_MEMORY. */
enum err officer_read(const char *path, struct officer *out) MUST;
void officer_clear(struct officer *o);
/*
 * officer_sign: statement_out = "operation=…\ninstall=…\nnonce=…\nat=…\n" ‖ body (lines, each ending in \n), signed.
 *   Returns ERR_OK · ERR_OUT_OF_RANGE (body too long).
 */
enum err officer_sign(const struct officer *o, const char *operation, const char *install, const char *body,
					  char statement_out[OFFICER_STATEMENT_BYTES], size_t *bytes_out, uint8_t signature_out[64]) MUST;

#endif
