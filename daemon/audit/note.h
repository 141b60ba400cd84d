/*
 * note — C2SP checkpoints (signed notes): text, key ids, signature lines, verifier keys.
 * Invariants: a note is text, an empty line, and "— name base64(key hash ‖ signature)" lines; what does not parse
 * exactly is refused. Key hash = first 4 bytes of SHA-256(name ‖ "\n" ‖ 0x01 ‖ public key) (Ed25519). Source:
 * c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
 */
#ifndef DAEMON_AUDIT_NOTE_H
#define DAEMON_AUDIT_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/audit/tree.h"
#include "daemon/base/err.h"

#define NOTE_BYTES_MAX  1024
#define NOTE_ORIGIN_MAX 128

struct checkpoint {
	char origin[NOTE_ORIGIN_MAX];
	uint64_t size;
	uint8_t root[HASH_BYTES];
};

/* note_text: "<origin>\n<size>\n<base64 root>\n": the bytes that are signed. ERR_OUT_OF_RANGE. */
enum err note_text(const struct checkpoint *c, char out[NOTE_BYTES_MAX], size_t *bytes_out) MUST;
uint32_t note_key_hash(const char *name, const uint8_t public_key[32]);
/* note_sign_line: appends the blank line (when the first) and one signature line. */
enum err note_add_signature(char note[NOTE_BYTES_MAX], size_t *bytes, const char *name, uint32_t key_hash,
							const uint8_t signature[64]) MUST;
/* note_open: parse and verify with one key. ERR_FILE_FORM · ERR_VERIFY_FAILED (no line of this key verifies). */
enum err note_open(const char *note, size_t bytes, const char *name, const uint8_t public_key[32],
				   struct checkpoint *out) MUST;
/* "name+hexhash+base64(0x01 ‖ key)". vkey_out holds 192 bytes. */
enum err note_vkey(const char *name, const uint8_t public_key[32], char *vkey_out, size_t vkey_size) MUST;
enum err note_vkey_parse(const char *vkey, char name_out[NOTE_ORIGIN_MAX], uint8_t public_key_out[32]) MUST;

#endif
