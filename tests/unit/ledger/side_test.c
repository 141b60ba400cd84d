/* What the ledger does beside payments: the outbox, checkpoints, expiry, clients, notes, and a disk that is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/str.h"
#include "daemon/ledger/checkpoint.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/expire.h"
#include "daemon/ledger/flight.h"
#include "daemon/ledger/ledger.h"
#include "daemon/ledger/notes.h"
#include "daemon/ledger/officer_side.h"
#include "daemon/ledger/operate.h"
#include "daemon/ledger/pay.h"
#include "daemon/ledger/publish.h"
#include "daemon/ledger/read.h"
#include "daemon/ledger/result.h"
#include "tests/unit/ledger/fake_wire.h"
#include "tests/unit/ledger/shop.h"

static enum err commit_fails;
static unsigned keys;

enum err __real_store_commit(struct store *s);
enum err __wrap_store_commit(struct store *s);

enum err
__wrap_store_commit(struct store *s)
{
	if (!commit_fails)
		return __real_store_commit(s);
	store_rollback(s);
	return commit_fails;
}

static enum err
probe(void)
{
	return commit_fails;
}

static void
drop(enum msg number)
{
	static const sp_close_authorization_rep rep;
	for (struct fake_ask *a; (a = fake_take(number));)
		fake_answer(a, ERR_OK, &rep);
}

static struct call *
create(sp_job_req *job_out)
{
	static sp_token_facts_rep facts;
	static const sp_lodge_rep lodged;
	const sp_job_rep accepted = {.accepted = true};
	sp_payment_create_req r = sp_payment_create_req_init_zero;
	r.has_caller = r.has_idem = true;
	r.caller.cert_sha256[0] = 7;
	snprintf(r.idem.key, sizeof r.idem.key, "key-%u", ++keys);
	r.amount_minor = 1000;
	r.currency = 978;
	snprintf(r.token, sizeof r.token, "tok_00000000000000000000000001");
	r.capture_method = sp_CAPTURE_MANUAL;
	struct call *c = fake_call(MSG_payment_create, pay_create, &r);
	struct fake_ask *a = fake_take(MSG_token_facts);
	if (a) {
		facts.has_token = true;
		snprintf(facts.token.id, sizeof facts.token.id, "%.31s", r.token);
		snprintf(facts.token.merchant, sizeof facts.token.merchant, "demo");
		fake_answer(a, ERR_OK, &facts);
	}
	if (fake_replied(c))
		return c;
	fake_answer(fake_take(MSG_lodge), ERR_OK, &lodged);
	a = fake_take(MSG_job);
	*job_out = *(const sp_job_req *)(const void *)a->req;
	fake_answer(a, ERR_OK, &accepted);
	return c;
}

static sp_result_req
approval(const sp_job_req *job)
{
	sp_result_req r = sp_result_req_init_zero;
	memcpy(r.attempt, job->attempt, sizeof r.attempt);
	memcpy(r.payment, job->payment, sizeof r.payment);
	r.outcome = sp_OUTCOME_APPROVED;
	r.amount_minor = job->amount_minor;
	return r;
}

static void
authorized(char payment[32])
{
	sp_job_req job;
	struct call *c = create(&job);
	sp_result_req r = approval(&job);
	fake_done(fake_call(MSG_result, result_answer, &r));
	assert_int_equal(fake_err(c), ERR_OK);
	memcpy(payment, job.payment, 32);
	fake_done(c);
	drop(MSG_close_authorization);
}

/* ── the outbox ── */

static void
events_go_out_in_order_and_a_refused_one_alone_again(void **state)
{
	char payment[32];
	uint64_t sequence[16];
	static const sp_publish_rep rep;
	unsigned n = 0;
	(void)state;
	authorized(payment);
	fake_up(PROCESS_HERALD, true);
	publish_open();
	publish_push();
	assert_true(fake_open(MSG_publish) >= 3);
	struct fake_ask *a;
	while ((a = fake_take(MSG_publish)) && n < 16) {
		const sp_publish_req *req = (const void *)a->req;
		sequence[n++] = req->sequence;
		assert_true(n == 1 || sequence[n - 1] == sequence[n - 2] + 1);
		assert_true(req->data.size > 2);
		/* the second one is refused, the others are taken */
		fake_answer(a, n == 2 ? ERR_DISK_FULL : ERR_OK, n == 2 ? NULL : &rep);
	}
	publish_tick(true);
	fake_turn();
	assert_int_equal(fake_open(MSG_publish), 0);
	fake_pass_ms(600);
	publish_tick(false);
	assert_int_equal(fake_open(MSG_publish), 1);
	a = fake_take(MSG_publish);
	assert_int_equal(((const sp_publish_req *)(const void *)a->req)->sequence, sequence[1]);
	fake_answer(a, ERR_OK, &rep);
	publish_tick(true);
	fake_turn();
	/* all is marked: a start from anew tells nothing again */
	publish_open();
	publish_push();
	assert_int_equal(fake_open(MSG_publish), 0);
}

