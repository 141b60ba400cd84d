#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/base/str.h"
#include "tests/unit/vault/softhand.h"
#include "vault/boot.h"
#include "vault/keyring.h"

/* In place of libc's: what is synced, in which order. */
static char synced[8];
static size_t synced_n;

int
fsync(int fd)
{
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	if (synced_n < sizeof synced - 1)
		synced[synced_n++] = S_ISDIR(st.st_mode) ? 'd' : 'f';
	return (int)syscall(SYS_fsync, fd);
}

static char dir[64], path[96], journal[96];
static struct boot b;
static bool ran;
static enum err ended;

static void
on_done(void *arg, enum err e)
{
	(void)arg;
	ran = true;
	ended = e;
}

static enum err
store(const struct boot *which)
{
	ran = false;
	enum err e = boot_store(path, which, NULL, 100, on_done, NULL);
	if (e != ERR_OK)
		return e;
	softhand_run();
	assert_true(ran);
	return ended;
}

static int
set_up_group(void **state)
{
	(void)state;
	struct keyring *k;
	strcpy(dir, "/tmp/sallyport-boot-XXXXXX");
	if (sodium_init() < 0 || secret_open(KEYRING_ARENA_BYTES) != ERR_OK || !mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof path, "%s/boot", dir);
	(void)snprintf(journal, sizeof journal, "%s/boot.journal", dir);
	softhand_reset();
	if (boot_init(&b, "acme", "a", true) != ERR_OK || keyring_new(&b, &k) != ERR_OK ||
		keyring_make_all(k, NULL, 100, on_done, NULL) != ERR_OK)
		return -1;
	softhand_run();
	keyring_free(k);
	for (int i = 0; i < 3; i++) {
		struct boot_officer o = {.role = "officer"};
		(void)snprintf(o.name, sizeof o.name, "officer-%d", i + 1);
		randombytes_buf(o.public_key, 32);
		if (boot_add_officer(&b, &o) != ERR_OK)
			return -1;
	}
	return ended == ERR_OK ? 0 : -1;
}

static int
tear_down_group(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(journal);
	return rmdir(dir);
}

static size_t
slurp(const char *from, char *out, size_t room)
{
	FILE *f = fopen(from, "r");
	assert_non_null(f);
	size_t n = fread(out, 1, room, f);
	fclose(f);
	return n;
}

static void
what_is_stored_comes_back(void **state)
{
	static struct boot back;
	struct stat st;
	uint8_t one[32], two[32];
	(void)state;
	assert_int_equal(boot_load("/nowhere/boot", &back), ERR_FILE_MISSING);
	memset(synced, 0, sizeof synced);
	synced_n = 0;
	assert_int_equal(store(&b), ERR_OK);
	/* the bytes before the name, the name before we say so */
	assert_string_equal(synced, "fd");
	assert_int_equal(boot_load(path, &back), ERR_OK);
	assert_memory_equal(&b, &back, sizeof b);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(boot_digest(&b, one), ERR_OK);
	back.officers[1].public_key[0] ^= 1;
	assert_int_equal(boot_digest(&back, two), ERR_OK);
	assert_memory_not_equal(one, two, 32);
	assert_non_null(boot_officer_of(&b, "officer-2"));
	assert_null(boot_officer_of(&b, "officer-9"));
}

/* Every bit of the file, and every cut: nothing that was changed is taken. */
static void
no_changed_file_is_taken(void **state)
{
	static char text[BOOT_BYTES_MAX], changed[BOOT_BYTES_MAX];
	static struct boot back, none;
	(void)state;
	assert_int_equal(store(&b), ERR_OK);
	size_t n = slurp(path, text, sizeof text);
	assert_int_equal(boot_parse(text, n, &back), ERR_OK);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		memcpy(changed, text, n);
		changed[bit / 8] ^= (char)(1 << bit % 8);
		assert_int_not_equal(boot_parse(changed, n, &back), ERR_OK);
		assert_memory_equal(&back, &none, sizeof none);
	}
	for (size_t cut = 0; cut < n; cut++)
		assert_int_not_equal(boot_parse(text, cut, &back), ERR_OK);
	changed[n] = '\n';
	assert_int_not_equal(boot_parse(changed, n + 1, &back), ERR_OK);
}

