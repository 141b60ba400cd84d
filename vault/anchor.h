/*
 * anchor — both logs' sizes and roots in the HSM, so that stores that were put back show.
 * Invariants: what the anchor says must be a past of what is here; a log that is shorter, or other, than the anchor is
 * a rollback and the vault stays sealed. Form: "spa1" ‖ BE64 vault size ‖ root ‖ BE64 ledger size ‖ root. Source:
 * design 30 (rollback).
 */
#ifndef VAULT_ANCHOR_H
#define VAULT_ANCHOR_H

#include "vault/vault.h"

#define ANCHOR_BYTES 84

struct anchor {
	uint64_t vault_size, ledger_size;
	uint8_t vault_root[HASH_BYTES], ledger_root[HASH_BYTES];
};

/* What is here now: our log as committed, the ledger's as signed last. */
enum err anchor_now(struct vault *v, struct anchor *out) MUST;
void anchor_encode(const struct anchor *a, uint8_t out[ANCHOR_BYTES]);
/* ERR_FILE_FORM. */
enum err anchor_decode(const uint8_t *bytes, size_t n, struct anchor *out) MUST;
/* Is a a past of what is here? ERR_ROLLBACK · ERR_DB · ERR_IO. */
enum err anchor_check(struct vault *v, const struct anchor *a) MUST;
/* anchor_set: put the present into the HSM when it has changed since; done (may be NULL) runs once, maybe at once. */
void anchor_set(struct vault *v, void (*done)(void *arg, enum err e), void *arg);

#endif
