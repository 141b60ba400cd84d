/*
 * hsmkey — the keys in the HSM: kek-g, ask-g, xsk-g, ahk-g, made once and never taken out.
 * Invariants: every key is sensitive and not extractable, private, and may do one kind of thing only: a KEK that
 * decrypts never wraps (else it would give a wrapped key away in clear); a key that is found with other attributes is
 * refused; a signature that does not verify is never given out. Source: PKCS #11 v2.40, 4.9, 4.10; RFC 8032; NIST SP
 * 800-57 part 1, 5.2 (one use per key).
 */
#ifndef VAULT_HSM_HSMKEY_H
#define VAULT_HSM_HSMKEY_H

#include "vault/hsm/p11.h"

#define HSMKEY_DATA_MAX 4096
#define HSMKEY_ID_BYTES 8

/*
 * hsmkey_make(p, purpose, generation, public_out, existed_out)
 *   A key of that name that works stays (*existed_out); what is left of one that was cut short is cleared away first.
 *   purpose   "kek" · "ask" · "xsk" · "ahk"; anything else is ERR_NOT_FOUND
 *   public_out   32 bytes for ask and xsk, zeroed for the others
 *   Returns   ERR_OK · ERR_NOT_FOUND · ERR_HSM_MECHANISM · ERR_HSM_KEY (there is one with wrong attributes) ·
 * ERR_HSM_AWAY.
 */
enum err hsmkey_make(struct p11 *p, const char *purpose, uint32_t generation, uint8_t public_out[32],
					 bool *existed_out) MUST;
/* ERR_NOT_FOUND (a purpose without a public key) · ERR_HSM_KEY · ERR_HSM_AWAY. */
enum err hsmkey_public(struct p11 *p, const char *purpose, uint32_t generation, uint8_t public_out[32]) MUST;
/* Ed25519 over data (1..HSMKEY_DATA_MAX bytes), verified before it is given out: ERR_CRYPTO else. */
enum err hsmkey_sign(struct p11 *p, const char *purpose, uint32_t generation, const uint8_t *data, size_t bytes,
					 uint8_t out[64]) MUST;
/* HMAC-SHA-256 under ahk, made twice and compared: ERR_CRYPTO when the two differ. */
enum err hsmkey_mac(struct p11 *p, const char *purpose, uint32_t generation, const uint8_t *data, size_t bytes,
					uint8_t out[32]) MUST;
/* The id of this installation's key of that label; is it a label that a key of ours can have? */
void hsmkey_id(const struct p11 *p, const char *label, uint8_t out[HSMKEY_ID_BYTES]);
bool hsmkey_is_label(const char *label);
/* The KEK's handle, checked, and how it wraps (by what it may do). For wrap.c, inside a p11_fn. */
CK_RV hsmkey_kek(struct p11 *p, uint32_t generation, CK_OBJECT_HANDLE *out, enum p11_wrap *how_out);

#endif
