/*
 * secret — bytes that must not leak: kept in one guarded arena, wiped on free, never printed.
 * Invariants: the arena is memfd_secret memory where the kernel has it, else mlock'd and DONTDUMP, between two guard
 *   pages; after secret_free no byte of the secret is left in it. No function here prints or compares in variable time.
 * Source: PCI DSS 4.0.1 3.3.2, 3.7; memfd_secret(2).
 */
#ifndef DAEMON_BASE_SECRET_H
#define DAEMON_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define SECRET_SLOT_BYTES 64

struct secret {
	uint8_t *bytes; /* in the arena */
	size_t len;
};

/*
 * secret_open(bytes)
 *   Make the arena once per process, before the jail. Rounded up to pages.
 *   Returns   ERR_OK · ERR_MEMORY (no locked memory of that size) · ERR_EXISTS.
 */
enum err secret_open(size_t bytes) MUST;
/* "memfd_secret", "mlock" or "" (not open): for status. */
const char *secret_kind(void);
/* Slots in use and in all. */
void secret_use(size_t *used_out, size_t *all_out);

/*
 * secret_new(bytes, out): zeroed room for `bytes` (1..4096) in the arena; *out is heap-owned, free with secret_free.
 *   Returns   ERR_OK · ERR_CVC_ROOM (arena full) · ERR_MEMORY.
 */
enum err secret_new(size_t bytes, struct secret **out) MUST;
/* secret_copy: secret_new and fill; the source is not wiped. */
enum err secret_copy(const void *bytes, size_t n, struct secret **out) MUST;
/* Wipes and frees; NULL is fine. */
void secret_free(struct secret *s);

#endif
