/*
 * hkdf — keys from keys: HKDF with HMAC-SHA-256 (libsodium of Debian 12 has none of its own).
 * Invariants: no step's output is left on the stack.
 * Source: RFC 5869.
 */
#ifndef VAULT_HKDF_H
#define VAULT_HKDF_H

#include <stddef.h>
#include <stdint.h>

#define HKDF_BYTES_MAX (255 * 32)

struct hkdf_text {
	const void *bytes; /* may be NULL when len is 0 */
	size_t len;
};

/*
 * hkdf_sha256(key, salt, info, out, out_bytes)
 *   Extract and expand. All inputs are borrowed.
 *   out   out_bytes ≤ HKDF_BYTES_MAX (asserted: lengths are ours, never input)
 *   Blocks no; can't fail.
 */
void hkdf_sha256(struct hkdf_text key, struct hkdf_text salt, struct hkdf_text info, uint8_t *out, size_t out_bytes);

#endif
