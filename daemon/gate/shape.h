/*
 * shape — JSON in: what a body may look like, as tables, read straight into the structs that are sent on.
 * Invariants: what no table names is refused; numbers are integers; every text has bounds and well-formed UTF-8; no
 *   complaint ever holds a value, only pointers made of names that the tables or harmless letters give. Card data is
 *   copied once, into the message, and the parsed tree is wiped as it is freed.
 * Source: RFC 8259, RFC 6901 (JSON pointer).
 */
#ifndef DAEMON_GATE_SHAPE_H
#define DAEMON_GATE_SHAPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

enum member_kind {
	MEMBER_TEXT,     /* char[bytes]; least..most bytes */
	MEMBER_DIGITS,   /* a nanopb bytes array of that many digits; wiped with its message */
	MEMBER_BYTES,    /* a nanopb bytes array of UTF-8 text */
	MEMBER_INT64,    /* least..most */
	MEMBER_UINT32,   /* least..most */
	MEMBER_DURATION, /* seconds in JSON, milliseconds in the uint64_t */
	MEMBER_BOOL,
	MEMBER_CHOICE,   /* one of choices, into an enum */
	MEMBER_CURRENCY, /* ISO 4217 letters, into the uint32_t number */
	MEMBER_METADATA, /* an object of texts, canonical, into a nanopb bytes array */
	MEMBER_OBJECT,   /* one of our shapes; offset is where its struct begins */
	MEMBER_TIME,     /* of queries only: see query.h */
	MEMBER_REFUSED   /* known, and answered with `bad` */
};

enum { MEMBER_REQUIRED = 1, MEMBER_NO_PAN = 2, MEMBER_VISIBLE = 4 };

struct choice {
	const char *name; /* NULL ends the list */
	int value;
};

struct shape;
struct member {
	const char *name;
	enum member_kind kind;
	unsigned flags;
	int64_t least, most;
	size_t offset, bytes; /* in the target */
	size_t given;         /* offset in the target of a bool that says that the member was there; 0: none */
	enum err bad;         /* outside its bounds; ERR_OK: ERR_OUT_OF_RANGE */
	const struct choice *choices;
	const struct shape *shape;
	const char *what; /* for the API document */
};

struct shape {
	const char *name; /* of the component schema: "PaymentRequest" */
	const struct member *members;
	size_t n;
};
#define SHAPE(name_, members_)                                                              \
	{                                                                                       \
		.name = (name_), .members = (members_), .n = sizeof(members_) / sizeof(*(members_)) \
	}

#define COMPLAINTS_MAX 8
struct complaint {
	enum err code;
	char pointer[96];
	const char *nearest; /* for an unknown member: the one that was probably meant; static */
};
struct complaints {
	unsigned n;
	struct complaint at[COMPLAINTS_MAX];
};
void complaints_add(struct complaints *c, enum err code, const char *pointer, const char *nearest);
/* May a name that no table knows be repeated to its sender? Short, harmless letters, at most four digits. */
bool shape_may_show(const char *name);

/* Once per process, before the jail: jansson's allocator wipes, its hash seed is drawn. */
void shape_open(void);
/*
 * shape_parse(bytes, n, out)
 *   One JSON object, at most 8 deep, no member twice.
 *   out         json_decref it: that wipes it.
 *   Returns     ERR_OK · ERR_JSON · ERR_OUT_OF_RANGE (a number beyond 64 bits) · ERR_MEMORY.
 */
enum err shape_parse(const uint8_t *bytes, size_t n, json_t **out) MUST;
/*
 * shape_read(s, body, target, c)
 *   Fill target (zeroed or preset by the caller) from body; all problems are listed, up to COMPLAINTS_MAX.
 *   Returns     ERR_OK or the first complaint's code.
 */
enum err shape_read(const struct shape *s, json_t *body, void *target, struct complaints *c) MUST;
/*
 * shape_hash(method, path, body, except, out)
 *   SHA-256 over the method, the path and the canonical body (members sorted, no spaces) without the member `except`:
 *   the same request gives the same hash however it was spelled, another payment's path gives another.
 *   body may be NULL (counts as {}), except may be NULL.
 */
enum err shape_hash(const char *method, const char *path, json_t *body, const char *except, uint8_t out[32]) MUST;

#endif
