#include "tests/unit/store/store_work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"

int
work_open(struct work *w, const char *root)
{
	*w = (struct work){.dir = ""};
	snprintf(w->dir, sizeof w->dir, "%s/store-work-XXXXXX", root);
	if (!mkdtemp(w->dir) || !(w->state = payment_new()) || !(w->detail = mem_new(1, sizeof *w->detail)))
		return 1;
	snprintf(w->path, sizeof w->path, "%s/ledger.db", w->dir);
	w->detail->has_requested = true;
	strcpy(w->detail->requested.merchant, "demo");
	return 0;
}

void
work_remove_files(const struct work *w)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char file[160];

	for (unsigned i = 0; i < 3; i++) {
		snprintf(file, sizeof file, "%s%s", w->path, ends[i]);
		unlink(file);
	}
}

void
work_close(struct work *w)
{
	work_remove_files(w);
	rmdir(w->dir);
	mem_free(w->state);
	mem_free(w->detail);
}

enum err
work_store(struct work *w, size_t wal_bytes_max, struct store **out)
{
	static const uint8_t key[32] = "the key of a test, 32 bytes long";
	struct store_options options = {.path = w->path,
									.key = key,
									.cache_bytes = 1 << 20,
									.wal_bytes_max = wal_bytes_max,
									.origin = "sallyport.test/a/ledger",
									.install = "test",
									.proc = "ledger",
									.idempotency_ttl_ms = WORK_TTL};
	return store_open(&store_sqlcipher, &options, out);
}

/* The key of a payment's request: its id's bytes, so that who knows the one knows the other. */
static void
key_of(const struct id *payment, uint8_t key[IDEMPOTENCY_HASH_BYTES])
{
	if (id_pack("pay", payment->text, key) != ERR_OK)
		abort();
}

enum err
work_pay(struct work *w, struct store *s, struct id *out)
{
	struct payment_event events[PAYMENT_EVENTS_MAX];
	struct leaf leaf = {.event = EVENT_PAYMENT_REQUESTED, .object_id = out->text};
	struct idempotency_row row = {.expires_at_ms = clock_wall_ms() + WORK_TTL};
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
								.detail = w->detail};
	payment_clear(w->state);
	enum err e = store_mark(s);
	if (e == ERR_OK)
		e = payment_decide(w->state, &c, events, &n);
	if (e == ERR_OK)
		e = store_payment_append(s, out->text, w->state, events, n);
	if (e == ERR_OK)
		e = store_idempotency_put(s, &row, clock_wall_ms());
	if (e == ERR_OK)
		e = store_attempt_put(s, &attempt);
	if (e == ERR_OK)
		e = store_leaf(s, &leaf, NULL);
	return e == ERR_OK ? store_release(s) : e;
}

enum err
work_batch(struct work *w, struct store *s, struct id ids[WORK_GROUP])
{
	enum err e = store_begin(s);

	if (e != ERR_OK)
		return e;
	for (unsigned i = 0; i < WORK_GROUP && e == ERR_OK; i++)
		e = work_pay(w, s, &ids[i]);
	if (e == ERR_OK)
		return store_commit(s);
	store_rollback(s);
	return e;
}

unsigned
work_missing(struct work *w, const struct id *told, size_t n, uint64_t *payments_out)
{
	sp_ledger_rebuild_rep rebuilt;
	sp_ledger_facts_rep facts = {0};
	struct idempotency_row row;
	struct store *s;
	unsigned lost = 0;
	bool found;

	assert_int_equal(work_store(w, 1 << 20, &s), ERR_OK);
	for (size_t i = 0; i < n; i++) {
		uint8_t key[IDEMPOTENCY_HASH_BYTES];
		key_of(&told[i], key);
		enum err e = store_payment_load(s, told[i].text, w->state);
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
	assert_int_equal(store_facts(s, &facts), ERR_OK);
	assert_int_equal(facts.leaves, facts.payments);
	assert_int_equal(facts.in_flight, facts.payments);
	assert_int_equal(facts.payments % WORK_GROUP, 0);
	*payments_out = facts.payments;
	store_close(s);
	return lost;
}
