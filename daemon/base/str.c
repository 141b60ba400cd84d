#include "daemon/base/str.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/mem.h"

enum err
str_set(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size);
	if (n >= size) {
		if (size)
			to[0] = 0;
		return ERR_OUT_OF_RANGE;
	}
	memcpy(to, from, n + 1);
	return ERR_OK;
}

void
str_hex(const uint8_t *bytes, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * n] = 0;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum err
str_unhex(const char *hex, uint8_t *out, size_t n)
{
	if (strnlen(hex, 2 * n + 1) != 2 * n)
		return ERR_FILE_FORM;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_value(hex[2 * i]), lo = hex_value(hex[2 * i + 1]);
		if (hi < 0 || lo < 0)
			return ERR_FILE_FORM;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return ERR_OK;
}

enum err
str_base64(const uint8_t *bytes, size_t n, char *out, size_t out_size)
{
	if (out_size < sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL))
		return ERR_OUT_OF_RANGE;
	sodium_bin2base64(out, out_size, bytes, n, sodium_base64_VARIANT_ORIGINAL);
	return ERR_OK;
}

enum err
str_unbase64(const char *text, size_t text_len, uint8_t *out, size_t out_size, size_t *n_out)
{
	const char *end;
	/* libsodium 1.0.18 computes with signed characters and takes some bytes above 0x7f for digits */
	for (size_t i = 0; i < text_len; i++)
		if ((uint8_t)text[i] > 0x7e)
			return ERR_FILE_FORM;
	if (sodium_base642bin(out, out_size, text, text_len, NULL, n_out, &end, sodium_base64_VARIANT_ORIGINAL) != 0 ||
		end != text + text_len)
		return ERR_FILE_FORM;
	return ERR_OK;
}

bool
str_visible(const char *s, size_t max)
{
	size_t n = 0;
	for (; s[n]; n++)
		if (n >= max || s[n] < 0x21 || s[n] > 0x7e)
			return false;
	return n > 0;
}

bool
str_utf8(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint8_t c = p[i];
		size_t more;
		uint32_t code, least;
		if (c == 0)
			return false;
		if (c < 0x80) {
			i++;
			continue;
		}
		if ((c & 0xe0) == 0xc0)
			more = 1, code = c & 0x1f, least = 0x80;
		else if ((c & 0xf0) == 0xe0)
			more = 2, code = c & 0x0f, least = 0x800;
		else if ((c & 0xf8) == 0xf0)
			more = 3, code = c & 0x07, least = 0x10000;
		else
			return false;
		if (n - i <= more)
			return false;
		for (size_t k = 1; k <= more; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (p[i + k] & 0x3f);
		}
		if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return false;
		i += more + 1;
	}
	return true;
}

unsigned
str_distance(const char *a, const char *b, unsigned max)
{
	unsigned row[65];
	size_t la = strnlen(a, 65), lb = strnlen(b, 65);
	if (la > 64 || lb > 64)
		return max + 1;
	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned up = row[j], best = diagonal + (a[i - 1] != b[j - 1]);
			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = up;
			row[j] = best;
		}
	}
	return row[lb] > max ? max + 1 : row[lb];
}

const char *
str_nearest(const char *s, const char *const *names)
{
	const char *best = NULL;
	unsigned least = 3;
	for (; *names; names++) {
		unsigned d = str_distance(s, *names, 2);
		if (d < least)
			least = d, best = *names;
	}
	return best;
}

enum err
str_decimal(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (!*s)
		return ERR_WRONG_TYPE;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return ERR_WRONG_TYPE;
		unsigned d = (unsigned)(*s - '0');
		if (d > max || v > (max - d) / 10)
			return ERR_OUT_OF_RANGE;
		v = v * 10 + d;
	}
	*out = v;
	return ERR_OK;
}

static bool
luhn_ok(const uint8_t *digits, size_t n)
{
	unsigned sum = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned d = digits[n - 1 - i];
		if (i & 1)
			d = d * 2 > 9 ? d * 2 - 9 : d * 2;
		sum += d;
	}
	return sum % 10 == 0;
}

#define HEX_DIGITS "0123456789abcdefABCDEF"

/*
 * One in 230 random UUIDs has a run of digits that passes Luhn, and one in 400 hashes in hex: as an order id it would
 * be refused for no reason. No card number is written in these forms by accident: a UUID has version and variant where
 * they must stand; a hex word has 32 digits or more, six of them letters.
 */
static bool
is_uuid(const char *s, size_t n)
{
	if (n < 36 || s[14] < '1' || s[14] > '8' || !memchr("89abAB", s[19], 6))
		return false;
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? s[i] != '-' : !memchr(HEX_DIGITS, s[i], 22))
			return false;
	}
	return n == 36 || !memchr(HEX_DIGITS "-", s[36], 23);
}

/* How long the random word is that begins here; 0: none does. */
static size_t
random_word(const char *s, size_t n)
{
	size_t len = 0, letters = 0;
	if (is_uuid(s, n))
		return 36;
	for (; len < n && memchr(HEX_DIGITS, s[len], 22); len++)
		letters += s[len] > '9';
	return len >= 32 && letters >= 6 ? len : 0;
}

bool
str_holds_pan(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t digits[20];
		size_t have = 0, j = i;
		size_t skip = i == 0 || !memchr(HEX_DIGITS, s[i - 1], 22) ? random_word(s + i, n - i) : 0;
		if (skip > 0) {
			i += skip - 1;
			continue;
		}
		if (s[i] < '0' || s[i] > '9' || (i && s[i - 1] >= '0' && s[i - 1] <= '9'))
			continue;
		while (j < n && have < sizeof digits) {
			if (s[j] >= '0' && s[j] <= '9')
				digits[have++] = (uint8_t)(s[j++] - '0');
			else if ((s[j] == ' ' || s[j] == '-') && j + 1 < n && s[j + 1] >= '0' && s[j + 1] <= '9')
				j++;
			else
				break;
		}
		bool found = have >= 12 && have <= 19 && luhn_ok(digits, have);
		mem_wipe(digits, sizeof digits);
		if (found)
			return true;
	}
	return false;
}
