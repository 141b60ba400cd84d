#include "daemon/audit/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/audit/leaf.h"
#include "daemon/audit/minisign.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#define SMALL_BYTES_MAX 4096
#define FILES_MAX       64 /* files that are not tiles */
#define TS_CHARS        (CLOCK_TEXT_BYTES - 1)
#define PROBLEM_BYTES   16384

struct small {
	char text[SMALL_BYTES_MAX];
	size_t n;
	bool there;
};
struct found {
	char path[MANIFEST_PATH_MAX];
	uint8_t sum[32];
};

/* One run over an export. */
struct checking {
	struct ustar_reader tar;
	struct verify_report *r;
	const struct verify_keys *given;
	struct small vkey, pem, minisign, checkpoint_pem, manifest, signature;
	struct found found[FILES_MAX];
	unsigned found_n;
	bool keys_read, stop;
	/* the log that is being read */
	struct verify_log *log;
	struct tile_set tiles;
	struct tile_at due; /* the tile that must come next */
	bool tile_due, note_good, records_seen, list_seen, told;
	char carry[LEAF_BYTES_MAX];
	size_t carry_n;
};

/* ── keys ── */

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

/* keys/ stands before all logs, so the keys are known when the first checkpoint comes. */
static void
settle_keys(struct checking *c)
{
	const struct small *v = &c->vkey, *p = &c->pem, *m = &c->minisign;
	struct verify_keys inside;
	bool whole;

	if (c->keys_read)
		return;
	c->keys_read = true;
	whole = v->there && p->there && m->there && !verify_keys_read(v->text, v->n, p->text, p->n, m->text, m->n, &inside);
	if (!whole)
		verify_report_problem(c->r, "keys/: vkey, audit.pem and minisign.pub are not there, damaged, or do not agree");
	if (c->given && c->given->given)
		c->r->keys = c->given->keys;
	else if (whole)
		c->r->keys = inside.keys;
	else
		c->stop = true; /* nothing to check signatures with */
	if (whole && memcmp(inside.keys.export, c->r->keys.export, 32) != 0)
		verify_report_problem(c->r, "keys/minisign.pub: the export was signed with a key that is not yours");
	if (whole && memcmp(inside.keys.audit, c->r->keys.audit, 32) != 0)
		verify_report_problem(c->r, "keys/vkey: the log was signed with a key that is not yours");
}

/* ── files ── */

static enum err
remember(struct checking *c, const char *path, const uint8_t sum[32])
{
	if (c->found_n == FILES_MAX) {
		verify_report_problem(c->r, "%s: more files than an export has", path);
		c->stop = true;
		return ERR_OK;
	}
	memcpy(c->found[c->found_n].path, path, strlen(path) + 1);
	memcpy(c->found[c->found_n++].sum, sum, 32);
	return ERR_OK;
}

/* Reads the open file to its end; its SHA-256, and its bytes if s is given and they fit. */
static enum err
read_file(struct checking *c, const char *path, struct small *s, uint8_t sum_out[32])
{
	crypto_hash_sha256_state h;
	const uint8_t *bytes;
	size_t n;
	enum err e;

	crypto_hash_sha256_init(&h);
	if (s)
		*s = (struct small){.there = true};
	for (;;) {
		e = ustar_read(&c->tar, &bytes, &n);
		if (e || n == 0)
			break;
		crypto_hash_sha256_update(&h, bytes, n);
		if (s && s->there && s->n + n <= sizeof(s->text)) {
			memcpy(s->text + s->n, bytes, n);
			s->n += n;
		} else if (s) {
			s->there = false;
		}
	}
	crypto_hash_sha256_final(&h, sum_out);
	if (!e && s && !s->there)
		verify_report_problem(c->r, "%s: too long", path);
	return e;
}

/* ── one log ── */

static void
tell_once(struct checking *c, const char *what)
{
	if (!c->told)
		verify_report_problem(c->r, "%s/records.jsonl: line %" PRIu64 ": %s", c->log->folder, c->log->records + 1,
							  what);
	c->told = true;
}

