/*
 * tiles — the hashes of a log's tree in runs of 256, so that any root or proof takes O(log n) reads.
 * Invariants: a row of the table `tile` is complete and never changes; what is not complete yet is in memory and is
 *   rebuilt from the leaves at open; a hash at level k covers 256^k leaves.
 * Source: RFC 6962 2.1; C2SP tlog-tiles (the same cut, height 8).
 */
#ifndef DAEMON_DB_TILES_H
#define DAEMON_DB_TILES_H

#include <stdint.h>

#include "daemon/audit/tree.h"
#include "daemon/base/err.h"
#include "daemon/db/db.h"

#define TILE_HASHES 256
#define TILE_LEVELS 5 /* 256^5 = 2^40 leaves */

struct tiles {
	struct db *db;
	uint64_t size; /* leaves */
	struct tile {
		unsigned n;
		uint8_t hash[TILE_HASHES][HASH_BYTES];
	} open[TILE_LEVELS]; /* the incomplete tile of each level */
};

/*
 * tiles_load(t, db, size)
 *   Fill in the open tiles of a log of `size` leaves from the tables leaf and tile.
 *   Returns ERR_OK · ERR_CRYPTO (a leaf or a tile is missing) · ERR_DB · ERR_IO.
 */
enum err tiles_load(struct tiles *t, struct db *d, uint64_t size) MUST;
/* One more leaf; completed tiles are written in the open transaction. ERR_LIMIT (2^40) · errors of stmt_run. */
enum err tiles_append(struct tiles *t, const uint8_t leaf_hash[HASH_BYTES]) MUST;
/* Root of leaves [first, end), where the range is one that RFC 6962 splits off. ERR_OUT_OF_RANGE · ERR_CRYPTO · ERR_DB
 * · ERR_IO. */
enum err tiles_range(struct tiles *t, uint64_t first, uint64_t end, uint8_t out[HASH_BYTES]) MUST;
enum err tiles_consistency(struct tiles *t, uint64_t old_size, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
						   size_t *n_out) MUST;
enum err tiles_inclusion(struct tiles *t, uint64_t index, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
						 size_t *n_out) MUST;

#endif
