/*
 * Every allocation of a command fails in turn, once and five at a time: no crash, no leak (under the sanitizers), an
 * answer for each command, and a store in which each card has its leaf and each opened card its row. malloc and calloc
 * of all that is linked statically (SQLCipher too) go through here: --wrap in room.mk.
 */
#include "tests/unit/vault/fakevault.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "vault/cardrow.h"
#include "vault/close.h"
#include "vault/cvc.h"
#include "vault/grant.h"
#include "vault/history.h"
#include "vault/mint.h"

#define CALLS_MAX 3000

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

static unsigned fail_in, fail_n, hits;

static bool
fails(void)
{
	if (fail_in == 0 || --fail_in >= fail_n)
		return false;
	hits++;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return fails() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

/* The at-th allocation from now on and the n - 1 after it fail. */
static void
starve(unsigned at, unsigned n)
{
	fail_in = at + n - 1;
	fail_n = n;
	hits = 0;
}

static struct vault *v;
static unsigned serial, opened;
static uint64_t cards;
static sp_tokenize_rep token;

static int
set_up(void **state)
{
	sp_tokenize_req r = fake_card("5555555555554444", "first");
	(void)state;
	log_level(SEVERITY_FATAL);
	v = fake_open("/tmp");
	OK(fake_run(&mint_command, &r, &token));
	cards = 1;
	opened = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fake_close();
	return 0;
}

static void
is_whole(void)
{
	uint64_t n;
	OK(cardrow_count(v, &n));
	assert_int_equal(n, cards);
	assert_int_equal(fake_leaves("token.create") - fake_leaves("token.delete"), cards);
	assert_int_equal(fake_leaves("\"token.redeem\""), opened);
}

/* ── one command each; true when it was done ── */

static sp_redeem_req attempt;

static bool
mint(void)
{
	static sp_tokenize_rep rep;
	char key[16];
	snprintf(key, sizeof key, "k%u", serial++);
	sp_tokenize_req r = fake_card("4242424242424242", key);
	r.dedupe = false;
	memcpy(r.cvc.bytes, "917", r.cvc.size = 3);
	enum err e = fake_run(&mint_command, &r, &rep);
	/* kept without its code: the card is there all the same */
	bool kept = e == ERR_OK || rep.token.id[0] != '\0';
	cards += kept;
	return e == ERR_OK;
}

static void
lodge(void)
{
	sp_lodge_req l = sp_lodge_req_init_zero;
	memset(&attempt, 0, sizeof attempt);
	snprintf(attempt.attempt, sizeof attempt.attempt, "att_%u", serial++);
	snprintf(attempt.payment, sizeof attempt.payment, "pay_%u", serial);
	strcpy(attempt.account, "simulator");
	strcpy(attempt.merchant, "demo");
	memcpy(attempt.token, token.token.id, 32);
	memcpy(l.attempt, attempt.attempt, sizeof l.attempt);
	memcpy(l.payment, attempt.payment, sizeof l.payment);
	memcpy(l.account, attempt.account, sizeof l.account);
	memcpy(l.merchant, attempt.merchant, sizeof l.merchant);
	memcpy(l.token, attempt.token, 32);
	enum err e = grant_lodge(v, &l);
	/* under test itself: then the redemption is refused */
	assert_true(e == ERR_OK || hits > 0);
}

static bool
redeem(void)
{
	static sp_redeem_rep rep;
	enum err e = fake_run(&grant_redeem_command, &attempt, &rep);
	opened += e == ERR_OK;
	assert_int_equal(rep.pan.size, e == ERR_OK ? 16 : 0);
	return e == ERR_OK;
}

static bool
lodge_and_redeem(void)
{
	lodge();
	return redeem();
}

static bool
end(void)
{
	sp_close_authorization_req c = sp_close_authorization_req_init_zero;
	memcpy(c.token, token.token.id, 32);
	strcpy(c.payment, "pay_x");
	c.created_at_ms = INT64_MAX;
	enum err e = fake_run(&close_authorization_command, &c, NULL);
	return e == ERR_OK;
}

static void
hold_code(void)
{
	if (!cvc_held(v->cvc, token.token.id))
		OK(cvc_hold(v->cvc, v->keys, token.token.id, (const uint8_t *)"917", 3, INT64_MAX));
}

static enum err own;

static void
own_done(void *arg, enum err e)
{
	(void)arg;
	own = e;
}

static bool
sign_own(void)
{
	own = ERR_MAX;
	history_own(v, own_done, NULL);
	(void)fake_hsm_answers(ERR_OK);
	assert_int_not_equal(own, ERR_MAX);
	assert_false(history_running());
	return own == ERR_OK;
}

static void
nothing(void)
{
}

static void
add_leaf(void)
{
	assert_true(mint());
}

static const struct {
	void (*before)(void);
	bool (*run)(void);
} commands[] = {
	{nothing, mint}, {lodge, redeem}, {nothing, lodge_and_redeem}, {hold_code, end}, {add_leaf, sign_own},
};

static void
sweep(unsigned n)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		unsigned at = 1, hit = 1;
		for (; at < CALLS_MAX && hit > 0; at++) {
			commands[i].before();
			starve(at, n);
			bool done = commands[i].run();
			hit = hits;
			starve(1, 0);
			/* A rollback that failed ends the process. */
			if (db_fatal(v->db))
				fake_restart();
			fail_in = 0;
			assert_true(done || hit > 0);
			if (at % 7 == 0 || hit == 0)
				is_whole();
			if (at % 40 == 0)
				fake_restart();
		}
		assert_in_range(at, 3, CALLS_MAX - 1);
	}
	fake_restart();
	is_whole();
}

static void
one_allocation_fails(void **state)
{
	(void)state;
	sweep(1);
}

static void
five_allocations_fail(void **state)
{
	(void)state;
	sweep(5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_allocation_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(five_allocations_fail, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("no_memory", tests, NULL, NULL);
}
