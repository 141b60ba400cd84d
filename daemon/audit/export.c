#include "daemon/audit/export.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "daemon/audit/minisign.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#define TEXT_BYTES_MAX 4096
#define LIST_BYTES_MAX ((size_t)64 << 20) /* tiles.sha256 of a log as long as ustar can hold */
#define COPY_BYTES     TILE_BYTES

static const char verify_text[] =
	"Sallyport audit export: how to check it on your own machine, offline.\n"
	"\n"
	"Use YOUR copy of the keys (handed over when the appliance was set up), not the one in keys/.\n"
	"F.tar is this archive, F.tar.minisig lies beside it.\n"
	"\n"
	"  one command       sallyport-verify --keys YOUR_KEYS F.tar\n"
	"  the whole archive minisign -Vm F.tar -p YOUR_KEYS/minisign.pub\n"
	"  the manifest      openssl pkeyutl -verify -pubin -inkey YOUR_KEYS/audit.pem -rawin \\\n"
	"                      -in manifest.sha256 -sigfile manifest.sha256.sig\n"
	"  the files         sha256sum -c manifest.sha256\n"
	"  the tiles         cd vault && sha256sum -c tiles.sha256    (and so in each log's folder)\n"
	"  the checkpoints   any C2SP signed-note verifier with YOUR_KEYS/vkey\n"
	"  the tree          any RFC 6962 implementation: a record is a line of records.jsonl without its line feed;\n"
	"                    the root over all records must be the checkpoint's\n"
	"\n"
	"Docs: docs/audit-format.md.\n";

/* The small files, which are the same for every log. */
enum small { SMALL_VERIFY, SMALL_AUDIT_PEM, SMALL_CHECKPOINT_PEM, SMALL_MINISIGN, SMALL_VKEY, SMALL_MAX };
static const char *const small_paths[SMALL_MAX] = {
	[SMALL_VERIFY] = "VERIFY.txt",
	[SMALL_AUDIT_PEM] = "keys/audit.pem",
	[SMALL_CHECKPOINT_PEM] = "keys/checkpoint.pem",
	[SMALL_MINISIGN] = "keys/minisign.pub",
	[SMALL_VKEY] = "keys/vkey",
};

void
export_init(struct export *x, const struct export_keys *keys)
{
	memset(x, 0, sizeof(*x));
	x->keys = *keys;
}

void
export_clear(struct export *x)
{
	for (unsigned i = 0; i < x->logs_n; i++) {
		tile_clear(&x->logs[i]->tiles);
		mem_free(x->logs[i]);
	}
	x->logs_n = 0;
}

bool
export_origin_fits(const char *origin, const char *folder)
{
	char end[EXPORT_FOLDER_MAX + 1] = "/";
	size_t n = strlen(origin), m = strlen(folder) + 1;

	if (m >= sizeof(end) || n <= m)
		return false;
	memcpy(end + 1, folder, m);
	for (char *dot = end; (dot = strchr(dot, '.')) != NULL;)
		*dot = '/';
	return strcmp(origin + n - m, end) == 0;
}

enum err
export_note_open(const struct export_keys *keys, const char *note, size_t bytes, struct checkpoint *out)
{
	enum err e = ERR_VERIFY_FAILED;

	for (unsigned i = 0; i < keys->vkeys && e == ERR_VERIFY_FAILED; i++) {
		char name[NOTE_ORIGIN_MAX];
		uint8_t key[32];
		e = note_vkey_parse(keys->vkey[i], name, key);
		if (!e)
			e = note_open(note, bytes, name, key, out);
	}
	return e;
}

enum err
export_log(struct export *x, const char *folder, const char *note, size_t bytes, struct export_log **log_out)
{
	struct export_log *log;
	enum err e;

	if (x->logs_n == EXPORT_LOGS_MAX || bytes >= NOTE_BYTES_MAX ||
		(x->logs_n > 0 && strcmp(x->logs[x->logs_n - 1]->folder, folder) >= 0))
		return ERR_OUT_OF_RANGE;
	log = mem_new(1, sizeof(*log));
	if (!log)
		return ERR_MEMORY;
	e = str_set(log->folder, sizeof(log->folder), folder);
	if (!e)
		e = export_note_open(&x->keys, note, bytes, &log->head);
	if (!e && !export_origin_fits(log->head.origin, folder))
		e = ERR_VERIFY_FAILED;
	if (e) {
		mem_free(log);
		return e;
	}
	memcpy(log->note, note, bytes);
	log->note_bytes = bytes;
	crypto_hash_sha256_init(&log->records_sum);
	tile_init(&log->tiles, true);
	x->logs[x->logs_n++] = log;
	*log_out = log;
	return ERR_OK;
}

