/*
 * ustar — reproducible tar archives: plain files only, one spelling for each header, names in strictly rising order.
 * Invariants: mode 0644, uid, gid and mtime 0, no links, no extensions; the reader takes exactly what the writer
 * writes, so that two tar programs can't see two different archives; both hash every byte (BLAKE2b-512) as it passes.
 * Source: POSIX.1-2017 pax, "ustar Interchange Format".
 */
#ifndef DAEMON_AUDIT_USTAR_H
#define DAEMON_AUDIT_USTAR_H

#include <sodium.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/audit/manifest.h"
#include "daemon/base/err.h"

#define USTAR_BLOCK     512
#define USTAR_SIZE_MAX  UINT64_C(077777777777)
#define USTAR_SUM_BYTES 64

/* Takes n bytes. Whatever it returns but ERR_OK ends the writing. */
typedef enum err (*ustar_write_fn)(void *arg, const void *bytes, size_t n);
/* Gives 1..max bytes, or 0 at the end. */
typedef enum err (*ustar_read_fn)(void *arg, void *out, size_t max, size_t *got_out);

struct ustar_writer {
	ustar_write_fn write;
	void *arg;
	crypto_generichash_state sum;
	uint64_t left; /* bytes still due of the open file */
	uint64_t bytes;
	char last[MANIFEST_PATH_MAX];
};

void ustar_writer_init(struct ustar_writer *w, ustar_write_fn write, void *arg);
/* ustar_file: begins a file. ERR_OUT_OF_RANGE (path, order, size) or what write gave. Then exactly size bytes by
 * ustar_write. */
enum err ustar_file(struct ustar_writer *w, const char *path, uint64_t size) MUST;
enum err ustar_write(struct ustar_writer *w, const void *bytes, size_t n) MUST;
/* ustar_finish: the end mark; sum_out is BLAKE2b-512 of the archive. */
enum err ustar_finish(struct ustar_writer *w, uint8_t sum_out[USTAR_SUM_BYTES]) MUST;

struct ustar_reader {
	ustar_read_fn read;
	void *arg;
	crypto_generichash_state sum;
	uint8_t room[65536];
	size_t at, held; /* unread bytes room[at..held) */
	uint64_t left;   /* unread bytes of the open file */
	uint64_t files, bytes;
	size_t padding;
	bool ended;
	char last[MANIFEST_PATH_MAX];
};

void ustar_reader_init(struct ustar_reader *r, ustar_read_fn read, void *arg);
/*
 * ustar_next(r, path_out, size_out, more_out)
 *   Passes over what is left of the open file and opens the next; *more_out false at the archive's end, which must be
 * the end of the input as well. Returns ERR_OK · ERR_FILE_FORM (not this format, cut off, out of order) · what read
 * gave.
 */
enum err ustar_next(struct ustar_reader *r, char path_out[MANIFEST_PATH_MAX], uint64_t *size_out, bool *more_out) MUST;
/* ustar_read: the open file's next bytes, borrowed until the next call; *n_out 0 at its end. ERR_FILE_FORM (cut off) ·
 * as read. */
enum err ustar_read(struct ustar_reader *r, const uint8_t **bytes_out, size_t *n_out) MUST;
/* ustar_sum: BLAKE2b-512 of all that was read; after the end, once. */
void ustar_sum(struct ustar_reader *r, uint8_t sum_out[USTAR_SUM_BYTES]);

#endif
