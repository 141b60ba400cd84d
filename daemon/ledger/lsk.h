/*
 * lsk — the ledger's secret and what is derived from it: idempotency hashes and the key towards a processor.
 * Invariants: the secret lives in the guarded arena and never leaves this file; every derivation has its own label and
 *   length-prefixed parts, so that no two inputs meet.
 * Source: design 30 (LSK = HMAC(AHK, "ledger/1" ‖ install ‖ g)); 00 "Derived key = HMAC(LSK, payment ‖ operation ‖
 * account)".
 */
#ifndef DAEMON_LEDGER_LSK_H
#define DAEMON_LEDGER_LSK_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/domain/idempotency.h"

#define LSK_DERIVED_BYTES 65 /* 64 hex digits and the NUL */

/* lsk_set: copies 32 bytes into the arena; the source stays the caller's to wipe. ERR_CRYPTO (not 32) · ERR_MEMORY. */
enum err lsk_set(const uint8_t *secret, size_t bytes) MUST;
void lsk_clear(void);
/* lsk_key: of (scope, idempotency key). */
void lsk_key(const char *scope, const char *key, uint8_t out[IDEMPOTENCY_HASH_BYTES]);
/* lsk_fingerprint: of (route, SHA-256 of the canonical body, the vault's digest of the card or nothing). */
void lsk_fingerprint(const char *route, const uint8_t body_sha256[32], const uint8_t *card_digest, size_t digest_bytes,
					 uint8_t out[IDEMPOTENCY_HASH_BYTES]);
/* lsk_derive: the processor's idempotency key of an operation: constant over all attempts. operation "": authorization.
 */
void lsk_derive(const char *payment, const char *operation, const char *account, char out[LSK_DERIVED_BYTES]);

#endif
