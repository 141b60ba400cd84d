/*
 * grant — a card is opened once, for one attempt that the ledger has recorded, towards the account that it named.
 * Invariants: no grant, no card; a grant lives 60 s and in memory only; the row redeemed(attempt) and the leaf are
 * committed before the number leaves the vault; the same attempt never opens a card twice. Source: design 00 (the road
 * of one payment); PCI DSS 4.0.1 3.4, 10.2.1.1.
 */
#ifndef VAULT_GRANT_H
#define VAULT_GRANT_H

#include "policy/schema/wire.pb.h"
#include "vault/group.h"

#define GRANT_LIFE_MS 60000
#define GRANTS_MAX    65536

enum err grant_new(struct grants **out) MUST;
void grant_free(struct grants *g);
size_t grant_count(const struct grants *g);
/* Forget those whose life is over. */
void grant_sweep(struct grants *g, int64_t mono_ms);

/*
 * grant_lodge(v, req): the same attempt may be lodged again (a resent message); the newer one counts.
 *   Returns ERR_OK · ERR_TOKEN_NOT_FOUND · ERR_TOKEN_EXPIRED · ERR_TOKEN_USED_UP · ERR_MISSING_MEMBER · ERR_LIMIT ·
 *           ERR_MEMORY · what vault_effects says.
 */
enum err grant_lodge(struct vault *v, const sp_lodge_req *req) MUST;
/*
 * sp_redeem_req → sp_redeem_rep. Refusals: ERR_GRANT_UNKNOWN (none, over, or another payment's, account's, token's) ·
 * ERR_GRANT_USED · ERR_REDEEM_CEILING · ERR_TOKEN_… · ERR_RECORD_CORRUPT · what vault_effects says. Each leaves a leaf.
 */
extern const struct group_command grant_redeem_command;
/* Which attempts have opened a card. Only what is committed: call it after group_commit. */
enum err grant_redeemed(struct vault *v, const sp_redeemed_req *req, sp_redeemed_rep *rep) MUST;

#endif
