#include "daemon/base/conf.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"

enum kind { KIND_TEXT, KIND_ADDRESS, KIND_PATH, KIND_INT, KIND_BOOL, KIND_TIME, KIND_SIZE, KIND_ENUM };

struct key {
	const char *name;
	enum kind kind;
	const char *choices; /* ENUM: "a|b" */
	const char *preset;
	int64_t least, most;
	const char *unit;
	bool live;
	const char *what;
};

/* The type column of config.def is one word or ENUM("…"): both become two members of struct key. */
#define TEXT          KIND_TEXT, NULL
#define ADDRESS       KIND_ADDRESS, NULL
#define PATH          KIND_PATH, NULL
#define INT           KIND_INT, NULL
#define BOOL          KIND_BOOL, NULL
#define TIME          KIND_TIME, NULL
#define SIZE          KIND_SIZE, NULL
#define ENUM(choices) KIND_ENUM, choices
#define LIVE          true
#define START         false
static const struct key keys[CONF_MAX] = {
#define KEY(ID, name, type, preset, least, most, unit, reload, what) \
	[CONF_##ID] = {name, type, preset, least, most, unit, reload, what},
#include "policy/config.def"
#undef KEY
};
#undef TEXT
#undef ADDRESS
#undef PATH
#undef INT
#undef BOOL
#undef TIME
#undef SIZE
#undef ENUM
#undef LIVE
#undef START

static const char *const names[CONF_MAX + 1] = {
#define KEY(ID, name, type, preset, least, most, unit, reload, what) name,
#include "policy/config.def"
#undef KEY
};

#define VALUE_BYTES   256
#define ORIGIN_BYTES  80
#define ALLOWED_BYTES 160
#define DIGITS_SHOWN  3 /* in a key that is not known */

struct value {
	char text[VALUE_BYTES]; /* as written: what a dump prints and a parse reads back */
	int64_t number;
	char origin[ORIGIN_BYTES];
};

struct conf {
	struct value values[CONF_MAX];
};

struct suffix {
	const char *text;
	int64_t factor;
};
static const struct suffix times[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct suffix sizes[] = {{"", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};
static const struct suffix plain[] = {{"", 1}, {NULL, 0}};

static const char *
unit_text(const struct key *k, int64_t n, char *out, size_t size)
{
	const struct suffix *s = k->kind == KIND_TIME ? times : k->kind == KIND_SIZE ? sizes : plain, *best = s;
	for (; s->text; s++)
		if (n && n % s->factor == 0)
			best = s;
	snprintf(out, size, "%lld%s", (long long)(n / best->factor), best->text);
	return out;
}

void
conf_allowed(enum conf_key key, char *out, size_t size)
{
	const struct key *k = &keys[key];
	char least[32], most[32];
	switch (k->kind) {
	case KIND_TEXT:
		snprintf(out, size, "%lld to %lld printable characters", (long long)k->least, (long long)k->most);
		return;
	case KIND_ADDRESS:
		snprintf(out, size, "address:port in numbers, as 127.0.0.1:8443 or [::1]:8443");
		return;
	case KIND_PATH:
		snprintf(out, size, "an absolute path of %lld to %lld printable characters", (long long)k->least,
				 (long long)k->most);
		return;
	case KIND_BOOL:
		snprintf(out, size, "yes or no");
		return;
	case KIND_ENUM:
		snprintf(out, size, "%s", k->choices);
		for (char *p = out; (p = strchr(p, '|')) != NULL;)
			*p = ' ';
		return;
	case KIND_INT:
	case KIND_TIME:
	case KIND_SIZE:
		snprintf(out, size, "%s to %s%s", unit_text(k, k->least, least, sizeof least),
				 unit_text(k, k->most, most, sizeof most),
				 k->kind == KIND_TIME   ? " (ms, s, m, h, d)"
				 : k->kind == KIND_SIZE ? " (KiB, MiB, GiB)"
										: "");
	}
}

/* Digits and one known suffix; false for anything else, also for what does not fit into 63 bits. */
static bool
read_number(const char *text, const struct suffix *s, int64_t *out)
{
	char digits[20];
	size_t n = strspn(text, "0123456789");
	uint64_t v;
	if (n == 0 || n >= sizeof digits)
		return false;
	memcpy(digits, text, n);
	digits[n] = 0;
	for (; s->text; s++)
		if (strcmp(text + n, s->text) == 0)
			break;
	if (!s->text || str_decimal(digits, (uint64_t)(INT64_MAX / s->factor), &v) != ERR_OK)
		return false;
	*out = (int64_t)v * s->factor;
	return true;
}

static bool
is_choice(const char *choices, const char *text)
{
	size_t n = strlen(text);
	for (const char *p = strchr(text, '|') ? NULL : choices; p; p = strchr(p, '|'), p = p ? p + 1 : NULL)
		if (n && strncmp(p, text, n) == 0 && (p[n] == '|' || p[n] == 0))
			return true;
	return false;
}

/* What a line could not carry is refused here too, so that every dump reads back as it was. */
static bool
is_line_text(const char *s)
{
	if (s[0] == ' ' || (s[0] && s[strlen(s) - 1] == ' '))
		return false;
	for (size_t i = 0; s[i]; i++)
		if (s[i] < 0x20 || s[i] > 0x7e || (s[i] == '#' && (i == 0 || s[i - 1] == ' ')))
			return false;
	return true;
}

/* In numbers: a name would have to be looked up, and whoever answers would choose where we listen. */
enum err
conf_address(const char *text, char host[CONF_HOST_BYTES], char port[CONF_PORT_BYTES])
{
	struct in6_addr parsed;
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	bool six = n > 2 && text[0] == '[' && text[n - 1] == ']';
	uint64_t number;
	_Static_assert(CONF_HOST_BYTES >= INET6_ADDRSTRLEN, "every address has room");
	if (six)
		n -= 2;
	if (n == 0 || n >= CONF_HOST_BYTES || str_decimal(colon + 1, 65535, &number) != ERR_OK || number == 0)
		return ERR_CONFIG;
	memcpy(host, text + six, n);
	host[n] = 0;
	snprintf(port, CONF_PORT_BYTES, "%u", (unsigned)number);
	return inet_pton(six ? AF_INET6 : AF_INET, host, &parsed) == 1 ? ERR_OK : ERR_CONFIG;
}

static bool
is_address(const char *text)
{
	char host[CONF_HOST_BYTES], port[CONF_PORT_BYTES];
	return conf_address(text, host, port) == ERR_OK;
}

static bool
take_value(const struct key *k, const char *text, int64_t *number_out)
{
	int64_t n = 0;
	bool ok = false;
	switch (k->kind) {
	case KIND_TEXT:
		n = (int64_t)strlen(text);
		ok = is_line_text(text);
		break;
	case KIND_ADDRESS:
		n = (int64_t)strlen(text);
		ok = is_address(text);
		break;
	case KIND_PATH:
		n = (int64_t)strlen(text);
		ok = text[0] == '/' && is_line_text(text);
		break;
	case KIND_ENUM:
		*number_out = 0;
		return is_choice(k->choices, text);
	case KIND_BOOL:
		*number_out = strcmp(text, "yes") == 0;
		return *number_out || strcmp(text, "no") == 0;
	case KIND_INT:
		ok = read_number(text, plain, &n);
		break;
	case KIND_TIME:
		ok = read_number(text, times, &n);
		break;
	case KIND_SIZE:
		ok = read_number(text, sizes, &n);
		break;
	}
	*number_out = n;
	return ok && n >= k->least && n <= k->most;
}

static enum err
set_value(struct conf *c, enum conf_key key, const char *text, const char *origin)
{
	struct value *v = &c->values[key];
	int64_t number;
	if (strlen(text) >= VALUE_BYTES || !take_value(&keys[key], text, &number))
		return ERR_CONFIG;
	v->number = number;
	/* text may be our own value: memmove */
	memmove(v->text, text, strlen(text) + 1);
	snprintf(v->origin, sizeof v->origin, "%s", origin);
	return ERR_OK;
}

struct conf *
conf_new(void)
{
	struct conf *c = mem_new(1, sizeof *c);
	for (unsigned k = 0; c && k < CONF_MAX; k++)
		if (set_value(c, k, keys[k].preset, CONF_PRESET) != ERR_OK)
			abort(); /* a row of config.def whose preset breaks its own bounds */
	return c;
}

void
conf_free(struct conf *c)
{
	mem_free(c);
}

/* Where a parse stands: for messages and for the rule that a file names a key once. */
struct reader {
	struct conf *c;
	const char *file;
	unsigned line;
	unsigned seen[CONF_MAX]; /* line of the key in this file */
	struct buf *problems;
	bool bad;
};

static void
complain(struct reader *r, const char *key, const char *problem, const char *hint)
{
	char shown[40];
	size_t n = 0, digits = 0;
	r->bad = true;
	for (const char *p = key; *p; p++)
		digits += *p >= '0' && *p <= '9';
	/* this goes to the journal: what could be a number of a card or of a person is no key of ours */
	for (; key[n] && n < sizeof shown - 1; n++)
		shown[n] =
			key[n] < 0x20 || key[n] > 0x7e || (digits > DIGITS_SHOWN && key[n] >= '0' && key[n] <= '9') ? '?' : key[n];
	shown[n] = 0;
	if (r->problems && buf_printf(r->problems, "%s:%u: %s: %s%s\n", r->file, r->line, shown, problem, hint) != ERR_OK)
		return; /* no room for more problems: the first ones are enough */
}

static void
read_pair(struct reader *r, const char *name, const char *value)
{
	char text[ALLOWED_BYTES], hint[ALLOWED_BYTES + 16];
	unsigned k = 0;
	while (k < CONF_MAX && strcmp(names[k], name) != 0)
		k++;
	if (k == CONF_MAX) {
		const char *nearest = str_nearest(name, names);
		snprintf(hint, sizeof hint, "%s%s%s", nearest ? "; did you mean " : "; allowed: see sallyport config show",
				 nearest ? nearest : "", nearest ? "?" : "");
		complain(r, name, "unknown key", hint);
		return;
	}
	if (r->seen[k]) {
		snprintf(hint, sizeof hint, " %u; allowed: once in a file", r->seen[k]);
		complain(r, name, "stands already on line", hint);
		return;
	}
	r->seen[k] = r->line;
	snprintf(text, sizeof text, "%.60s:%u", r->file, r->line);
	if (set_value(r->c, k, value, text) == ERR_OK)
		return;
	conf_allowed(k, text, sizeof text);
	snprintf(hint, sizeof hint, "; allowed: %s", text);
	complain(r, name, "not a value that this key takes", hint);
}

static char *
trim(char *s)
{
	s += strspn(s, " \t");
	size_t n = strlen(s);
	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
		s[--n] = 0;
	return s;
}

static void
read_line(struct reader *r, char *line)
{
	for (size_t i = 0; line[i]; i++)
		if (line[i] == '#' && (i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t')) {
			line[i] = 0;
			break;
		}
	char *name = trim(line), *equals = strchr(name, '=');
	if (!*name)
		return;
	if (!equals) {
		complain(r, "line", "has no '='", "; allowed: name = value");
		return;
	}
	*equals = 0;
	read_pair(r, trim(name), trim(equals + 1));
}

enum err
conf_parse(struct conf *c, const char *file, const char *text, size_t bytes, struct buf *problems)
{
	struct reader r = {.c = c, .file = file, .problems = problems};
	const char *end = text + bytes;
	char line[512];
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((stop ? stop : end) - text);
		r.line++;
		if (n >= sizeof line || memchr(text, 0, n)) {
			complain(&r, "line", "is not text of at most 511 characters", "; allowed: name = value");
		} else {
			memcpy(line, text, n);
			line[n] = 0;
			read_line(&r, line);
		}
		text += n + (stop != NULL);
	}
	return r.bad ? ERR_CONFIG : ERR_OK;
}

enum err
conf_dump(const struct conf *c, struct buf *out)
{
	enum err e = ERR_OK;
	for (unsigned k = 0; k < CONF_MAX && e == ERR_OK; k++)
		e = buf_printf(out, "%s = %s\n", keys[k].name, c->values[k].text);
	return e;
}

enum err
conf_write(const struct conf *c, struct buf *out)
{
	char allowed[ALLOWED_BYTES];
	enum err e =
		buf_add_text(out, "# Sallyport's configuration: name = value. A line that is commented out shows the preset.\n"
						  "# No secret belongs here. After a change: sallyport config check, then reload.\n");
	for (unsigned k = 0; k < CONF_MAX && e == ERR_OK; k++) {
		bool preset = strcmp(c->values[k].text, keys[k].preset) == 0;
		/* times and sizes carry their unit in the value */
		bool count = keys[k].kind == KIND_INT && *keys[k].unit;
		conf_allowed(k, allowed, sizeof allowed);
		e = buf_printf(out, "\n# %s\n# allowed: %s%s%s; a %s takes it over\n%s%s = %s\n", keys[k].what, allowed,
					   count ? " " : "", count ? keys[k].unit : "", keys[k].live ? "reload" : "restart",
					   preset ? "#" : "", keys[k].name, c->values[k].text);
	}
	return e;
}

enum err
conf_reload(struct conf *c, const struct conf *newer, struct buf *held)
{
	for (unsigned k = 0; k < CONF_MAX; k++) {
		if (strcmp(c->values[k].text, newer->values[k].text) == 0)
			continue;
		if (keys[k].live) {
			c->values[k] = newer->values[k];
			continue;
		}
		enum err e = held ? buf_printf(held, "%s%s", held->len ? " " : "", keys[k].name) : ERR_OK;
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

const char *
conf_text(const struct conf *c, enum conf_key k)
{
	return c->values[k].text;
}

int64_t
conf_int(const struct conf *c, enum conf_key k)
{
	return c->values[k].number;
}

bool
conf_bool(const struct conf *c, enum conf_key k)
{
	return c->values[k].number != 0;
}

enum err
conf_set(struct conf *c, enum conf_key k, const char *value)
{
	return set_value(c, k, value, "set");
}

const char *
conf_name(enum conf_key k)
{
	return keys[k].name;
}

const char *
conf_what(enum conf_key k)
{
	return keys[k].what;
}

bool
conf_live(enum conf_key k)
{
	return keys[k].live;
}

const char *
conf_origin(const struct conf *c, enum conf_key k)
{
	return c->values[k].origin;
}
