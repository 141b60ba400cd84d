/*
 * record — one column of one row, sealed so that only this row can open it.
 * Invariants: the same plaintext never gives the same record; a record moved to another table, column, token, merchant,
 *   key or version does not open; what does not open leaves zeros.
 * Source: design 30 (records); PCI DSS 4.0.1 3.5.1; c2sp.org/XAES-256-GCM.
 */
#ifndef VAULT_RECORD_H
#define VAULT_RECORD_H

#include "vault/xaes.h"

#define RECORD_EXTRA_BYTES (XAES_NONCE_BYTES + XAES_TAG_BYTES)
#define RECORD_AD_MAX      512

/* What a record is bound to; all borrowed. */
struct record_place {
	const char *install, *table, *kind, *column, *token, *merchant;
	uint32_t key_generation, version;
};

/* "sp1" and every field of the place, each after its length in two bytes big-endian; numbers as 8 bytes.
 * ERR_OUT_OF_RANGE. */
enum err record_ad(const struct record_place *p, uint8_t out[RECORD_AD_MAX], size_t *bytes_out) MUST;
/*
 * record_seal(x, place, plain, bytes, out): nonce ‖ ciphertext ‖ tag into out[bytes + RECORD_EXTRA_BYTES].
 *   Returns ERR_OK · ERR_OUT_OF_RANGE · ERR_CRYPTO · ERR_MEMORY (out is zeroed).
 * record_open(x, place, record, record_bytes, out): out[record_bytes − RECORD_EXTRA_BYTES], zeroed unless ERR_OK.
 *   Returns ERR_OK · ERR_RECORD_CORRUPT · ERR_OUT_OF_RANGE · ERR_MEMORY.
 */
enum err record_seal(const struct xaes *x, const struct record_place *p, const void *plain, size_t bytes,
					 uint8_t *out) MUST;
enum err record_open(const struct xaes *x, const struct record_place *p, const uint8_t *record, size_t record_bytes,
					 uint8_t *out) MUST;

#endif
