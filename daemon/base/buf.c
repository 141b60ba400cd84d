#include "daemon/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/mem.h"

void
buf_init(struct buf *b, size_t bytes_max)
{
	*b = (struct buf){.max = bytes_max};
}

void
buf_clear(struct buf *b)
{
	mem_free(b->bytes);
	*b = (struct buf){.max = b->max};
}

void
buf_reset(struct buf *b)
{
	if (b->len)
		mem_wipe(b->bytes + b->start, b->len);
	b->start = b->len = 0;
}

enum err
buf_room(struct buf *b, size_t n, uint8_t **at_out)
{
	if (n > b->max || b->len > b->max - n)
		return ERR_LIMIT;
	if (b->start && (b->len == 0 || b->start + b->len + n > b->cap)) {
		memmove(b->bytes, b->bytes + b->start, b->len);
		/* the moved-from tail would keep a second copy */
		mem_wipe(b->bytes + b->len, b->start);
		b->start = 0;
	}
	if (b->start + b->len + n > b->cap) {
		size_t cap = b->cap ? b->cap : 256;
		while (cap < b->len + n)
			cap *= 2;
		if (cap > b->max)
			cap = b->max;
		void *p = mem_grow(b->bytes, cap);
		if (!p)
			return ERR_MEMORY;
		b->bytes = p;
		b->cap = cap;
	}
	*at_out = b->bytes + b->start + b->len;
	return ERR_OK;
}

void
buf_added(struct buf *b, size_t n)
{
	assert(b->start + b->len + n <= b->cap);
	b->len += n;
}

enum err
buf_add(struct buf *b, const void *bytes, size_t n)
{
	uint8_t *at;
	enum err e;

	if (n == 0)
		return ERR_OK;
	if ((e = buf_room(b, n, &at)) != ERR_OK)
		return e;
	memcpy(at, bytes, n);
	buf_added(b, n);
	return ERR_OK;
}

enum err
buf_add_text(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

enum err
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	uint8_t *at;
	enum err e;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	/* vsnprintf wants room for its NUL; it is not counted in */
	e = buf_room(b, (size_t)n + 1, &at);
	if (e == ERR_OK) {
		vsnprintf((char *)at, (size_t)n + 1, fmt, again);
		buf_added(b, (size_t)n);
	}
	va_end(again);
	return e;
}

void
buf_eat(struct buf *b, size_t n)
{
	assert(n <= b->len);
	if (n == 0)
		return;
	mem_wipe(b->bytes + b->start, n);
	b->start += n;
	b->len -= n;
	if (b->len == 0)
		b->start = 0;
}
