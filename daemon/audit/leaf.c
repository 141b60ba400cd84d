#include "daemon/audit/leaf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/str.h"

#define CERT_BYTES 32

static const struct {
	const char *name, *object;
} event_rows[] = {
#define EVENT(ID, name, log, object, what) [EVENT_##ID] = {name, #object},
#include "policy/event.def"
#undef EVENT
};

static const char *const outcome_names[] = {
	[LEAF_OK] = "ok",
	[LEAF_DENY] = "deny",
	[LEAF_ERROR] = "error",
	[LEAF_UNKNOWN] = "unknown",
};
static const char *const phase_names[] = {[LEAF_SINGLE] = "single", [LEAF_INTENT] = "intent", [LEAF_DONE] = "done"};
static const char *const actor_names[] = {
	[ACTOR_CLIENT] = "client", [ACTOR_OFFICER] = "officer",     [ACTOR_PROCESS] = "process",
	[ACTOR_UID] = "uid",       [ACTOR_PROCESSOR] = "processor",
};

const char *
audit_event_name(enum audit_event e)
{
	return (unsigned)e < EVENT_MAX ? event_rows[e].name : "?";
}

const char *
audit_event_object(enum audit_event e)
{
	return (unsigned)e < EVENT_MAX ? event_rows[e].object : "?";
}

/* The line as it grows. Once it is full nothing more goes in, and leaf_encode says so at its end. */
struct line {
	char text[LEAF_BYTES_MAX];
	size_t len;
	bool full;
	bool comma; /* the next member is not the first of its object */
};

static void
put(struct line *l, const char *bytes, size_t n)
{
	if (l->full || n > sizeof(l->text) - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->len, bytes, n);
	l->len += n;
}

static void
put_text(struct line *l, const char *text)
{
	put(l, text, strlen(text));
}

/* How many bytes the well-formed UTF-8 character at s has, and its code point; 0 when there is none. */
static size_t
next_character(const uint8_t *s, size_t left, uint32_t *point_out)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t point = n == 1 ? s[0] : s[0] & (0xffU >> (n + 1));

	if (n > left || !str_utf8(s, n))
		return 0;
	for (size_t i = 1; i < n; i++)
		point = (point << 6) | (s[i] & 0x3fU);
	*point_out = point;
	return n;
}

/* Characters that could move the cursor, reorder the line or hide in it on an auditor's screen. */
static bool
is_deceptive(uint32_t point)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00, 0x1f},     {'"', '"'},       {'\\', '\\'},     {0x7f, 0x9f},     {0xad, 0xad},     {0x061c, 0x061c},
		{0x180e, 0x180e}, {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x2069}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++)
		if (point >= ranges[i].first && point <= ranges[i].last)
			return true;
	return false;
}

static void
put_string(struct line *l, const char *text)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t left = strlen(text), n;
	uint32_t point;
	char escape[8];

	put(l, "\"", 1);
	for (; left > 0; s += n, left -= n) {
		/* nearly all of it is plain and goes in one piece */
		for (n = 0; n < left && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\'; n++)
			;
		if (n > 0) {
			put(l, (const char *)s, n);
			continue;
		}
		n = next_character(s, left, &point);
		if (n == 0) {
			/* not UTF-8: one replacement character for the byte, so that the record stays valid JSON */
			put_text(l, "\\ufffd");
			n = 1;
		} else if (is_deceptive(point)) {
			snprintf(escape, sizeof(escape), "\\u%04" PRIx32, point);
			put_text(l, escape);
		} else {
			put(l, (const char *)s, n);
		}
	}
	put(l, "\"", 1);
}

static void
begin_member(struct line *l, const char *key)
{
	if (l->comma)
		put(l, ",", 1);
	put(l, "\"", 1);
	put_text(l, key);
	put(l, "\":", 2);
	l->comma = true;
}

static void
put_member(struct line *l, const char *key, const char *text)
{
	if (!text || !*text)
		return;
	begin_member(l, key);
	put_string(l, text);
}