enum err
export_record(struct export_log *log, const void *record, size_t bytes, uint8_t hash_out[HASH_BYTES])
{
	if (log->tiles.size >= log->head.size)
		return ERR_OUT_OF_RANGE;
	tree_leaf_hash(record, bytes, hash_out);
	crypto_hash_sha256_update(&log->records_sum, record, bytes);
	crypto_hash_sha256_update(&log->records_sum, (const uint8_t *)"\n", 1);
	log->records_bytes += bytes + 1;
	return tile_add(&log->tiles, hash_out);
}

static enum err
small_text(const struct export_keys *keys, enum small which, struct buf *out)
{
	char text[MINISIGN_FILE_MAX];
	enum err e = ERR_OK;

	buf_reset(out);
	switch (which) {
	case SMALL_VERIFY:
		return buf_add_text(out, verify_text);
	case SMALL_AUDIT_PEM:
		e = minisign_pem(keys->export, text);
		break;
	case SMALL_CHECKPOINT_PEM:
		e = minisign_pem(keys->audit, text);
		break;
	case SMALL_MINISIGN:
		e = minisign_public(keys->export, text);
		break;
	default:
		for (unsigned i = 0; i < keys->vkeys && !e; i++)
			e = buf_printf(out, "%s\n", keys->vkey[i]);
		return e;
	}
	return e ? e : buf_add_text(out, text);
}

static enum err
tile_list(const struct tile_set *t, struct buf *out)
{
	struct tile_at at;
	enum err e = ERR_OK;

	for (bool more = tile_first(t, &at); more && !e; more = tile_next(t, &at))
		e = manifest_add(out, at.path, at.sum);
	return e;
}

static enum err
add_sum(struct buf *manifest, const char *folder, const char *name, const void *bytes, size_t n)
{
	char path[MANIFEST_PATH_MAX];
	uint8_t sum[32];

	crypto_hash_sha256(sum, bytes, n);
	snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "", name);
	return manifest_add(manifest, path, sum);
}

static enum err
add_log(const struct export_log *log, struct buf *manifest)
{
	crypto_hash_sha256_state records = log->records_sum;
	uint8_t root[HASH_BYTES], sum[32];
	char path[MANIFEST_PATH_MAX];
	struct tree tree;
	struct buf list;
	enum err e;

	tile_tree(&log->tiles, &tree);
	tree_root(&tree, root);
	if (tree.size != log->head.size || sodium_memcmp(root, log->head.root, HASH_BYTES) != 0)
		return ERR_VERIFY_FAILED;
	buf_init(&list, LIST_BYTES_MAX);
	e = add_sum(manifest, log->folder, "checkpoint", log->note, log->note_bytes);
	crypto_hash_sha256_final(&records, sum);
	snprintf(path, sizeof(path), "%s/records.jsonl", log->folder);
	if (!e)
		e = manifest_add(manifest, path, sum);
	if (!e)
		e = tile_list(&log->tiles, &list);
	if (!e)
		e = add_sum(manifest, log->folder, "tiles.sha256", list.len ? buf_at(&list) : NULL, list.len);
	buf_clear(&list);
	return e;
}

/* Is the log's folder on this side of "manifest.sha256"? Names are in rising order, and so are the files. */
static bool
is_before_manifest(const struct export_log *log)
{
	return strcmp(log->folder, "manifest.sha256") < 0;
}

enum err
export_manifest(struct export *x, struct buf *out)
{
	struct buf text;
	enum err e = ERR_OK;

	buf_init(&text, TEXT_BYTES_MAX);
	for (unsigned i = 0; i < SMALL_MAX && !e; i++) {
		e = small_text(&x->keys, (enum small)i, &text);
		if (!e)
			e = add_sum(out, "", small_paths[i], buf_at(&text), text.len);
	}
	for (unsigned i = 0; i < x->logs_n && !e; i++)
		e = add_log(x->logs[i], out);
	buf_clear(&text);
	return e;
}

