/*
 * docs_page — the API as one page of HTML from the tables: every operation with a command that can be copied.
 * Invariants: loads nothing; holds nothing that a request sent.
 */
#ifndef DAEMON_GATE_DOCS_PAGE_H
#define DAEMON_GATE_DOCS_PAGE_H

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

#define DOCS_PAGE_TYPE "text/html; charset=utf-8"

enum err docs_page_write(struct buf *out) MUST;

#endif
