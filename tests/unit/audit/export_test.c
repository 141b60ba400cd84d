/* The pieces of an export: manifest, archive, tiles, minisign; and the whole, made and verified in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "daemon/audit/export.h"
#include "daemon/audit/minisign.h"
#include "daemon/audit/verify.h"

#define NAME    "sallyport.unit/node"
#define RECORDS 600

struct bytes {
	const uint8_t *at;
	size_t left, piece;
};

static uint8_t ask[32], ask_secret[64], xsk[32], xsk_secret[64];
static struct buf records[2], hashes[2]; /* what a caller keeps: [0] ledger, [1] vault */

static enum err
give(void *arg, void *out, size_t max, size_t *got_out)
{
	struct bytes *b = arg;

	*got_out = b->left < max ? b->left : max;
	if (b->piece && *got_out > b->piece)
		*got_out = b->piece;
	if (*got_out > 0)
		memcpy(out, b->at, *got_out);
	b->at += *got_out;
	b->left -= *got_out;
	return ERR_OK;
}

static enum err
take(void *arg, const void *bytes, size_t n)
{
	return buf_add(arg, bytes, n);
}

static enum err
give_kept(void *arg, const struct export_log *log, enum export_part part, uint64_t offset, void *out, size_t n)
{
	unsigned which = strcmp(log->folder, "vault") == 0;
	const struct buf *from = part == EXPORT_RECORDS ? &records[which] : &hashes[which];

	(void)arg;
	assert_true(offset + n <= from->len);
	memcpy(out, buf_at(from) + offset, n);
	return ERR_OK;
}

/* ── pieces ── */

