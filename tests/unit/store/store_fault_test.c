/*
 * An input or output error at every system call that the store makes, one after the other: the disk is full (once, or
 * until it is freed), a write or a read fails, a write is short, a sync fails. Whatever happens, an error is told, what
 * was acknowledged is there, what was not is there whole or not at all; and a disk that has room again is used again
 * without a restart. The linker puts the calls below in the place of libc's (--wrap). Planted fault: a commit whose
 * error is not looked at must lose what it acknowledged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/store/store_work.h"

#define BATCHES 4

enum fault { NO_SPACE_ONCE, NO_SPACE, WRITE_ERROR, SHORT_WRITE, SYNC_ERROR, READ_ERROR, FAULTS, NO_MEMORY };
static const char *const names[] = {"no space, once", "no space until freed", "write error",
									"short write",    "sync error",           "read error"};

/* Counts calls of the kind that is to fail; the at-th fails (0: none). */
static struct {
	enum fault fault;
	unsigned at, seen;
	bool hit;
} plan;

static bool
fails(bool mine)
{
	if (!mine || plan.at == 0)
		return false;
	bool now = ++plan.seen == plan.at || (plan.fault == NO_SPACE && plan.seen > plan.at);
	plan.hit = plan.hit || now;
	return now;
}

ssize_t __real_pwrite64(int fd, const void *bytes, size_t n, off64_t at);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t n, off64_t at);
ssize_t
__wrap_pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
	if (fails(plan.fault <= SHORT_WRITE)) {
		if (plan.fault == SHORT_WRITE)
			return __real_pwrite64(fd, bytes, n / 2, at);
		errno = plan.fault == WRITE_ERROR ? EIO : ENOSPC;
		return -1;
	}
	return __real_pwrite64(fd, bytes, n, at);
}

ssize_t __real_pread64(int fd, void *bytes, size_t n, off64_t at);
ssize_t __wrap_pread64(int fd, void *bytes, size_t n, off64_t at);
ssize_t
__wrap_pread64(int fd, void *bytes, size_t n, off64_t at)
{
	if (fails(plan.fault == READ_ERROR)) {
		errno = EIO;
		return -1;
	}
	return __real_pread64(fd, bytes, n, at);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int
__wrap_fdatasync(int fd)
{
	if (fails(plan.fault == SYNC_ERROR)) {
		errno = EIO;
		return -1;
	}
	return __real_fdatasync(fd);
}

/* SQLite's memory and ours both come from here. */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *
__wrap_malloc(size_t n)
{
	return fails(plan.fault == NO_MEMORY) ? NULL : __real_malloc(n);
}

void *__real_calloc(size_t count, size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *
__wrap_calloc(size_t count, size_t n)
{
	return fails(plan.fault == NO_MEMORY) ? NULL : __real_calloc(count, n);
}

/* ── the work, with one fault in it ── */

static struct work work;
static struct id told[BATCHES * 2 + 2][WORK_GROUP];
static unsigned n_told;

/* Batches until one fails; a small WAL, so that checkpoints are hit as well. */
static enum err
some_batches(struct store *s, bool blind)
{
	for (unsigned i = 0; i < BATCHES; i++) {
		enum err e = work_batch(&work, s, told[n_told]);
		if (e != ERR_OK && !blind)
			return e;
		n_told++;
		e = store_between_batches(s);
		if (e != ERR_OK)
			return e;
	}
	return ERR_OK;
}

/* True when the fault was hit; false: there are not so many calls. */
static bool
try_at(enum fault fault, unsigned at)
{
	struct store *s = NULL;
	uint64_t payments;

	n_told = 0;
	work_remove_files(&work);
	plan.fault = fault;
	plan.at = fault == NO_MEMORY ? 0 : at;
	plan.seen = 0;
	plan.hit = false;
	enum err e = work_store(&work, 64 << 10, &s);
	plan.at = at;
	if (e == ERR_OK)
		e = some_batches(s, false);
	bool hit = plan.hit;
	plan.at = 0; /* the disk is well again */
	if (hit && fault <= WRITE_ERROR && e == ERR_OK)
		fail_msg("%s at call %u: no error was told", names[fault], at);
	/* Only a full disk is gone on with; after any other error the process ends and starts anew. */
	if (e == ERR_DISK_FULL && s) {
		enum err again = work_batch(&work, s, told[n_told]);
		if (again != ERR_OK)
			fail_msg("%s at call %u: not usable again (%s)", names[fault], at, err_code(again));
		n_told++;
	}
	store_close(s);
	unsigned lost = work_missing(&work, &told[0][0], n_told * WORK_GROUP, &payments);
	if (lost)
		fail_msg("%s at call %u: %u payments that were told are not there", names[fault], at, lost);
	return hit;
}

static void
no_error_at_any_call_loses_what_was_told(void **arg)
{
	(void)arg;
	for (int fault = 0; fault < FAULTS; fault++) {
		unsigned at = 1;
		while (try_at((enum fault)fault, at))
			at++;
		printf("   %-20s at each of %u calls\n", names[fault], at - 1);
		assert_true(at > 2);
	}
}

/*
 * The same for memory, in the open store: while it opens, SQLCipher 4.6.1 itself does not look (sqlcipherCodecAttach),
 * and a process that dies there is started again.
 */
static void
no_memory_at_any_allocation_loses_what_was_told(void **arg)
{
	unsigned at = 1;

	(void)arg;
	while (try_at(NO_MEMORY, at))
		at++;
	printf("   no memory            at each of %u allocations\n", at - 1);
	assert_true(at > 200);
}

static void
who_does_not_look_at_errors_is_found(void **arg)
{
	struct store *s;
	uint64_t payments;

	(void)arg;
	n_told = 0;
	work_remove_files(&work);
	plan.at = 0;
	assert_int_equal(work_store(&work, 64 << 10, &s), ERR_OK);
	plan.fault = NO_SPACE_ONCE;
	plan.seen = 0;
	plan.at = 5;
	(void)!some_batches(s, true);
	plan.at = 0;
	store_close(s);
	assert_int_equal(work_missing(&work, &told[0][0], n_told * WORK_GROUP, &payments), WORK_GROUP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_error_at_any_call_loses_what_was_told),
		cmocka_unit_test(no_memory_at_any_allocation_loses_what_was_told),
		cmocka_unit_test(who_does_not_look_at_errors_is_found),
	};
	/* each fault is logged once: a thousand lines that nobody needs, but for who sets LOUD */
	/* in memory where that is possible: the faults are ours, a disk would only be slow */
	const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	if (work_open(&work, root) || (!getenv("LOUD") && !freopen("/dev/null", "w", stderr)))
		return 1;
	int failed = cmocka_run_group_tests_name("store/fault", tests, NULL, NULL);
	work_close(&work);
	return failed;
}
