/*
 * refusals — bad cards are counted into one leaf per client and code every ten seconds, so that a client that sends
 * nothing else can't fill the log.
 */
#ifndef VAULT_REFUSALS_H
#define VAULT_REFUSALS_H

#include "vault/vault.h"

#define REFUSALS_EVERY_MS 10000

enum err refusals_new(struct refusals **out) MUST;
void refusals_free(struct refusals *r);
void refusals_count(struct refusals *r, const char *client, enum err code);
/* Are there any to be told, and is it time? */
bool refusals_due(const struct refusals *r, int64_t mono_ms);
/* One leaf for each in the open transaction; refusals_told after its commit. */
enum err refusals_tell(struct vault *v) MUST;
void refusals_told(struct refusals *r, int64_t mono_ms);

#endif
