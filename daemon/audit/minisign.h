/*
 * minisign — public keys and prehashed signatures as minisign(1) writes and reads them, and the same key as PEM.
 * Invariants: a signature file is two comments and two signatures, the second over the first and the trusted comment;
 * what is read is exactly what would be written. Source: jedisct1.github.io/minisign ("signature format", algorithm ED:
 * Ed25519 over BLAKE2b-512); RFC 8410 (PEM).
 */
#ifndef DAEMON_AUDIT_MINISIGN_H
#define DAEMON_AUDIT_MINISIGN_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define MINISIGN_KEY_ID_BYTES 8
#define MINISIGN_COMMENT_MAX  256 /* with its NUL */
#define MINISIGN_FILE_MAX     1024
#define MINISIGN_PEM_MAX      128
#define MINISIGN_SIGNED_MAX   (64 + MINISIGN_COMMENT_MAX)

struct minisign_signature {
	uint8_t key_id[MINISIGN_KEY_ID_BYTES];
	uint8_t tar[64];    /* over the BLAKE2b-512 of the file */
	uint8_t global[64]; /* over tar ‖ comment */
	char comment[MINISIGN_COMMENT_MAX];
};

/* Our rule for a key's id: the first 8 bytes of SHA-256(public key). */
void minisign_key_id(const uint8_t public_key[32], uint8_t out[MINISIGN_KEY_ID_BYTES]);
/* Text of a public key file, NUL-ended. */
enum err minisign_public(const uint8_t public_key[32], char out[MINISIGN_FILE_MAX]) MUST;
/* ERR_FILE_FORM. */
enum err minisign_public_parse(const char *text, size_t bytes, uint8_t public_key_out[32],
							   uint8_t key_id_out[MINISIGN_KEY_ID_BYTES]) MUST;
/* What the global signature is made over. ERR_CHARACTERS: the comment is not 1..255 printable ASCII characters. */
enum err minisign_global(const uint8_t tar_signature[64], const char *comment, uint8_t out[MINISIGN_SIGNED_MAX],
						 size_t *bytes_out) MUST;
/* Text of a signature file, NUL-ended. ERR_CHARACTERS. */
enum err minisign_text(const struct minisign_signature *s, char out[MINISIGN_FILE_MAX]) MUST;
enum err minisign_parse(const char *text, size_t bytes, struct minisign_signature *out) MUST;
/* Both signatures and the key id. ERR_VERIFY_FAILED. */
enum err minisign_check(const struct minisign_signature *s, const uint8_t blake2b[64], const uint8_t public_key[32],
						const uint8_t key_id[MINISIGN_KEY_ID_BYTES]) MUST;

/* SubjectPublicKeyInfo of an Ed25519 key for openssl(1), NUL-ended; and back. ERR_FILE_FORM. */
enum err minisign_pem(const uint8_t public_key[32], char out[MINISIGN_PEM_MAX]) MUST;
enum err minisign_pem_parse(const char *text, size_t bytes, uint8_t public_key_out[32]) MUST;

#endif
