/* grant: a card opens once, for the attempt that was lodged, below the ceiling. */
#include "tests/unit/vault/fakevault.h"

#include <stdio.h>

#include "daemon/base/clock.h"
#include "vault/cardrow.h"
#include "vault/close.h"
#include "vault/cvc.h"
#include "vault/grant.h"
#include "vault/mint.h"
#include "vault/refusals.h"

static struct vault *v;
static sp_tokenize_rep minted;
static sp_redeem_rep rep;

static int
set_up(void **state)
{
	sp_tokenize_req r = fake_card("4242424242424242", "k");
	(void)state;
	v = fake_open("/tmp");
	memcpy(r.cvc.bytes, "917", r.cvc.size = 3);
	OK(fake_run(&mint_command, &r, &minted));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fake_close();
	return 0;
}

static sp_redeem_req
attempt_of(const char *attempt, const char *payment, const char *token)
{
	sp_redeem_req r = sp_redeem_req_init_zero;
	strcpy(r.attempt, attempt);
	strcpy(r.payment, payment);
	strcpy(r.account, "simulator");
	strcpy(r.token, token);
	strcpy(r.merchant, "demo");
	return r;
}

static enum err
lodge(const sp_redeem_req *a)
{
	sp_lodge_req r = sp_lodge_req_init_zero;
	memcpy(r.attempt, a->attempt, sizeof r.attempt);
	memcpy(r.payment, a->payment, sizeof r.payment);
	memcpy(r.account, a->account, sizeof r.account);
	memcpy(r.token, a->token, sizeof r.token);
	memcpy(r.merchant, a->merchant, sizeof r.merchant);
	return grant_lodge(v, &r);
}

static enum err
redeem(const sp_redeem_req *a)
{
	return fake_run(&grant_redeem_command, a, &rep);
}

static bool
is_redeemed(const char *attempt)
{
	static sp_redeemed_req q;
	static sp_redeemed_rep a;
	q.attempts_count = 1;
	strcpy(q.attempts[0], attempt);
	OK(grant_redeemed(v, &q, &a));
	return a.redeemed[0];
}

static void
once_and_never_again(void **state)
{
	sp_redeem_req a = attempt_of("att_1", "pay_1", minted.token.id);
	static const sp_redeem_rep nothing;
	(void)state;
	assert_int_equal(redeem(&a), ERR_GRANT_UNKNOWN);
	OK(lodge(&a));
	OK(lodge(&a)); /* a resent message */
	assert_int_equal(grant_count(v->grants), 1);
	assert_false(is_redeemed("att_1"));
	OK(redeem(&a));
	assert_memory_equal(rep.pan.bytes, "4242424242424242", 16);
	assert_memory_equal(rep.cvc.bytes, "917", 3);
	assert_int_equal(rep.exp_month, 12);
	assert_true(is_redeemed("att_1"));
	assert_int_equal(grant_count(v->grants), 0); /* spent: its room is the next one's */
	assert_int_equal(redeem(&a), ERR_GRANT_USED);
	assert_memory_equal(&rep, &nothing, sizeof rep);
	OK(lodge(&a));
	assert_int_equal(redeem(&a), ERR_GRANT_USED);
	fake_restart();
	assert_true(is_redeemed("att_1"));
	assert_int_equal(redeem(&a), ERR_GRANT_USED);
	assert_int_equal(fake_leaves("\"token.redeem\""), 1);
	assert_int_equal(fake_leaves("token.redeem_refused"), 4);
	assert_int_equal(fake_leaves("4242424242424242"), 0);
}

