/*
 * What was told as committed is there after a kill at any moment, whole, with its key and its leaf; what was not is
 * there whole or not at all. A child works in batches and tells each payment through a pipe after its commit; it is
 * killed; the store is opened again and everything told is looked for. The planted fault, a child that tells before it
 * commits, must be found. SEED=n repeats the moments of the kills.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "tests/unit/store/store_work.h"

#define KILLS 25

static struct work work;
static uint64_t seed;

static unsigned
draw(unsigned below)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (unsigned)(seed % below);
}

static void
tell(int fd, const struct id *ids)
{
	if (write(fd, ids, WORK_GROUP * sizeof *ids) != (ssize_t)(WORK_GROUP * sizeof *ids))
		_exit(1);
}

/* Works until it is killed. */
static _Noreturn void
child(int fd, bool planted)
{
	struct store *s;
	struct id ids[WORK_GROUP];

	if (work_store(&work, 1 << 20, &s) != ERR_OK)
		_exit(2);
	for (;;) {
		if (store_begin(s) != ERR_OK)
			_exit(3);
		for (unsigned i = 0; i < WORK_GROUP; i++)
			if (work_pay(&work, s, &ids[i]) != ERR_OK)
				_exit(4);
		if (planted) {
			tell(fd, ids);
			nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
		}
		if (store_commit(s) != ERR_OK || store_between_batches(s) != ERR_OK)
			_exit(5);
		if (!planted)
			tell(fd, ids);
	}
}

static size_t
run_and_kill(struct id *told, size_t room, bool planted)
{
	int fds[2];
	size_t bytes = 0;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		child(fds[1], planted);
	}
	close(fds[1]);
	/* opening takes a while: count the kill's moment from the first word */
	ssize_t got = read(fds[0], told, room * sizeof *told);
	assert_true(got > 0);
	bytes = (size_t)got;
	nanosleep(&(struct timespec){.tv_nsec = 1000L * draw(20000)}, NULL);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	while (bytes < room * sizeof *told &&
		   (got = read(fds[0], (uint8_t *)told + bytes, room * sizeof *told - bytes)) > 0)
		bytes += (size_t)got;
	close(fds[0]);
	return bytes / sizeof *told;
}

static void
nothing_told_is_lost_by_a_kill(void **arg)
{
	static struct id told[1 << 16];
	size_t n = 0;
	uint64_t payments = 0;

	(void)arg;
	for (unsigned i = 0; i < KILLS; i++) {
		n += run_and_kill(told + n, sizeof told / sizeof *told - n, false);
		assert_int_equal(work_missing(&work, told, n, &payments), 0);
		assert_true(payments >= n);
	}
	printf("%zu told, %llu there\n", n, (unsigned long long)payments);
	assert_true(n > KILLS * WORK_GROUP);
	work_remove_files(&work);
}

static void
a_child_that_tells_too_early_is_found(void **arg)
{
	static struct id told[1 << 12];
	unsigned lost = 0;
	uint64_t payments;

	(void)arg;
	for (unsigned i = 0; i < 10 && lost == 0; i++) {
		size_t n = run_and_kill(told, sizeof told / sizeof *told, true);
		lost = work_missing(&work, told, n, &payments);
	}
	assert_true(lost > 0);
	work_remove_files(&work);
}

/* A disk that takes no more: the batch is undone as a whole, and what was there stays. */
static void
a_failed_write_undoes_the_whole_batch(void **arg)
{
	static struct id kept[400][WORK_GROUP];
	struct rlimit before, small;
	struct store *s;
	unsigned done = 0;
	uint64_t payments;
	enum err e = ERR_OK;

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(work_store(&work, 1 << 20, &s), ERR_OK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 300000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (e == ERR_OK && done < 400) {
		e = work_batch(&work, s, kept[done]);
		done += e == ERR_OK;
	}
	assert_true(e == ERR_IO || e == ERR_DISK_FULL);
	assert_in_range(done, 1, 399);
	for (unsigned i = 0; i < WORK_GROUP; i++)
		assert_int_equal(store_payment_load(s, kept[done][i].text, work.state), ERR_PAYMENT_NOT_FOUND);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	store_close(s);
	assert_int_equal(work_missing(&work, &kept[0][0], done * WORK_GROUP, &payments), 0);
	assert_int_equal(payments, done * WORK_GROUP);
	/* and it goes on */
	assert_int_equal(work_store(&work, 1 << 20, &s), ERR_OK);
	assert_int_equal(work_batch(&work, s, kept[done]), ERR_OK);
	store_close(s);
	assert_int_equal(work_missing(&work, &kept[0][0], (done + 1) * WORK_GROUP, &payments), 0);
	work_remove_files(&work);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_told_is_lost_by_a_kill),
		cmocka_unit_test(a_child_that_tells_too_early_is_found),
		cmocka_unit_test(a_failed_write_undoes_the_whole_batch),
	};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)clock_mono_us();
	seed = seed ? seed : 1;
	printf("SEED=%llu\n", (unsigned long long)seed);
	if (work_open(&work, "/tmp"))
		return 1;
	int failed = cmocka_run_group_tests_name("store/crash", tests, NULL, NULL);
	work_close(&work);
	return failed;
}
