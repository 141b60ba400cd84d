/*
 * pan — is this a card that can be stored? Pure: brand and lengths by range, Luhn, expiry, security code, test
 * numbers. Invariants: no answer holds a digit of the number; a number that passes has only digits. Source: ISO/IEC
 * 7812-1; policy/brand.def; policy/test_values.def.
 */
#ifndef VAULT_PAN_H
#define VAULT_PAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "policy/schema/object.pb.h"

#define PAN_DIGITS_MAX 19

/* All borrowed; texts are not NUL-terminated. */
struct card {
	const uint8_t *pan, *cvc, *holder;
	size_t pan_len, cvc_len, holder_len; /* cvc_len 0: none */
	uint32_t exp_month, exp_year;
};

struct pan_rules {
	bool test;           /* a test installation */
	bool published_only; /* test.cards = published */
	int64_t wall_ms;
};

/*
 * pan_check(c, rules, brand_out)
 *   Returns ERR_OK · ERR_CARD_TRACK (track data) · ERR_CARD_LENGTH · ERR_CARD_LUHN · ERR_CARD_EXPIRY · ERR_CARD_EXPIRED
 * · ERR_CARD_CVC · ERR_PAN_IN_METADATA (a number in the holder's name) · ERR_TEST_CARD_IN_LIVE · ERR_REAL_CARD_IN_TEST.
 */
enum err pan_check(const struct card *c, const struct pan_rules *rules, sp_brand *brand_out) MUST;
/* By the first digits alone. */
sp_brand pan_brand(const uint8_t *pan, size_t n);
bool pan_luhn(const uint8_t *digits, size_t n);
/* Is the month over everywhere on earth? */
bool pan_expired(uint32_t month, uint32_t year, int64_t wall_ms);
/* The check digit that makes digits ‖ it pass Luhn. */
uint8_t pan_luhn_digit(const uint8_t *digits, size_t n);
/* The published number behind a fixed test token ("tok_test_visa"), or NULL. Static. */
const char *pan_test_number(const char *token);

#endif
