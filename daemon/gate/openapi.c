#include "daemon/gate/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "daemon/gate/client_cache.h"
#include "daemon/gate/route.h"

/* ── request shapes as schemas ── */

static const char *const member_types[] = {
	[MEMBER_TEXT] = "string",     [MEMBER_DIGITS] = "string",    [MEMBER_BYTES] = "string",  [MEMBER_INT64] = "integer",
	[MEMBER_UINT32] = "integer",  [MEMBER_DURATION] = "integer", [MEMBER_BOOL] = "boolean",  [MEMBER_CHOICE] = "string",
	[MEMBER_CURRENCY] = "string", [MEMBER_METADATA] = "object",  [MEMBER_OBJECT] = "object", [MEMBER_TIME] = "string",
	[MEMBER_REFUSED] = NULL};

static void
write_ref(struct writer *w, const char *key, const char *schema)
{
	char ref[80];

	(void)snprintf(ref, sizeof(ref), "#/components/schemas/%s", schema);
	writer_begin(w, key, '{');
	writer_text(w, "$ref", ref);
	writer_end(w, '}');
}

static void
write_bounds(struct writer *w, const struct member *m)
{
	switch (m->kind) {
	case MEMBER_TEXT:
	case MEMBER_BYTES:
	case MEMBER_DIGITS:
		writer_int(w, "minLength", m->least);
		writer_int(w, "maxLength", m->most);
		if (m->kind == MEMBER_DIGITS)
			writer_text(w, "pattern", "^[0-9]+$");
		break;
	case MEMBER_INT64:
	case MEMBER_UINT32:
	case MEMBER_DURATION:
		writer_int(w, "minimum", m->least);
		writer_int(w, "maximum", m->most);
		break;
	case MEMBER_CURRENCY:
		writer_text(w, "pattern", "^[A-Z]{3}$");
		break;
	case MEMBER_CHOICE:
		writer_begin(w, "enum", '[');
		for (const struct choice *c = m->choices; c->name; c++)
			writer_text(w, NULL, c->name);
		writer_end(w, ']');
		break;
	case MEMBER_METADATA:
		writer_int(w, "maxProperties", 50);
		writer_begin(w, "additionalProperties", '{');
		writer_text(w, "type", "string");
		writer_int(w, "maxLength", 500);
		writer_end(w, '}');
		break;
	default:
		break;
	}
}

static void
write_member(struct writer *w, const char *key, const struct member *m)
{
	if (m->kind == MEMBER_OBJECT) {
		write_ref(w, key, m->shape->name);
		return;
	}
	writer_begin(w, key, '{');
	writer_text(w, "type", member_types[m->kind]);
	write_bounds(w, m);
	if (m->what)
		writer_text(w, "description", m->what);
	writer_end(w, '}');
}

static void
write_shape(struct writer *w, const struct shape *s)
{
	bool required = false;

	writer_begin(w, s->name, '{');
	writer_text(w, "type", "object");
	writer_bool(w, "additionalProperties", false);
	writer_begin(w, "properties", '{');
	for (size_t i = 0; i < s->n; i++)
		if (member_types[s->members[i].kind])
			write_member(w, s->members[i].name, &s->members[i]);
	writer_end(w, '}');
	for (size_t i = 0; i < s->n; i++) {
		if (!(s->members[i].flags & MEMBER_REQUIRED))
			continue;
		if (!required)
			writer_begin(w, "required", '[');
		required = true;
		writer_text(w, NULL, s->members[i].name);
	}
	if (required)
		writer_end(w, ']');
	writer_end(w, '}');
}

/* ── operations ── */

static void
write_parameter(struct writer *w, const char *in, const char *name, bool required, const struct member *m)
{
	writer_begin(w, NULL, '{');
	writer_text(w, "name", name);
	writer_text(w, "in", in);
	writer_bool(w, "required", required);
	if (m) {
		write_member(w, "schema", m);
	} else {
		writer_begin(w, "schema", '{');
		writer_text(w, "type", "string");
		writer_end(w, '}');
	}
	writer_end(w, '}');
}

static void
write_parameters(struct writer *w, const struct route *r)
{
	static const struct member key = {.kind = MEMBER_TEXT, .least = 1, .most = 255, .what = "unique for each request"};

	writer_begin(w, "parameters", '[');
	if (strchr(r->path, '{'))
		write_parameter(w, "path", "id", true, NULL);
	if (r->flags & ROUTE_KEY)
		write_parameter(w, "header", "Idempotency-Key", true, &key);
	for (size_t i = 0; r->query && i < r->query->n; i++)
		write_parameter(w, "query", r->query->members[i].name, false, &r->query->members[i]);
	writer_end(w, ']');
}

