/*
 * 100,000 random commands against payments that live up to a hundred commands each. After every step the books balance,
 * and each payment's events replayed from nothing give its state again. SEED=n repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "tests/unit/domain/scenario.h"

#define STEPS        100000
#define LIFE         100 /* commands of one payment */
#define RANDOM_SPACE 1000

static uint64_t seed;

static unsigned
draw(unsigned below)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (unsigned)(seed % below);
}

static void
check_books(const sp_payment_state *p)
{
	int64_t sum[sp_KIND_INCREMENT + 1] = {0};

	for (size_t i = 0; i < p->operations_count; i++) {
		const sp_operation_state *op = &p->operations[i];
		if (op->status == sp_OP_SUCCEEDED)
			sum[op->kind] += op->amount_minor;
		assert_in_range(op->status, sp_OP_PENDING, sp_OP_NEEDS_REVIEW);
	}
	assert_int_equal(sum[sp_KIND_AUTHORIZE], p->authorized_minor);
	assert_int_equal(sum[sp_KIND_CAPTURE], p->captured_minor);
	assert_int_equal(sum[sp_KIND_REFUND], p->refunded_minor);
	assert_true(p->captured_minor <= p->authorized_minor && p->authorized_minor <= p->amount_minor);
	assert_true(p->refunded_minor <= p->captured_minor);
	assert_true(sum[sp_KIND_VOID] == 0 || p->captured_minor == 0);
	assert_true(payment_left_to_capture(p) >= 0 && payment_left_to_refund(p) >= 0);
}

/* More than one open operation is possible only by a contradiction: a late approval of a closed one. */
static void
check_open(const sp_payment_state *p)
{
	unsigned working = 0;
	for (size_t i = 0; i < p->operations_count; i++)
		working += payment_operation_open(&p->operations[i]) && !p->operations[i].contradicted;
	assert_true(working <= 1);
}

static enum err
random_result(struct scenario *s)
{
	struct payment_command c = {.kind = PAYMENT_RESULT, .at_ms = ++s->at_ms, .actor = "random"};
	sp_result_req r = sp_result_req_init_zero;
	char capture[32];
	size_t n = s->state->operations_count;
	unsigned pick = draw(4);

	/* mostly about the last operation, sometimes about an old one or none */
	if (n && pick)
		snprintf(r.operation, sizeof r.operation, "%s", s->state->operations[pick == 1 ? draw((unsigned)n) : n - 1].id);
	else if (draw(10) == 0)
		strcpy(r.operation, "cap_of_nobody");
	r.outcome = (sp_outcome)draw(sp_OUTCOME_RETRYABLE + 1);
	if (draw(2))
		r.outcome = sp_OUTCOME_APPROVED;
	r.captured = draw(3) == 0;
	r.amount_minor = draw(30) == 0 ? 7 : 0;
	snprintf(capture, sizeof capture, "cap_%u", ++s->serial);
	c.operation = capture;
	c.expires_at_ms = s->at_ms + (int64_t)draw(100);
	c.result = &r;
	return scenario_do(s, &c);
}

static enum err
random_command(struct scenario *s)
{
	enum payment_command_kind kind = (enum payment_command_kind)draw(PAYMENT_COMMAND_MAX);
	size_t n = s->state->operations_count;

	if (kind == PAYMENT_CREATE)
		return scenario_create(s, draw(RANDOM_SPACE), draw(2) ? sp_CAPTURE_MANUAL : sp_CAPTURE_AUTOMATIC);
	if (kind == PAYMENT_CAPTURE || kind == PAYMENT_VOID || kind == PAYMENT_REFUND)
		return scenario_request(s, kind, draw(3) ? draw(RANDOM_SPACE) / 4 : 0, draw(4) == 0);
	if (kind == PAYMENT_RESULT || draw(2))
		return random_result(s);
	struct payment_command c = {.kind = kind, .at_ms = ++s->at_ms, .actor = "random", .attempt = "att_2"};
	c.operation = n ? s->state->operations[draw((unsigned)n)].id : "";
	return scenario_do(s, &c);
}

static void
check_replay(const struct scenario *s)
{
	sp_payment_state *again = payment_new();
	assert_non_null(again);
	for (unsigned i = 0; i < s->n_log; i++)
		assert_int_equal(payment_apply(again, s->state->id, &s->log[i]), ERR_OK);
	assert_int_equal(again->operations_count, s->state->operations_count);
	size_t used = offsetof(sp_payment_state, operations) + again->operations_count * sizeof again->operations[0];
	assert_memory_equal(again, s->state, used);
	mem_free(again);
}

static void
random_commands_keep_the_books(void **arg)
{
	(void)arg;
	unsigned seen[sp_STATUS_NEEDS_REVIEW + 1] = {0}, accepted = 0;
	struct scenario s;

	for (unsigned step = 0; step < STEPS;) {
		scenario_open(&s);
		if (draw(20))
			assert_int_equal(
				scenario_create(&s, 1 + draw(RANDOM_SPACE), draw(3) ? sp_CAPTURE_MANUAL : sp_CAPTURE_AUTOMATIC),
				ERR_OK);
		for (unsigned i = 0; i < LIFE && step < STEPS; i++, step++) {
			uint32_t before = s.state->version;
			enum err e = random_command(&s);
			accepted += e == ERR_OK;
			if (e != ERR_OK)
				assert_int_equal(s.state->version, before);
			check_books(s.state);
			check_open(s.state);
			seen[payment_status(s.state)]++;
		}
		check_replay(&s);
		scenario_close(&s);
	}
	printf("accepted %u of %u\n", accepted, STEPS);
	/* A run that misses a state proves nothing about it. */
	for (int i = sp_STATUS_PROCESSING; i <= sp_STATUS_NEEDS_REVIEW; i++)
		if (i != sp_STATUS_REQUIRES_ACTION && i != sp_STATUS_SETTLED && i != sp_STATUS_REVERSED && seen[i] == 0)
			fail_msg("never %s", payment_status_name((sp_payment_status)i));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(random_commands_keep_the_books)};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 0) : (uint64_t)clock_mono_us();
	seed = seed ? seed : 1;
	printf("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("domain/payment_property", tests, NULL, NULL);
}
