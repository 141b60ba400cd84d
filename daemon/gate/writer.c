#include "daemon/gate/writer.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/str.h"

void
writer_init(struct writer *w, struct buf *out)
{
	*w = (struct writer){.out = out};
}

static void
put(struct writer *w, const void *bytes, size_t n)
{
	if (!w->e)
		w->e = buf_add(w->out, bytes, n);
}

static void
put_text(struct writer *w, const char *text)
{
	const char *from = text;

	put(w, "\"", 1);
	for (const char *p = text;; p++) {
		char escape[8];

		if (*p && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\')
			continue;
		put(w, from, (size_t)(p - from));
		if (!*p)
			break;
		(void)snprintf(escape, sizeof(escape), *p == '"' || *p == '\\' ? "\\%c" : "\\u%04x", (unsigned char)*p);
		put(w, escape, strlen(escape));
		from = p + 1;
	}
	put(w, "\"", 1);
}

static void
put_key(struct writer *w, const char *key)
{
	if (w->comma)
		put(w, ",", 1);
	w->comma = true;
	if (!key)
		return;
	put_text(w, key);
	put(w, ":", 1);
}

void
writer_begin(struct writer *w, const char *key, char bracket)
{
	put_key(w, key);
	put(w, &bracket, 1);
	w->comma = false;
}

void
writer_end(struct writer *w, char bracket)
{
	put(w, &bracket, 1);
	w->comma = true;
}

void
writer_text(struct writer *w, const char *key, const char *text)
{
	put_key(w, key);
	put_text(w, text);
}

void
writer_int(struct writer *w, const char *key, int64_t n)
{
	char digits[24];
	char *at = digits + sizeof(digits);
	uint64_t rest = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

	put_key(w, key);
	do
		*--at = (char)('0' + rest % 10);
	while (rest /= 10);
	if (n < 0)
		*--at = '-';
	put(w, at, (size_t)(digits + sizeof(digits) - at));
}

void
writer_bool(struct writer *w, const char *key, bool b)
{
	put_key(w, key);
	put(w, b ? "true" : "false", b ? 4 : 5);
}

void
writer_time(struct writer *w, const char *key, int64_t wall_ms)
{
	char text[CLOCK_TEXT_BYTES];

	clock_text(wall_ms, text);
	writer_text(w, key, text);
}

void
writer_hex(struct writer *w, const char *key, const uint8_t *bytes, size_t n)
{
	char hex[129];

	str_hex(bytes, n < 64 ? n : 64, hex);
	writer_text(w, key, hex);
}

void
writer_raw(struct writer *w, const char *key, const void *json, size_t n)
{
	put_key(w, key);
	put(w, json, n);
}
