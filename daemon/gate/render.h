/*
 * render — the objects of the API as tables: from the messages' views to JSON, and to the schemas of /openapi.json.
 * Invariants: a member that an object has is in its table, so the document and the answers can't differ; every object
 *   has id, object and livemode; optional members that are empty are left out.
 */
#ifndef DAEMON_GATE_RENDER_H
#define DAEMON_GATE_RENDER_H

#include "daemon/gate/writer.h"
#include "policy/schema/object.pb.h"
#include "policy/schema/wire.pb.h"

enum field_kind {
	FIELD_CONST, /* text in `more` */
	FIELD_TEXT,  /* char[] */
	FIELD_TIME,  /* int64_t Unix milliseconds */
	FIELD_INT64,
	FIELD_UINT32,
	FIELD_UINT64,
	FIELD_BOOL,
	FIELD_CURRENCY, /* uint32_t number, letters in JSON */
	FIELD_ENUM,     /* names in `more` (const char *const *), by value */
	FIELD_UINT64S,  /* repeated: count at `offset`, values at `extra` */
	FIELD_ENUMS,    /* repeated: count at `offset`, values at `extra` */
	FIELD_OBJECT,   /* `more` is a struct object; offset is where it lies; extra its has_ flag */
	FIELD_MODE,     /* livemode of the installation */
	FIELD_METADATA  /* nanopb bytes array of canonical JSON */
};

struct field {
	const char *name;
	enum field_kind kind;
	bool optional; /* left out when empty or 0 */
	size_t offset, extra;
	const void *more;
	const char *what;
};

struct object {
	const char *schema; /* "Payment" */
	const struct field *fields;
	size_t n;
};

extern const struct object render_payment, render_token, render_capture, render_refund, render_event, render_request;

void render_object(struct writer *w, const char *key, const struct object *o, const void *view);
/* The schema of one object for OpenAPI 3.1, as an element named after it. */
void render_schema(struct writer *w, const struct object *o);
/*
 * render_list(w, o, view, fields, data, n, has_more, cursor)
 *   A list object out of length-delimited views. `view` is room for one decoded view, `fields` its descriptor.
 *   Returns   ERR_OK · ERR_PROTOCOL (data did not decode).
 */
enum err render_list(struct writer *w, const struct object *o, void *view, const pb_msgdesc_t *fields,
					 const uint8_t *data, size_t n, bool has_more, const char *cursor) MUST;
/* The member allowed_actions alone. */
void render_actions(struct writer *w, const sp_payment_view *p);
/* What events say for livemode, as the installation is; test until told otherwise. */
void render_livemode(bool live);
/* "authorized"; "" for STATUS_NONE. */
const char *render_status(sp_payment_status s);

#endif
