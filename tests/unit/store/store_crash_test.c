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
#include "daemon/base/mem.h"
#include "daemon/store/store.h"

#define KILLS 25
#define GROUP 4
#define TTL   INT64_C(86400000)

static char dir[64], path[96];
static uint64_t seed;

static unsigned
draw(unsigned below)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (unsigned)(seed % below);
}

static enum err
open_store(struct store **out)
{
	static const uint8_t key[32] = "the key of a test, 32 bytes long";
	struct store_options options = {.path = path,
									.key = key,
									.cache_bytes = 1 << 20,
									.wal_bytes_max = 1 << 20,
									.origin = "sallyport.test/a/ledger",
									.install = "test",
									.proc = "ledger",
									.idempotency_ttl_ms = TTL};
	return store_open(&store_sqlcipher, &options, out);
}

/* The key of a payment's request: its id's bytes, so that who knows the one knows the other. */
static void
key_of(const struct id *payment, uint8_t key[IDEMPOTENCY_HASH_BYTES])
{
	if (id_pack("pay", payment->text, key) != ERR_OK)
		abort();
}

/* One payment with everything that goes with it. */
static enum err
pay(struct store *s, sp_payment_state *state, const sp_event_detail *detail, struct id *out)
{
	struct payment_event events[PAYMENT_EVENTS_MAX];
	struct leaf leaf = {.event = EVENT_PAYMENT_REQUESTED, .object_id = out->text};
	struct idempotency_row row = {.expires_at_ms = clock_wall_ms() + TTL};
	struct attempt attempt = {.kind = sp_JOB_AUTHORIZE, .state = ATTEMPT_PREPARED};
	unsigned n = 0;

	id_new("pay", clock_wall_ms(), out);
	id_new("att", clock_wall_ms(), &attempt.id);
	attempt.payment = row.payment = *out;
	key_of(out, row.key);
	struct payment_command c = {.kind = PAYMENT_CREATE,
								.at_ms = clock_wall_ms(),
								.actor = "test",
								.payment = out->text,
								.attempt = attempt.id.text,
								.amount_minor = 100,
								.currency = 978,
								.account = "simulator",
								.detail = detail};
	payment_clear(state);
	enum err e = store_mark(s);
	if (e == ERR_OK)
		e = payment_decide(state, &c, events, &n);
	if (e == ERR_OK)
		e = store_payment_append(s, out->text, state, events, n);
	if (e == ERR_OK)
		e = store_idempotency_put(s, &row, clock_wall_ms());
	if (e == ERR_OK)
		e = store_attempt_put(s, &attempt);
	if (e == ERR_OK)
		e = store_leaf(s, &leaf, NULL);
	return e == ERR_OK ? store_release(s) : e;
}

static void
tell(int fd, const struct id *ids)
{
	if (write(fd, ids, GROUP * sizeof *ids) != (ssize_t)(GROUP * sizeof *ids))
		_exit(1);
}

/* Works until it is killed. */
static _Noreturn void
child(int fd, bool planted)
{
	sp_event_detail *detail = mem_new(1, sizeof *detail);
	sp_payment_state *state = payment_new();
	struct store *s;
	struct id ids[GROUP];

	if (!detail || !state || open_store(&s) != ERR_OK)
		_exit(2);
	detail->has_requested = true;
	strcpy(detail->requested.merchant, "demo");
	for (;;) {
		if (store_begin(s) != ERR_OK)
			_exit(3);
		for (unsigned i = 0; i < GROUP; i++)
			if (pay(s, state, detail, &ids[i]) != ERR_OK)
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

/* Looks for what was told; counts what is missing. */
static unsigned
missing(const struct id *told, size_t n, uint64_t *payments_out)
{
	sp_payment_state *state = payment_new();
	sp_ledger_rebuild_rep rebuilt;
	sp_ledger_facts_rep facts = {0};
	struct idempotency_row row;
	struct store *s;
	unsigned lost = 0;
	bool found;

	assert_non_null(state);
	assert_int_equal(open_store(&s), ERR_OK);
	for (size_t i = 0; i < n; i++) {
		uint8_t key[IDEMPOTENCY_HASH_BYTES];
		key_of(&told[i], key);
		enum err e = store_payment_load(s, told[i].text, state);
		assert_int_equal(store_idempotency_get(s, key, clock_wall_ms(), &row, &found), ERR_OK);
		if (e == ERR_OK) {
			assert_true(found);
			assert_string_equal(row.payment.text, told[i].text);
		}
		lost += e != ERR_OK;
	}
	assert_int_equal(store_rebuild(s, &rebuilt), ERR_OK);
	if (rebuilt.differences)
		fail_msg("%s", rebuilt.first_difference);
	/* one leaf and one open attempt for each payment, told or not */
	assert_int_equal(store_facts(s, &facts), ERR_OK);
	assert_int_equal(facts.leaves, facts.payments);
	assert_int_equal(facts.in_flight, facts.payments);
	assert_int_equal(facts.payments % GROUP, 0);
	*payments_out = facts.payments;
	store_close(s);
	mem_free(state);
	return lost;
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
remove_files(void)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char file[128];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(file, sizeof file, "%s%s", path, ends[i]);
		unlink(file);
	}
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
		assert_int_equal(missing(told, n, &payments), 0);
		assert_true(payments >= n);
	}
	printf("%zu told, %llu there\n", n, (unsigned long long)payments);
	assert_true(n > KILLS * GROUP);
	remove_files();
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
		lost = missing(told, n, &payments);
	}
	assert_true(lost > 0);
	remove_files();
}

/* A disk that takes no more: the batch is undone as a whole, and what was there stays. */
static void
a_failed_write_undoes_the_whole_batch(void **arg)
{
	sp_event_detail *detail = mem_new(1, sizeof *detail);
	sp_payment_state *state = payment_new();
	struct rlimit before, small;
	struct store *s;
	static struct id kept[400][GROUP];
	unsigned done = 0;
	uint64_t payments;
	enum err e = ERR_OK;

	(void)arg;
	assert_non_null(detail);
	assert_non_null(state);
	detail->has_requested = true;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(open_store(&s), ERR_OK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 300000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (e == ERR_OK && done < 400) {
		e = store_begin(s);
		for (unsigned i = 0; i < GROUP && e == ERR_OK; i++)
			e = pay(s, state, detail, &kept[done][i]);
		if (e == ERR_OK)
			e = store_commit(s);
		done += e == ERR_OK;
	}
	assert_true(e == ERR_IO || e == ERR_DISK_FULL);
	assert_in_range(done, 1, 399);
	store_rollback(s);
	for (unsigned i = 0; i < GROUP; i++)
		assert_int_equal(store_payment_load(s, kept[done][i].text, state), ERR_PAYMENT_NOT_FOUND);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	store_close(s);
	assert_int_equal(missing(&kept[0][0], done * GROUP, &payments), 0);
	assert_int_equal(payments, done * GROUP);
	/* and it goes on */
	assert_int_equal(open_store(&s), ERR_OK);
	assert_int_equal(store_begin(s), ERR_OK);
	for (unsigned i = 0; i < GROUP; i++)
		assert_int_equal(pay(s, state, detail, &kept[done][i]), ERR_OK);
	assert_int_equal(store_commit(s), ERR_OK);
	store_close(s);
	assert_int_equal(missing(&kept[0][0], (done + 1) * GROUP, &payments), 0);
	mem_free(detail);
	mem_free(state);
	remove_files();
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
	strcpy(dir, "/tmp/store-crash-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/ledger.db", dir);
	int failed = cmocka_run_group_tests_name("store/crash", tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
