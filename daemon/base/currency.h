/*
 * currency — ISO 4217: alphabetic code, numeric code, exponent. The table is policy/currency.def.
 */
#ifndef DAEMON_BASE_CURRENCY_H
#define DAEMON_BASE_CURRENCY_H

#include <stdint.h>

struct currency {
	char code[4];
	uint16_t number;
	uint8_t exponent; /* minor units are 10^-exponent */
};

/* NULL when there is none. The row is static. */
const struct currency *currency_of(uint16_t number);
const struct currency *currency_by_code(const char *code); /* upper case, exactly three letters */

#endif
