#include "daemon/gate/shape.h"

#include <pb.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/currency.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#define DEPTH_MAX          8
#define METADATA_KEYS_MAX  50
#define METADATA_KEY_MAX   40
#define METADATA_VALUE_MAX 500
#define POINTER_BYTES      96

void
shape_open(void)
{
	json_set_alloc_funcs(mem_alloc, mem_free);
	json_object_seed(0);
}

void
complaints_add(struct complaints *c, enum err code, const char *pointer, const char *nearest)
{
	struct complaint *one;

	if (c->n == COMPLAINTS_MAX)
		return;
	one = &c->at[c->n++];
	one->code = code;
	one->nearest = nearest;
	(void)snprintf(one->pointer, sizeof(one->pointer), "%s", pointer);
}

/* jansson recurses as deep as the text does; so the text is measured before. */
static bool
too_deep(const uint8_t *bytes, size_t n)
{
	unsigned depth = 0;
	bool in_text = false;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = bytes[i];

		if (in_text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_text = false;
		} else if (c == '"') {
			in_text = true;
		} else if (c == '{' || c == '[') {
			if (++depth > DEPTH_MAX)
				return true;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

enum err
shape_parse(const uint8_t *bytes, size_t n, json_t **out)
{
	json_error_t error;
	json_t *j;

	*out = NULL;
	/* the parser passes over a NUL behind a number */
	if (n == 0 || memchr(bytes, 0, n) || too_deep(bytes, n))
		return ERR_JSON;
	j = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, &error);
	if (!j) {
		enum json_error_code code = json_error_code(&error);

		/* its text quotes the input: nothing of it may stay on our stack */
		mem_wipe(&error, sizeof(error));
		if (code == json_error_out_of_memory)
			return ERR_MEMORY;
		return code == json_error_numeric_overflow ? ERR_OUT_OF_RANGE : ERR_JSON;
	}
	if (!json_is_object(j)) {
		json_decref(j);
		return ERR_JSON;
	}
	*out = j;
	return ERR_OK;
}

/* ── one member each ── */

struct reading {
	struct complaints *complaints;
	const char *parent; /* pointer of the object that it stands in */
	void *target;
};
typedef enum err (*read_fn)(const struct reading *r, const struct member *m, json_t *v);

static enum err
out_of_bounds(const struct member *m)
{
	return m->bad ? m->bad : ERR_OUT_OF_RANGE;
}

static void *
place_of(const struct reading *r, const struct member *m)
{
	return (char *)r->target + m->offset;
}

static enum err
check_text(const struct member *m, const char *text, size_t n)
{
	if (n < (size_t)m->least || n > (size_t)m->most)
		return out_of_bounds(m);
	if ((m->flags & MEMBER_VISIBLE) && !str_visible(text, n))
		return ERR_CHARACTERS;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return ERR_CHARACTERS;
	if ((m->flags & MEMBER_NO_PAN) && str_holds_pan(text, n))
		return ERR_PAN_IN_METADATA;
	return ERR_OK;
}

static enum err
read_text(const struct reading *r, const struct member *m, json_t *v)
{
	enum err e;

	if (!json_is_string(v))
		return ERR_WRONG_TYPE;
	if ((e = check_text(m, json_string_value(v), json_string_length(v))))
		return e;
	return str_set(place_of(r, m), m->bytes, json_string_value(v)) ? out_of_bounds(m) : ERR_OK;
}

/* nanopb's bytes: a count and the bytes, the same layout whatever their number. */
static enum err
set_bytes(void *place, size_t bytes, const char *text, size_t n)
{
	PB_BYTES_ARRAY_T(1) *to = place;

	if (n > bytes)
		return ERR_OUT_OF_RANGE;
	to->size = (pb_size_t)n;
	memcpy(to->bytes, text, n);
	return ERR_OK;
}

static enum err
read_bytes(const struct reading *r, const struct member *m, json_t *v)
{
	enum err e;

	if (!json_is_string(v))
		return ERR_WRONG_TYPE;
	if ((e = check_text(m, json_string_value(v), json_string_length(v))))
		return e;
	return set_bytes(place_of(r, m), m->bytes, json_string_value(v), json_string_length(v)) ? out_of_bounds(m) : ERR_OK;
}

static enum err
read_digits(const struct reading *r, const struct member *m, json_t *v)
{
	const char *text = json_string_value(v);

	if (!json_is_string(v))
		return ERR_WRONG_TYPE;
	if (strspn(text, "0123456789") != json_string_length(v))
		return ERR_CHARACTERS;
	return read_bytes(r, m, v);
}

static enum err
read_number(const struct member *m, json_t *v, int64_t *out)
{
	if (!json_is_integer(v))
		return ERR_WRONG_TYPE;
	*out = json_integer_value(v);
	return *out < m->least || *out > m->most ? out_of_bounds(m) : ERR_OK;
}

static enum err
read_int64(const struct reading *r, const struct member *m, json_t *v)
{
	int64_t n;
	enum err e = read_number(m, v, &n);

	if (!e)
		*(int64_t *)place_of(r, m) = n;
	return e;
}

static enum err
read_uint32(const struct reading *r, const struct member *m, json_t *v)
{
	int64_t n;
	enum err e = read_number(m, v, &n);

	if (!e)
		*(uint32_t *)place_of(r, m) = (uint32_t)n;
	return e;
}

static enum err
read_duration(const struct reading *r, const struct member *m, json_t *v)
{
	int64_t n;
	enum err e = read_number(m, v, &n);

	if (!e)
		*(uint64_t *)place_of(r, m) = (uint64_t)n * 1000;
	return e;
}

static enum err
read_bool(const struct reading *r, const struct member *m, json_t *v)
{
	if (!json_is_boolean(v))
		return ERR_WRONG_TYPE;
	*(bool *)place_of(r, m) = json_is_true(v);
	return ERR_OK;
}

static enum err
read_choice(const struct reading *r, const struct member *m, json_t *v)
{
	if (!json_is_string(v))
		return ERR_WRONG_TYPE;
	for (const struct choice *c = m->choices; c->name; c++) {
		if (strcmp(c->name, json_string_value(v)) == 0) {
			*(int *)place_of(r, m) = c->value;
			return ERR_OK;
		}
	}
	return out_of_bounds(m);
}

static enum err
read_currency(const struct reading *r, const struct member *m, json_t *v)
{
	const struct currency *c;

	if (!json_is_string(v))
		return ERR_WRONG_TYPE;
	if (!(c = currency_by_code(json_string_value(v))))
		return ERR_CURRENCY;
	*(uint32_t *)place_of(r, m) = c->number;
	return ERR_OK;
}

static enum err
check_metadata(json_t *v)
{
	const char *key;
	json_t *value;

	if (!json_is_object(v))
		return ERR_WRONG_TYPE;
	if (json_object_size(v) > METADATA_KEYS_MAX)
		return ERR_METADATA;
	json_object_foreach(v, key, value)
	{
		size_t n = strlen(key);

		if (!json_is_string(value))
			return ERR_WRONG_TYPE;
		if (n == 0 || n > METADATA_KEY_MAX || json_string_length(value) > METADATA_VALUE_MAX)
			return ERR_METADATA;
		if (str_holds_pan(key, n) || str_holds_pan(json_string_value(value), json_string_length(value)))
			return ERR_PAN_IN_METADATA;
	}
	return ERR_OK;
}

static enum err
read_metadata(const struct reading *r, const struct member *m, json_t *v)
{
	PB_BYTES_ARRAY_T(1) *to = place_of(r, m);
	enum err e = check_metadata(v);
	size_t n;

	if (e || json_object_size(v) == 0)
		return e;
	n = json_dumpb(v, (char *)to->bytes, m->bytes, JSON_COMPACT | JSON_SORT_KEYS);
	if (n == 0 || n > m->bytes)
		return ERR_METADATA;
	to->size = (pb_size_t)n;
	return ERR_OK;
}

static enum err
read_refused(const struct reading *r, const struct member *m, json_t *v)
{
	(void)r, (void)v;
	return m->bad;
}

static enum err read_object(const struct reading *r, const struct member *m, json_t *v);

static const read_fn readers[] = {
	[MEMBER_TEXT] = read_text,         [MEMBER_DIGITS] = read_digits, [MEMBER_BYTES] = read_bytes,
	[MEMBER_INT64] = read_int64,       [MEMBER_UINT32] = read_uint32, [MEMBER_DURATION] = read_duration,
	[MEMBER_BOOL] = read_bool,         [MEMBER_CHOICE] = read_choice, [MEMBER_CURRENCY] = read_currency,
	[MEMBER_METADATA] = read_metadata, [MEMBER_OBJECT] = read_object, [MEMBER_REFUSED] = read_refused};

/* ── objects ── */

/* A card number that lost its way into a name has more digits than that. */
bool
shape_may_show(const char *name)
{
	size_t n = strlen(name), digits = 0;

	for (size_t i = 0; i < n; i++)
		digits += name[i] >= '0' && name[i] <= '9';
	return n > 0 && n <= 40 && digits <= 4 &&
		   strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == n;
}

static const struct member *
member_of(const struct shape *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->members[i].name, name) == 0)
			return &s->members[i];
	return NULL;
}

