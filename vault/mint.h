/*
 * mint — a card comes in, a token goes out: checked, found again or stored, and once per idempotency key.
 * Invariants: one key makes one token, and with another body or card it is refused; the code is held in memory only and
 *   only after COMMIT.
 * Source: design 30 (records).
 */
#ifndef VAULT_MINT_H
#define VAULT_MINT_H

#include "vault/group.h"

#define MINT_SINGLE_USE_TTL_MS (INT64_C(60) * 60 * 1000)

/*
 * For sp_tokenize_req and sp_tokenize_rep. Refusals: ERR_CARD_… · ERR_TEST_CARD_IN_LIVE · ERR_REAL_CARD_IN_TEST ·
 * ERR_PAN_IN_METADATA · ERR_IDEMPOTENCY_MISSING · ERR_IDEMPOTENCY_REUSED · ERR_TOKEN_NOT_FOUND (the key's token was
 * erased) · ERR_CVC_ROOM (with the token: the card is kept) · what vault_effects says.
 */
extern const struct group_command mint_command;
/* Idempotency rows past their time and tokens past their end, a few at a time; *done_out when nothing is left to do. */
enum err mint_prune(struct vault *v, int64_t wall_ms, bool *done_out) MUST;

#endif
