/*
 * cardseal — the sealed columns of a card's row: the number under DEK, expiry and holder under EPK, each bound to its
 * place. Invariants: a number is padded to one length before it is sealed, so that the record does not tell it;
 * plaintext buffers are wiped before the call returns. The fixed tokens of a test installation have no records: their
 * numbers are public.
 */
#ifndef VAULT_CARDSEAL_H
#define VAULT_CARDSEAL_H

#include "vault/cardrow.h"

/* out: CARDROW_PAN_BYTES + RECORD_EXTRA_BYTES. ERR_HSM_KEY · ERR_KEY_RETIRED · ERR_CRYPTO · ERR_MEMORY. */
enum err cardseal_pan(struct vault *v, const struct cardrow_new *n, const char *token, uint32_t *generation_out,
					  uint8_t *out) MUST;
/* out: CARDROW_PERSON_MAX + RECORD_EXTRA_BYTES. Also ERR_OUT_OF_RANGE (holder). */
enum err cardseal_person(struct vault *v, const struct cardrow_new *n, const char *token, uint32_t *generation_out,
						 uint8_t *out, size_t *bytes_out) MUST;
/* Into the members of out that they are about. ERR_RECORD_CORRUPT · ERR_HSM_KEY · ERR_KEY_RETIRED. */
enum err cardseal_open_pan(struct vault *v, const struct cardrow *r, struct cardrow_clear *out) MUST;
enum err cardseal_open_person(struct vault *v, const struct cardrow *r, struct cardrow_clear *out) MUST;

#endif
