/*
 * officer — an officer's key file, its public half, and what is signed with it.
 * Invariants: the secret key is in guarded memory while it is used; it is written under a passphrase, or unprotected
 * for test installations only; a file whose name, role, public key or parameters were changed does not open; a
 * statement is canonical text, one "name=value" per line, with operation, install, nonce and time, so that the vault
 * can check it without knowing this program. Files: "sallyport-officer-key v1", then the lines name=, role=, kdf=,
 * salt=, seed= kdf=none: seed is the key's seed in base64. Made for test installations only.
 *     kdf=argon2id:PASSES:MEMORY_KIB: seed is base64(nonce 24 ‖ XChaCha20-Poly1305 of the seed under
 *     Argon2id(passphrase, salt), with all lines before seed= as associated data).
 *   "sallyport-officer-public v1", then name=, role=, public=, fingerprint=: what an officer hands in.
 * Source: RFC 9106 (Argon2id); design 30 (an officer's key); arXiv 0901.4016 (the words of a fingerprint).
 */
#ifndef CONSOLE_CTL_OFFICER_H
#define CONSOLE_CTL_OFFICER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/secret.h"

#define OFFICER_NAME_BYTES      64
#define OFFICER_STATEMENT_BYTES 4096
#define OFFICER_WORDS_BYTES     40
#define OFFICER_PASSPHRASE_MIN  12

struct officer {
	char name[OFFICER_NAME_BYTES];
	char role[24];
	uint8_t public_key[32];
	struct secret *key; /* 64 bytes, libsodium's form; NULL after officer_clear, and from officer_read_public */
};

/* officer_make: a new key. officer_write: to a 0600 file; passphrase NULL: unprotected (test installations).
 * ERR_PASSPHRASE_SHORT · ERR_MEMORY (Argon2id needs 256 MiB) · what ctl_write_file returns. */
enum err officer_make(const char *name, const char *role, struct officer *out) MUST;
enum err officer_write(const struct officer *o, const struct secret *passphrase, const char *path) MUST;
/*
 * officer_read(path, passphrase, out)
 *   passphrase  borrowed; NULL: the file must be unprotected
 *   Returns     ERR_OK · ERR_FILE_MISSING · ERR_PERMISSION · ERR_FILE_FORM · ERR_OFFICER_PASSPHRASE (a wrong one, none
 *               was given, or the file was changed) · ERR_MEMORY.
 */
enum err officer_read(const char *path, const struct secret *passphrase, struct officer *out) MUST;
/* Is it a whole key file that a passphrase protects? */
bool officer_locked(const char *path);
/* The public half, to and from a file. ERR_FILE_FORM · ERR_OFFICER_PRIVATE (it holds a private key) · … */
enum err officer_write_public(const struct officer *o, const char *path) MUST;
enum err officer_read_public(const char *path, struct officer *out) MUST;
/* A name of an officer: 1..63 of a-z 0-9 - _ . */
bool officer_name_ok(const char *name);
bool officer_role_ok(const char *role);
/* The words to compare by telephone: 96 bits of the public key's SHA-256, six pronounceable words. */
void officer_words(const uint8_t public_key[32], char out[OFFICER_WORDS_BYTES]);
void officer_clear(struct officer *o);
/*
 * officer_sign: statement_out = "operation=…\ninstall=…\nnonce=…\nat=…\n" ‖ body (lines, each ending in \n), signed.
 *   Returns ERR_OK · ERR_OUT_OF_RANGE (body too long).
 */
enum err officer_sign(const struct officer *o, const char *operation, const char *install, const char *body,
					  char statement_out[OFFICER_STATEMENT_BYTES], size_t *bytes_out, uint8_t signature_out[64]) MUST;

#endif