static enum err
open_head(struct checking *c, const char *path, const struct small *note)
{
	const struct export_keys *k = &c->r->keys;
	enum err e = ERR_VERIFY_FAILED;

	for (unsigned i = 0; i < k->vkeys && e == ERR_VERIFY_FAILED; i++) {
		char name[NOTE_ORIGIN_MAX];
		uint8_t key[32];
		e = note_vkey_parse(k->vkey[i], name, key);
		if (!e)
			e = note_open(note->text, note->n, name, key, &c->log->head);
	}
	if (e)
		verify_report_problem(c->r, "%s: %s", path,
							  e == ERR_FILE_FORM ? "is not a signed checkpoint"
												 : "the audit key did not sign this checkpoint");
	else if (!export_origin_fits(c->log->head.origin, c->log->folder))
		verify_report_problem(c->r, "%s: is the checkpoint of another log", path);
	else
		c->note_good = true;
	return ERR_OK;
}

/* A record begins {"v":1,"seq":<its index>,"ts":"…": the encoder has one order of members. */
static void
check_record(struct checking *c, const char *line, size_t n)
{
	char want[64];
	int m = snprintf(want, sizeof(want), "{\"v\":1,\"seq\":%" PRIu64 ",\"ts\":\"", c->log->records);

	if (n > (size_t)m + TS_CHARS && memcmp(line, want, (size_t)m) == 0 && line[m + TS_CHARS] == '"' &&
		line[n - 1] == '}') {
		memcpy(c->log->last_ts, line + m, TS_CHARS);
		c->log->last_ts[TS_CHARS] = '\0';
		if (!str_visible(c->log->last_ts, TS_CHARS))
			tell_once(c, "the record's time is not a time");
		if (c->log->records == 0)
			memcpy(c->log->first_ts, c->log->last_ts, sizeof(c->log->first_ts));
		return;
	}
	tell_once(c, "its seq is not its place (changed, missing, doubled or out of order)");
}

static enum err
take_record(struct checking *c, const char *line, size_t n)
{
	uint8_t hash[HASH_BYTES];
	enum err e;

	if (n == 0 || n > LEAF_BYTES_MAX)
		tell_once(c, "is empty or too long");
	else
		check_record(c, line, n);
	tree_leaf_hash(line, n, hash);
	e = tile_add(&c->tiles, hash);
	c->log->records++;
	return e;
}

/* Splits one run of bytes into lines; what has no end yet waits in carry. */
static enum err
take_lines(struct checking *c, const char *at, size_t n)
{
	enum err e = ERR_OK;

	while (n > 0 && !e) {
		const char *end = memchr(at, '\n', n);
		size_t part = end ? (size_t)(end - at) : n;

		if (c->carry_n + part > sizeof(c->carry)) {
			tell_once(c, "is longer than any record");
			c->stop = true;
			return ERR_OK;
		}
		if (end && c->carry_n == 0) {
			e = take_record(c, at, part);
		} else {
			memcpy(c->carry + c->carry_n, at, part);
			c->carry_n += part;
			if (end) {
				e = take_record(c, c->carry, c->carry_n);
				c->carry_n = 0;
			}
		}
		part += end ? 1 : 0;
		at += part;
		n -= part;
	}
	return e;
}

static void
check_tree(struct checking *c)
{
	struct verify_log *l = c->log;
	struct tree tree;
	uint8_t root[HASH_BYTES];

	if (c->carry_n > 0)
		tell_once(c, "does not end in a line feed");
	tile_tree(&c->tiles, &tree);
	tree_root(&tree, root);
	if (!c->note_good)
		return;
	if (l->records != l->head.size)
		verify_report_problem(c->r, "%s: there are %" PRIu64 " records, but the checkpoint was signed for %" PRIu64,
							  l->folder, l->records, l->head.size);
	else if (sodium_memcmp(root, l->head.root, HASH_BYTES) != 0)
		verify_report_problem(c->r, "%s: the records do not give the root that was signed: at least one was changed",
							  l->folder);
	else
		l->good = !c->told;
}

