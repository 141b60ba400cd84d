/*
 * xaes — XAES-256-GCM: AES-256-GCM with 192-bit nonces that may be drawn at random for ever.
 * Invariants: the key and its schedule live in the secret arena only; a record that does not open leaves its output
 *   zeroed; the key of a single record is wiped before the call returns.
 * Source: c2sp.org/XAES-256-GCM; NIST SP 800-108r1 (CMAC counter mode), SP 800-38D.
 */
#ifndef VAULT_XAES_H
#define VAULT_XAES_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/secret.h"

#define XAES_KEY_BYTES   32
#define XAES_NONCE_BYTES 24
#define XAES_TAG_BYTES   16

struct xaes; /* a key, ready: its AES schedule and K1, in the arena */

/*
 * xaes_new(key, out): key is 32 bytes, borrowed and not kept; free with xaes_free.
 *   Returns   ERR_OK · ERR_CVC_ROOM (arena full) · ERR_MEMORY · ERR_CRYPTO.
 */
enum err xaes_new(const struct secret *key, struct xaes **out) MUST;
void xaes_free(struct xaes *x); /* NULL is fine */

/*
 * xaes_seal(x, nonce, ad, ad_bytes, plain, bytes, out)
 *   nonce   XAES_NONCE_BYTES fresh random bytes (randombytes_buf)
 *   ad      what the record is bound to; may be NULL when ad_bytes is 0
 *   out     bytes + XAES_TAG_BYTES: ciphertext and tag; may not overlap plain
 *   Returns ERR_OK · ERR_CRYPTO (out is zeroed) · ERR_MEMORY.    Blocks no.
 */
enum err xaes_seal(const struct xaes *x, const uint8_t nonce[XAES_NONCE_BYTES], const void *ad, size_t ad_bytes,
				   const void *plain, size_t bytes, uint8_t *out) MUST;
/*
 * xaes_open(x, nonce, ad, ad_bytes, sealed, sealed_bytes, out)
 *   sealed_bytes   ciphertext and tag; less than XAES_TAG_BYTES is ERR_RECORD_CORRUPT
 *   out            sealed_bytes − XAES_TAG_BYTES, zeroed unless ERR_OK
 *   Returns        ERR_OK · ERR_RECORD_CORRUPT (wrong key, nonce, ad, or changed) · ERR_MEMORY.    Blocks no.
 */
enum err xaes_open(const struct xaes *x, const uint8_t nonce[XAES_NONCE_BYTES], const void *ad, size_t ad_bytes,
				   const uint8_t *sealed, size_t sealed_bytes, uint8_t *out) MUST;

#endif