static const char *
nearest_of(const struct shape *s, const char *name)
{
	const char *names[64];
	size_t n = 0;

	for (size_t i = 0; i < s->n && n < 63; i++)
		names[n++] = s->members[i].name;
	names[n] = NULL;
	return str_nearest(name, names);
}

static void
pointer_to(char out[POINTER_BYTES], const char *parent, const char *name)
{
	(void)snprintf(out, POINTER_BYTES, "%.48s/%.40s", parent, name);
}

/* Pointers are written for complaints only: most members give none. */
static void
complain(struct complaints *c, enum err e, const char *parent, const char *name, const char *nearest)
{
	char at[POINTER_BYTES];

	pointer_to(at, parent, name);
	complaints_add(c, e, at, nearest);
}

static void
read_members(const struct shape *s, json_t *body, void *target, const char *pointer, struct complaints *c)
{
	const struct reading r = {.complaints = c, .parent = pointer, .target = target};
	const char *name;
	json_t *v;

	/* Names that are not known come first: a slip in a name is the likelier cause of a missing member. */
	json_object_foreach(body, name, v)
	{
		if (member_of(s, name))
			continue;
		if (shape_may_show(name))
			complain(c, ERR_UNKNOWN_MEMBER, pointer, name, nearest_of(s, name));
		else
			complaints_add(c, ERR_UNKNOWN_MEMBER, pointer, nearest_of(s, name));
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct member *m = &s->members[i];
		enum err e;

		v = json_object_get(body, m->name);
		if (!v) {
			if (m->flags & MEMBER_REQUIRED)
				complain(c, ERR_MISSING_MEMBER, pointer, m->name, NULL);
			continue;
		}
		if ((e = readers[m->kind](&r, m, v)))
			complain(c, e, pointer, m->name, NULL);
		else if (m->given)
			*(bool *)((char *)target + m->given) = true;
	}
}

