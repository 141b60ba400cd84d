#include "daemon/audit/verify.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/audit/minisign.h"
#include "daemon/audit/verify_part.h"
#include "daemon/base/mem.h"

#define PROBLEM_BYTES 16384

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
	if (c->r->keys_given)
		c->r->keys = c->ask->keys.keys;
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

void
verify_remember(struct checking *c, const char *path, const uint8_t sum[32])
{
	if (c->found_n == FILES_MAX) {
		verify_report_problem(c->r, "%s: more files than an export has", path);
		c->stop = true;
		return;
	}
	memcpy(c->found[c->found_n].path, path, strlen(path) + 1);
	memcpy(c->found[c->found_n++].sum, sum, 32);
}

enum err
verify_read_whole(struct checking *c, const char *path, struct small *s, uint8_t sum_out[32])
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
		e = verify_read_whole(c, path, rows[i].to, sum);
		if (!e && rows[i].listed)
			verify_remember(c, path, sum);
		return e;
	}
	settle_keys(c);
	if (c->stop)
		return ERR_OK;
	if (slash && verify_log_is_folder(path, (size_t)(slash - path)))
		return verify_log_file(c, path, (size_t)(slash - path));
	verify_report_problem(c->r, "%s: is no file of an export", path);
	return verify_read_whole(c, path, NULL, sum);
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

static bool
has_log(const struct checking *c, const char *folder)
{
	for (unsigned i = 0; i < c->r->logs_n; i++)
		if (strcmp(c->r->logs[i].folder, folder) == 0)
			return true;
	return false;
}

static void
check_whole(struct checking *c, const char *minisig, size_t minisig_bytes)
{
	settle_keys(c);
	if (!has_log(c, "vault"))
		verify_report_problem(c->r, "vault: the vault's log is missing");
	for (unsigned i = 0; c->ask && i < c->ask->since_n; i++)
		if (!has_log(c, c->ask->since[i].folder))
			verify_report_problem(c->r, "%s: was in the earlier export and is missing", c->ask->since[i].folder);
	if (c->ask && c->ask->record_log[0] && !has_log(c, c->ask->record_log))
		verify_report_problem(c->r, "%s: there is no such log", c->ask->record_log);
	if (c->stop)
		return;
	check_manifest(c);
	check_checkpoint_pem(c);
	check_archive(c, minisig, minisig_bytes);
}

enum err
verify_export(ustar_read_fn read, void *arg, const char *minisig, size_t minisig_bytes, const struct verify_ask *ask,
			  struct verify_report *report)
{
	struct checking *c = mem_new(1, sizeof(*c));
	enum err e;

	memset(report, 0, sizeof(*report));
	buf_init(&report->problems, PROBLEM_BYTES);
	if (!c)
		return ERR_MEMORY;
	c->r = report;
	c->ask = ask;
	report->keys_given = ask && ask->keys.given;
	ustar_reader_init(&c->tar, read, arg);
	e = read_all(c);
	verify_log_end(c);
	report->files = c->tar.files;
	report->bytes = c->tar.bytes;
	if (!e && !c->stop)
		check_whole(c, minisig, minisig_bytes);
	mem_free(c);
	if (e)
		return e;
	return verify_report_good(report) ? ERR_OK : ERR_VERIFY_FAILED;
}
