/*
 * logbook — a process's audit log inside its own database: leaves and one tree row, in the caller's transaction.
 * Invariants: an effect and its leaf commit together or not at all; the frontier in memory moves only after COMMIT; at
 *   open the last tree row is checked against the stored leaves (ERR_CRYPTO: refuse to start).
 * Source: design 40; RFC 6962.
 */
#ifndef DAEMON_DB_LOGBOOK_H
#define DAEMON_DB_LOGBOOK_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/audit/leaf.h"
#include "daemon/audit/note.h"
#include "daemon/audit/tree.h"
#include "daemon/base/buf.h"
#include "daemon/db/db.h"

struct logbook;

/* Migration text that makes its tables (leaf, tree, checkpoint): put it first in your own list. */
extern const char *const logbook_schema;

/* logbook_open: restores the frontier; origin, install and proc are copied. ERR_CRYPTO · ERR_DB · ERR_IO · ERR_MEMORY.
 */
enum err logbook_open(struct db *d, const char *origin, const char *install, const char *proc,
					  struct logbook **out) MUST;
void logbook_close(struct logbook *b);

/* Queue one leaf for the open transaction: seq, times, install and proc are filled in. seq_out may be NULL. ERR_LIMIT ·
 * ERR_OUT_OF_RANGE · ERR_MEMORY. */
enum err logbook_add(struct logbook *b, const struct leaf *l, uint64_t *seq_out) MUST;
/* How many are queued, and forget those after the first n (a command whose savepoint was undone). */
size_t logbook_queued(const struct logbook *b);
void logbook_drop_after(struct logbook *b, size_t n);
/* After the last savepoint, before COMMIT: writes leaf rows and the tree row. */
enum err logbook_write(struct logbook *b) MUST;
/* After COMMIT succeeded, or after a rollback. Exactly one of them after logbook_write. */
void logbook_committed(struct logbook *b);
void logbook_undone(struct logbook *b);

/* The committed tree. */
void logbook_position(const struct logbook *b, struct checkpoint *out);
/* Records [from, from+limit) as 4-byte big-endian length + record, until bytes_max; *count_out of them. */
enum err logbook_read(struct logbook *b, uint64_t from, uint32_t limit, size_t bytes_max, struct buf *out,
					  uint32_t *count_out) MUST;
/*
 * Proofs and roots of any committed size, from stored tiles (256 hashes a row): O(log n) reads, not O(n) hashes as
 * tree_* with logbook_hash would need. ERR_OUT_OF_RANGE (beyond the committed tree) · ERR_CRYPTO (a tile is missing) ·
 * ERR_DB · ERR_IO.
 */
enum err logbook_root(struct logbook *b, uint64_t size, uint8_t out[HASH_BYTES]) MUST;
enum err logbook_consistency(struct logbook *b, uint64_t old_size, uint64_t size,
							 uint8_t proof_out[PROOF_MAX][HASH_BYTES], size_t *n_out) MUST;
enum err logbook_inclusion(struct logbook *b, uint64_t index, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
						   size_t *n_out) MUST;
/* Leaf hash i, for proofs (a tree_hash_fn; arg is the logbook). */
enum err logbook_hash(void *book, uint64_t i, uint8_t out[HASH_BYTES]) MUST;
/* The last signed checkpoint note (kept in the database): bytes 0 when there is none. */
enum err logbook_checkpoint_get(struct logbook *b, char note_out[NOTE_BYTES_MAX], size_t *bytes_out,
								uint64_t *size_out) MUST;
/* Store one; own small transaction when none is open. */
enum err logbook_checkpoint_set(struct logbook *b, const char *note, size_t bytes, uint64_t size) MUST;

#endif