static void
write_answer(struct writer *w, const char *status, const char *what, const char *media, const char *schema)
{
	writer_begin(w, status, '{');
	writer_text(w, "description", what);
	if (schema) {
		writer_begin(w, "content", '{');
		writer_begin(w, media, '{');
		write_ref(w, "schema", schema);
		writer_end(w, '}');
		writer_end(w, '}');
	}
	writer_end(w, '}');
}

static void
write_answers(struct writer *w, const struct route *r)
{
	char status[8], schema[48] = "";

	(void)snprintf(status, sizeof(status), "%d", r->status);
	if (r->answer)
		(void)snprintf(schema, sizeof(schema), "%s%s", r->answer->schema, r->list ? "List" : "");
	writer_begin(w, "responses", '{');
	write_answer(w, status, "Done", "application/json", *schema ? schema : NULL);
	if (strcmp(r->id, "createPayment") == 0)
		write_answer(w, "202", "Accepted; read it at Location until it is final", "application/json", schema);
	if (strcmp(r->id, "createToken") == 0)
		write_answer(w, "200", "The same card has a token already", "application/json", schema);
	write_answer(w, "default", "A problem", "application/problem+json", "Problem");
	writer_end(w, '}');
}

static void
write_operation(struct writer *w, const char *tag, const struct route *r)
{
	char method[8] = "";

	for (size_t i = 0; method_name(r->method)[i] && i < sizeof(method) - 1; i++)
		method[i] = (char)tolower((unsigned char)method_name(r->method)[i]);
	writer_begin(w, method, '{');
	writer_text(w, "operationId", r->id);
	writer_text(w, "summary", r->summary);
	if (r->scope != SCOPE_NONE) {
		char text[80];

		(void)snprintf(text, sizeof(text), "Needs the scope %s.", client_cache_scope_name((enum scope)r->scope));
		writer_text(w, "description", text);
	}
	writer_begin(w, "tags", '[');
	writer_text(w, NULL, tag);
	writer_end(w, ']');
	write_parameters(w, r);
	if (r->body) {
		writer_begin(w, "requestBody", '{');
		writer_bool(w, "required", r->flags & ROUTE_BODY);
		writer_begin(w, "content", '{');
		writer_begin(w, "application/json", '{');
		write_ref(w, "schema", r->body->name);
		if (r->example)
			writer_raw(w, "example", r->example, strlen(r->example));
		writer_end(w, '}');
		writer_end(w, '}');
		writer_end(w, '}');
	}
	write_answers(w, r);
	writer_end(w, '}');
}

/* "/v1/payments/{pay}" becomes "/v1/payments/{id}". */
static void
public_path(const char *path, char out[80])
{
	const char *open = strchr(path, '{'), *end = open ? strchr(open, '}') : NULL;

	if (end)
		(void)snprintf(out, 80, "%.*s{id}%s", (int)(open - path), path, end + 1);
	else
		(void)snprintf(out, 80, "%s", path);
}

/* Routes of one path stand together in the tables; a path object begins with its first route. */
static void
write_paths(struct writer *w)
{
	writer_begin(w, "paths", '{');
	for (const struct api *const *a = route_apis(); *a; a++) {
		for (size_t i = 0; i < (*a)->n; i++) {
			const struct route *r = &(*a)->routes[i];
			char path[80];

			if (i > 0 && strcmp(r->path, (*a)->routes[i - 1].path) == 0)
				continue;
			public_path(r->path, path);
			writer_begin(w, path, '{');
			for (size_t k = i; k < (*a)->n && strcmp((*a)->routes[k].path, r->path) == 0; k++)
				write_operation(w, (*a)->name, &(*a)->routes[k]);
			writer_end(w, '}');
		}
	}
	writer_end(w, '}');
}

/* ── components ── */

