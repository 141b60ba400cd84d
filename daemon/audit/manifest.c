#include "daemon/audit/manifest.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/str.h"

#define HEX_CHARS   64
#define LINE_HEAD   (HEX_CHARS + 2) /* hex and two spaces */
#define BYTES_LEAST (LINE_HEAD + 2)

bool
manifest_path(const char *path)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
	size_t n = strnlen(path, MANIFEST_PATH_MAX);

	if (n == 0 || n >= MANIFEST_PATH_MAX || strspn(path, allowed) != n)
		return false;
	for (const char *part = path; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL)
		if (*part == '/' || *part == '.' || *part == '-' || *part == '\0')
			return false; /* empty, hidden, "..", or read as an option by some tool */
	return true;
}

enum err
manifest_add(struct buf *out, const char *path, const uint8_t sha256[32])
{
	char hex[HEX_CHARS + 1];

	if (!manifest_path(path))
		return ERR_OUT_OF_RANGE;
	str_hex(sha256, 32, hex);
	return buf_printf(out, "%s  %s\n", hex, path);
}

enum err
manifest_next(const char *text, size_t bytes, size_t *at, struct manifest_line *out, bool *more_out)
{
	const char *line = text + *at, *end;
	size_t left = bytes - *at, n;
	char hex[HEX_CHARS + 1];

	*more_out = false;
	if (left == 0)
		return ERR_OK;
	end = memchr(line, '\n', left);
	n = end ? (size_t)(end - line) : 0;
	if (n <= LINE_HEAD || n - LINE_HEAD >= MANIFEST_PATH_MAX || memcmp(line + HEX_CHARS, "  ", 2) != 0)
		return ERR_FILE_FORM;
	memcpy(hex, line, HEX_CHARS);
	hex[HEX_CHARS] = '\0';
	memcpy(out->path, line + LINE_HEAD, n - LINE_HEAD);
	out->path[n - LINE_HEAD] = '\0';
	if (strspn(hex, "0123456789abcdef") != HEX_CHARS || str_unhex(hex, out->sha256, 32) ||
		strlen(out->path) != n - LINE_HEAD || !manifest_path(out->path))
		return ERR_FILE_FORM;
	*at += n + 1;
	*more_out = true;
	return ERR_OK;
}

enum err
manifest_find(const char *text, size_t bytes, const char *path, uint8_t sha256_out[32])
{
	struct manifest_line line;
	char before[MANIFEST_PATH_MAX] = "";
	bool more, found = false;
	size_t at = 0;

	for (;;) {
		enum err e = manifest_next(text, bytes, &at, &line, &more);
		if (e)
			return e;
		if (!more)
			return found ? ERR_OK : ERR_NOT_FOUND;
		if (strcmp(before, line.path) >= 0)
			return ERR_FILE_FORM;
		memcpy(before, line.path, sizeof(before));
		if (strcmp(line.path, path) == 0) {
			memcpy(sha256_out, line.sha256, 32);
			found = true;
		}
	}
}

static enum err
check_note(const char *text, size_t bytes, const char *path, const char *note, size_t note_bytes)
{
	uint8_t listed[32], hash[32];
	enum err e = manifest_find(text, bytes, path, listed);

	if (e == ERR_NOT_FOUND)
		return note_bytes == 0 ? ERR_OK : ERR_VERIFY_FAILED;
	if (e)
		return e;
	crypto_hash_sha256(hash, (const uint8_t *)note, note_bytes);
	return note_bytes > 0 && sodium_memcmp(hash, listed, 32) == 0 ? ERR_OK : ERR_VERIFY_FAILED;
}

enum err
manifest_check(const char *text, size_t bytes, const char *vault_note, size_t vault_bytes, const char *ledger_note,
			   size_t ledger_bytes)
{
	enum err e;

	if (bytes < BYTES_LEAST || bytes > MANIFEST_BYTES_MAX)
		return ERR_OUT_OF_RANGE;
	e = check_note(text, bytes, "vault/checkpoint", vault_note, vault_bytes);
	if (!e && vault_bytes == 0)
		e = ERR_VERIFY_FAILED;
	return e ? e : check_note(text, bytes, "ledger/checkpoint", ledger_note, ledger_bytes);
}
