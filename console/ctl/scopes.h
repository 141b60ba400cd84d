/*
 * scopes — names of scopes to bits and back, from policy/scopes.def.
 */
#ifndef CONSOLE_CTL_SCOPES_H
#define CONSOLE_CTL_SCOPES_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

uint64_t scopes_all(void);
/* "tokens:create,payments:read" or "all"; ERR_NOT_FOUND names nothing: *bad_out (64 bytes) does. */
enum err scopes_parse(const char *list, uint64_t *bits_out, char bad_out[64]) MUST;
/* Comma-separated, in table order; cut at size. */
void scopes_text(uint64_t bits, char *out, size_t size);

#endif
