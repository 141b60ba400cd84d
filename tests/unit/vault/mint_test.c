/* mint: stored once, found again, once per key; codes in memory only; a full disk leaves nothing. */
#include "tests/unit/vault/fakevault.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "vault/cardrow.h"
#include "vault/close.h"
#include "vault/cvc.h"
#include "vault/mint.h"
#include "vault/refusals.h"

#define VISA "4242424242424242"

static struct vault *v;
static sp_tokenize_rep rep, first;

static int
set_up(void **state)
{
	(void)state;
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

static enum err
mint(const sp_tokenize_req *r)
{
	memset(&rep, 0, sizeof rep);
	return fake_run(&mint_command, r, &rep);
}

static void
a_card_becomes_a_token(void **state)
{
	sp_tokenize_req r = fake_card(VISA, "k1");
	(void)state;
	memcpy(r.holder.bytes, "ADA", r.holder.size = 3);
	memcpy(r.metadata.bytes, "{\"a\":\"b\"}", r.metadata.size = 9);
	strcpy(r.customer, "c-1");
	OK(mint(&r));
	assert_true(strncmp(rep.token.id, "tok_", 4) == 0);
	assert_string_equal(rep.token.card.bin, "42424242");
	assert_string_equal(rep.token.card.last4, "4242");
	assert_int_equal(rep.token.card.brand, sp_brand_BRAND_VISA);
	assert_int_equal(rep.token.card.exp_month, 12);
	assert_int_equal(rep.token.card.exp_year, r.exp_year);
	assert_int_equal(strlen(rep.token.fingerprint), 29);
	assert_int_equal(rep.token.metadata.size, 9);
	assert_string_equal(rep.token.customer, "c-1");
	assert_int_equal(rep.token.cvc_state, sp_cvc_state_CVC_NONE);
	assert_false(rep.token.livemode);
	assert_int_equal(v->cards, 1);
	assert_int_equal(fake_leaves("token.create"), 1);
	assert_int_equal(fake_leaves(VISA), 0);

	struct cardrow row;
	struct cardrow_clear card;
	OK(cardrow_find(v, rep.token.id, "demo", &row));
	OK(cardrow_open(v, &row, &card));
	assert_int_equal(card.pan_len, 16);
	assert_memory_equal(card.pan, VISA, 16);
	assert_memory_equal(card.holder, "ADA", 3);
	assert_int_equal(cardrow_find(v, rep.token.id, "other", &row), ERR_TOKEN_NOT_FOUND);
	/* A row that was moved to another merchant or token does not open. */
	OK(cardrow_find(v, rep.token.id, "demo", &row));
	row.merchant[0] = 'D';
	assert_int_equal(cardrow_open(v, &row, &card), ERR_RECORD_CORRUPT);
}

static void
the_same_card_is_found_again(void **state)
{
	sp_tokenize_req r = fake_card(VISA, "k1");
	(void)state;
	OK(mint(&r));
	first = rep;
	strcpy(r.idempotency_key, "k2");
	OK(mint(&r));
	assert_true(rep.existed);
	assert_false(rep.replayed);
	assert_string_equal(rep.token.id, first.token.id);
	assert_memory_equal(rep.card_digest.bytes, first.card_digest.bytes, 32);
	/* another expiry, another merchant, no wish to share, an end: each another token, the same fingerprint */
	for (int i = 0; i < 5; i++) {
		sp_tokenize_req o = fake_card(VISA, "");
		snprintf(o.idempotency_key, sizeof o.idempotency_key, "o%d", i);
		o.exp_month = i == 0 ? 11 : 12;
		strcpy(o.merchant, i == 1 ? "other" : "demo");
		o.dedupe = i != 2;
		o.ttl_ms = i == 3 ? 1000 : 0;
		o.max_uses = i == 4 ? 3 : 0;
		OK(mint(&o));
		assert_string_not_equal(rep.token.id, first.token.id);
		assert_string_equal(rep.token.fingerprint, first.token.fingerprint);
	}
	assert_int_equal(v->cards, 6);
}

static void
one_key_makes_one_token(void **state)
{
	sp_tokenize_req r = fake_card(VISA, "k1");
	(void)state;
	r.dedupe = false;
	OK(mint(&r));
	first = rep;
	OK(mint(&r));
	assert_true(rep.replayed);
	assert_string_equal(rep.token.id, first.token.id);
	assert_int_equal(fake_leaves("token.create"), 1);
	fake_restart();
	OK(mint(&r));
	assert_string_equal(rep.token.id, first.token.id);

	sp_tokenize_req other = r;
	other.body_sha256[0] ^= 1;
	assert_int_equal(mint(&other), ERR_IDEMPOTENCY_REUSED);
	other = r;
	other.exp_month = 11;
	assert_int_equal(mint(&other), ERR_IDEMPOTENCY_REUSED);
	other = r;
	strcpy(other.client, "someone");
	OK(mint(&other));
	assert_string_not_equal(rep.token.id, first.token.id);

	sp_vault_token_delete_req d = sp_vault_token_delete_req_init_zero;
	strcpy(d.token, first.token.id);
	strcpy(d.merchant, "other");
	assert_int_equal(fake_run(&close_delete_command, &d, NULL), ERR_TOKEN_NOT_FOUND);
	strcpy(d.merchant, "demo");
	OK(fake_run(&close_delete_command, &d, NULL));
	assert_int_equal(fake_run(&close_delete_command, &d, NULL), ERR_TOKEN_NOT_FOUND);
	assert_int_equal(mint(&r), ERR_TOKEN_NOT_FOUND);
	assert_int_equal(fake_leaves("token.delete"), 1);
}

static void
a_code_lives_in_memory(void **state)
{
	sp_tokenize_req r = fake_card(VISA, "k1");
	uint8_t code[CVC_DIGITS_MAX];
	size_t n;
	(void)state;
	memcpy(r.cvc.bytes, "917", r.cvc.size = 3);
	OK(mint(&r));
	first = rep;
	assert_int_equal(rep.token.cvc_state, sp_cvc_state_CVC_HELD);
	OK(cvc_read(v->cvc, v->keys, rep.token.id, "pay_0", clock_mono_ms(), code, &n));
	assert_int_equal(n, 3);
	assert_memory_equal(code, "917", 3);
	OK(cvc_read(v->cvc, v->keys, rep.token.id, "pay_0", clock_mono_ms() + v->limits.cvc_ttl_ms + 1, code, &n));
	assert_int_equal(n, 0);
	fake_restart();
	OK(mint(&r)); /* the same request again brings it back */
	assert_true(rep.replayed);
	assert_int_equal(rep.token.cvc_state, sp_cvc_state_CVC_HELD);
	sp_close_authorization_req c = sp_close_authorization_req_init_zero;
	strcpy(c.token, first.token.id);
	strcpy(c.payment, "pay_1");
	c.created_at_ms = clock_wall_ms();
	OK(fake_run(&close_authorization_command, &c, NULL));
	assert_int_equal(cvc_count(v->cvc), 0);
	assert_int_equal(fake_leaves("cvc.wipe"), 1);
	OK(fake_run(&close_authorization_command, &c, NULL));
	assert_int_equal(fake_leaves("cvc.wipe"), 1);
	OK(mint(&r)); /* … but not after it was used */
	assert_int_equal(rep.token.cvc_state, sp_cvc_state_CVC_CONSUMED);
	assert_int_equal(cvc_count(v->cvc), 0);
	memcpy(r.cvc.bytes, "9175", r.cvc.size = 4);
	assert_int_equal(mint(&r), ERR_CARD_CVC);
}

static void
codes_end_in_the_order_in_which_they_came(void **state)
{
	char token[32];
	(void)state;
	OK(cvc_hold(v->cvc, v->keys, "a", (const uint8_t *)"111", 3, 100));
	OK(cvc_hold(v->cvc, v->keys, "b", (const uint8_t *)"222", 3, 200));
	OK(cvc_hold(v->cvc, v->keys, "a", (const uint8_t *)"333", 3, 300));
	assert_int_equal(cvc_count(v->cvc), 2);
	assert_false(cvc_overdue(v->cvc, 199, token));
	assert_true(cvc_overdue(v->cvc, 200, token));
	assert_string_equal(token, "b");
	assert_true(cvc_wipe(v->cvc, "b"));
	assert_false(cvc_wipe(v->cvc, "b"));
	assert_false(cvc_overdue(v->cvc, 299, token));
	/* more codes than there is room for */
	enum err e = ERR_OK;
	unsigned n = 0;
	for (; e == ERR_OK && n < 40000; n++) {
		snprintf(token, sizeof token, "t%u", n);
		e = cvc_hold(v->cvc, v->keys, token, (const uint8_t *)"123", 3, 1000);
	}
	assert_int_equal(e, ERR_CVC_ROOM);
	assert_true(n > 1000);
	assert_true(cvc_wipe(v->cvc, "t5"));
	OK(cvc_hold(v->cvc, v->keys, token, (const uint8_t *)"123", 3, 1000));
}

static void
a_full_arena_keeps_the_card(void **state)
{
	char token[32];
	enum err e = ERR_OK;
	sp_tokenize_req r = fake_card(VISA, "k1");
	(void)state;
	for (unsigned n = 0; e == ERR_OK; n++) {
		snprintf(token, sizeof token, "t%u", n);
		e = cvc_hold(v->cvc, v->keys, token, (const uint8_t *)"123", 3, 1000);
	}
	memcpy(r.cvc.bytes, "917", r.cvc.size = 3);
	assert_int_equal(mint(&r), ERR_CVC_ROOM);
	assert_true(strncmp(rep.token.id, "tok_", 4) == 0);
	assert_int_equal(rep.token.cvc_state, sp_cvc_state_CVC_NONE);
	r.cvc.size = 0;
	OK(mint(&r));
	assert_true(rep.replayed);
}

static void
formats_and_ends(void **state)
{
	sp_tokenize_req r = fake_card("378282246310005", "k1");
	struct cardrow row;
	(void)state;
	r.format = sp_token_format_FORMAT_BIN6_LAST4;
	OK(mint(&r));
	assert_int_equal(strlen(rep.token.id), 15);
	assert_memory_equal(rep.token.id, "378282", 6);
	assert_memory_equal(rep.token.id + 11, "0005", 4);
	assert_false(pan_luhn((const uint8_t *)rep.token.id, 15));
	assert_string_equal(rep.token.card.bin, "378282");
	r = fake_card(VISA, "k2");
	r.format = sp_token_format_FORMAT_LUHN;
	OK(mint(&r));
	assert_true(pan_luhn((const uint8_t *)rep.token.id, 16));
	assert_int_equal(rep.token.id[0], '9');
	r = fake_card(VISA, "k3");
	r.single_use = true;
	OK(mint(&r));
	assert_int_equal(rep.token.max_uses, 1);
	assert_in_range(rep.token.expires_at_ms, clock_wall_ms() + 3590000, clock_wall_ms() + 3600000);
	OK(cardrow_find(v, rep.token.id, NULL, &row));
	OK(cardrow_usable(&row, clock_wall_ms()));
	assert_int_equal(cardrow_usable(&row, rep.token.expires_at_ms), ERR_TOKEN_EXPIRED);
	OK(cardrow_use(v, &row));
	assert_int_equal(cardrow_use(v, &row), ERR_TOKEN_USED_UP);
	/* an hour after its end its card goes */
	bool done = false;
	v->cards = 3;
	OK(db_begin(v->db));
	OK(mint_prune(v, rep.token.expires_at_ms + MINT_SINGLE_USE_TTL_MS - 1000, &done));
	assert_int_equal(v->cards, 3);
	OK(mint_prune(v, rep.token.expires_at_ms + MINT_SINGLE_USE_TTL_MS + 1000, &done));
	assert_true(done);
	assert_int_equal(v->cards, 2);
	assert_int_equal(cardrow_find(v, rep.token.id, NULL, &row), ERR_TOKEN_NOT_FOUND);
	db_rollback(v->db);
	logbook_drop_after(v->log, 0);
}

static void
fixed_tokens_of_a_test_installation(void **state)
{
	struct cardrow row;
	struct cardrow_clear card;
	sp_token_view view;
	(void)state;
	OK(cardrow_find(v, "tok_test_visa", "demo", &row));
	OK(cardrow_open(v, &row, &card));
	assert_memory_equal(card.pan, VISA, 16);
	OK(cardrow_view(v, &row, &view));
	assert_string_equal(view.card.last4, "4242");
	v->boot.test = false;
	assert_int_equal(cardrow_find(v, "tok_test_visa", "demo", &row), ERR_TOKEN_NOT_FOUND);
}

static void
refused_cards_are_counted(void **state)
{
	sp_tokenize_req r = fake_card("4242424242424241", "k1");
	(void)state;
	for (int i = 0; i < 50; i++)
		assert_int_equal(mint(&r), ERR_CARD_LUHN);
	assert_true(refusals_due(v->refusals, clock_mono_ms()));
	OK(db_begin(v->db));
	OK(refusals_tell(v));
	OK(logbook_write(v->log));
	OK(db_commit(v->db));
	logbook_committed(v->log);
	refusals_told(v->refusals, clock_mono_ms());
	assert_false(refusals_due(v->refusals, clock_mono_ms()));
	assert_int_equal(fake_leaves("token.refused"), 1);
	assert_int_equal(fake_leaves("invalid_number"), 1);
	assert_int_equal(fake_leaves("\"count\":50"), 1);
}

static void
one_bad_command_costs_the_others_nothing(void **state)
{
	sp_tokenize_req good = fake_card(VISA, "k1"), bad = fake_card("4000", "k2"),
					more = fake_card("5555555555554444", "k3");
	enum err last;
	(void)state;
	(void)fake_answers(&last);
	fake_add(&mint_command, &good);
	fake_add(&mint_command, &bad);
	fake_add(&mint_command, &more);
	assert_int_equal(fake_answers(&last), 0); /* nothing before COMMIT */
	OK(fake_commit());
	assert_int_equal(fake_answers(&last), 3);
	assert_int_equal(v->cards, 2);
	assert_int_equal(fake_leaves("token.create"), 2);
	/* the most that one transaction takes is committed by itself */
	for (int i = 0; i < GROUP_MEMBERS_MAX; i++)
		fake_add(&mint_command, &good);
	assert_int_equal(fake_answers(&last), GROUP_MEMBERS_MAX);
}

static void
a_full_disk_refuses_the_whole_batch(void **state)
{
	char key[16], dir[] = "/tmp/sallyport-full-XXXXXX";
	enum err last = ERR_OK;
	(void)state;
	fake_close();
	assert_non_null(mkdtemp(dir));
	if (mount("none", dir, "tmpfs", 0, "size=1m") != 0) {
		v = fake_open("/tmp");
		skip();
	}
	v = fake_open(dir);
	unsigned kept = 0, asked = 0;
	while (fake_written() == ERR_OK && asked < 20000) {
		(void)fake_answers(&last);
		for (int i = 0; i < 16; i++) {
			snprintf(key, sizeof key, "k%u", asked++);
			sp_tokenize_req r = fake_card(VISA, key);
			r.dedupe = false;
			fake_add(&mint_command, &r);
		}
		(void)fake_commit();
		assert_int_equal(fake_answers(&last), 16); /* each has its answer, either way */
		kept += fake_written() == ERR_OK ? 16 : 0;
	}
	assert_int_equal(fake_written(), ERR_DISK_FULL);
	assert_int_equal(last, ERR_AUDIT_AWAY);
	assert_true(kept > 0);
	/* room again: nothing is lost, nothing half done */
	assert_int_equal(mount("none", dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
	sp_tokenize_req r = fake_card(VISA, "after");
	r.dedupe = false;
	OK(mint(&r));
	uint64_t count;
	OK(cardrow_count(v, &count));
	assert_int_equal(count, kept + 1);
	assert_int_equal(fake_leaves("token.create"), kept + 1);
	fake_restart();
	OK(cardrow_count(v, &count));
	assert_int_equal(count, kept + 1);
	fake_close();
	assert_int_equal(umount(dir), 0);
	rmdir(dir);
	v = fake_open("/tmp");
}

/* Property: over random requests with few keys, cards and merchants, the store is what a plain list says it should be.
 */
static void
any_order_of_requests(void **state)
{
	static const char *const numbers[] = {VISA, "5555555555554444", "378282246310005"};
	struct {
		char token[32];
		int card, body;
	} known[8][2] = {0};
	(void)state;
	for (int i = 0; i < 1500; i++) {
		int key = rand() % 8, client = rand() % 2, card = rand() % 3, body = rand() % 2;
		char text[8];
		snprintf(text, sizeof text, "k%d", key);
		sp_tokenize_req r = fake_card(numbers[card], text);
		strcpy(r.client, client ? "one" : "two");
		r.body_sha256[5] = (uint8_t)body;
		r.dedupe = rand() % 2;
		enum err e = mint(&r);
		if (!known[key][client].token[0]) {
			OK(e);
			assert_false(rep.replayed);
			strcpy(known[key][client].token, rep.token.id);
			known[key][client].card = card;
			known[key][client].body = body;
		} else if (known[key][client].card == card && known[key][client].body == body) {
			OK(e);
			assert_true(rep.replayed);
			assert_string_equal(rep.token.id, known[key][client].token);
		} else {
			assert_int_equal(e, ERR_IDEMPOTENCY_REUSED);
		}
		if (i % 200 == 0)
			fake_restart();
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_card_becomes_a_token),
		T(the_same_card_is_found_again),
		T(one_key_makes_one_token),
		T(a_code_lives_in_memory),
		T(codes_end_in_the_order_in_which_they_came),
		T(a_full_arena_keeps_the_card),
		T(formats_and_ends),
		T(fixed_tokens_of_a_test_installation),
		T(refused_cards_are_counted),
		T(one_bad_command_costs_the_others_nothing),
		T(a_full_disk_refuses_the_whole_batch),
		T(any_order_of_requests),
	};
	return cmocka_run_group_tests_name("mint", tests, NULL, NULL);
}