static void
marks_of_a_lost_batch_are_made_again(void **state)
{
	char payment[32];
	static const sp_publish_rep rep;
	(void)state;
	authorized(payment);
	publish_push();
	assert_int_equal(fake_open(MSG_publish), 3);
	for (struct fake_ask *a; (a = fake_take(MSG_publish));)
		fake_answer(a, ERR_OK, &rep);
	commit_fails = ERR_DISK_FULL;
	publish_tick(true);
	fake_turn();
	commit_fails = ERR_OK;
	effects_probe(probe);
	assert_int_equal(fake_state(), PAGE_SERVING);
	publish_tick(true);
	fake_turn();
	publish_open();
	publish_push();
	assert_int_equal(fake_open(MSG_publish), 0);
}

/* ── checkpoints ── */

static void
a_lost_answer_to_a_checkpoint_is_asked_from_where_the_vault_stands(void **state)
{
	sp_sign_checkpoint_rep rep = sp_sign_checkpoint_rep_init_zero;
	char payment[32], note[NOTE_BYTES_MAX];
	struct checkpoint position;
	size_t bytes;
	uint64_t size;
	(void)state;
	store_log_position(ledger.store, &position);
	checkpoint_open();
	checkpoint_tick(true);
	struct fake_ask *a = fake_take(MSG_sign_checkpoint);
	const sp_sign_checkpoint_req *req = (const void *)a->req;
	assert_int_equal(req->position.size, position.size);
	assert_int_equal(req->old_size, 0);
	assert_memory_equal(req->position.root, position.root, HASH_BYTES);
	/* the vault signed a shorter one before, and the answer was lost */
	authorized(payment);
	rep.signed_size = position.size - 2;
	fake_answer(a, ERR_VERSION_CONFLICT, &rep);
	a = fake_take(MSG_sign_checkpoint);
	assert_non_null(a);
	req = (const void *)a->req;
	assert_int_equal(req->old_size, position.size - 2);
	assert_true(req->position.size > position.size);
	assert_true(req->proof_count > 0);
	size = req->position.size;
	uint64_t signed_size = size;
	rep.signature.size = 64;
	rep.at_ms = 5;
	snprintf(rep.key_name, sizeof rep.key_name, "key");
	fake_answer(a, ERR_OK, &rep);
	assert_int_equal(store_log_note_get(ledger.store, note, &bytes, &size), ERR_OK);
	assert_int_equal(size, signed_size);
	assert_true(checkpoint_idle());
	checkpoint_tick(true);
	assert_int_equal(fake_open(MSG_sign_checkpoint), 0);
}

/* ── expiry ── */

static void
an_authorization_expires_and_can_not_be_captured(void **state)
{
	char payment[32];
	static sp_payment_view view;
	(void)state;
	authorized(payment);
	expire_tick();
	fake_turn();
	assert_int_equal(store_payment_view(ledger.store, payment, &view), ERR_OK);
	assert_int_equal(view.status, sp_STATUS_AUTHORIZED);
	fake_pass_ms(7 * 24 * 3600 * INT64_C(1000) + 60000);
	expire_tick();
	fake_turn();
	assert_int_equal(store_payment_view(ledger.store, payment, &view), ERR_OK);
	assert_int_equal(view.status, sp_STATUS_EXPIRED);
	sp_payment_operate_req r = sp_payment_operate_req_init_zero;
	r.has_caller = r.has_idem = true;
	r.caller.cert_sha256[0] = 7;
	snprintf(r.idem.key, sizeof r.idem.key, "late");
	snprintf(r.payment, sizeof r.payment, "%s", payment);
	r.kind = sp_KIND_CAPTURE;
	r.final = true;
	struct call *c = fake_call(MSG_payment_operate, operate_answer, &r);
	assert_int_equal(fake_err(c), ERR_INVALID_STATE);
	fake_done(c);
}

/* ── clients ── */

static sp_client_add_req
client_req(const char *name, const char *statement_name, const char *scopes)
{
	sp_client_add_req r = sp_client_add_req_init_zero;
	char hex[65];
	r.has_client = true;
	snprintf(r.client.name, sizeof r.client.name, "%s", name);
	r.client.cert_sha256[0] = 42;
	r.client.scopes = 3;
	r.client.not_after_ms = INT64_C(1893456000000);
	r.client.merchants_count = 1;
	snprintf(r.client.merchants[0], sizeof r.client.merchants[0], "demo");
	snprintf(r.officer, sizeof r.officer, "alice");
	str_hex(r.client.cert_sha256, 32, hex);
	int n = snprintf((char *)r.statement.bytes, sizeof r.statement.bytes,
					 "operation=client.add\ninstall=t\nnonce=1\nat=2\nclient=%s\ncert_sha256=%s\nnot_after=2030-01-"
					 "01T00:00:00.000Z\n"
					 "scopes=%s\nmerchants=demo\n",
					 statement_name, hex, scopes);
	r.statement.size = (pb_size_t)n;
	r.signature.size = 64;
	return r;
}