static enum err
read_records(struct checking *c, const char *path)
{
	crypto_hash_sha256_state h;
	const uint8_t *bytes;
	uint8_t sum[32];
	size_t n;
	enum err e;

	crypto_hash_sha256_init(&h);
	c->records_seen = true;
	do {
		e = ustar_read(&c->tar, &bytes, &n);
		if (e)
			return e;
		crypto_hash_sha256_update(&h, bytes, n);
		e = take_lines(c, (const char *)bytes, n);
		if (e)
			return e;
	} while (n > 0 && !c->stop);
	crypto_hash_sha256_final(&h, sum);
	check_tree(c);
	c->tile_due = tile_first(&c->tiles, &c->due);
	return remember(c, path, sum);
}

static enum err
read_tile(struct checking *c, const char *path, const char *name)
{
	uint8_t sum[32];
	uint64_t first;
	enum err e = read_file(c, path, NULL, sum);

	if (e)
		return e;
	if (!c->tile_due || strcmp(name, c->due.path) != 0) {
		verify_report_problem(c->r, "%s: is not the tile that comes next in this tree", path);
		c->log->good = c->tile_due = false;
		return ERR_OK;
	}
	first = c->due.index * TILE_WIDTH;
	if (memcmp(sum, c->due.sum, sizeof(sum)) != 0) {
		verify_report_problem(c->r, "%s: does not fit %s %" PRIu64 " to %" PRIu64, path,
							  c->due.level == 0 ? "records" : "the hashes of level below, tiles", first,
							  first + c->due.width - 1);
		c->log->good = false;
	}
	c->log->tiles++;
	c->tile_due = tile_next(&c->tiles, &c->due);
	return ERR_OK;
}

/* tiles.sha256 can only have one content: it is made again, line by line, and compared by its hash. */
static enum err
read_list(struct checking *c, const char *path)
{
	crypto_hash_sha256_state h;
	struct tile_at at;
	struct buf line;
	uint8_t sum[32], want[32];
	enum err e = read_file(c, path, NULL, sum);

	buf_init(&line, MANIFEST_BYTES_MAX);
	crypto_hash_sha256_init(&h);
	for (bool more = tile_first(&c->tiles, &at); more && !e; more = tile_next(&c->tiles, &at)) {
		buf_reset(&line);
		e = manifest_add(&line, at.path, at.sum);
		if (!e)
			crypto_hash_sha256_update(&h, buf_at(&line), line.len);
	}
	crypto_hash_sha256_final(&h, want);
	buf_clear(&line);
	if (e)
		return e;
	c->list_seen = true;
	if (memcmp(sum, want, sizeof(sum)) != 0) {
		verify_report_problem(c->r, "%s: is not the list of this tree's tiles", path);
		c->log->good = false;
	}
	return remember(c, path, sum);
}

static void
end_log(struct checking *c)
{
	if (!c->log)
		return;
	if (!c->records_seen || !c->list_seen || c->tile_due) {
		verify_report_problem(c->r, "%s: %s missing", c->log->folder,
							  !c->records_seen ? "records.jsonl is"
							  : c->tile_due    ? "a tile is"
											   : "tiles.sha256 is");
		c->log->good = false;
	}
	if (!c->note_good)
		c->log->good = false;
	tile_clear(&c->tiles);
	c->log = NULL;
}

static void
begin_log(struct checking *c, const char *folder, size_t n)
{
	end_log(c);
	if (c->r->logs_n == EXPORT_LOGS_MAX) {
		verify_report_problem(c->r, "%.*s: more logs than an export has", (int)n, folder);
		c->stop = true;
		return;
	}
	c->log = &c->r->logs[c->r->logs_n++];
	memcpy(c->log->folder, folder, n);
	tile_init(&c->tiles, false);
	c->tile_due = c->note_good = c->records_seen = c->list_seen = c->told = false;
	c->carry_n = 0;
}

