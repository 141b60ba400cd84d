#include "daemon/base/currency.h"

#include <stddef.h>
#include <string.h>

static const struct currency rows[] = {
#define CURRENCY(code, number, exponent) {#code, number, exponent},
#include "policy/currency.def"
#undef CURRENCY
};

const struct currency *
currency_of(uint16_t number)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].number == number)
			return &rows[i];
	return NULL;
}

const struct currency *
currency_by_code(const char *code)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(rows[i].code, code) == 0)
			return &rows[i];
	return NULL;
}
