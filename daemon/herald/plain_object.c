#include "daemon/herald/plain_object.h"

#include <string.h>

#define DEPTH_MAX  8
#define NAMES_MAX  128 /* of all open objects together */
#define DIGITS_MAX 18  /* what surely fits 64 bits */

struct name {
	const uint8_t *at;
	size_t n;
};

struct scan {
	const uint8_t *at, *end;
	struct name names[NAMES_MAX];
	unsigned names_n, depth;
};

static bool value(struct scan *s);

static bool
take(struct scan *s, uint8_t c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

static bool
word(struct scan *s, const char *text)
{
	size_t n = strlen(text);
	if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
		return false;
	s->at += n;
	return true;
}

static bool
string(struct scan *s, struct name *out)
{
	if (!take(s, '"'))
		return false;
	out->at = s->at;
	while (s->at < s->end && *s->at >= 0x20 && *s->at < 0x7f && *s->at != '"' && *s->at != '\\')
		s->at++;
	out->n = (size_t)(s->at - out->at);
	return take(s, '"');
}

static bool
number(struct scan *s)
{
	const uint8_t *from = s->at;
	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	size_t n = (size_t)(s->at - from);
	/* a fraction or an exponent ends here too, and what follows is then no comma */
	return n > 0 && n <= DIGITS_MAX && (n == 1 || *from != '0');
}

/* A name that this object, whose first name stands at `first`, does not have yet. */
static bool
new_name(struct scan *s, unsigned first)
{
	struct name name;
	if (s->names_n == NAMES_MAX || !string(s, &name) || name.n == 0)
		return false;
	for (unsigned i = first; i < s->names_n; i++)
		if (s->names[i].n == name.n && memcmp(s->names[i].at, name.at, name.n) == 0)
			return false;
	s->names[s->names_n++] = name;
	return true;
}

static bool
object(struct scan *s)
{
	unsigned first = s->names_n;
	if (!take(s, '{'))
		return false;
	if (take(s, '}'))
		return true;
	do
		if (!new_name(s, first) || !take(s, ':') || !value(s))
			return false;
	while (take(s, ','));
	s->names_n = first;
	return take(s, '}');
}

static bool
array(struct scan *s)
{
	if (!take(s, '['))
		return false;
	if (take(s, ']'))
		return true;
	do
		if (!value(s))
			return false;
	while (take(s, ','));
	return take(s, ']');
}

static bool
value(struct scan *s)
{
	struct name text;
	bool yes = false;
	if (s->at == s->end || s->depth == DEPTH_MAX)
		return false;
	s->depth++;
	if (*s->at == '"')
		yes = string(s, &text);
	else if (*s->at == '{')
		yes = object(s);
	else if (*s->at == '[')
		yes = array(s);
	else
		yes = word(s, "true") || word(s, "false") || word(s, "null") || number(s);
	s->depth--;
	return yes;
}

bool
plain_object(const uint8_t *bytes, size_t n)
{
	/* not set whole: the names are two kilobytes, and each is written before it is read */
	struct scan s;
	s.at = bytes;
	s.end = bytes + n;
	s.names_n = s.depth = 0;
	return object(&s) && s.at == s.end;
}
