/*
 * writer — JSON out, into a bounded buffer, with one sticky error instead of a check per member.
 * Invariants: what is written is well-formed as long as begin and end are paired; text is escaped, never trusted; after
 *   an error nothing more is added and `e` says what it was.
 * Source: RFC 8259.
 */
#ifndef DAEMON_GATE_WRITER_H
#define DAEMON_GATE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

struct writer {
	struct buf *out; /* borrowed */
	enum err e;
	bool comma; /* the next value needs one before it */
};

void writer_init(struct writer *w, struct buf *out);
/* A NULL key writes an element of an array (or the root). */
void writer_begin(struct writer *w, const char *key, char bracket); /* '{' or '[' */
void writer_end(struct writer *w, char bracket);                    /* '}' or ']' */
void writer_text(struct writer *w, const char *key, const char *text);
void writer_int(struct writer *w, const char *key, int64_t n);
void writer_bool(struct writer *w, const char *key, bool b);
void writer_time(struct writer *w, const char *key, int64_t wall_ms); /* RFC 3339 with milliseconds */
void writer_hex(struct writer *w, const char *key, const uint8_t *bytes, size_t n);
/* Already JSON: copied as it is. */
void writer_raw(struct writer *w, const char *key, const void *json, size_t n);

#endif