static void
put_number(struct line *l, const char *key, int64_t number)
{
	char digits[24];

	begin_member(l, key);
	snprintf(digits, sizeof(digits), "%" PRId64, number);
	put_text(l, digits);
}

static void
open_object(struct line *l, const char *key)
{
	begin_member(l, key);
	put(l, "{", 1);
	l->comma = false;
}

static void
close_object(struct line *l)
{
	put(l, "}", 1);
	l->comma = true;
}

static bool
is_there(const char *text)
{
	return text && *text;
}

static void
put_head(struct line *l, const struct leaf *f)
{
	char when[CLOCK_TEXT_BYTES];

	put_number(l, "v", 1);
	put_number(l, "seq", (int64_t)f->seq);
	clock_text(f->wall_ms, when);
	begin_member(l, "ts");
	put_string(l, when);
	if (f->mono_ms != 0)
		put_number(l, "mono", f->mono_ms);
	begin_member(l, "install");
	put_string(l, f->install ? f->install : "");
	begin_member(l, "proc");
	put_string(l, f->proc ? f->proc : "");
}

static void
put_actor(struct line *l, const struct leaf *f)
{
	char hex[2 * CERT_BYTES + 1];

	if (f->actor != ACTOR_NONE) {
		open_object(l, "actor");
		put_member(l, "kind", actor_names[f->actor]);
		put_member(l, "id", f->actor_id);
		if (f->cert_sha256) {
			str_hex(f->cert_sha256, CERT_BYTES, hex);
			put_member(l, "cert_sha256", hex);
		}
		put_member(l, "mfa", f->mfa);
		close_object(l);
	}
	if (is_there(f->ip) || is_there(f->session)) {
		open_object(l, "origin");
		put_member(l, "ip", f->ip);
		put_member(l, "session", f->session);
		close_object(l);
	}
}

/* The only free text of a record: a card number that slipped into it must not become part of a log that is kept for
 * years. */
static const char *
safe_reason(const char *reason)
{
	return is_there(reason) && str_holds_pan(reason, strlen(reason)) ? "[card number removed]" : reason;
}

static void
put_deed(struct line *l, const struct leaf *f)
{
	put_member(l, "ev", event_rows[f->event].name);
	if (is_there(f->object_id)) {
		open_object(l, "obj");
		put_member(l, "kind", event_rows[f->event].object);
		put_member(l, "id", f->object_id);
		close_object(l);
	}
	put_member(l, "merchant", f->merchant);
	put_member(l, "outcome", outcome_names[f->outcome]);
	if (f->code != ERR_OK)
		put_member(l, "code", err_code(f->code));
	put_member(l, "request", f->request);
	put_member(l, "reason", safe_reason(f->reason));
	if (is_there(f->key_id)) {
		open_object(l, "key");
		put_member(l, "id", f->key_id);
		put_number(l, "gen", f->key_generation);
		close_object(l);
	}
	put_member(l, "ceremony", f->ceremony);
	put_member(l, "phase", phase_names[f->phase]);
	if (f->phase == LEAF_DONE)
		put_number(l, "of", (int64_t)f->of);
	if (f->count != 0)
		put_number(l, "count", f->count);
}

enum err
leaf_encode(const struct leaf *f, char out[LEAF_BYTES_MAX], size_t *bytes_out)
{
	struct line l = {.len = 0};

	assert((unsigned)f->event < EVENT_MAX && (unsigned)f->outcome <= LEAF_UNKNOWN && (unsigned)f->phase <= LEAF_DONE &&
		   (unsigned)f->actor <= ACTOR_PROCESSOR);
	put(&l, "{", 1);
	put_head(&l, f);
	put_actor(&l, f);
	put_deed(&l, f);
	put(&l, "}", 1);
	if (l.full)
		return ERR_OUT_OF_RANGE;
	memcpy(out, l.text, l.len);
	*bytes_out = l.len;
	return ERR_OK;
}
