/*
 * simline — one line of the simulated issuer's books, as text and as a struct.
 * Invariants: one form only, so that a million lines are read in a moment: members in this order, no spaces, no
 * escapes; what is written is read back the same, and what is read is written the same.
 *   {"at":"…","key":"…","kind":"…","payment":"…","operation":"…","currency":"…","reference":"…","authorization":"…",
 *    "outcome":"…","script":"…","amount":n,"captured":true|false}
 */
#ifndef DAEMON_COURIER_SIMLINE_H
#define DAEMON_COURIER_SIMLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define SIMLINE_BYTES_MAX 640

struct simline {
	char at[25];
	char key[72];
	char kind[12];
	char payment[32], operation[32];
	char currency[4];
	char reference[37], authorization[37];
	char outcome[12];
	char script[32];
	int64_t amount_minor;
	bool captured;
};

/* simline_write: with its newline, ends in NUL. ERR_CHARACTERS (text that is not visible ASCII, or a quote or
 * backslash). */
enum err simline_write(const struct simline *l, char out[SIMLINE_BYTES_MAX], size_t *bytes_out) MUST;
/* simline_read: exactly one line with its newline. ERR_FILE_FORM: *out is undefined. */
enum err simline_read(const char *text, size_t bytes, struct simline *out) MUST;

#endif