static enum err
read_object(const struct reading *r, const struct member *m, json_t *v)
{
	char at[POINTER_BYTES];

	if (!json_is_object(v))
		return ERR_WRONG_TYPE;
	pointer_to(at, r->parent, m->name);
	read_members(m->shape, v, place_of(r, m), at, r->complaints);
	return ERR_OK;
}

enum err
shape_read(const struct shape *s, json_t *body, void *target, struct complaints *c)
{
	read_members(s, body, target, "", c);
	return c->n ? c->at[0].code : ERR_OK;
}

/* ── the hash ── */

static int
hash_chunk(const char *text, size_t n, void *arg)
{
	return crypto_hash_sha256_update(arg, (const unsigned char *)text, n);
}

enum err
shape_hash(const char *method, const char *path, json_t *body, const char *except, uint8_t out[32])
{
	crypto_hash_sha256_state state;
	json_t *copy = NULL;
	enum err e = ERR_OK;

	crypto_hash_sha256_init(&state);
	(void)hash_chunk(method, strlen(method), &state);
	(void)hash_chunk(" ", 1, &state);
	(void)hash_chunk(path, strlen(path), &state);
	(void)hash_chunk("\n", 1, &state);
	/* A shallow copy: the card's tree is shared, not doubled. */
	if (body && except && json_object_get(body, except)) {
		if (!(copy = json_copy(body)) || json_object_del(copy, except) != 0)
			e = ERR_MEMORY;
		body = copy;
	}
	if (!e && !body)
		(void)hash_chunk("{}", 2, &state);
	else if (!e && json_dump_callback(body, hash_chunk, &state, JSON_COMPACT | JSON_SORT_KEYS) != 0)
		e = ERR_MEMORY;
	crypto_hash_sha256_final(&state, out);
	json_decref(copy);
	return e;
}