/* A file that is whole in itself, but signed by another key, is no better than a changed one. */
static void
a_forged_file_is_refused(void **state)
{
	static struct boot forged, back;
	uint8_t secret_key[64], hash[32], signature[64];
	char statement[BOOT_STATEMENT_BYTES], hex[129];
	struct buf text;
	(void)state;
	forged = b;
	forged.officers[0].public_key[5] ^= 1;
	buf_init(&text, BOOT_BYTES_MAX);
	assert_int_equal(boot_encode(&forged, &text), ERR_OK);
	crypto_hash_sha256(hash, buf_at(&text), text.len);
	boot_statement(hash, statement);
	uint8_t public_key[32];
	crypto_sign_keypair(public_key, secret_key);
	crypto_sign_detached(signature, NULL, (const uint8_t *)statement, sizeof statement, secret_key);
	str_hex(hash, 32, hex);
	assert_int_equal(buf_printf(&text, "digest %s\n", hex), ERR_OK);
	str_hex(signature, 64, hex);
	assert_int_equal(buf_printf(&text, "signature %s\n", hex), ERR_OK);
	assert_int_equal(boot_parse((const char *)buf_at(&text), text.len, &back), ERR_CRYPTO);
	buf_clear(&text);
}

static void
a_store_that_fails_leaves_the_old_file(void **state)
{
	static struct boot changed, back;
	char tmp[128];
	(void)state;
	assert_int_equal(store(&b), ERR_OK);
	changed = b;
	changed.complete = true;
	softhand.asked = 0;
	softhand.fail_at = 1;
	softhand.fail_with = ERR_HSM_AWAY;
	assert_int_equal(store(&changed), ERR_HSM_AWAY);
	softhand.asked = 0;
	softhand.lie = true;
	assert_int_equal(store(&changed), ERR_CRYPTO);
	softhand.fail_at = 0;
	softhand.lie = false;
	/* a directory in the way of the temporary file: the disk says no */
	(void)snprintf(tmp, sizeof tmp, "%s.tmp", path);
	assert_int_equal(mkdir(tmp, 0700), 0);
	assert_int_equal(store(&changed), ERR_IO);
	assert_int_equal(rmdir(tmp), 0);
	assert_int_equal(boot_load(path, &back), ERR_OK);
	assert_false(back.complete);
	/* what a cut left over does not stop the next */
	int fd = open(tmp, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(store(&changed), ERR_OK);
	assert_int_equal(boot_load(path, &back), ERR_OK);
	assert_true(back.complete);
	struct boot empty;
	assert_int_equal(boot_init(&empty, "acme", "a", true), ERR_OK);
	assert_int_equal(store(&empty), ERR_HSM_KEY);
}

static void
names_and_rows_have_bounds(void **state)
{
	static struct boot full;
	struct boot_key key = {.purpose = KEY_DEK, .generation = 1, .state = KEY_ACTIVE};
	struct boot_officer o = {.name = "ann", .role = "officer"}, twin = {.name = "bob", .role = "officer"};
	(void)state;
	assert_int_equal(boot_init(&full, "", "a", true), ERR_CHARACTERS);
	assert_int_equal(boot_init(&full, "two words", "a", true), ERR_CHARACTERS);
	assert_int_equal(boot_init(&full, "line\nfeed", "a", true), ERR_CHARACTERS);
	assert_int_equal(boot_init(&full, "a-name-that-is-much-too-long-for-its-field", "a", true), ERR_CHARACTERS);
	assert_int_equal(boot_init(&full, "acme", "a", true), ERR_OK);
	assert_int_equal(boot_add_key(&full, &key), ERR_OK);
	assert_int_equal(boot_add_key(&full, &key), ERR_EXISTS);
	key.generation = 2;
	assert_int_equal(boot_add_key(&full, &key), ERR_EXISTS); /* two active generations */
	key.state = KEY_DEACTIVATED;
	for (key.generation = 2; full.keys_n < BOOT_KEYS_MAX; key.generation++)
		assert_int_equal(boot_add_key(&full, &key), ERR_OK);
	assert_int_equal(boot_add_key(&full, &key), ERR_LIMIT);
	assert_int_equal(boot_add_officer(&full, &o), ERR_OK);
	assert_int_equal(boot_add_officer(&full, &twin), ERR_EXISTS); /* the same key under another name */
	strcpy(o.name, "two words");
	assert_int_equal(boot_add_officer(&full, &o), ERR_CHARACTERS);
}

/* There is one way to write a boot file. */
static void
only_the_canonical_form_is_read(void **state)
{
	static const char *const bad[] = {
		"",
		"sallyport-boot 1\n",
		"sallyport-boot 2\ninstall a\nnode a\nmode test\ncomplete no\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode tost\ncomplete no\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete maybe\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no",
		"sallyport-boot 1\ninstall  a\nnode a\nmode test\ncomplete no\n",
		"sallyport-boot 1\nnode a\ninstall a\nmode test\ncomplete no\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\n\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nkey dek 01 active 1 1 1 - - -\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nkey dek 1 Active 1 1 1 - - -\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nkey dek 0 active 1 1 1 - - -\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nkey dek 1 active 1 1 1 - AB -\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nkey dek 1 active 1 1 1 - abc -\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nkey dek 1 active 1 1 1 - - - x\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nkey dek 99999999999 active 1 1 1 - - -\n",
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nofficer ann officer 00\n",
	};
	static const char good[] =
		"sallyport-boot 1\ninstall a\nnode a\nmode test\ncomplete no\nkey dek 1 active 1 1 1 - ab -\n";
	static struct boot out;
	(void)state;
	assert_int_equal(boot_decode(good, sizeof good - 1, &out), ERR_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(boot_decode(bad[i], strlen(bad[i]), &out), ERR_FILE_FORM);
}

/* ── the journal ── */

static enum err
sum_up(void *arg, const struct boot_note *n)
{
	int64_t *sum = arg;
	assert_string_equal(n->what, "vault.unseal");
	*sum += n->at_ms + n->uid;
	return n->at_ms == 666 ? ERR_AUDIT_AWAY : ERR_OK;
}

static void
what_was_tried_while_sealed_is_kept(void **state)
{
	struct boot_note n = {.what = "vault.unseal", .code = "hsm_pin_refused", .object = "officer-1", .uid = 7};
	int64_t sum = 0;
	size_t count;
	char text[4096];
	(void)state;
	assert_int_equal(boot_journal_read(journal, sum_up, &sum, &count), ERR_OK);
	assert_int_equal(count, 0);
	for (n.at_ms = 1; n.at_ms <= 10; n.at_ms++)
		assert_int_equal(boot_journal_add(journal, &n), ERR_OK);
	assert_int_equal(boot_journal_read(journal, sum_up, &sum, &count), ERR_OK);
	assert_int_equal(count, 10);
	assert_int_equal(sum, 55 + 70);
	size_t bytes = slurp(journal, text, sizeof text);
	/* a cut in the last line: its attempt was not evaluated; the rest stands, and the next goes behind it */
	assert_int_equal(truncate(journal, (off_t)bytes - 5), 0);
	assert_int_equal(boot_journal_read(journal, sum_up, &sum, &count), ERR_OK);
	assert_int_equal(count, 9);
	assert_int_equal(boot_journal_add(journal, &n), ERR_OK);
	assert_int_equal(boot_journal_read(journal, sum_up, &sum, &count), ERR_OK);
	assert_int_equal(count, 10);
	/* a changed line in the middle is damage */
	int fd = open(journal, O_RDWR);
	assert_int_equal(pwrite(fd, "9", 1, 0), 1);
	assert_int_equal(boot_journal_read(journal, sum_up, &sum, &count), ERR_FILE_FORM);
	close(fd);
	assert_int_equal(boot_journal_clear(journal), ERR_OK);
	assert_int_equal(boot_journal_read(journal, sum_up, &sum, &count), ERR_OK);
	assert_int_equal(count, 0);
	/* the reader's own error ends it: the journal is not cleared then */
	n.at_ms = 666;
	assert_int_equal(boot_journal_add(journal, &n), ERR_OK);
	assert_int_equal(boot_journal_read(journal, sum_up, &sum, &count), ERR_AUDIT_AWAY);
	strcpy(n.object, "two words");
	assert_int_equal(boot_journal_add(journal, &n), ERR_CHARACTERS);
	assert_int_equal(boot_journal_clear("/nowhere/journal"), ERR_OK);
	assert_int_equal(boot_journal_add("/nowhere/journal", &(struct boot_note){.what = "a", .code = "b"}), ERR_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_stored_comes_back),
		cmocka_unit_test(no_changed_file_is_taken),
		cmocka_unit_test(a_forged_file_is_refused),
		cmocka_unit_test(a_store_that_fails_leaves_the_old_file),
		cmocka_unit_test(names_and_rows_have_bounds),
		cmocka_unit_test(only_the_canonical_form_is_read),
		cmocka_unit_test(what_was_tried_while_sealed_is_kept),
	};
	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
