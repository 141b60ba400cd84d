#include "daemon/base/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *
mem_new(size_t count, size_t size)
{
	return calloc(count ? count : 1, size ? size : 1);
}

void *
mem_alloc(size_t bytes)
{
	return calloc(1, bytes ? bytes : 1);
}

void *
mem_grow(void *p, size_t bytes)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	if (p && bytes <= old)
		return p;
	/* realloc may move without wiping: copy by hand instead */
	void *q = calloc(1, bytes ? bytes : 1);
	if (!q)
		return NULL;
	if (p) {
		memcpy(q, p, old);
		mem_free(p);
	}
	return q;
}

void
mem_free(void *p)
{
	if (!p)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

void
mem_wipe(void *p, size_t bytes)
{
	explicit_bzero(p, bytes);
}

char *
mem_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = mem_new(1, n);
	if (p)
		memcpy(p, s, n);
	return p;
}
