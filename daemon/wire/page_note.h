/*
 * page_note — a sentence in a process's page: why it refused something that stands on disk, and since when.
 * Invariants: only the owner writes; a reader never waits and never gets half of one text and half of another: it gets
 *   a whole one, or none while it is being written.
 */
#ifndef DAEMON_WIRE_PAGE_NOTE_H
#define DAEMON_WIRE_PAGE_NOTE_H

#include "daemon/wire/page.h"

/* The text cut to what has room; at_ms is Unix time, not 0. */
void page_note_set(struct page *p, int64_t at_ms, const char *text);
void page_note_clear(struct page *p);
/* When it was written, 0: there is none. out is "" then. */
int64_t page_note_get(const struct page *p, char out[PAGE_NOTE_BYTES]);

#endif