/* ── the archive ── */

struct writing {
	struct ustar_writer tar;
	export_read_fn read;
	void *arg;
	uint8_t copy[COPY_BYTES];
};

static enum err
write_file(struct writing *w, const char *folder, const char *name, const void *bytes, size_t n)
{
	char path[MANIFEST_PATH_MAX];
	enum err e;

	snprintf(path, sizeof(path), "%s%s%s", folder, *folder ? "/" : "", name);
	e = ustar_file(&w->tar, path, n);
	return e || n == 0 ? e : ustar_write(&w->tar, bytes, n);
}

/* n bytes of what the caller kept, from offset. */
static enum err
copy_part(struct writing *w, const struct export_log *log, enum export_part part, uint64_t offset, uint64_t n)
{
	enum err e = ERR_OK;

	while (n > 0 && !e) {
		size_t now = n < COPY_BYTES ? (size_t)n : COPY_BYTES;
		e = w->read(w->arg, log, part, offset, w->copy, now);
		if (!e)
			e = ustar_write(&w->tar, w->copy, now);
		offset += now;
		n -= now;
	}
	return e;
}

static enum err
write_tile(struct writing *w, const struct export_log *log, const struct tile_at *at)
{
	const uint8_t *bytes = tile_bytes(&log->tiles, at);
	size_t n = at->width * (size_t)HASH_BYTES;
	char path[MANIFEST_PATH_MAX];
	enum err e;

	if (bytes)
		return write_file(w, log->folder, at->path, bytes, n);
	snprintf(path, sizeof(path), "%s/%s", log->folder, at->path);
	e = ustar_file(&w->tar, path, n);
	return e ? e : copy_part(w, log, EXPORT_HASHES, at->index * TILE_BYTES, n);
}

static enum err
write_log(struct writing *w, const struct export_log *log)
{
	char path[MANIFEST_PATH_MAX];
	struct tile_at at;
	struct buf list;
	enum err e;

	buf_init(&list, LIST_BYTES_MAX);
	e = write_file(w, log->folder, "checkpoint", log->note, log->note_bytes);
	snprintf(path, sizeof(path), "%s/records.jsonl", log->folder);
	if (!e)
		e = ustar_file(&w->tar, path, log->records_bytes);
	if (!e)
		e = copy_part(w, log, EXPORT_RECORDS, 0, log->records_bytes);
	for (bool more = tile_first(&log->tiles, &at); more && !e; more = tile_next(&log->tiles, &at))
		e = write_tile(w, log, &at);
	if (!e)
		e = tile_list(&log->tiles, &list);
	if (!e)
		e = write_file(w, log->folder, "tiles.sha256", list.len ? buf_at(&list) : NULL, list.len);
	buf_clear(&list);
	return e;
}

static enum err
write_logs(struct writing *w, const struct export *x, bool before_manifest)
{
	enum err e = ERR_OK;

	for (unsigned i = 0; i < x->logs_n && !e; i++)
		if (is_before_manifest(x->logs[i]) == before_manifest)
			e = write_log(w, x->logs[i]);
	return e;
}

enum err
export_write(struct export *x, const struct buf *manifest, const uint8_t signature[64], export_read_fn read,
			 ustar_write_fn write, void *arg, uint8_t sum_out[USTAR_SUM_BYTES])
{
	struct writing w = {.read = read, .arg = arg};
	struct buf text;
	enum err e = ERR_OK;

	buf_init(&text, TEXT_BYTES_MAX);
	ustar_writer_init(&w.tar, write, arg);
	for (unsigned i = 0; i < SMALL_MAX && !e; i++) {
		e = small_text(&x->keys, (enum small)i, &text);
		if (!e)
			e = write_file(&w, "", small_paths[i], buf_at(&text), text.len);
	}
	if (!e)
		e = write_logs(&w, x, true);
	if (!e)
		e = write_file(&w, "", "manifest.sha256", buf_at(manifest), manifest->len);
	if (!e)
		e = write_file(&w, "", "manifest.sha256.sig", signature, 64);
	if (!e)
		e = write_logs(&w, x, false);
	if (!e)
		e = ustar_finish(&w.tar, sum_out);
	buf_clear(&text);
	return e;
}
