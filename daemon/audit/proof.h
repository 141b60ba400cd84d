/*
 * proof — the inclusion proof of one leaf, made while the log's leaf hashes pass by once.
 * Invariants: memory is that of one frontier for each hash of the proof; the size must be known before the first leaf.
 * Source: RFC 6962 2.1.1.
 */
#ifndef DAEMON_AUDIT_PROOF_H
#define DAEMON_AUDIT_PROOF_H

#include "daemon/audit/tree.h"
#include "daemon/base/err.h"

struct proof; /* heap; proof_free */

/* proof_new: for leaf `index` of a log of `size`. ERR_OUT_OF_RANGE · ERR_MEMORY. */
enum err proof_new(uint64_t index, uint64_t size, struct proof **out) MUST;
void proof_free(struct proof *p); /* NULL is fine */
/* proof_leaf: the next leaf's hash, from 0 on; beyond size they are ignored. */
void proof_leaf(struct proof *p, const uint8_t hash[HASH_BYTES]);
/* proof_end: after `size` leaves. ERR_OUT_OF_RANGE: there were fewer. */
enum err proof_end(const struct proof *p, uint8_t out[PROOF_MAX][HASH_BYTES], size_t *n_out) MUST;

#endif
