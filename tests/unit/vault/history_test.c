/* history and anchor: signed along a proven past only; nothing that contradicts it, nothing older. */
#include "tests/unit/vault/fakevault.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "vault/anchor.h"
#include "vault/history.h"
#include "vault/mint.h"

static struct vault *v;
static uint8_t leaf[64][HASH_BYTES], root[65][HASH_BYTES];
static sp_sign_checkpoint_rep rep;

static enum err
leaf_hash(void *arg, uint64_t i, uint8_t out[HASH_BYTES])
{
	(void)arg;
	memcpy(out, leaf[i], HASH_BYTES);
	return ERR_OK;
}

static int
set_up(void **state)
{
	struct tree t = {.size = 0};
	(void)state;
	v = fake_open("/tmp");
	tree_root(&t, root[0]);
	for (int i = 0; i < 64; i++) {
		randombytes_buf(leaf[i], HASH_BYTES);
		tree_append(&t, leaf[i]);
		tree_root(&t, root[i + 1]);
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	fake_close();
	return 0;
}

static sp_sign_checkpoint_req
position(uint64_t old_size, uint64_t size)
{
	sp_sign_checkpoint_req r = sp_sign_checkpoint_req_init_zero;
	uint8_t proof[PROOF_MAX][HASH_BYTES];
	size_t n = 0;
	OK(tree_consistency(old_size, size, leaf_hash, NULL, proof, &n));
	r.has_position = true;
	strcpy(r.position.origin, v->ledger_origin);
	r.position.size = size;
	memcpy(r.position.root, root[size], HASH_BYTES);
	r.old_size = old_size;
	r.proof_count = (pb_size_t)n;
	for (size_t i = 0; i < n; i++) {
		r.proof[i].size = HASH_BYTES;
		memcpy(r.proof[i].bytes, proof[i], HASH_BYTES);
	}
	return r;
}

static enum err
sign(const sp_sign_checkpoint_req *r)
{
	memset(&rep, 0, sizeof rep);
	return fake_run(&history_ledger_command, r, &rep);
}

static void
along_a_proven_past(void **state)
{
	char text[NOTE_BYTES_MAX];
	size_t bytes;
	struct checkpoint c;
	uint64_t at = 0;
	(void)state;
	while (at < 64) {
		uint64_t next = at + 1 + (uint64_t)rand() % (64 - at);
		sp_sign_checkpoint_req r = position(at, next);
		OK(sign(&r));
		memset(&c, 0, sizeof c);
		strcpy(c.origin, v->ledger_origin);
		c.size = next;
		memcpy(c.root, root[next], HASH_BYTES);
		OK(note_text(&c, text, &bytes));
		assert_int_equal(
			crypto_sign_verify_detached(rep.signature.bytes, (const uint8_t *)text, bytes, v->boot.keys[0].public_key),
			0);
		assert_string_equal(rep.key_name, v->ask_name);
		OK(sign(&r)); /* exactly that pair again */
		at = next;
	}
	assert_int_equal(fake_leaves("checkpoint.refused"), 0);
	fake_restart();
	uint8_t kept[HASH_BYTES];
	OK(history_last(v, v->ledger_origin, &at, kept));
	assert_int_equal(at, 64);
	assert_memory_equal(kept, root[64], HASH_BYTES);
}

static void
forks_and_shrinking_are_refused(void **state)
{
	(void)state;
	sp_sign_checkpoint_req r = position(0, 40);
	OK(sign(&r));
	r = position(20, 30);
	assert_int_equal(sign(&r), ERR_CRYPTO);
	r = position(40, 40);
	r.position.root[0] ^= 1;
	assert_int_equal(sign(&r), ERR_CRYPTO);
	r = position(40, 50);
	r.position.root[3] ^= 1;
	assert_int_equal(sign(&r), ERR_CRYPTO);
	r = position(40, 50);
	r.proof[0].bytes[0] ^= 1;
	assert_int_equal(sign(&r), ERR_CRYPTO);
	r = position(40, 50);
	strcpy(r.position.origin, v->origin);
	assert_int_equal(sign(&r), ERR_CRYPTO);
	assert_int_equal(fake_leaves("checkpoint.refused"), 5);
	/* its last answer was lost: it is told where to go on */
	r = position(20, 50);
	assert_int_equal(sign(&r), ERR_VERSION_CONFLICT);
	assert_int_equal(rep.signed_size, 40);
	assert_int_equal(fake_leaves("checkpoint.refused"), 5);
	r = position(40, 50);
	OK(sign(&r));
}

static void
kept_before_it_is_asked_for(void **state)
{
	uint64_t size;
	uint8_t kept[HASH_BYTES];
	enum err last;
	(void)state;
	sp_sign_checkpoint_req r = position(0, 10), other;
	fake_add(&history_ledger_command, &r);
	OK(fake_commit());
	OK(history_last(v, v->ledger_origin, &size, kept));
	assert_int_equal(size, 10);
	(void)fake_answers(&last);
	assert_int_equal(fake_hsm_answers(ERR_DEADLINE), 1);
	assert_int_equal(fake_answers(&last), 1);
	assert_int_equal(last, ERR_DEADLINE);
	/* the signature may have been made: only that pair may be signed now, or what follows from it */
	other = position(0, 12);
	assert_int_equal(sign(&other), ERR_VERSION_CONFLICT);
	OK(sign(&r));
	v->hsm_in = false;
	r = position(10, 11);
	assert_int_equal(sign(&r), ERR_HSM_AWAY);
	OK(history_last(v, v->ledger_origin, &size, kept));
	assert_int_equal(size, 10);
}

static void
mint_some(unsigned n)
{
	static unsigned k;
	char key[16];
	while (n-- > 0) {
		snprintf(key, sizeof key, "k%u", k++);
		sp_tokenize_req r = fake_card("4242424242424242", key);
		sp_tokenize_rep out;
		OK(fake_run(&mint_command, &r, &out));
	}
}

static enum err own;
static void
own_done(void *arg, enum err e)
{
	(void)arg;
	own = e;
}

static void
our_own_log_by_the_same_rule(void **state)
{
	char note[NOTE_BYTES_MAX];
	size_t bytes;
	uint64_t size;
	struct checkpoint c;
	(void)state;
	for (unsigned round = 1; round < 6; round++) {
		mint_some(round * 3);
		own = ERR_MAX;
		history_own(v, own_done, NULL);
		assert_true(history_running());
		(void)fake_hsm_answers(round == 3 ? ERR_DEADLINE : ERR_OK);
		assert_false(history_running());
		assert_int_equal(own, round == 3 ? ERR_DEADLINE : ERR_OK);
		if (round == 3) { /* asked for again, though nothing was added */
			history_own(v, own_done, NULL);
			(void)fake_hsm_answers(ERR_OK);
			OK(own);
		}
		OK(logbook_checkpoint_get(v->log, note, &bytes, &size));
		OK(note_open(note, bytes, v->ask_name, v->boot.keys[0].public_key, &c));
		assert_int_equal(c.size, size);
		assert_string_equal(c.origin, v->origin);
		history_own(v, own_done, NULL); /* nothing new: nothing is asked */
		assert_int_equal(fake_hsm_answers(ERR_OK), 0);
		OK(own);
	}
}

static void
an_anchor_must_be_a_past_of_what_is_here(void **state)
{
	struct anchor a, b;
	uint8_t bytes[ANCHOR_BYTES];
	(void)state;
	mint_some(5);
	sp_sign_checkpoint_req r = position(0, 10);
	OK(sign(&r));
	OK(anchor_now(v, &a));
	anchor_encode(&a, bytes);
	OK(anchor_decode(bytes, sizeof bytes, &b));
	OK(anchor_check(v, &b));
	mint_some(3);
	OK(anchor_check(v, &b));
	b.vault_root[0] ^= 1;
	assert_int_equal(anchor_check(v, &b), ERR_ROLLBACK);
	OK(anchor_now(v, &b));
	b.vault_size++;
	assert_int_equal(anchor_check(v, &b), ERR_ROLLBACK);
	OK(anchor_now(v, &b));
	b.ledger_size++;
	assert_int_equal(anchor_check(v, &b), ERR_ROLLBACK);
	OK(anchor_now(v, &b));
	b.ledger_root[0] ^= 1;
	assert_int_equal(anchor_check(v, &b), ERR_ROLLBACK);
	bytes[0] ^= 1;
	assert_int_equal(anchor_decode(bytes, sizeof bytes, &b), ERR_FILE_FORM);
	assert_int_equal(anchor_decode(bytes, sizeof bytes - 1, &b), ERR_FILE_FORM);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(along_a_proven_past),          T(forks_and_shrinking_are_refused),          T(kept_before_it_is_asked_for),
		T(our_own_log_by_the_same_rule), T(an_anchor_must_be_a_past_of_what_is_here),
	};
	return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