static void
another_payment_account_token_or_merchant(void **state)
{
	sp_redeem_req a = attempt_of("att_1", "pay_1", minted.token.id);
	(void)state;
	OK(lodge(&a));
	for (int i = 0; i < 5; i++) {
		sp_redeem_req b = a;
		strcpy(i == 0 ? b.attempt : i == 1 ? b.payment : i == 2 ? b.account : i == 3 ? b.token : b.merchant, "x");
		assert_int_equal(redeem(&b), ERR_GRANT_UNKNOWN);
	}
	sp_redeem_req other = a;
	strcpy(other.merchant, "other");
	assert_int_equal(lodge(&other), ERR_TOKEN_NOT_FOUND);
	OK(redeem(&a));
	grant_sweep(v->grants, clock_mono_ms() + GRANT_LIFE_MS + 1);
	assert_int_equal(grant_count(v->grants), 0);
}

static void
uses_are_counted_by_payment(void **state)
{
	sp_tokenize_req r = fake_card("5555555555554444", "once");
	struct cardrow row;
	(void)state;
	r.single_use = true;
	OK(fake_run(&mint_command, &r, &minted));
	sp_redeem_req a = attempt_of("att_1", "pay_1", minted.token.id), b = attempt_of("att_2", "pay_1", minted.token.id),
				  c = attempt_of("att_3", "pay_2", minted.token.id);
	OK(lodge(&a));
	OK(lodge(&b));
	OK(lodge(&c));
	OK(redeem(&a));
	OK(redeem(&b)); /* a second attempt of the same payment */
	assert_int_equal(redeem(&c), ERR_TOKEN_USED_UP);
	assert_false(is_redeemed("att_3"));
	sp_close_authorization_req end = sp_close_authorization_req_init_zero;
	strcpy(end.token, minted.token.id);
	strcpy(end.payment, "pay_1");
	OK(fake_run(&close_authorization_command, &end, NULL));
	assert_int_equal(cardrow_find(v, minted.token.id, NULL, &row), ERR_TOKEN_NOT_FOUND);
	OK(fake_run(&close_authorization_command, &end, NULL));
	assert_int_equal(fake_leaves("token.delete"), 1);
}

static void
no_more_than_the_ceiling(void **state)
{
	(void)state;
	char name[16];
	unsigned given = 0;
	v->limits.redeem_per_minute = 10;
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof name, "att_%d", i);
		sp_redeem_req a = attempt_of(name, "pay_1", minted.token.id);
		OK(lodge(&a));
		enum err e = redeem(&a);
		given += e == ERR_OK;
		if (e != ERR_OK) {
			assert_int_equal(e, ERR_REDEEM_CEILING);
			assert_false(is_redeemed(name));
		}
	}
	assert_in_range(given, 10, 11);
	assert_int_equal(fake_leaves("vault.ceiling"), 1);
}

/* A courier that was taken over asks for everything: nothing comes out, and the log does not fill. */
static void
a_flood_of_refusals_is_counted(void **state)
{
	char name[16];
	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof name, "att_%d", i);
		sp_redeem_req a = attempt_of(name, "pay_1", minted.token.id);
		assert_int_equal(redeem(&a), ERR_GRANT_UNKNOWN);
		assert_int_equal(rep.pan.size, 0);
	}
	/* the minute may turn in between */
	assert_in_range(fake_leaves("token.redeem_refused"), REFUSALS_PER_MINUTE, 2 * REFUSALS_PER_MINUTE);
	assert_true(refusals_due(v->refusals, clock_mono_ms()));
	OK(db_begin(v->db));
	OK(refusals_tell(v));
	OK(logbook_write(v->log));
	OK(db_commit(v->db));
	logbook_committed(v->log);
	assert_in_range(fake_leaves("\"count\":9") + fake_leaves("\"count\":8"), 1, 1);
}

static void
nothing_leaves_while_effects_are_refused(void **state)
{
	sp_redeem_req a = attempt_of("att_1", "pay_1", minted.token.id);
	(void)state;
	OK(lodge(&a));
	v->refusing = ERR_HSM_AWAY;
	assert_int_equal(redeem(&a), ERR_HSM_AWAY);
	assert_int_equal(lodge(&a), ERR_HSM_AWAY);
	assert_int_equal(rep.pan.size, 0);
	/* … but a code is wiped all the same */
	sp_close_authorization_req end = sp_close_authorization_req_init_zero;
	strcpy(end.token, minted.token.id);
	end.created_at_ms = clock_wall_ms();
	OK(fake_run(&close_authorization_command, &end, NULL));
	assert_int_equal(cvc_count(v->cvc), 0);
	v->refusing = ERR_OK;
	OK(redeem(&a));
	assert_int_equal(rep.cvc.size, 0);
}

