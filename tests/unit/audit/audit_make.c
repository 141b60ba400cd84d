/*
 * audit_make — makes an export from a synthetic log with throw-away keys, for tests and benchmarks.
 *   audit_make F.tar KEYS_DIR VAULT_RECORDS LEDGER_RECORDS [--forge|--fork]
 * Writes F.tar, F.tar.minisig and the public keys in KEYS_DIR. The keys come from fixed seeds, so that the same
 * arguments give the same bytes; --forge signs with other keys and leaves KEYS_DIR alone; --fork signs another history
 * with the true keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/audit/export.h"
#include "daemon/audit/leaf.h"
#include "daemon/audit/minisign.h"

#define NAME "sallyport.test/node-1"

struct kept {
	FILE *records, *hashes;
};
struct making {
	uint8_t ask[32], ask_secret[64], xsk[32], xsk_secret[64];
	struct export x;
	struct kept kept[EXPORT_LOGS_MAX];
	FILE *out;
	bool fork;
};

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "audit_make: %s\n", what);
	exit(1);
}

static void
record_of(uint64_t seq, bool vault, bool fork, char out[LEAF_BYTES_MAX], size_t *n)
{
	char object[40], request[40];
	struct leaf l = {
		.seq = seq,
		.wall_ms = 1795000000000 + (int64_t)seq * 7,
		.mono_ms = 1000 + (int64_t)seq * 7,
		.install = "test",
		.proc = vault ? "vault" : "ledger",
		.actor = ACTOR_CLIENT,
		.actor_id = "demo",
		.event = vault ? EVENT_REDEEM : EVENT_PAYMENT_REQUESTED,
		.object_id = object,
		.merchant = "mer_demo",
		.request = request,
		.phase = LEAF_SINGLE,
	};

	snprintf(object, sizeof(object), "%s_%026llu", vault ? "tok" : "pay", (unsigned long long)seq * 2654435761U);
	snprintf(request, sizeof(request), "req_%026llu", (unsigned long long)seq);
	if (seq % 97 == 96) {
		l.outcome = LEAF_DENY;
		l.code = ERR_GRANT_UNKNOWN;
		l.reason = "t\xc3\xa4st \"quoted\" \xe2\x80\xae text";
	}
	if (fork && seq == 3)
		l.actor_id = "somebody-else";
	need(leaf_encode(&l, out, n) == ERR_OK, "a record does not fit");
}

static size_t
checkpoint_of(const struct making *m, const char *folder, uint64_t records, bool vault, char note[NOTE_BYTES_MAX])
{
	struct tree tree = {.size = 0};
	struct checkpoint c;
	uint8_t hash[HASH_BYTES], signature[64];
	char record[LEAF_BYTES_MAX];
	size_t n;

	for (uint64_t i = 0; i < records; i++) {
		record_of(i, vault, m->fork, record, &n);
		tree_leaf_hash(record, n, hash);
		tree_append(&tree, hash);
	}
	c.size = records;
	tree_root(&tree, c.root);
	snprintf(c.origin, sizeof(c.origin), NAME "/%s", folder);
	need(note_text(&c, note, &n) == ERR_OK, "checkpoint");
	crypto_sign_detached(signature, NULL, (const uint8_t *)note, n, m->ask_secret);
	need(note_add_signature(note, &n, NAME, note_key_hash(NAME, m->ask), signature) == ERR_OK, "signature line");
	return n;
}

static void
add_log(struct making *m, const char *folder, uint64_t records)
{
	struct kept *kept = &m->kept[m->x.logs_n];
	bool vault = strcmp(folder, "vault") == 0;
	char note[NOTE_BYTES_MAX], record[LEAF_BYTES_MAX];
	struct export_log *log;
	uint8_t hash[HASH_BYTES];
	size_t n = checkpoint_of(m, folder, records, vault, note);

	need(export_log(&m->x, folder, note, n, &log) == ERR_OK, "log");
	kept->records = tmpfile();
	kept->hashes = tmpfile();
	need(kept->records && kept->hashes, "temporary files");
	for (uint64_t i = 0; i < records; i++) {
		record_of(i, vault, m->fork, record, &n);
		need(export_record(log, record, n, hash) == ERR_OK, "record");
		need(fwrite(record, 1, n, kept->records) == n && fputc('\n', kept->records) == '\n', "temporary file");
		need(fwrite(hash, 1, sizeof(hash), kept->hashes) == sizeof(hash), "temporary file");
	}
}

static enum err
read_kept(void *arg, const struct export_log *log, enum export_part part, uint64_t offset, void *out, size_t n)
{
	struct making *m = arg;

	for (unsigned i = 0; i < m->x.logs_n; i++) {
		FILE *f = part == EXPORT_RECORDS ? m->kept[i].records : m->kept[i].hashes;
		if (m->x.logs[i] == log)
			return fseek(f, (long)offset, SEEK_SET) == 0 && fread(out, 1, n, f) == n ? ERR_OK : ERR_IO;
	}
	return ERR_INTERNAL;
}

static enum err
write_out(void *arg, const void *bytes, size_t n)
{
	struct making *m = arg;

	return fwrite(bytes, 1, n, m->out) == n ? ERR_OK : ERR_IO;
}

static void
write_text(const char *dir, const char *name, const char *text)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s%s", dir, name);
	f = fopen(path, "w");
	need(f && fputs(text, f) >= 0 && fclose(f) == 0, path);
}

static void
write_keys(const struct making *m, const char *dir)
{
	char text[MINISIGN_FILE_MAX];

	snprintf(text, sizeof(text), "%s\n", m->x.keys.vkey[0]);
	write_text(dir, "/vkey", text);
	need(minisign_pem(m->xsk, text) == ERR_OK, "pem");
	write_text(dir, "/audit.pem", text);
	need(minisign_pem(m->ask, text) == ERR_OK, "pem");
	write_text(dir, "/checkpoint.pem", text);
	need(minisign_public(m->xsk, text) == ERR_OK, "minisign.pub");
	write_text(dir, "/minisign.pub", text);
}

static void
write_export(struct making *m, const char *path)
{
	struct minisign_signature s = {.comment = "sallyport export 2026-11-18T11:06:40Z"};
	uint8_t signature[64], sum[USTAR_SUM_BYTES], global[MINISIGN_SIGNED_MAX];
	char text[MINISIGN_FILE_MAX];
	struct buf manifest;
	size_t n;

	buf_init(&manifest, MANIFEST_BYTES_MAX);
	need(export_manifest(&m->x, &manifest) == ERR_OK, "manifest");
	crypto_sign_detached(signature, NULL, buf_at(&manifest), manifest.len, m->xsk_secret);
	m->out = fopen(path, "w");
	need(m->out != NULL, path);
	need(export_write(&m->x, &manifest, signature, read_kept, write_out, m, sum) == ERR_OK, "archive");
	need(fclose(m->out) == 0, path);
	buf_clear(&manifest);
	crypto_sign_detached(s.tar, NULL, sum, sizeof(sum), m->xsk_secret);
	need(minisign_global(s.tar, s.comment, global, &n) == ERR_OK, "comment");
	crypto_sign_detached(s.global, NULL, global, n, m->xsk_secret);
	minisign_key_id(m->xsk, s.key_id);
	need(minisign_text(&s, text) == ERR_OK, "minisig");
	write_text(path, ".minisig", text);
}

int
main(int argc, char **argv)
{
	static struct making m;
	struct export_keys keys = {.vkeys = 1};
	bool forge = argc == 6 && strcmp(argv[5], "--forge") == 0;
	uint8_t seed[32];

	m.fork = argc == 6 && strcmp(argv[5], "--fork") == 0;
	need(argc == 5 || forge || m.fork,
		 "usage: audit_make F.tar KEYS_DIR VAULT_RECORDS LEDGER_RECORDS [--forge|--fork]");
	need(sodium_init() >= 0, "libsodium");
	memset(seed, forge ? 3 : 1, sizeof(seed));
	crypto_sign_seed_keypair(m.ask, m.ask_secret, seed);
	memset(seed, forge ? 4 : 2, sizeof(seed));
	crypto_sign_seed_keypair(m.xsk, m.xsk_secret, seed);
	need(note_vkey(NAME, m.ask, keys.vkey[0], sizeof(keys.vkey[0])) == ERR_OK, "vkey");
	memcpy(keys.audit, m.ask, sizeof(keys.audit));
	memcpy(keys.export, m.xsk, sizeof(keys.export));
	export_init(&m.x, &keys);
	add_log(&m, "ledger", strtoull(argv[4], NULL, 10));
	add_log(&m, "vault", strtoull(argv[3], NULL, 10));
	if (!forge)
		write_keys(&m, argv[2]);
	write_export(&m, argv[1]);
	export_clear(&m.x);
	return 0;
}