/* "vault", "ledger", and later epochs of them: "ledger.2". */
static bool
is_folder(const char *s, size_t n)
{
	size_t head = n >= 5 && memcmp(s, "vault", 5) == 0 ? 5 : n >= 6 && memcmp(s, "ledger", 6) == 0 ? 6 : 0;

	if (head == 0 || n >= EXPORT_FOLDER_MAX)
		return false;
	return head == n || (s[head] == '.' && n > head + 1 && strspn(s + head + 1, "0123456789") >= n - head - 1);
}

static enum err
read_log_file(struct checking *c, const char *path, size_t folder_n)
{
	const char *name = path + folder_n + 1;
	struct small note;
	uint8_t sum[32];
	enum err e;

	if (!c->log || strlen(c->log->folder) != folder_n || memcmp(c->log->folder, path, folder_n) != 0)
		begin_log(c, path, folder_n);
	if (c->stop)
		return ERR_OK;
	if (strcmp(name, "records.jsonl") == 0)
		return read_records(c, path);
	if (strncmp(name, "tile/", 5) == 0)
		return read_tile(c, path, name);
	if (strcmp(name, "tiles.sha256") == 0)
		return read_list(c, path);
	if (strcmp(name, "checkpoint") == 0) {
		e = read_file(c, path, &note, sum);
		if (!e)
			e = open_head(c, path, &note);
		return e ? e : remember(c, path, sum);
	}
	verify_report_problem(c->r, "%s: is no file of an export", path);
	return read_file(c, path, NULL, sum);
}

/* ── the whole ── */

static enum err
read_one(struct checking *c, const char *path)
{
	const struct {
		const char *path;
		struct small *to;
		bool listed;
	} rows[] = {
		{"VERIFY.txt", NULL, true},
		{"keys/audit.pem", &c->pem, true},
		{"keys/checkpoint.pem", &c->checkpoint_pem, true},
		{"keys/minisign.pub", &c->minisign, true},
		{"keys/vkey", &c->vkey, true},
		{"manifest.sha256", &c->manifest, false},
		{"manifest.sha256.sig", &c->signature, false},
	};
	const char *slash = strchr(path, '/');
	uint8_t sum[32];
	enum err e;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(path, rows[i].path) != 0)
			continue;
		e = read_file(c, path, rows[i].to, sum);
		return e || !rows[i].listed ? e : remember(c, path, sum);
	}
	settle_keys(c);
	if (c->stop)
		return ERR_OK;
	if (slash && is_folder(path, (size_t)(slash - path)))
		return read_log_file(c, path, (size_t)(slash - path));
	verify_report_problem(c->r, "%s: is no file of an export", path);
	return read_file(c, path, NULL, sum);
}

/* Both lists are in rising order: walk them side by side. */
static bool
compare_lists(struct checking *c)
{
	struct manifest_line line;
	bool more = false, same = true;
	size_t at = 0;
	unsigned i = 0;

	for (;;) {
		int order;
		if (manifest_next(c->manifest.text, c->manifest.n, &at, &line, &more)) {
			verify_report_problem(c->r, "manifest.sha256: a line is not of its form");
			return false;
		}
		while (i < c->found_n && (!more || strcmp(c->found[i].path, line.path) < 0)) {
			verify_report_problem(c->r, "%s: is there, but the manifest does not list it", c->found[i++].path);
			same = false;
		}
		if (!more)
			return same;
		order = i < c->found_n ? strcmp(c->found[i].path, line.path) : 1;
		if (order != 0) {
			verify_report_problem(c->r, "%s: is in the manifest, but not there", line.path);
			same = false;
		} else if (memcmp(c->found[i++].sum, line.sha256, 32) != 0) {
			verify_report_problem(c->r, "%s: is not the file that the manifest lists", line.path);
			same = false;
		}
	}
}

