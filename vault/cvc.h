/*
 * cvc — security codes, held in guarded memory until their authorization is closed, and nowhere else, ever.
 * Invariants: a held code is sealed under SADK, which is made at start and never stored: all of them die with the
 * process; none is held longer than its time to live; a wiped one leaves zeros. Source: PCI DSS 4.0.1 3.3.1 (sensitive
 * authentication data is not kept after authorization), 3.3.2.
 */
#ifndef VAULT_CVC_H
#define VAULT_CVC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "vault/keyring.h"

#define CVC_DIGITS_MAX 4
/* Arena room for this many codes: each takes one slot of 64 bytes. */
#define CVC_HELD_MAX    32768
#define CVC_ARENA_BYTES (CVC_HELD_MAX * SECRET_SLOT_BYTES)

struct cvc_store;

enum err cvc_new(struct cvc_store **out) MUST;
void cvc_free(struct cvc_store *c); /* wipes all */
/*
 * cvc_hold(c, keys, token, digits, n, until_mono_ms): seals and keeps, as of now; what was held for this token is
 *   replaced.
 *   Returns ERR_OK · ERR_CVC_ROOM (nothing is held) · ERR_MEMORY · ERR_HSM_KEY · ERR_CRYPTO.
 */
enum err cvc_hold(struct cvc_store *c, const struct keyring *keys, const char *token, const uint8_t *digits, size_t n,
				  int64_t until_mono_ms) MUST;
bool cvc_held(const struct cvc_store *c, const char *token);
/*
 * Is what is held of this payment's authorization: given before it began (wall clock), or opened for it last? A code
 * that came later waits for the next payment of the token, and the end of this one does not take it away.
 */
bool cvc_of_payment(const struct cvc_store *c, const char *token, const char *payment, int64_t began_wall_ms);
/* The digits for this payment, or *n_out 0 when none is held (any more). ERR_RECORD_CORRUPT · ERR_HSM_KEY. */
enum err cvc_read(struct cvc_store *c, const struct keyring *keys, const char *token, const char *payment,
				  int64_t mono_ms, uint8_t digits_out[CVC_DIGITS_MAX], size_t *n_out) MUST;
/* Was one wiped? */
bool cvc_wipe(struct cvc_store *c, const char *token);
/* The next one whose time is over, copied to token_out; false when there is none. It stays until cvc_wipe. */
bool cvc_overdue(const struct cvc_store *c, int64_t mono_ms, char token_out[32]);
size_t cvc_count(const struct cvc_store *c);

#endif
