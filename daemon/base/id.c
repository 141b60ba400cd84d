#include "daemon/base/id.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* 16 bytes (128 bits) become 26 characters, most significant first; the first holds 3 bits. */
static void
encode(const uint8_t b[16], char out[ID_BODY_CHARS])
{
	unsigned bits = 2, value = 0; /* 130 - 128 leading zero bits */
	size_t at = 0;
	for (size_t i = 0; i < 16; i++) {
		value = value << 8 | b[i];
		bits += 8;
		while (bits >= 5) {
			bits -= 5;
			out[at++] = crockford[value >> bits & 31];
		}
		value &= (1u << bits) - 1;
	}
}

static void
finish(const char *prefix, const char body[ID_BODY_CHARS], struct id *out)
{
	snprintf(out->text, sizeof out->text, "%.4s_%.26s", prefix, body);
}

void
id_new(const char *prefix, int64_t wall_ms, struct id *out)
{
	static uint8_t last[16];
	static int64_t last_ms;
	char body[ID_BODY_CHARS];

	if (wall_ms > last_ms) {
		last_ms = wall_ms;
		for (int i = 0; i < 6; i++)
			last[i] = (uint8_t)(wall_ms >> (40 - 8 * i));
		randombytes_buf(last + 6, 10);
		last[6] &= 0x7f; /* room to count up within one millisecond */
	} else {
		/* a random step, so that neighbours can't be guessed */
		uint32_t step = 1 + randombytes_uniform(UINT32_C(0x7fffffff));
		uint64_t carry = step;
		for (int i = 15; i >= 6 && carry; i--) {
			carry += last[i];
			last[i] = (uint8_t)carry;
			carry >>= 8;
		}
	}
	encode(last, body);
	finish(prefix, body, out);
}

void
id_random(const char *prefix, struct id *out)
{
	uint8_t raw[ID_BODY_CHARS];
	char body[ID_BODY_CHARS];

	randombytes_buf(raw, sizeof raw);
	for (size_t i = 0; i < sizeof raw; i++)
		body[i] = crockford[raw[i] & 31];
	finish(prefix, body, out);
	sodium_memzero(raw, sizeof raw);
}

bool
id_check(const char *prefix, const char *text)
{
	size_t n = strlen(prefix);
	if (strnlen(text, ID_BYTES) != n + 1 + ID_BODY_CHARS || memcmp(text, prefix, n) != 0 || text[n] != '_')
		return false;
	return strspn(text + n + 1, crockford) == ID_BODY_CHARS;
}

enum err
id_take(const char *prefix, const char *text, struct id *out)
{
	memset(out, 0, sizeof *out);
	if (!id_check(prefix, text))
		return ERR_ID_FORM;
	memcpy(out->text, text, strlen(text) + 1);
	return ERR_OK;
}

enum err
id_pack(const char *prefix, const char *text, uint8_t out[16])
{
	if (!id_check(prefix, text))
		return ERR_ID_FORM;
	const char *p = text + strlen(prefix) + 1;
	unsigned value = 0, bits = 0;
	size_t at = 0;
	if (*p > '7') /* the first character has room for three bits of the 128 */
		return ERR_ID_FORM;
	for (size_t i = 0; i < ID_BODY_CHARS; i++) {
		value = value << 5 | (unsigned)(strchr(crockford, p[i]) - crockford);
		bits += i == 0 ? 3 : 5;
		if (bits >= 8) {
			bits -= 8;
			out[at++] = (uint8_t)(value >> bits);
		}
		value &= (1u << bits) - 1;
	}
	return ERR_OK;
}

void
id_unpack(const char *prefix, const uint8_t bytes[16], struct id *out)
{
	char body[ID_BODY_CHARS];
	encode(bytes, body);
	finish(prefix, body, out);
}

int64_t
id_time_ms(const struct id *id)
{
	const char *p = strchr(id->text, '_');
	int64_t ms = 0;
	for (int i = 0; p && i < 10; i++) {
		const char *c = strchr(crockford, p[1 + i]);
		ms = ms << 5 | (c && *c ? c - crockford : 0);
	}
	return ms;
}
