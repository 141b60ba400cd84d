/*
 * export — what an auditor takes home: one reproducible tar with each log's records, checkpoint and tiles, the keys, a
 * signed manifest, and how to check it.
 * Invariants: the same logs, checkpoints and keys give the same bytes; nothing is written unless each log's records
 * give the root of its checkpoint; memory is that of the tiles above level 0, records and leaf hashes stay with the
 * caller. Layout: VERIFY.txt · keys/{audit.pem,checkpoint.pem,minisign.pub,vkey} ·
 * <log>/{checkpoint,records.jsonl,tile/…,tiles.sha256} · manifest.sha256 · manifest.sha256.sig. Source: design
 * "Export"; docs/audit-format.md.
 */
#ifndef DAEMON_AUDIT_EXPORT_H
#define DAEMON_AUDIT_EXPORT_H

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/audit/note.h"
#include "daemon/audit/tile.h"
#include "daemon/audit/ustar.h"
#include "daemon/base/buf.h"
#include "daemon/base/err.h"

#define EXPORT_LOGS_MAX   8
#define EXPORT_FOLDER_MAX 24
#define EXPORT_VKEYS_MAX  8
#define EXPORT_VKEY_MAX   192

struct export_keys {
	char vkey[EXPORT_VKEYS_MAX][EXPORT_VKEY_MAX]; /* checkpoints' keys; the first is in use */
	unsigned vkeys;
	uint8_t audit[32];  /* the public key of vkey[0] */
	uint8_t export[32]; /* XSK's: manifest and minisign */
};
struct export_log {
	char folder[EXPORT_FOLDER_MAX]; /* "vault", "ledger", "ledger.2" */
	struct checkpoint head;
	char note[NOTE_BYTES_MAX];
	size_t note_bytes;
	uint64_t records_bytes;
	crypto_hash_sha256_state records_sum;
	struct tile_set tiles;
};
struct export
{
	struct export_keys keys;
	struct export_log *logs[EXPORT_LOGS_MAX]; /* by rising folder */
	unsigned logs_n;
};

enum export_part { EXPORT_RECORDS, EXPORT_HASHES };
/* Gives n bytes at offset of what the caller kept of a log: its lines, or its leaf hashes one after the other. */
typedef enum err (*export_read_fn)(void *arg, const struct export_log *log, enum export_part part, uint64_t offset,
								   void *out, size_t n);

void export_init(struct export *x, const struct export_keys *keys);
void export_clear(struct export *x);
/*
 * export_log(x, folder, note, bytes, log_out)
 *   Begin a log; folders come in rising order. The note must be signed by one of the vkeys and its origin must end in
 * the folder's name. log_out is borrowed from x. Returns ERR_OK · ERR_FILE_FORM · ERR_VERIFY_FAILED · ERR_OUT_OF_RANGE
 * (order, too many) · ERR_MEMORY.
 */
enum err export_log(struct export *x, const char *folder, const char *note, size_t bytes,
					struct export_log **log_out) MUST;
/* As note_open with any of the keys: after a rotation older checkpoints carry the older one. ERR_FILE_FORM ·
 * ERR_VERIFY_FAILED. */
enum err export_note_open(const struct export_keys *keys, const char *note, size_t bytes, struct checkpoint *out) MUST;
/* Does a checkpoint's origin belong to this folder? "sallyport.i/n/ledger/2" to "ledger.2". */
bool export_origin_fits(const char *origin, const char *folder);
/* The next record. The caller keeps it with a line feed, and its hash. ERR_OUT_OF_RANGE (beyond the checkpoint) ·
 * ERR_MEMORY. */
enum err export_record(struct export_log *log, const void *record, size_t bytes, uint8_t hash_out[HASH_BYTES]) MUST;
/* All records are there: the text that is signed. ERR_VERIFY_FAILED (not the checkpoint's tree) · ERR_LIMIT ·
 * ERR_MEMORY. */
enum err export_manifest(struct export *x, struct buf *out) MUST;
/* Write the archive; sum_out is its BLAKE2b-512. ERR_OUT_OF_RANGE (a log beyond 8 GiB) or what read and write gave. */
enum err export_write(struct export *x, const struct buf *manifest, const uint8_t signature[64], export_read_fn read,
					  ustar_write_fn write, void *arg, uint8_t sum_out[USTAR_SUM_BYTES]) MUST;

#endif
