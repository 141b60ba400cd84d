#include "daemon/audit/note.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"

#define DASH            "\xe2\x80\x94 " /* em dash and a space begin a signature line */
#define DASH_BYTES      (sizeof(DASH) - 1)
#define KEY_BYTES       32
#define SIGNATURE_BYTES 64
#define HASH_ID_BYTES   4
#define ED25519         0x01
#define BASE64_CHARS(n) (((n) + 2) / 3 * 4)
#define ROOT_CHARS      BASE64_CHARS(HASH_BYTES)
#define LINE_CHARS      BASE64_CHARS(HASH_ID_BYTES + SIGNATURE_BYTES)

/* One byte run of the note: a line without its end. */
struct span {
	const char *at;
	size_t n;
};

/* A name of a key or log: visible ASCII without '+', so that it fits a note's line, a vkey and an auditor's screen. */
static bool
is_name(const char *name)
{
	return str_visible(name, NOTE_ORIGIN_MAX - 1) && !strchr(name, '+');
}

enum err
note_text(const struct checkpoint *c, char out[NOTE_BYTES_MAX], size_t *bytes_out)
{
	char root[ROOT_CHARS + 1];
	enum err e;
	int n;

	if (!is_name(c->origin) || c->size > INT64_MAX)
		return ERR_OUT_OF_RANGE;
	e = str_base64(c->root, HASH_BYTES, root, sizeof(root));
	if (e)
		return e;
	n = snprintf(out, NOTE_BYTES_MAX, "%s\n%" PRIu64 "\n%s\n", c->origin, c->size, root);
	*bytes_out = (size_t)n;
	return n > 0 && n < NOTE_BYTES_MAX ? ERR_OK : ERR_OUT_OF_RANGE;
}

uint32_t
note_key_hash(const char *name, const uint8_t public_key[KEY_BYTES])
{
	crypto_hash_sha256_state s;
	uint8_t h[crypto_hash_sha256_BYTES];

	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, (const uint8_t *)name, strlen(name));
	crypto_hash_sha256_update(&s, (const uint8_t[]){'\n', ED25519}, 2);
	crypto_hash_sha256_update(&s, public_key, KEY_BYTES);
	crypto_hash_sha256_final(&s, h);
	return (uint32_t)h[0] << 24 | (uint32_t)h[1] << 16 | (uint32_t)h[2] << 8 | h[3];
}

static void
put_key_hash(uint32_t key_hash, uint8_t out[HASH_ID_BYTES])
{
	for (unsigned i = 0; i < HASH_ID_BYTES; i++)
		out[i] = (uint8_t)(key_hash >> (24 - 8 * i));
}

enum err
note_add_signature(char note[NOTE_BYTES_MAX], size_t *bytes, const char *name, uint32_t key_hash,
				   const uint8_t signature[SIGNATURE_BYTES])
{
	uint8_t raw[HASH_ID_BYTES + SIGNATURE_BYTES];
	char code[LINE_CHARS + 1], line[NOTE_ORIGIN_MAX + LINE_CHARS + 16];
	bool first = *bytes < 2 || !memmem(note, *bytes, "\n\n", 2);
	enum err e;
	int n;

	if (!is_name(name))
		return ERR_OUT_OF_RANGE;
	put_key_hash(key_hash, raw);
	memcpy(raw + HASH_ID_BYTES, signature, SIGNATURE_BYTES);
	e = str_base64(raw, sizeof(raw), code, sizeof(code));
	if (e)
		return e;
	n = snprintf(line, sizeof(line), "%s" DASH "%s %s\n", first ? "\n" : "", name, code);
	if (n <= 0 || (size_t)n >= sizeof(line) || *bytes + (size_t)n >= NOTE_BYTES_MAX)
		return ERR_OUT_OF_RANGE;
	memcpy(note + *bytes, line, (size_t)n + 1);
	*bytes += (size_t)n;
	return ERR_OK;
}

/* The next line, which must end in a line feed. */
static bool
take_line(struct span *rest, struct span *line_out)
{
	const char *end = rest->n ? memchr(rest->at, '\n', rest->n) : NULL;

	if (!end)
		return false;
	*line_out = (struct span){rest->at, (size_t)(end - rest->at)};
	rest->n -= line_out->n + 1;
	rest->at = end + 1;
	return true;
}

static enum err
copy_span(struct span s, char *out, size_t size)
{
	if (s.n >= size || memchr(s.at, '\0', s.n))
		return ERR_FILE_FORM;
	memcpy(out, s.at, s.n);
	out[s.n] = '\0';
	return ERR_OK;
}

/*
 * The three lines of the text. Whatever was read must give the same bytes when written again: there is one spelling of
 * a checkpoint, and other programs can't see another in it.
 */
static enum err
read_text(struct span text, struct checkpoint *out)
{
	struct span rest = text, origin, size, root;
	char digits[24], again[NOTE_BYTES_MAX];
	size_t n;

	if (!take_line(&rest, &origin) || !take_line(&rest, &size) || !take_line(&rest, &root) || rest.n != 0)
		return ERR_FILE_FORM;
	memset(out, 0, sizeof(*out));
	if (copy_span(origin, out->origin, sizeof(out->origin)) || copy_span(size, digits, sizeof(digits)) ||
		str_decimal(digits, INT64_MAX, &out->size) || str_unbase64(root.at, root.n, out->root, sizeof(out->root), &n) ||
		n != HASH_BYTES)
		return ERR_FILE_FORM;
	if (note_text(out, again, &n) || n != text.n || memcmp(again, text.at, n) != 0)
		return ERR_FILE_FORM;
	return ERR_OK;
}