static void
write_list_schema(struct writer *w, const struct object *o)
{
	char name[48];

	(void)snprintf(name, sizeof(name), "%sList", o->schema);
	writer_begin(w, name, '{');
	writer_raw(w, "type", "\"object\"", 8);
	writer_begin(w, "properties", '{');
	writer_raw(w, "object", "{\"type\":\"string\",\"const\":\"list\"}", 32);
	writer_begin(w, "data", '{');
	writer_text(w, "type", "array");
	write_ref(w, "items", o->schema);
	writer_end(w, '}');
	writer_raw(w, "has_more", "{\"type\":\"boolean\"}", 18);
	writer_raw(w, "next_cursor", "{\"type\":\"string\"}", 17);
	writer_end(w, '}');
	writer_raw(w, "required", "[\"object\",\"data\",\"has_more\"]", 28);
	writer_end(w, '}');
}

static const char problem_schema[] =
	"{\"type\":\"object\",\"description\":\"RFC 9457; code is stable, take unknown values too\",\"properties\":{"
	"\"type\":{\"type\":\"string\",\"format\":\"uri-reference\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":"
	"\"integer\"},"
	"\"detail\":{\"type\":\"string\"},\"instance\":{\"type\":\"string\"},\"code\":{\"type\":\"string\"},"
	"\"category\":{\"type\":\"string\"},\"retryable\":{\"type\":\"boolean\"},\"decline_code\":{\"type\":\"string\"},"
	"\"network_code\":{\"type\":\"string\"},\"processor\":{\"type\":\"string\"},\"processor_code\":{\"type\":"
	"\"string\"},"
	"\"advice\":{\"type\":\"string\"},\"allowed_actions\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
	"\"errors\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/ProblemError\"}},"
	"\"payment\":{\"$ref\":\"#/components/schemas/Payment\"},\"request_id\":{\"type\":\"string\"},"
	"\"trace_id\":{\"type\":\"string\"}},\"required\":[\"type\",\"title\",\"status\",\"code\",\"category\","
	"\"retryable\",\"request_id\"]}";
static const char error_schema[] =
	"{\"type\":\"object\",\"properties\":{\"pointer\":{\"type\":\"string\"},\"parameter\":{\"type\":\"string\"},"
	"\"code\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"},\"nearest\":{\"type\":\"string\"}},\"required\":["
	"\"code\"]}";

static void
write_nested_shapes(struct writer *w, const struct shape *s, const struct shape **done, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		if (done[i] == s)
			return;
	if (*n == 32)
		return;
	done[(*n)++] = s;
	write_shape(w, s);
	for (size_t i = 0; i < s->n; i++)
		if (s->members[i].kind == MEMBER_OBJECT)
			write_nested_shapes(w, s->members[i].shape, done, n);
}

static void
write_components(struct writer *w)
{
	static const struct object *const objects[] = {&render_token,  &render_payment, &render_capture,
												   &render_refund, &render_event,   &render_request};
	const struct shape *done[32];
	size_t n = 0;

	writer_begin(w, "components", '{');
	writer_begin(w, "securitySchemes", '{');
	writer_raw(w, "mutualTLS", "{\"type\":\"mutualTLS\"}", 20);
	writer_end(w, '}');
	writer_begin(w, "schemas", '{');
	writer_raw(w, "Problem", problem_schema, sizeof(problem_schema) - 1);
	writer_raw(w, "ProblemError", error_schema, sizeof(error_schema) - 1);
	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects); i++) {
		render_schema(w, objects[i]);
		write_list_schema(w, objects[i]);
	}
	for (const struct api *const *a = route_apis(); *a; a++)
		for (size_t i = 0; i < (*a)->n; i++)
			if ((*a)->routes[i].body)
				write_nested_shapes(w, (*a)->routes[i].body, done, &n);
	writer_end(w, '}');
	writer_end(w, '}');
}

void
openapi_write(struct writer *w)
{
	writer_begin(w, NULL, '{');
	writer_text(w, "openapi", "3.1.0");
	writer_begin(w, "info", '{');
	writer_text(w, "title", "Sallyport");
	writer_text(w, "version", PACKAGE_VERSION);
	writer_text(
		w, "description",
		"Card vault and payment authorization. Connect with a client certificate; amounts are integer minor units.");
	writer_end(w, '}');
	writer_begin(w, "servers", '[');
	writer_raw(w, NULL, "{\"url\":\"/\"}", 11);
	writer_end(w, ']');
	writer_begin(w, "security", '[');
	writer_raw(w, NULL, "{\"mutualTLS\":[]}", 16);
	writer_end(w, ']');
	write_paths(w);
	write_components(w);
	writer_end(w, '}');
}
