#include "daemon/courier/simline.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/money.h"

static const struct {
	const char *before; /* up to the value's first character */
	size_t offset, size;
} texts[] = {
#define TEXT(before, name)                                                          \
	{                                                                               \
		before, offsetof(struct simline, name), sizeof(((struct simline *)0)->name) \
	}
	TEXT("{\"at\":\"", at),
	TEXT("\",\"key\":\"", key),
	TEXT("\",\"kind\":\"", kind),
	TEXT("\",\"payment\":\"", payment),
	TEXT("\",\"operation\":\"", operation),
	TEXT("\",\"currency\":\"", currency),
	TEXT("\",\"reference\":\"", reference),
	TEXT("\",\"authorization\":\"", authorization),
	TEXT("\",\"outcome\":\"", outcome),
	TEXT("\",\"script\":\"", script),
#undef TEXT
};
#define TEXTS (sizeof texts / sizeof *texts)

#define BEFORE_AMOUNT   "\",\"amount\":"
#define BEFORE_CAPTURED ",\"captured\":"

static bool
plain(char c)
{
	return c > ' ' && c <= '~' && c != '"' && c != '\\';
}

enum err
simline_write(const struct simline *l, char out[SIMLINE_BYTES_MAX], size_t *bytes_out)
{
	size_t n = 0;
	for (size_t i = 0; i < TEXTS; i++) {
		const char *value = (const char *)l + texts[i].offset;
		size_t before = strlen(texts[i].before);
		memcpy(out + n, texts[i].before, before);
		n += before;
		for (; *value; value++) {
			if (!plain(*value))
				return ERR_CHARACTERS;
			out[n++] = *value;
		}
	}
	int rest = snprintf(out + n, SIMLINE_BYTES_MAX - n, BEFORE_AMOUNT "%lld" BEFORE_CAPTURED "%s}\n",
						(long long)l->amount_minor, l->captured ? "true" : "false");
	/* the largest values of every member leave room */
	assert(rest > 0 && n + (size_t)rest < SIMLINE_BYTES_MAX);
	*bytes_out = n + (size_t)rest;
	return ERR_OK;
}

/* Is this next? Then it is eaten. */
static bool
take(const char **at, const char *end, const char *literal)
{
	size_t n = strlen(literal);
	if ((size_t)(end - *at) < n || memcmp(*at, literal, n) != 0)
		return false;
	*at += n;
	return true;
}

static bool
take_text(const char **at, const char *end, char *out, size_t size)
{
	size_t n = 0;
	for (; *at < end && **at != '"'; (*at)++) {
		if (n + 1 == size || !plain(**at))
			return false;
		out[n++] = **at;
	}
	out[n] = 0;
	return true;
}

/* Digits as they are written: no sign, no leading zero, no more than money can be. */
static bool
take_amount(const char **at, const char *end, int64_t *out)
{
	const char *from = *at;
	int64_t v = 0;
	for (; *at < end && **at >= '0' && **at <= '9' && v <= MONEY_MAX_MINOR; (*at)++)
		v = v * 10 + (**at - '0');
	*out = v;
	return *at > from && v <= MONEY_MAX_MINOR && (*from != '0' || *at == from + 1);
}

enum err
simline_read(const char *text, size_t bytes, struct simline *out)
{
	const char *at = text, *end = text + bytes;

	for (size_t i = 0; i < TEXTS; i++)
		if (!take(&at, end, texts[i].before) || !take_text(&at, end, (char *)out + texts[i].offset, texts[i].size))
			return ERR_FILE_FORM;
	if (!take(&at, end, BEFORE_AMOUNT) || !take_amount(&at, end, &out->amount_minor) ||
		!take(&at, end, BEFORE_CAPTURED))
		return ERR_FILE_FORM;
	out->captured = take(&at, end, "true}\n");
	return (out->captured || take(&at, end, "false}\n")) && at == end ? ERR_OK : ERR_FILE_FORM;
}