static void
paths_that_could_lead_elsewhere_are_refused(void **state)
{
	static const char *const good[] = {"a", "vault/records.jsonl", "vault/tile/0/000.p/3", "ledger.2/x_y-z"};
	static const char *const bad[] = {"",   "/a",  "a/",  "a//b", "../a",     "a/../b", "./a",
									  "-a", "a b", "a\n", "a\\b", "\xc3\xa4", ".a",     "a/-b"};
	char longest[MANIFEST_PATH_MAX + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(manifest_path(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(manifest_path(bad[i]));
	memset(longest, 'p', sizeof(longest));
	longest[MANIFEST_PATH_MAX - 1] = '\0';
	assert_true(manifest_path(longest));
	longest[MANIFEST_PATH_MAX - 1] = 'p';
	longest[MANIFEST_PATH_MAX] = '\0';
	assert_false(manifest_path(longest));
}

static void
a_signer_sees_what_it_signs(void **state)
{
	const char note[] = "a note", other[] = "another";
	uint8_t sum[32];
	struct buf text;

	(void)state;
	buf_init(&text, MANIFEST_BYTES_MAX * 2);
	crypto_hash_sha256(sum, (const uint8_t *)other, strlen(other));
	assert_int_equal(manifest_add(&text, "ledger/checkpoint", sum), ERR_OK);
	crypto_hash_sha256(sum, (const uint8_t *)note, strlen(note));
	assert_int_equal(manifest_add(&text, "vault/checkpoint", sum), ERR_OK);
	const char *t = (const char *)buf_at(&text);
	assert_int_equal(manifest_check(t, text.len, note, strlen(note), other, strlen(other)), ERR_OK);
	/* other notes, a log that is listed and not given, one line short, one byte changed, out of order, too long */
	assert_int_equal(manifest_check(t, text.len, other, strlen(other), note, strlen(note)), ERR_VERIFY_FAILED);
	assert_int_equal(manifest_check(t, text.len, note, strlen(note), NULL, 0), ERR_VERIFY_FAILED);
	assert_int_equal(manifest_check(t, text.len - 1, note, strlen(note), other, strlen(other)), ERR_FILE_FORM);
	assert_int_equal(manifest_check(t, 40, note, strlen(note), other, strlen(other)), ERR_OUT_OF_RANGE);
	for (size_t i = 0; i < text.len; i++) {
		text.bytes[text.start + i] ^= 1;
		assert_int_not_equal(manifest_check(t, text.len, note, strlen(note), other, strlen(other)), ERR_OK);
		text.bytes[text.start + i] ^= 1;
	}
	assert_int_equal(manifest_add(&text, "aaa", sum), ERR_OK);
	t = (const char *)buf_at(&text);
	assert_int_equal(manifest_check(t, text.len, note, strlen(note), other, strlen(other)), ERR_FILE_FORM);
	while (text.len <= MANIFEST_BYTES_MAX)
		assert_int_equal(manifest_add(&text, "zzz", sum), ERR_OK);
	t = (const char *)buf_at(&text);
	assert_int_equal(manifest_check(t, text.len, note, strlen(note), other, strlen(other)), ERR_OUT_OF_RANGE);
	buf_clear(&text);
}

static void
tiles_have_the_tree_and_the_published_paths(void **state)
{
	static const uint64_t sizes[] = {0, 1, 2, 255, 256, 257, 511, 512, 65535, 65536, 65537, 66000, 256 * 1001 + 3};
	struct tree tree = {.size = 0}, from_tiles;
	struct tile_set tiles;
	uint8_t hash[HASH_BYTES], a[HASH_BYTES], b[HASH_BYTES];
	struct tile_at at;
	size_t next = 0;
	uint64_t seen = 0;
	char before[TILE_PATH_MAX] = "";

	(void)state;
	tile_init(&tiles, true);
	for (uint64_t i = 0; next < sizeof(sizes) / sizeof(*sizes); i++) {
		if (i == sizes[next]) {
			tile_tree(&tiles, &from_tiles);
			assert_true(from_tiles.size == i);
			tree_root(&tree, a);
			tree_root(&from_tiles, b);
			assert_memory_equal(a, b, HASH_BYTES);
			next++;
		}
		tree_leaf_hash(&i, sizeof(i), hash);
		tree_append(&tree, hash);
		assert_int_equal(tile_add(&tiles, hash), ERR_OK);
	}
	/* 256 256 + 4 leaves: 1001 full tiles and one of 4; above them 3 full and one of 233; above them one of 3 */
	for (bool more = tile_first(&tiles, &at); more; more = tile_next(&tiles, &at)) {
		assert_true(strcmp(before, at.path) < 0);
		memcpy(before, at.path, sizeof(before));
		if (at.level == 0 && at.index == 1000)
			assert_string_equal(at.path, "tile/0/x001/000");
		if (at.level == 0 && at.index == 1001)
			assert_string_equal(at.path, "tile/0/x001/001.p/4");
		if (at.level == 1 && at.index == 3)
			assert_string_equal(at.path, "tile/1/003.p/233");
		assert_true((tile_bytes(&tiles, &at) == NULL) == (at.level == 0 && at.width == TILE_WIDTH));
		seen++;
	}
	assert_string_equal(before, "tile/2/000.p/3");
	assert_true(seen == 1002 + 4 + 1);
	tile_clear(&tiles);
}

static void
minisign_files_come_back_as_they_were(void **state)
{
	struct minisign_signature s = {.comment = "a comment, with spaces"}, back;
	char text[MINISIGN_FILE_MAX], bad[MINISIGN_FILE_MAX];
	uint8_t sum[64], key[32], id[MINISIGN_KEY_ID_BYTES], global[MINISIGN_SIGNED_MAX];
	size_t n, accepted = 0;

	(void)state;
	randombytes_buf(sum, sizeof(sum));
	minisign_key_id(xsk, s.key_id);
	crypto_sign_detached(s.tar, NULL, sum, sizeof(sum), xsk_secret);
	assert_int_equal(minisign_global(s.tar, s.comment, global, &n), ERR_OK);
	crypto_sign_detached(s.global, NULL, global, n, xsk_secret);
	assert_int_equal(minisign_text(&s, text), ERR_OK);
	assert_int_equal(minisign_parse(text, strlen(text), &back), ERR_OK);
	assert_int_equal(minisign_check(&back, sum, xsk, s.key_id), ERR_OK);
	for (size_t i = 0; text[i]; i++) {
		memcpy(bad, text, sizeof(bad));
		bad[i] ^= 2;
		accepted +=
			minisign_parse(bad, strlen(bad), &back) == ERR_OK && minisign_check(&back, sum, xsk, s.key_id) == ERR_OK;
	}
	assert_int_equal(accepted, 0);
	sum[0] ^= 1;
	assert_int_equal(minisign_check(&s, sum, xsk, s.key_id), ERR_VERIFY_FAILED);
	memcpy(s.comment, "line\n", 6);
	assert_int_equal(minisign_text(&s, text), ERR_CHARACTERS);
	assert_int_equal(minisign_public(xsk, text), ERR_OK);
	assert_int_equal(minisign_public_parse(text, strlen(text), key, id), ERR_OK);
	assert_memory_equal(key, xsk, 32);
	assert_int_equal(minisign_pem(xsk, text), ERR_OK);
	assert_int_equal(minisign_pem_parse(text, strlen(text), key), ERR_OK);
	assert_int_equal(minisign_pem_parse(text, strlen(text) - 1, key), ERR_FILE_FORM);
}

static void
archives_have_one_form(void **state)
{
	static const char *const content = "some bytes\n";
	struct ustar_writer w;
	struct ustar_reader *r = calloc(1, sizeof(*r));
	uint8_t sum[USTAR_SUM_BYTES], read_sum[USTAR_SUM_BYTES];
	char path[MANIFEST_PATH_MAX];
	struct buf out;
	uint64_t size;
	bool more = true;

	(void)state;
	buf_init(&out, 65536);
	ustar_writer_init(&w, take, &out);
	assert_int_equal(ustar_file(&w, "b/file", strlen(content)), ERR_OK);
	assert_int_equal(ustar_write(&w, content, strlen(content)), ERR_OK);
	assert_int_equal(ustar_file(&w, "c/empty", 0), ERR_OK);
	assert_int_equal(ustar_file(&w, "a", 0), ERR_OUT_OF_RANGE);
	assert_int_equal(ustar_file(&w, "c/empty", 0), ERR_OUT_OF_RANGE);
	assert_int_equal(ustar_file(&w, "../d", 0), ERR_OUT_OF_RANGE);
	assert_int_equal(ustar_finish(&w, sum), ERR_OK);
	assert_int_equal(out.len % USTAR_BLOCK, 0);
	/* in pieces of 1 byte and in one: the same */
	for (size_t piece = 0; piece < 3; piece++) {
		struct bytes in = {buf_at(&out), out.len, piece};
		unsigned files = 0;
		ustar_reader_init(r, give, &in);
		for (more = true; more; files += more)
			assert_int_equal(ustar_next(r, path, &size, &more), ERR_OK);
		assert_int_equal(files, 2);
		ustar_sum(r, read_sum);
		assert_memory_equal(sum, read_sum, sizeof(sum));
	}
	/* any bit of headers, padding or end mark flipped, and any cut: another form (content bytes are the caller's to
	 * check) */
	for (size_t i = 0; i < out.len; i++) {
		bool in_content = i >= USTAR_BLOCK && i < USTAR_BLOCK + strlen(content);
		struct bytes in = {buf_at(&out), out.len, 0}, cut = {buf_at(&out), i, 0};
		enum err e = ERR_OK;
		out.bytes[out.start + i] ^= 4;
		ustar_reader_init(r, give, &in);
		for (more = true; more && !e;)
			e = ustar_next(r, path, &size, &more);
		/* the checksum covers the header, and there is one spelling of everything else */
		assert_int_equal(e, in_content ? ERR_OK : ERR_FILE_FORM);
		out.bytes[out.start + i] ^= 4;
		ustar_reader_init(r, give, &cut);
		for (e = ERR_OK, more = true; more && !e;)
			e = ustar_next(r, path, &size, &more);
		assert_int_equal(e, ERR_FILE_FORM);
	}
	buf_clear(&out);
	free(r);
}

/* ── the whole ── */

static void
start(struct export *x, unsigned which, const char *folder, uint64_t size)
{
	struct checkpoint c = {.size = size};
	struct export_log *log;
	struct tree tree = {.size = 0};
	uint8_t hash[HASH_BYTES], signature[64];
	char note[NOTE_BYTES_MAX], record[200];
	size_t n;

	buf_init(&records[which], 1 << 20);
	buf_init(&hashes[which], 1 << 20);
	for (int pass = 0; pass < 2; pass++) {
		for (uint64_t i = 0; i < size; i++) {
			int len =
				snprintf(record, sizeof(record), "{\"v\":1,\"seq\":%llu,\"ts\":\"2026-11-21T11:00:00.000Z\",\"x\":%u}",
						 (unsigned long long)i, which);
			tree_leaf_hash(record, (size_t)len, hash);
			if (pass == 0) {
				tree_append(&tree, hash);
				continue;
			}
			assert_int_equal(export_record(log, record, (size_t)len, hash), ERR_OK);
			record[len] = '\n';
			assert_int_equal(buf_add(&records[which], record, (size_t)len + 1), ERR_OK);
			assert_int_equal(buf_add(&hashes[which], hash, sizeof(hash)), ERR_OK);
		}
		if (pass == 1)
			break;
		tree_root(&tree, c.root);
		snprintf(c.origin, sizeof(c.origin), NAME "/%s", folder);
		assert_int_equal(note_text(&c, note, &n), ERR_OK);
		crypto_sign_detached(signature, NULL, (const uint8_t *)note, n, ask_secret);
		assert_int_equal(note_add_signature(note, &n, NAME, note_key_hash(NAME, ask), signature), ERR_OK);
		assert_int_equal(export_log(x, folder, note, n, &log), ERR_OK);
	}
	assert_int_equal(export_record(log, "more", 4, hash), ERR_OUT_OF_RANGE);
}

static void
make(uint64_t ledger, uint64_t vault, struct buf *tar, char minisig[MINISIGN_FILE_MAX])
{
	struct export_keys keys = {.vkeys = 1};
	struct minisign_signature s = {.comment = "unit"};
	uint8_t signature[64], sum[USTAR_SUM_BYTES], global[MINISIGN_SIGNED_MAX];
	struct export x;
	struct buf manifest;
	size_t n;

	assert_int_equal(note_vkey(NAME, ask, keys.vkey[0], sizeof(keys.vkey[0])), ERR_OK);
	memcpy(keys.audit, ask, sizeof(ask));
	memcpy(keys.export, xsk, sizeof(xsk));
	export_init(&x, &keys);
	start(&x, 0, "ledger", ledger);
	start(&x, 1, "vault", vault);
	buf_init(&manifest, MANIFEST_BYTES_MAX);
	assert_int_equal(export_manifest(&x, &manifest), ERR_OK);
	assert_int_equal(manifest_check((const char *)buf_at(&manifest), manifest.len, x.logs[1]->note,
									x.logs[1]->note_bytes, x.logs[0]->note, x.logs[0]->note_bytes),
					 ERR_OK);
	crypto_sign_detached(signature, NULL, buf_at(&manifest), manifest.len, xsk_secret);
	buf_init(tar, 1 << 24);
	assert_int_equal(export_write(&x, &manifest, signature, give_kept, take, tar, sum), ERR_OK);
	crypto_sign_detached(s.tar, NULL, sum, sizeof(sum), xsk_secret);
	assert_int_equal(minisign_global(s.tar, s.comment, global, &n), ERR_OK);
	crypto_sign_detached(s.global, NULL, global, n, xsk_secret);
	minisign_key_id(xsk, s.key_id);
	assert_int_equal(minisign_text(&s, minisig), ERR_OK);
	buf_clear(&manifest);
	export_clear(&x);
	for (int i = 0; i < 2; i++) {
		buf_clear(&records[i]);
		buf_clear(&hashes[i]);
	}
}

static void
verifies_what_was_made(void **state)
{
	static const uint64_t sizes[] = {0, 1, 255, 256, 257, RECORDS};
	char minisig[MINISIGN_FILE_MAX];
	struct verify_report report;
	struct buf tar, told;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (size_t piece = 0; piece < 1000; piece += 499) {
			make(sizes[i], 7, &tar, minisig);
			struct bytes in = {buf_at(&tar), tar.len, piece};
			assert_int_equal(verify_export(give, &in, minisig, strlen(minisig), NULL, &report), ERR_OK);
			assert_true(report.logs[0].records == sizes[i] && report.logs[1].records == 7);
			buf_init(&told, 65536);
			assert_int_equal(verify_report_text(&report, &told), ERR_OK);
			assert_memory_equal(buf_at(&told), "verified ", 9);
			buf_clear(&told);
			verify_report_clear(&report);
			buf_clear(&tar);
		}
}

/* After a rotation of the audit key its older checkpoints stay good: any of the vkeys may have signed. */
static void
a_checkpoint_of_an_older_key_is_accepted(void **state)
{
	uint8_t newer[32], newer_secret[64], signature[64];
	struct export_keys keys = {.vkeys = 1};
	struct checkpoint c = {.origin = NAME "/vault"};
	struct export_log *log;
	struct export x;
	char note[NOTE_BYTES_MAX];
	size_t n;

	(void)state;
	crypto_sign_keypair(newer, newer_secret);
	crypto_hash_sha256(c.root, (const uint8_t *)"", 0);
	assert_int_equal(note_text(&c, note, &n), ERR_OK);
	crypto_sign_detached(signature, NULL, (const uint8_t *)note, n, ask_secret);
	assert_int_equal(note_add_signature(note, &n, NAME, note_key_hash(NAME, ask), signature), ERR_OK);
	assert_int_equal(note_vkey(NAME, newer, keys.vkey[0], sizeof(keys.vkey[0])), ERR_OK);
	export_init(&x, &keys);
	assert_int_equal(export_log(&x, "vault", note, n, &log), ERR_VERIFY_FAILED);
	assert_int_equal(note_vkey(NAME, ask, keys.vkey[1], sizeof(keys.vkey[1])), ERR_OK);
	keys.vkeys = 2;
	export_init(&x, &keys);
	assert_int_equal(export_log(&x, "ledger", note, n, &log), ERR_VERIFY_FAILED);
	assert_int_equal(export_log(&x, "vault", note, n, &log), ERR_OK);
	export_clear(&x);
}

static void
any_flipped_bit_is_found(void **state)
{
	char minisig[MINISIGN_FILE_MAX];
	struct verify_report report;
	struct buf tar;

	(void)state;
	make(300, 40, &tar, minisig);
	for (unsigned round = 0; round < 3000; round++) {
		size_t at = randombytes_uniform((uint32_t)tar.len);
		uint8_t bit = (uint8_t)(1U << randombytes_uniform(8));
		struct bytes in = {buf_at(&tar), tar.len, 0};
		tar.bytes[tar.start + at] ^= bit;
		assert_int_equal(verify_export(give, &in, minisig, strlen(minisig), NULL, &report), ERR_VERIFY_FAILED);
		assert_true(report.problems.len > 0);
		verify_report_clear(&report);
		tar.bytes[tar.start + at] ^= bit;
	}
	struct bytes in = {buf_at(&tar), tar.len, 0};
	assert_int_equal(verify_export(give, &in, NULL, 0, NULL, &report), ERR_VERIFY_FAILED);
	verify_report_clear(&report);
	buf_clear(&tar);
}

static void
folders_and_origins_belong_together(void **state)
{
	(void)state;
	assert_true(export_origin_fits("sallyport.i/n/vault", "vault"));
	assert_true(export_origin_fits("sallyport.i/n/ledger/2", "ledger.2"));
	assert_false(export_origin_fits("sallyport.i/n/ledger", "vault"));
	assert_false(export_origin_fits("sallyport.i/n/xvault", "vault"));
	assert_false(export_origin_fits("/vault", "vault"));
	assert_false(export_origin_fits("", "vault"));
}

static int
set_up(void **state)
{
	(void)state;
	return sodium_init() < 0 || crypto_sign_keypair(ask, ask_secret) || crypto_sign_keypair(xsk, xsk_secret);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_that_could_lead_elsewhere_are_refused),
		cmocka_unit_test(a_signer_sees_what_it_signs),
		cmocka_unit_test(tiles_have_the_tree_and_the_published_paths),
		cmocka_unit_test(minisign_files_come_back_as_they_were),
		cmocka_unit_test(archives_have_one_form),
		cmocka_unit_test(verifies_what_was_made),
		cmocka_unit_test(any_flipped_bit_is_found),
		cmocka_unit_test(a_checkpoint_of_an_older_key_is_accepted),
		cmocka_unit_test(folders_and_origins_belong_together),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
