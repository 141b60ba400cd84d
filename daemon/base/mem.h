/*
 * mem — the one allocator: zeroes what it gives and wipes what it takes back.
 * Invariants: nothing freed through here leaves its bytes behind, so a PAN in transit does not outlive its buffer.
 * Also installed as the allocator of libevent, jansson, mbedTLS and libcurl (design: memory and jail).
 */
#ifndef DAEMON_BASE_MEM_H
#define DAEMON_BASE_MEM_H

#include <stddef.h>

/* mem_new(count, size): zeroed array or NULL (no memory, or count × size overflows). Free with mem_free. */
void *mem_new(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
/* mem_grow(p, bytes): p moved to at least `bytes`, old place wiped; the new tail is zero. NULL: p is untouched. */
void *mem_grow(void *p, size_t bytes) __attribute__((warn_unused_result));
/* mem_free(p): wipes all usable bytes, then frees; NULL is fine. */
void mem_free(void *p);
/* mem_wipe(p, bytes): zeroes in a way the compiler keeps. */
void mem_wipe(void *p, size_t bytes);
/* malloc's shape, for libraries' hooks. */
void *mem_alloc(size_t bytes) __attribute__((malloc, warn_unused_result));
char *mem_strdup(const char *s) __attribute__((malloc, warn_unused_result));

#endif
