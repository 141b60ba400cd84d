#include "daemon/gate/query.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/str.h"

#define VALUE_BYTES 256

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
		   : c >= 'a' && c <= 'f' ? c - 'a' + 10
		   : c >= 'A' && c <= 'F' ? c - 'A' + 10
								  : -1;
}

static enum err
decode(const char *from, size_t n, char *out, size_t out_bytes)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)from[i];

		if (c == '%') {
			if (i + 2 >= n || hex_digit(from[i + 1]) < 0 || hex_digit(from[i + 2]) < 0)
				return ERR_QUERY;
			c = hex_digit(from[i + 1]) * 16 + hex_digit(from[i + 2]);
			i += 2;
		}
		if (c < 0x20 || c == 0x7f || at + 1 >= out_bytes)
			return ERR_QUERY;
		out[at++] = (char)c;
	}
	out[at] = '\0';
	return str_utf8((const uint8_t *)out, at) ? ERR_OK : ERR_QUERY;
}

static enum err
put_choice(const struct member *m, const char *value, char *at)
{
	for (const struct choice *c = m->choices; c->name; c++) {
		if (strcmp(c->name, value) == 0) {
			*(int *)(void *)at = c->value;
			return ERR_OK;
		}
	}
	return ERR_QUERY;
}

static enum err
put_time(const char *value, char *at)
{
	uint64_t seconds;

	if (!str_decimal(value, 253402300799, &seconds)) {
		*(int64_t *)(void *)at = (int64_t)seconds * 1000;
		return ERR_OK;
	}
	return clock_parse(value, (int64_t *)(void *)at);
}

static enum err
put(const struct member *m, const char *value, void *target)
{
	char *at = (char *)target + m->offset;
	uint64_t n;

	switch (m->kind) {
	case MEMBER_TEXT:
		if (strlen(value) < (size_t)m->least || strlen(value) > (size_t)m->most)
			return ERR_QUERY;
		return str_set(at, m->bytes, value);
	case MEMBER_UINT32:
		if (str_decimal(value, (uint64_t)m->most, &n) || (int64_t)n < m->least)
			return ERR_QUERY;
		*(uint32_t *)(void *)at = (uint32_t)n;
		return ERR_OK;
	case MEMBER_CHOICE:
		return put_choice(m, value, at);
	case MEMBER_TIME:
		return put_time(value, at);
	default:
		return ERR_INTERNAL;
	}
}

static enum err
read_one(const struct shape *s, const char *pair, size_t n, void *target, uint64_t *seen, struct complaints *c)
{
	size_t name_n = strcspn(pair, "=&"), i;
	char name[40], value[VALUE_BYTES], shown[48];

	if (name_n >= n || name_n == 0 || decode(pair, name_n, name, sizeof(name)) ||
		decode(pair + name_n + 1, n - name_n - 1, value, sizeof(value))) {
		complaints_add(c, ERR_QUERY, "?", NULL);
		return ERR_QUERY;
	}
	for (i = 0; i < s->n && strcmp(s->members[i].name, name) != 0; i++)
		;
	if (i == s->n) {
		const char *names[65] = {NULL};

		for (size_t k = 0; k < s->n && k < 64; k++)
			names[k] = s->members[k].name;
		(void)snprintf(shown, sizeof(shown), "?%s", shape_may_show(name) ? name : "");
		complaints_add(c, ERR_QUERY, shown, str_nearest(name, names));
		return ERR_QUERY;
	}
	(void)snprintf(shown, sizeof(shown), "?%s", s->members[i].name);
	if ((*seen >> i & 1) || put(&s->members[i], value, target)) {
		complaints_add(c, ERR_QUERY, shown, NULL);
		return ERR_QUERY;
	}
	*seen |= UINT64_C(1) << i;
	return ERR_OK;
}

enum err
query_read(const struct shape *s, const char *target, void *out, struct complaints *c)
{
	const char *p = strchr(target, '?');
	uint64_t seen = 0;
	enum err e;

	if (!p)
		return ERR_OK;
	for (p++; *p;) {
		size_t n = strcspn(p, "&");

		if ((e = read_one(s, p, n, out, &seen, c)))
			return e;
		p += n + (p[n] == '&');
	}
	return ERR_OK;
}