static void
end_of(const char *payment, int64_t began_ms)
{
	sp_close_authorization_req end = sp_close_authorization_req_init_zero;
	bool needed;
	strcpy(end.token, minted.token.id);
	strcpy(end.payment, payment);
	end.created_at_ms = began_ms;
	OK(close_needed(v, &end, &needed));
	if (needed)
		OK(fake_run(&close_authorization_command, &end, NULL));
}

/* A ledger that starts again tells of all payments of the last hour. */
static void
the_end_of_an_older_payment_leaves_a_newer_code(void **state)
{
	sp_redeem_req old = attempt_of("att_1", "pay_1", minted.token.id),
				  new = attempt_of("att_2", "pay_2", minted.token.id);
	sp_tokenize_req again = fake_card("4242424242424242", "k2");
	sp_tokenize_rep second;
	int64_t began_ms = clock_wall_ms();
	(void)state;
	OK(lodge(&old));
	OK(redeem(&old));
	assert_memory_equal(rep.cvc.bytes, "917", 3);
	end_of("pay_1", began_ms);
	assert_int_equal(cvc_count(v->cvc), 0);
	assert_int_equal(fake_leaves("cvc.wipe"), 1);
	/* the cardholder comes back: the same token, a code for the next payment */
	while (clock_wall_ms() <= began_ms)
		;
	memcpy(again.cvc.bytes, "555", again.cvc.size = 3);
	OK(fake_run(&mint_command, &again, &second));
	assert_string_equal(second.token.id, minted.token.id);
	end_of("pay_1", began_ms);
	assert_int_equal(cvc_count(v->cvc), 1);
	assert_int_equal(fake_leaves("cvc.wipe"), 1);
	OK(lodge(&new));
	OK(redeem(&new));
	assert_int_equal(rep.cvc.size, 3);
	assert_memory_equal(rep.cvc.bytes, "555", 3);
	/* opened for it, it goes with it, even if the clock was put back in between */
	end_of("pay_1", began_ms);
	assert_int_equal(cvc_count(v->cvc), 1);
	end_of("pay_2", began_ms);
	assert_int_equal(cvc_count(v->cvc), 0);
	assert_int_equal(fake_leaves("cvc.wipe"), 2);
}

/* Who mistyped the code hands the card in once more. */
static void
a_later_code_replaces_an_earlier_one(void **state)
{
	sp_redeem_req a = attempt_of("att_1", "pay_1", minted.token.id);
	sp_tokenize_req again = fake_card("4242424242424242", "k2");
	sp_tokenize_rep second;
	(void)state;
	memcpy(again.cvc.bytes, "555", again.cvc.size = 3);
	OK(fake_run(&mint_command, &again, &second));
	/* a repeat of the first request does not bring the mistyped one back */
	again = fake_card("4242424242424242", "k");
	memcpy(again.cvc.bytes, "917", again.cvc.size = 3);
	OK(fake_run(&mint_command, &again, &second));
	assert_true(second.replayed);
	OK(lodge(&a));
	OK(redeem(&a));
	assert_memory_equal(rep.cvc.bytes, "555", 3);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(once_and_never_again),
		T(another_payment_account_token_or_merchant),
		T(uses_are_counted_by_payment),
		T(no_more_than_the_ceiling),
		T(a_flood_of_refusals_is_counted),
		T(nothing_leaves_while_effects_are_refused),
		T(the_end_of_an_older_payment_leaves_a_newer_code),
		T(a_later_code_replaces_an_earlier_one),
	};
	return cmocka_run_group_tests_name("grant", tests, NULL, NULL);
}
