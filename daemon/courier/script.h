/*
 * script — policy/test_values.def as a lookup: what the simulator plays for a number or an amount.
 * Invariants: rows are static; a number is compared and never kept.
 */
#ifndef DAEMON_COURIER_SCRIPT_H
#define DAEMON_COURIER_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

/* What happens; policy/test_values.def tells each in words. */
enum script_outcome {
	SCRIPT_APPROVE,
	SCRIPT_DECLINE,
	SCRIPT_TIMEOUT_BEFORE,
	SCRIPT_TIMEOUT_AFTER,
	SCRIPT_LATE,
	SCRIPT_LATE_DECLINE,
	SCRIPT_DUPLICATE,
	SCRIPT_ERROR,
	SCRIPT_SLOW,
	SCRIPT_AWAY,
	SCRIPT_AWAY_ONCE,
	SCRIPT_SILENT,
	SCRIPT_CAPTURE_FAILS,
	SCRIPT_REFUND_FAILS,
	SCRIPT_VOID_FAILS,
	SCRIPT_REFUND_PENDING,
	SCRIPT_OUTCOMES
};

struct script_row {
	enum script_outcome outcome;
	const char *number; /* "" for the issuer's own refusals */
	const char *name;   /* "insufficient_funds": the fixed token without its tok_test_ */
	int64_t amount_minor;
	const char *decline_code, *network_code, *advice;
};

/* Why the issuer refuses of itself, without a script. */
enum script_refusal {
	SCRIPT_NO_AUTHORIZATION, /* the reference names none */
	SCRIPT_ABOVE,            /* more than is left to capture or to refund */
	SCRIPT_CLOSED,           /* voided before */
	SCRIPT_NOTHING_LEFT,     /* nothing to void: all of it is captured */
	SCRIPT_REFUSALS
};

/* The row of a card and an amount: a number that scripts something wins; then the amount; else a plain approval. Never
 * NULL. */
const struct script_row *script_choose(const char *pan, int64_t amount_minor);
/* NULL: this amount scripts nothing. */
const struct script_row *script_of_amount(int64_t amount_minor);
/* By name, refusals included; NULL: there is none. */
const struct script_row *script_of_name(const char *name);
const struct script_row *script_refusal(enum script_refusal why);
/* All rows of the table, in order. */
const struct script_row *script_rows(size_t *n_out);

#endif
