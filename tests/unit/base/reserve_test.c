/* The reserve really holds blocks, gives them back, and holds nothing when it can't hold all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/reserve.h"

static char dir[] = "/tmp/sallyport-reserve-XXXXXX", path[64];

static uint64_t
bytes_on_disk(void)
{
	struct stat st;
	return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : UINT64_MAX;
}

static void
it_holds_and_releases(void **state)
{
	struct reserve r;
	struct stat st;
	(void)state;
	assert_int_equal(reserve_open(&r, path, 1 << 20), ERR_OK);
	assert_true(r.held);
	assert_true(bytes_on_disk() >= 1 << 20);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(reserve_hold(&r), ERR_OK); /* twice is fine */
	reserve_release(&r);
	assert_false(r.held);
	assert_int_equal(bytes_on_disk(), 0);
	assert_int_equal(reserve_hold(&r), ERR_OK);
	assert_true(bytes_on_disk() >= 1 << 20);
	reserve_close(&r);
	assert_true(bytes_on_disk() >= 1 << 20); /* a process that ends keeps it for its next life */
	assert_int_equal(reserve_hold(&r), ERR_IO);
	reserve_release(&r);
	unlink(path);
}

static void
it_holds_all_or_nothing(void **state)
{
	struct reserve r;
	(void)state;
	enum err e = reserve_open(&r, path, UINT64_C(8) << 40);
	assert_true(e == ERR_DISK_FULL || e == ERR_IO);
	assert_false(r.held);
	assert_int_equal(bytes_on_disk(), 0);
	r.bytes = 4096; /* when there is room again */
	assert_int_equal(reserve_hold(&r), ERR_OK);
	reserve_close(&r);
	unlink(path);
}

static void
it_follows_no_link(void **state)
{
	struct reserve r;
	(void)state;
	assert_int_equal(symlink("/etc/hostname", path), 0);
	assert_int_equal(reserve_open(&r, path, 4096), ERR_IO);
	reserve_close(&r);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_holds_and_releases),
									   cmocka_unit_test(it_holds_all_or_nothing), cmocka_unit_test(it_follows_no_link)};
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/reserve", dir);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
