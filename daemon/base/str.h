/*
 * str — text in fixed arrays: copies that can't overflow, hex, base64, edit distance, safe display.
 * Invariants: every output ends in NUL; too long is an error, never a silent cut.
 * Source: RFC 4648 (base64, hex).
 */
#ifndef DAEMON_BASE_STR_H
#define DAEMON_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

/* str_set(to, size, from): ERR_OUT_OF_RANGE when from and its NUL do not fit; to is "" then. */
enum err str_set(char *to, size_t size, const char *from) MUST;
/* str_hex: writes 2n+1 characters, lower case. */
void str_hex(const uint8_t *bytes, size_t n, char *out);
/* str_unhex: exactly n bytes from 2n hex digits; ERR_FILE_FORM else. */
enum err str_unhex(const char *hex, uint8_t *out, size_t n) MUST;
/* base64 with padding. out_size counts the NUL. ERR_OUT_OF_RANGE · ERR_FILE_FORM. */
enum err str_base64(const uint8_t *bytes, size_t n, char *out, size_t out_size) MUST;
enum err str_unbase64(const char *text, size_t text_len, uint8_t *out, size_t out_size, size_t *n_out) MUST;
/* Is the text 1..max bytes of visible ASCII (0x21..0x7e)? */
bool str_visible(const char *s, size_t max);
/* Is the run well-formed UTF-8 without NUL (RFC 3629: no surrogates, no overlong forms)? */
bool str_utf8(const uint8_t *bytes, size_t n);
/* Levenshtein distance, but max+1 as soon as it is above max (max ≤ 8, names ≤ 64). */
unsigned str_distance(const char *a, const char *b, unsigned max);
/* str_nearest: the entry of names (NULL-ended) within distance 2 of s, or NULL. */
const char *str_nearest(const char *s, const char *const *names);
/* str_decimal: digits only, no sign, ≤ max; ERR_WRONG_TYPE · ERR_OUT_OF_RANGE. */
enum err str_decimal(const char *s, uint64_t max, uint64_t *out) MUST;
/* Does any run of 12..19 digits (single spaces or dashes between digits skipped) in the text pass Luhn? ISO/IEC 7812-1
 */
bool str_holds_pan(const char *s, size_t n);

#endif
