/*
 * Every operation on the disk fails once, and from some operation on all of them, while cards are stored, opened and
 * closed: the whole batch is refused or the whole batch is kept, each command has its answer, and when the disk is well
 * again so is the vault. The planted fault is an answer that is given before the commit.
 */
#include "tests/unit/vault/fakevault.h"

#include <stdio.h>
#include <sqlcipher/sqlite3.h>

#include "daemon/base/log.h"
#include "tests/unit/db/powerdisk.h"
#include "vault/cardrow.h"
#include "vault/close.h"
#include "vault/grant.h"
#include "vault/mint.h"

#define CALLS_MAX 400

static struct vault *v;
static unsigned serial, kept_cards, kept_leaves;

static int
set_up(void **state)
{
	(void)state;
	log_level(SEVERITY_FATAL);
	assert_int_equal(db_warm(), ERR_OK);
	powerdisk_install();
	v = fake_open("/tmp");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fake_close();
	return 0;
}

static unsigned
leaves(void)
{
	struct checkpoint c;
	logbook_position(v->log, &c);
	return (unsigned)c.size;
}

/* The store is what was promised: nothing more, nothing less, and it opens again. */
static void
is_whole(void)
{
	uint64_t cards;
	OK(cardrow_count(v, &cards));
	assert_int_equal(cards, kept_cards);
	assert_int_equal(leaves(), kept_leaves);
	assert_int_equal(fake_leaves("token.create"), kept_cards);
}

/* Four cards in one batch. */
static bool
batch(void)
{
	enum err last = ERR_OK;
	char key[16];
	(void)fake_answers(&last);
	for (int i = 0; i < 4; i++) {
		snprintf(key, sizeof key, "k%u", serial++);
		sp_tokenize_req r = fake_card("4242424242424242", key);
		r.dedupe = false;
		fake_add(&mint_command, &r);
	}
	(void)fake_commit();
	assert_int_equal(fake_answers(&last), 4);
	assert_int_equal(last, fake_written() == ERR_OK ? ERR_OK : ERR_AUDIT_AWAY);
	return fake_written() == ERR_OK;
}

static void
sweep(int code, bool sticky)
{
	unsigned at = 1, hit = 0;
	for (; at < CALLS_MAX; at++) {
		powerdisk_fail_at(at, code, sticky);
		bool kept = batch();
		bool failed = powerdisk_failed();
		powerdisk_fail_at(0, 0, false);
		/* An error that came is an error that was told: a batch is never acknowledged over it. */
		assert_true(!failed || !kept);
		kept_cards += kept ? 4 : 0;
		kept_leaves += kept ? 4 : 0;
		if (db_fatal(v->db)) {
			/* As the process does it: ends, and reads what is really there. Unacknowledged it may be there, but whole.
			 */
			fake_restart();
			uint64_t cards;
			OK(cardrow_count(v, &cards));
			if (cards == kept_cards + 4) {
				kept_cards += 4;
				kept_leaves += 4;
			}
		}
		is_whole();
		if (!failed)
			break;
		hit++;
		if (at % 5 == 0) {
			fake_restart();
			is_whole();
		}
	}
	assert_in_range(hit, 3, CALLS_MAX - 2);
	assert_true(batch());
	kept_cards += 4;
	kept_leaves += 4;
	fake_restart();
	is_whole();
}

static void
every_operation_fails_once(void **state)
{
	(void)state;
	sweep(SQLITE_FULL, false);
	sweep(SQLITE_IOERR, false);
}

static void
from_some_operation_on_all_fail(void **state)
{
	(void)state;
	sweep(SQLITE_FULL, true);
	sweep(SQLITE_IOERR, true);
}

/* No number leaves the vault for an attempt whose row was not kept. */
static void
no_card_without_its_row(void **state)
{
	static sp_tokenize_rep token;
	static sp_redeem_rep rep;
	(void)state;
	sp_tokenize_req r = fake_card("5555555555554444", "redeem");
	OK(fake_run(&mint_command, &r, &token));
	unsigned refused = 0;
	for (unsigned at = 1; at < CALLS_MAX; at++) {
		sp_lodge_req l = sp_lodge_req_init_zero;
		sp_redeem_req q = sp_redeem_req_init_zero;
		snprintf(q.attempt, sizeof q.attempt, "att_%u", at);
		snprintf(q.payment, sizeof q.payment, "pay_%u", at);
		strcpy(q.account, "simulator");
		strcpy(q.merchant, "demo");
		memcpy(q.token, token.token.id, 32);
		memcpy(l.attempt, q.attempt, sizeof l.attempt);
		memcpy(l.payment, q.payment, sizeof l.payment);
		memcpy(l.account, q.account, sizeof l.account);
		memcpy(l.merchant, q.merchant, sizeof l.merchant);
		memcpy(l.token, q.token, 32);
		OK(grant_lodge(v, &l));
		powerdisk_fail_at(at, SQLITE_FULL, false);
		enum err e = fake_run(&grant_redeem_command, &q, &rep);
		bool failed = powerdisk_failed();
		powerdisk_fail_at(0, 0, false);
		if (!failed) {
			OK(e);
			assert_int_equal(rep.pan.size, 16);
			break;
		}
		refused++;
		assert_int_equal(e, ERR_AUDIT_AWAY);
		assert_int_equal(rep.pan.size, 0);
		if (db_fatal(v->db))
			fake_restart();
		static sp_redeemed_req asked;
		static sp_redeemed_rep was;
		asked.attempts_count = 1;
		memcpy(asked.attempts[0], q.attempt, sizeof asked.attempts[0]);
		OK(grant_redeemed(v, &asked, &was));
		/* after a failed sync the row may be there: "redeemed" is then the safe answer */
		if (was.redeemed[0])
			assert_int_equal(at, refused);
	}
	assert_true(refused >= 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_fails_once),
		cmocka_unit_test(from_some_operation_on_all_fail),
		cmocka_unit_test(no_card_without_its_row),
	};
	return cmocka_run_group_tests_name("sick_disk", tests, set_up, tear_down);
}
