/*
 * buf — a growable run of bytes with a ceiling; wiped as it is eaten and freed.
 * Invariants: len ≤ cap ≤ max; a buffer that is full says ERR_LIMIT and holds what it held.
 */
#ifndef DAEMON_BASE_BUF_H
#define DAEMON_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct buf {
	uint8_t *bytes; /* owned; NULL while nothing was added */
	size_t start;   /* first unread byte */
	size_t len;     /* unread bytes from start */
	size_t cap;
	size_t max; /* never grows beyond */
};

void buf_init(struct buf *b, size_t bytes_max);
/* buf_clear: wipes and frees; the buffer can be used again. */
void buf_clear(struct buf *b);
/* buf_reset: wipes what it holds and keeps the room. */
void buf_reset(struct buf *b);
/* buf_room: at least n bytes to write at *at_out, which buf_added then counts in. ERR_LIMIT · ERR_MEMORY. */
enum err buf_room(struct buf *b, size_t n, uint8_t **at_out) MUST;
void buf_added(struct buf *b, size_t n);
/* Append. ERR_LIMIT (over max) · ERR_MEMORY; nothing is added then. */
enum err buf_add(struct buf *b, const void *bytes, size_t n) MUST;
enum err buf_add_text(struct buf *b, const char *text) MUST;
enum err buf_printf(struct buf *b, const char *fmt, ...) MUST __attribute__((format(printf, 2, 3)));
/* buf_eat: drops (and wipes) n bytes from the front; n ≤ len. */
void buf_eat(struct buf *b, size_t n);
static inline const uint8_t *
buf_at(const struct buf *b)
{
	return b->bytes + b->start;
}

#endif
