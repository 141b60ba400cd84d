/*
 * money — amounts as integer minor units of one ISO 4217 currency; never a double.
 * Invariants: 0 ≤ minor ≤ MONEY_MAX_MINOR; arithmetic on two currencies or past a bound is refused.
 * Source: ISO 4217; API contract (1..999 999 999 999).
 */
#ifndef DAEMON_BASE_MONEY_H
#define DAEMON_BASE_MONEY_H

#include <stdint.h>

#include "daemon/base/err.h"

#define MONEY_MAX_MINOR INT64_C(999999999999)

struct money {
	int64_t minor;
	uint16_t currency; /* ISO 4217 numeric code */
};

/* ERR_AMOUNT_OUT_OF_RANGE (result outside the bounds) · ERR_CURRENCY (they differ); out is untouched then. */
enum err money_add(struct money a, struct money b, struct money *out) MUST;
enum err money_sub(struct money a, struct money b, struct money *out) MUST;
/* "12.34 EUR" with the currency's exponent; at most MONEY_TEXT_BYTES with its NUL. */
#define MONEY_TEXT_BYTES 32
void money_text(struct money m, char out[MONEY_TEXT_BYTES]);

#endif
