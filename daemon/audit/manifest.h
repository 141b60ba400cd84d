/*
 * manifest — the list of an export's files as `sha256sum -c` reads it: "<64 hex>  <path>\n" for each.
 * Invariants: paths are relative, of [A-Za-z0-9._/-], in strictly rising order, without "." or ".." parts; what is read
 * is exactly what would be written. A manifest of one export fits MANIFEST_BYTES_MAX, so that an HSM can sign its
 * bytes; long lists (tiles) are manifests of their own, which it names.
 */
#ifndef DAEMON_AUDIT_MANIFEST_H
#define DAEMON_AUDIT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

#define MANIFEST_BYTES_MAX 4096
#define MANIFEST_PATH_MAX  100

struct manifest_line {
	char path[MANIFEST_PATH_MAX];
	uint8_t sha256[32];
};

/* Is this a path that an export may have? */
bool manifest_path(const char *path);
/* manifest_add: one more line at the end of out. ERR_OUT_OF_RANGE (path) · ERR_LIMIT · ERR_MEMORY. */
enum err manifest_add(struct buf *out, const char *path, const uint8_t sha256[32]) MUST;
/* manifest_next: reads one line of text at *at and moves on; *more_out false at the end. ERR_FILE_FORM. */
enum err manifest_next(const char *text, size_t bytes, size_t *at, struct manifest_line *out, bool *more_out) MUST;
/* manifest_find: the hash that the list gives for path. ERR_NOT_FOUND · ERR_FILE_FORM (any line is wrong or out of
 * order). */
enum err manifest_find(const char *text, size_t bytes, const char *path, uint8_t sha256_out[32]) MUST;
/*
 * manifest_check(text, bytes, vault_note, vault_bytes, ledger_note, ledger_bytes)
 *   What a signer asks before it signs: the form of every line, the size, and that `vault/checkpoint` and
 *   `ledger/checkpoint` are listed with the SHA-256 of these notes. A log without a note (bytes 0) must not be listed;
 *   the vault's must.
 *   Returns ERR_OK · ERR_OUT_OF_RANGE (size) · ERR_FILE_FORM (form) · ERR_VERIFY_FAILED (a checkpoint).
 */
enum err manifest_check(const char *text, size_t bytes, const char *vault_note, size_t vault_bytes,
						const char *ledger_note, size_t ledger_bytes) MUST;

#endif