/* One signature line. *mine_out: it names this key; then *good_out tells whether it verifies. */
static enum err
read_signature(struct span line, struct span text, const char *name, const uint8_t public_key[KEY_BYTES],
			   bool *mine_out, bool *good_out)
{
	char who[NOTE_ORIGIN_MAX];
	uint8_t raw[NOTE_BYTES_MAX], want[HASH_ID_BYTES];
	const char *space;
	struct span code;
	size_t n;

	*mine_out = *good_out = false;
	if (line.n < DASH_BYTES || memcmp(line.at, DASH, DASH_BYTES) != 0)
		return ERR_FILE_FORM;
	line.at += DASH_BYTES;
	line.n -= DASH_BYTES;
	space = line.n ? memchr(line.at, ' ', line.n) : NULL;
	if (!space || copy_span((struct span){line.at, (size_t)(space - line.at)}, who, sizeof(who)) || !is_name(who))
		return ERR_FILE_FORM;
	code = (struct span){space + 1, line.n - (size_t)(space + 1 - line.at)};
	if (str_unbase64(code.at, code.n, raw, sizeof(raw), &n) || n <= HASH_ID_BYTES)
		return ERR_FILE_FORM;
	put_key_hash(note_key_hash(name, public_key), want);
	*mine_out = strcmp(who, name) == 0 && memcmp(raw, want, HASH_ID_BYTES) == 0;
	*good_out = *mine_out && n == HASH_ID_BYTES + SIGNATURE_BYTES &&
				crypto_sign_verify_detached(raw + HASH_ID_BYTES, (const uint8_t *)text.at, text.n, public_key) == 0;
	return ERR_OK;
}

enum err
note_open(const char *note, size_t bytes, const char *name, const uint8_t public_key[KEY_BYTES], struct checkpoint *out)
{
	const char *gap = bytes ? memmem(note, bytes, "\n\n", 2) : NULL;
	struct span text, rest, line;
	struct checkpoint c;
	bool mine, good, any = false, bad = false;
	enum err e;

	if (!gap || bytes >= NOTE_BYTES_MAX)
		return ERR_FILE_FORM;
	text = (struct span){note, (size_t)(gap + 1 - note)};
	rest = (struct span){gap + 2, bytes - text.n - 1};
	e = read_text(text, &c);
	if (e)
		return e;
	if (rest.n == 0)
		return ERR_FILE_FORM;
	while (rest.n > 0) {
		if (!take_line(&rest, &line))
			return ERR_FILE_FORM;
		e = read_signature(line, text, name, public_key, &mine, &good);
		if (e)
			return e;
		any = any || good;
		bad = bad || (mine && !good);
	}
	/* a line that claims to be this key's and is not condemns the note, as in the other implementations */
	if (!any || bad)
		return ERR_VERIFY_FAILED;
	*out = c;
	return ERR_OK;
}

enum err
note_vkey(const char *name, const uint8_t public_key[KEY_BYTES], char *vkey_out, size_t vkey_size)
{
	uint8_t raw[1 + KEY_BYTES] = {ED25519};
	char code[BASE64_CHARS(sizeof(raw)) + 1];
	enum err e;
	int n;

	if (!is_name(name))
		return ERR_OUT_OF_RANGE;
	memcpy(raw + 1, public_key, KEY_BYTES);
	e = str_base64(raw, sizeof(raw), code, sizeof(code));
	if (e)
		return e;
	n = snprintf(vkey_out, vkey_size, "%s+%08" PRIx32 "+%s", name, note_key_hash(name, public_key), code);
	return n > 0 && (size_t)n < vkey_size ? ERR_OK : ERR_OUT_OF_RANGE;
}

enum err
note_vkey_parse(const char *vkey, char name_out[NOTE_ORIGIN_MAX], uint8_t public_key_out[KEY_BYTES])
{
	const char *hash = strchr(vkey, '+'), *code = hash ? strchr(hash + 1, '+') : NULL;
	uint8_t raw[1 + KEY_BYTES];
	char name[NOTE_ORIGIN_MAX], want[10];
	size_t n;

	if (!code || copy_span((struct span){vkey, (size_t)(hash - vkey)}, name, sizeof(name)) || !is_name(name))
		return ERR_FILE_FORM;
	if (str_unbase64(code + 1, strlen(code + 1), raw, sizeof(raw), &n) || n != sizeof(raw) || raw[0] != ED25519)
		return ERR_FILE_FORM;
	snprintf(want, sizeof(want), "%08" PRIx32 "+", note_key_hash(name, raw + 1));
	if (strncmp(hash + 1, want, sizeof(want) - 1) != 0)
		return ERR_FILE_FORM;
	memcpy(name_out, name, sizeof(name));
	memcpy(public_key_out, raw + 1, KEY_BYTES);
	return ERR_OK;
}