static void
a_client_is_added_only_as_the_statement_says(void **state)
{
	static const sp_check_officer_rep rep;
	(void)state;
	const char *both = "tokens:create,tokens:read";
	sp_client_add_req wrong[] = {client_req("shop", "shop2", both), client_req("shop", "shop", "tokens:create"),
								 client_req("shop", "shop", "tokens:create,tokens:read,tokens:use"),
								 client_req("shop", "shop", both)};
	/* the officer signed for a certificate that ends; a longer life is not what was consented to */
	wrong[3].client.not_after_ms += 1000;
	for (unsigned i = 0; i < 4; i++) {
		struct call *c = fake_call(MSG_client_add, officer_side_client_add, &wrong[i]);
		assert_int_equal(fake_err(c), ERR_OFFICER_SIGNATURE);
		fake_done(c);
	}
	assert_int_equal(fake_open(MSG_check_officer), 0);
	sp_client_add_req good = client_req("shop", "shop", both);
	/* the vault does not believe the signature */
	struct call *c = fake_call(MSG_client_add, officer_side_client_add, &good);
	fake_answer(fake_take(MSG_check_officer), ERR_OFFICER_SIGNATURE, NULL);
	assert_int_equal(fake_err(c), ERR_OFFICER_SIGNATURE);
	fake_done(c);
	/* it does */
	c = fake_call(MSG_client_add, officer_side_client_add, &good);
	fake_answer(fake_take(MSG_check_officer), ERR_OK, &rep);
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(c);
	c = fake_call(MSG_client_add, officer_side_client_add, &good);
	fake_answer(fake_take(MSG_check_officer), ERR_OK, &rep);
	assert_int_equal(fake_err(c), ERR_CLIENT_EXISTS);
	fake_done(c);
	sp_client_of_req of = {.cert_sha256 = {42}};
	c = fake_call(MSG_client_of, read_client_of, &of);
	assert_string_equal(((const sp_client_of_rep *)fake_rep(c))->client.name, "shop");
	fake_done(c);
}

/* ── notes ── */

static void
a_process_leaves_only_notes_of_its_own_list_and_not_too_many(void **state)
{
	struct checkpoint before, after;
	sp_ledger_note_req note = sp_ledger_note_req_init_zero;
	(void)state;
	store_log_position(ledger.store, &before);
	note.event = EVENT_CLIENT_ADD; /* not the gate's to say */
	fake_done(fake_call(MSG_ledger_note, notes_answer, &note));
	store_log_position(ledger.store, &after);
	assert_int_equal(after.size, before.size);
	note.event = EVENT_DENIED;
	note.code = ERR_CLIENT_UNKNOWN;
	for (unsigned i = 0; i < 5 * NOTES_PER_SECOND_MAX; i++)
		fake_done(fake_call(MSG_ledger_note, notes_answer, &note));
	store_log_position(ledger.store, &after);
	assert_in_range(after.size - before.size, NOTES_PER_SECOND_MAX, 2 * NOTES_PER_SECOND_MAX);
}

/* ── a full disk ── */

static void
a_full_disk_refuses_what_is_new_and_keeps_what_was_charged(void **state)
{
	sp_job_req job, other;
	(void)state;
	struct call *c = create(&job);
	assert_false(fake_replied(c));
	commit_fails = ERR_DISK_FULL;
	/* the result of an attempt in flight: neither acknowledged nor lost */
	sp_result_req r = approval(&job);
	struct call *ack = fake_call(MSG_result, result_answer, &r);
	assert_false(fake_replied(ack));
	assert_false(fake_replied(c));
	assert_int_equal(fake_state(), PAGE_REFUSING);
	/* what is new is refused, reads go on */
	struct call *refused = create(&other);
	assert_int_equal(fake_err(refused), ERR_AUDIT_AWAY);
	fake_done(refused);
	/* the reserve gives room: the result comes in, new effects not yet */
	commit_fails = ERR_OK;
	result_again();
	fake_turn();
	assert_int_equal(fake_err(ack), ERR_OK);
	assert_int_equal(fake_err(c), ERR_OK);
	fake_done(ack);
	fake_done(c);
	refused = create(&other);
	assert_int_equal(fake_err(refused), ERR_AUDIT_AWAY);
	fake_done(refused);
	/* effects return by themselves, when the reserve is held again and a probe was written */
	commit_fails = ERR_DISK_FULL;
	effects_probe(probe);
	assert_int_equal(fake_state(), PAGE_REFUSING);
	commit_fails = ERR_OK;
	effects_probe(probe);
	assert_int_equal(fake_state(), PAGE_SERVING);
	assert_int_equal(flight_count(), 0);
	drop(MSG_close_authorization);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_go_out_in_order_and_a_refused_one_alone_again),
		cmocka_unit_test(marks_of_a_lost_batch_are_made_again),
		cmocka_unit_test(a_lost_answer_to_a_checkpoint_is_asked_from_where_the_vault_stands),
		cmocka_unit_test(an_authorization_expires_and_can_not_be_captured),
		cmocka_unit_test(a_client_is_added_only_as_the_statement_says),
		cmocka_unit_test(a_process_leaves_only_notes_of_its_own_list_and_not_too_many),
		cmocka_unit_test(a_full_disk_refuses_what_is_new_and_keeps_what_was_charged),
	};
	return cmocka_run_group_tests(tests, shop_open, shop_close);
}
