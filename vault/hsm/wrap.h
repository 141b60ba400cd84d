/*
 * wrap — keys wrapped by a KEK of the HSM.
 * Invariants: every blob is opened again before it is given out; a blob says which generation and mechanism made it and
 *   is bound to the caller's associated data; what does not open is corrupt, and a device that fails is not mistaken
 *   for a corrupt blob.
 * Source: NIST SP 800-38D (GCM), SP 800-38F and RFC 3394/5649 (key wrap).
 *
 * A blob, big-endian:
 *   gcm   | 1 | 1 | kek 4 | iv 12 | ciphertext n | tag 16 |   AES-256-GCM, associated data = the first six bytes ‖ ad
 *   kwp   | 1 | 2 | kek 4 | RFC 5649 of (key n ‖ SHA-256(first six bytes ‖ ad)[0..15]) |
 *   kw    | 1 | 3 | kek 4 | RFC 3394 of the same; n is a multiple of 8 |
 */
#ifndef VAULT_HSM_WRAP_H
#define VAULT_HSM_WRAP_H

#include "vault/hsm/p11.h"

#define WRAP_KEY_MAX  64
#define WRAP_BLOB_MAX 160
#define WRAP_AD_MAX   200

struct wrap_blob {
	size_t len;
	uint8_t bytes[WRAP_BLOB_MAX];
};

/*
 * wrap_seal(p, kek, ad, ad_bytes, key, key_bytes, out): key is 16..WRAP_KEY_MAX bytes, a multiple of 8.
 *   Returns   ERR_OK · ERR_OUT_OF_RANGE · ERR_HSM_KEY · ERR_CRYPTO (it did not open again) · ERR_HSM_AWAY.
 */
enum err wrap_seal(struct p11 *p, uint32_t kek, const uint8_t *ad, size_t ad_bytes, const uint8_t *key,
				   size_t key_bytes, struct wrap_blob *out) MUST;
/*
 * wrap_open(p, kek, ad, ad_bytes, blob, blob_bytes, key_out, key_bytes_out)
 *   key_out   WRAP_KEY_MAX bytes, wiped unless ERR_OK
 *   Returns   ERR_OK · ERR_HSM_CORRUPT · ERR_HSM_KEY (no such KEK) · ERR_HSM_AWAY.
 */
enum err wrap_open(struct p11 *p, uint32_t kek, const uint8_t *ad, size_t ad_bytes, const uint8_t *blob,
				   size_t blob_bytes, uint8_t key_out[WRAP_KEY_MAX], size_t *key_bytes_out) MUST;

#endif
