/*
 * refusals — what is refused in large numbers is counted into one leaf per actor and code every ten seconds, so that
 * neither a client with bad cards nor a peer that was taken over can fill the log and the disk.
 */
#ifndef VAULT_REFUSALS_H
#define VAULT_REFUSALS_H

#include "vault/vault.h"

#define REFUSALS_EVERY_MS   10000
#define REFUSALS_PER_MINUTE 60

enum err refusals_new(struct refusals **out) MUST;
void refusals_free(struct refusals *r);
void refusals_count(struct refusals *r, enum audit_event event, const char *actor, enum err code);
/*
 * refusals_leave(v, l): this refusal's own leaf in the open transaction, or, when its event has had
 * REFUSALS_PER_MINUTE of them in this minute, one more on its actor's and code's count. A leaf that can't be made is
 * left out: the refusal stands anyway.
 */
void refusals_leave(struct vault *v, const struct leaf *l);
/* Are there any to be told, and is it time? */
bool refusals_due(const struct refusals *r, int64_t mono_ms);
/* One leaf for each in the open transaction; refusals_told after its commit. */
enum err refusals_tell(struct vault *v) MUST;
void refusals_told(struct refusals *r, int64_t mono_ms);

#endif
