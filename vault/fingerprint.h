/*
 * fingerprint — keyed names of cards: the same card has the same one, and without the key it tells nothing.
 * Invariants: never an unkeyed hash of a number (a BIN, four digits and a hash give the number back in a second); a
 *   security code is part of none of them.
 * Source: PCI DSS 4.0.1 3.5.1.1.
 */
#ifndef VAULT_FINGERPRINT_H
#define VAULT_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/secret.h"
#include "vault/pan.h"

#define FINGERPRINT_BYTES      16
#define FINGERPRINT_TEXT_BYTES 30 /* "fp_", 26 Crockford characters, NUL */
#define CARD_DIGEST_BYTES      32

/* All by HMAC-SHA-256 under FPK (32 bytes), each with a prefix of its own. */
void fingerprint_pan(const struct secret *fpk, const struct card *c, uint8_t out[FINGERPRINT_BYTES]);
/* Number and expiry: what makes two cards the same card. */
void fingerprint_card(const struct secret *fpk, const struct card *c, uint8_t out[CARD_DIGEST_BYTES]);
/* What one idempotency key was used for. body_sha256 32 bytes. */
void fingerprint_request(const struct secret *fpk, const uint8_t body_sha256[32],
						 const uint8_t card_digest[CARD_DIGEST_BYTES], uint8_t out[FINGERPRINT_BYTES]);
void fingerprint_text(const uint8_t fingerprint[FINGERPRINT_BYTES], char out[FINGERPRINT_TEXT_BYTES]);

#endif
