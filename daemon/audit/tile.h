/*
 * tile — a log's hashes as C2SP tiles: 256 hashes each, level L+1 made of the roots of the full tiles of level L.
 * Invariants: paths and widths are those of c2sp.org/tlog-tiles; kept are the tiles' SHA-256 and, if wanted, the bytes
 * above level 0 (level 0 is the plain run of leaf hashes), so that memory is an eighth of a byte per leaf without them.
 */
#ifndef DAEMON_AUDIT_TILE_H
#define DAEMON_AUDIT_TILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/audit/tree.h"
#include "daemon/base/buf.h"
#include "daemon/base/err.h"

#define TILE_WIDTH      256
#define TILE_BYTES      ((size_t)TILE_WIDTH * HASH_BYTES)
#define TILE_SET_LEVELS 8
#define TILE_PATH_MAX   64

struct tile_level {
	uint8_t now[TILE_WIDTH][HASH_BYTES]; /* the tile that is being filled */
	unsigned width;                      /* hashes in it */
	uint64_t full;                       /* tiles before it */
	struct buf sums;                     /* their SHA-256 */
	struct buf bytes;                    /* their bytes: kept tiles above level 0 */
};
struct tile_set {
	uint64_t size;
	bool keep;
	struct tile_level level[TILE_SET_LEVELS];
};

void tile_init(struct tile_set *t, bool keep);
void tile_clear(struct tile_set *t);
/* ERR_MEMORY · ERR_LIMIT. */
enum err tile_add(struct tile_set *t, const uint8_t leaf_hash[HASH_BYTES]) MUST;
/* The tree of all that was added: its root is the log's. */
void tile_tree(const struct tile_set *t, struct tree *out);

/* One tile of the finished log, in the order of their paths: level by level, full ones first. */
struct tile_at {
	unsigned level, width;
	uint64_t index;
	char path[TILE_PATH_MAX]; /* "tile/0/x001/067" or "tile/0/x001/068.p/7" */
	uint8_t sum[32];
};
/* tile_first/tile_next: false when there is no (further) tile. */
bool tile_first(const struct tile_set *t, struct tile_at *out);
bool tile_next(const struct tile_set *t, struct tile_at *at);
/* Bytes of a tile above level 0, or of a partial one (borrowed); NULL: a full tile of level 0, which nobody kept. */
const uint8_t *tile_bytes(const struct tile_set *t, const struct tile_at *at);

#endif
