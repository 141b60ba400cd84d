/* The mark of the stores' versions: written once, read back, refused when it is newer, foreign or damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/mark.h"

static char dir[] = "/tmp/sallyport-mark-XXXXXX", path[64];

static void
put(const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static enum err
check(char said[256])
{
	struct buf why;
	buf_init(&why, 1024);
	enum err e = mark_check(dir, &why);
	snprintf(said, 256, "%.*s", (int)why.len, why.len ? (const char *)buf_at(&why) : "");
	buf_clear(&why);
	return e;
}

static void
ours_is_taken(void **state)
{
	char said[256];
	struct stat first, second;
	(void)state;
	unlink(path);
	assert_int_equal(check(said), ERR_OK); /* none: new, or older than marks */
	assert_int_equal(mark_write(dir), ERR_OK);
	assert_int_equal(check(said), ERR_OK);
	assert_int_equal(stat(path, &first), 0);
	assert_int_equal(first.st_mode & 0777, 0644);
	assert_int_equal(mark_write(dir), ERR_OK);
	assert_int_equal(stat(path, &second), 0);
	assert_int_equal(first.st_ino, second.st_ino); /* the same again is not written */
}

static void
each_kind_of_mark(void **state)
{
	static const struct {
		const char *text;
		enum err e;
		const char *says;
	} rows[] = {
		{"", ERR_OK, ""},
		{"ledger 1\nvault 1\n", ERR_OK, ""},
		{"# a remark\nversion 99.0\nledger 1\n", ERR_OK, ""},
		{"ledger 99\n", ERR_DB_VERSION, "the ledger's store has schema 99"},
		{"vault 1\nwallet 1\n", ERR_DB_VERSION, "the wallet's store has schema 1"},
		{"ledger\n", ERR_FILE_FORM, ""},
		{"ledger 3 and more\n", ERR_FILE_FORM, ""},
		{"ledger -1\n", ERR_FILE_FORM, ""},
		{"; rm\n", ERR_FILE_FORM, ""},
	};
	char said[256];
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		put(rows[i].text);
		enum err e = check(said);
		if (e != rows[i].e || strncmp(said, rows[i].says, strlen(rows[i].says)) != 0)
			fail_msg("row %u: %s, \"%s\"", i, err_code(e), said);
	}
}

/* Only these let the version before start again for certain. */
static void
the_same_schemas_are_known(void **state)
{
	(void)state;
	unlink(path);
	assert_false(mark_same(dir)); /* nothing is known of stores without a mark */
	assert_int_equal(mark_write(dir), ERR_OK);
	assert_true(mark_same(dir));
	put("ledger 1\nvault 1\n");
	assert_false(mark_same(dir));
	put("; rm\n");
	assert_false(mark_same(dir));
}

static void
what_is_no_file_is_refused(void **state)
{
	char said[256];
	(void)state;
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(check(said), ERR_IO);
	unlink(path);
	assert_int_equal(mark_write("/nowhere"), ERR_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_is_taken),
		cmocka_unit_test(each_kind_of_mark),
		cmocka_unit_test(the_same_schemas_are_known),
		cmocka_unit_test(what_is_no_file_is_refused),
	};
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/stores", dir);
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rmdir(dir) == 0 ? status : 1;
}
