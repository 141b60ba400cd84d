/*
 * tree — RFC 6962 Merkle tree as a frontier: append in O(log n), root any time, proofs from stored leaf hashes.
 * Invariants: frontier holds one hash per set bit of size; leaf hash = SHA-256(0x00 ‖ record), node = SHA-256(0x01 ‖ l
 * ‖ r). Source: RFC 6962 2.1 (hashes), 2.1.1 (inclusion), 2.1.2 (consistency).
 */
#ifndef DAEMON_AUDIT_TREE_H
#define DAEMON_AUDIT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define HASH_BYTES   32
#define FRONTIER_MAX 64
#define PROOF_MAX    64

struct tree {
	uint64_t size;
	uint8_t frontier[FRONTIER_MAX][HASH_BYTES]; /* [0] is the largest subtree; popcount(size) entries */
};

void tree_leaf_hash(const void *record, size_t bytes, uint8_t out[HASH_BYTES]);
/* SHA-256(0x01 ‖ left ‖ right); out may be left or right. */
void tree_node_hash(const uint8_t left[HASH_BYTES], const uint8_t right[HASH_BYTES], uint8_t out[HASH_BYTES]);
void tree_append(struct tree *t, const uint8_t leaf_hash[HASH_BYTES]);
/* Where RFC 6962 splits a tree of n ≥ 2 leaves: the largest power of two below n. */
uint64_t tree_split(uint64_t n);
/* Root of the empty tree is SHA-256(""). */
void tree_root(const struct tree *t, uint8_t out[HASH_BYTES]);
/* popcount(size) × 32 bytes, and back. ERR_FILE_FORM when bytes do not fit size. */
size_t tree_frontier(const struct tree *t, uint8_t out[FRONTIER_MAX * HASH_BYTES]);
enum err tree_restore(uint64_t size, const uint8_t *frontier, size_t bytes, struct tree *out) MUST;

/*
 * Gives leaf hash i (0 ≤ i < size) of the log; proofs are made from it. ERR_OUT_OF_RANGE (index or old size beyond
 * size) or what the function gave. Every leaf is asked for once: logbook_consistency and logbook_inclusion do it from
 * stored tiles.
 */
typedef enum err (*tree_hash_fn)(void *arg, uint64_t i, uint8_t out[HASH_BYTES]);
enum err tree_inclusion(uint64_t index, uint64_t size, tree_hash_fn hash, void *arg,
						uint8_t proof_out[PROOF_MAX][HASH_BYTES], size_t *n_out) MUST;
enum err tree_consistency(uint64_t old_size, uint64_t size, tree_hash_fn hash, void *arg,
						  uint8_t proof_out[PROOF_MAX][HASH_BYTES], size_t *n_out) MUST;
/* ERR_OK or ERR_VERIFY_FAILED. With old_size 0 the proof is empty and old_root is not read. */
enum err tree_check_inclusion(uint64_t index, uint64_t size, const uint8_t leaf[HASH_BYTES],
							  const uint8_t (*proof)[HASH_BYTES], size_t n, const uint8_t root[HASH_BYTES]) MUST;
enum err tree_check_consistency(uint64_t old_size, const uint8_t old_root[HASH_BYTES], uint64_t size,
								const uint8_t root[HASH_BYTES], const uint8_t (*proof)[HASH_BYTES], size_t n) MUST;

#endif
