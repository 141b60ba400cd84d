/*
 * id — prefixed identifiers: ULIDs for most things, 130 random bits for tokens and secrets.
 * Invariants: text is prefix, '_', 26 Crockford base-32 characters; ULIDs made by one process never go backwards.
 * Source: github.com/ulid/spec; Crockford base 32.
 */
#ifndef DAEMON_BASE_ID_H
#define DAEMON_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define ID_BODY_CHARS 26
#define ID_BYTES      32 /* prefix ≤ 4 characters, '_', 26, NUL */

/* One text array per kind would not stop a mix-up, one type per kind does. */
struct id {
	char text[ID_BYTES];
};
struct token {
	struct id id;
};

/* id_new(prefix, wall_ms, out): ULID "pay_01J…"; random from libsodium; monotonic within a millisecond. */
void id_new(const char *prefix, int64_t wall_ms, struct id *out);
/* id_random(prefix, out): 26 characters = 130 random bits ("tok_…"). */
void id_random(const char *prefix, struct id *out);
/* Does text have exactly this prefix and 26 upper-case Crockford characters? */
bool id_check(const char *prefix, const char *text);
/* id_take(prefix, text, out): copies when id_check holds, ERR_ID_FORM else (out is ""). */
enum err id_take(const char *prefix, const char *text, struct id *out) MUST;
/* A ULID's 128 bits, for keys in stores. ERR_ID_FORM (not this prefix, or more than 128 bits, as tokens are); and back.
 */
enum err id_pack(const char *prefix, const char *text, uint8_t out[16]) MUST;
void id_unpack(const char *prefix, const uint8_t bytes[16], struct id *out);
/* The time inside a ULID, in ms. */
int64_t id_time_ms(const struct id *id);

#endif
