/* What an auditor brings along: keys of his own, and the checkpoints of an earlier export. */
#include <string.h>

#include "daemon/audit/minisign.h"
#include "daemon/audit/verify_part.h"
#include "daemon/base/mem.h"

static enum err
read_vkeys(const char *text, size_t bytes, struct export_keys *out)
{
	size_t at = 0;

	out->vkeys = 0;
	while (at < bytes) {
		const char *end = memchr(text + at, '\n', bytes - at);
		size_t n = end ? (size_t)(end - text) - at : bytes - at;
		char *line = out->vkey[out->vkeys], name[NOTE_ORIGIN_MAX];
		uint8_t key[32];

		if (out->vkeys == EXPORT_VKEYS_MAX || n >= EXPORT_VKEY_MAX)
			return ERR_FILE_FORM;
		memcpy(line, text + at, n);
		line[n] = '\0';
		if (strlen(line) != n || note_vkey_parse(line, name, key))
			return ERR_FILE_FORM;
		if (out->vkeys++ == 0)
			memcpy(out->audit, key, sizeof(key));
		at += n + 1;
	}
	return out->vkeys > 0 ? ERR_OK : ERR_FILE_FORM;
}

enum err
verify_keys_read(const char *vkey, size_t vkey_bytes, const char *audit_pem, size_t pem_bytes, const char *minisign_pub,
				 size_t minisign_bytes, struct verify_keys *out)
{
	uint8_t from_pem[32], id[MINISIGN_KEY_ID_BYTES], want[MINISIGN_KEY_ID_BYTES];

	memset(out, 0, sizeof(*out));
	if (!vkey || (!audit_pem && !minisign_pub) || read_vkeys(vkey, vkey_bytes, &out->keys))
		return ERR_FILE_FORM;
	if (minisign_pub) {
		if (minisign_public_parse(minisign_pub, minisign_bytes, out->keys.export, id))
			return ERR_FILE_FORM;
		minisign_key_id(out->keys.export, want);
		if (memcmp(id, want, sizeof(id)) != 0)
			return ERR_FILE_FORM;
	}
	if (audit_pem) {
		if (minisign_pem_parse(audit_pem, pem_bytes, from_pem))
			return ERR_FILE_FORM;
		if (minisign_pub && memcmp(from_pem, out->keys.export, sizeof(from_pem)) != 0)
			return ERR_FILE_FORM;
		memcpy(out->keys.export, from_pem, sizeof(from_pem));
	}
	out->given = true;
	return ERR_OK;
}

/* One checkpoint of an earlier export, which ustar_next has just opened. */
static enum err
keep_since(struct ustar_reader *tar, const char *folder, size_t folder_n, uint64_t size, struct verify_ask *out)
{
	struct verify_since *s = &out->since[out->since_n];
	const uint8_t *bytes;
	size_t n;
	enum err e;

	if (size >= sizeof(s->note) || out->since_n == EXPORT_LOGS_MAX)
		return ERR_FILE_FORM;
	memset(s, 0, sizeof(*s));
	memcpy(s->folder, folder, folder_n);
	for (e = ustar_read(tar, &bytes, &n); !e && n > 0; e = ustar_read(tar, &bytes, &n)) {
		memcpy(s->note + s->note_bytes, bytes, n);
		s->note_bytes += n;
	}
	out->since_n++;
	return e;
}

enum err
verify_since_read(ustar_read_fn read, void *arg, struct verify_ask *out)
{
	struct ustar_reader *tar = mem_new(1, sizeof(*tar));
	char path[MANIFEST_PATH_MAX];
	bool more = true;
	uint64_t size;
	enum err e = ERR_OK;

	if (!tar)
		return ERR_MEMORY;
	ustar_reader_init(tar, read, arg);
	out->since_n = 0;
	while (more && !e) {
		e = ustar_next(tar, path, &size, &more);
		const char *slash = !e && more ? strchr(path, '/') : NULL;
		if (slash && strcmp(slash, "/checkpoint") == 0 && verify_log_is_folder(path, (size_t)(slash - path)))
			e = keep_since(tar, path, (size_t)(slash - path), size, out);
	}
	mem_free(tar);
	return e ? e : out->since_n > 0 ? ERR_OK : ERR_FILE_FORM;
}