static void
check_manifest(struct checking *c)
{
	bool same;

	if (!c->manifest.there || !c->signature.there) {
		verify_report_problem(c->r, "manifest.sha256: it or its signature is missing");
		return;
	}
	same = compare_lists(c);
	if (c->signature.n != 64 ||
		crypto_sign_verify_detached((const uint8_t *)c->signature.text, (const uint8_t *)c->manifest.text,
									c->manifest.n, c->r->keys.export) != 0) {
		verify_report_problem(c->r, "manifest.sha256.sig: the export key did not sign this manifest");
		return;
	}
	c->r->manifest_good = same;
}

/* checkpoint.pem is vkey's first key in another form, for people with openssl only. */
static void
check_checkpoint_pem(struct checking *c)
{
	uint8_t key[32];

	if (!c->checkpoint_pem.there || minisign_pem_parse(c->checkpoint_pem.text, c->checkpoint_pem.n, key) ||
		memcmp(key, c->r->keys.audit, sizeof(key)) != 0)
		verify_report_problem(c->r, "keys/checkpoint.pem: is missing or not the key of keys/vkey");
}

static void
check_archive(struct checking *c, const char *minisig, size_t bytes)
{
	uint8_t sum[USTAR_SUM_BYTES], id[MINISIGN_KEY_ID_BYTES];
	struct minisign_signature s;

	ustar_sum(&c->tar, sum);
	minisign_key_id(c->r->keys.export, id);
	if (!minisig)
		verify_report_problem(c->r, "the archive's signature (F.tar.minisig) is missing");
	else if (minisign_parse(minisig, bytes, &s))
		verify_report_problem(c->r, "the archive's signature (F.tar.minisig) is damaged");
	else if (minisign_check(&s, sum, c->r->keys.export, id))
		verify_report_problem(c->r, "the export key did not sign this archive (F.tar.minisig)");
	else {
		memcpy(c->r->comment, s.comment, sizeof(c->r->comment));
		c->r->archive_good = true;
	}
}

static enum err
read_all(struct checking *c)
{
	char path[MANIFEST_PATH_MAX] = "";
	uint64_t size;
	bool more;
	enum err e;

	for (;;) {
		e = ustar_next(&c->tar, path, &size, &more);
		if (!e && more)
			e = read_one(c, path);
		if (e == ERR_FILE_FORM) {
			verify_report_problem(c->r,
								  "the archive is damaged or cut off after %s%s, within its first %" PRIu64 " bytes",
								  c->tar.files ? "the start of " : "nothing", path, c->tar.bytes);
			c->stop = true;
			e = ERR_OK;
		}
		if (e || c->stop || !more)
			return e;
	}
}

static void
check_whole(struct checking *c, const char *minisig, size_t minisig_bytes)
{
	bool vault = false;

	settle_keys(c);
	for (unsigned i = 0; i < c->r->logs_n; i++)
		vault = vault || strcmp(c->r->logs[i].folder, "vault") == 0;
	if (!vault)
		verify_report_problem(c->r, "vault: the vault's log is missing");
	if (c->stop)
		return;
	check_manifest(c);
	check_checkpoint_pem(c);
	check_archive(c, minisig, minisig_bytes);
}

enum err
verify_export(ustar_read_fn read, void *arg, const char *minisig, size_t minisig_bytes, const struct verify_keys *keys,
			  struct verify_report *report)
{
	struct checking *c = mem_new(1, sizeof(*c));
	enum err e;

	memset(report, 0, sizeof(*report));
	buf_init(&report->problems, PROBLEM_BYTES);
	if (!c)
		return ERR_MEMORY;
	c->r = report;
	c->given = keys;
	report->keys_given = keys && keys->given;
	ustar_reader_init(&c->tar, read, arg);
	e = read_all(c);
	end_log(c);
	report->files = c->tar.files;
	report->bytes = c->tar.bytes;
	if (!e && !c->stop)
		check_whole(c, minisig, minisig_bytes);
	mem_free(c);
	if (e)
		return e;
	return verify_report_good(report) ? ERR_OK : ERR_VERIFY_FAILED;
}
