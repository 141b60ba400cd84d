/*
 * facts — what the vault told about tokens, kept for a while: brand, BIN, last4, expiry, fingerprint.
 * Invariants: at most FACTS_MAX entries, the oldest goes; a token's entry goes when the token is deleted; an entry is
 *   found only under the merchant that it was asked for. Nothing here opens a card.
 */
#ifndef DAEMON_LEDGER_FACTS_H
#define DAEMON_LEDGER_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/schema/object.pb.h"

#define FACTS_MAX 4096

struct facts {
	char token[40], merchant[64];
	sp_card_view card;
	char fingerprint[48];
	char customer[64];
	int64_t expires_at_ms; /* 0: never */
	int64_t read_at_ms;    /* monotonic */
};

/* facts_from: the view's part that is kept. */
void facts_from(const sp_token_view *view, struct facts *out);
/* facts_get: false when not known, or read too long ago. */
bool facts_get(const char *token, const char *merchant, int64_t mono_ms, struct facts *out);
/* facts_put: tokens with a bound on uses or time are not kept: they are asked for once anyway. */
void facts_put(const sp_token_view *view, int64_t mono_ms);
void facts_drop(const char *token);

#endif
