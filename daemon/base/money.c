#include "daemon/base/money.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/currency.h"

enum err
money_add(struct money a, struct money b, struct money *out)
{
	if (a.currency != b.currency)
		return ERR_CURRENCY;
	if (a.minor < 0 || b.minor < 0 || a.minor > MONEY_MAX_MINOR - b.minor)
		return ERR_AMOUNT_OUT_OF_RANGE;
	*out = (struct money){a.minor + b.minor, a.currency};
	return ERR_OK;
}

enum err
money_sub(struct money a, struct money b, struct money *out)
{
	if (a.currency != b.currency)
		return ERR_CURRENCY;
	if (b.minor < 0 || a.minor < b.minor || a.minor > MONEY_MAX_MINOR)
		return ERR_AMOUNT_OUT_OF_RANGE;
	*out = (struct money){a.minor - b.minor, a.currency};
	return ERR_OK;
}

void
money_text(struct money m, char out[MONEY_TEXT_BYTES])
{
	static const int64_t power[] = {1, 10, 100, 1000, 10000};
	const struct currency *c = currency_of(m.currency);
	unsigned exponent = c ? c->exponent : 2;
	int64_t whole = m.minor / power[exponent], part = m.minor % power[exponent];
	char text[320];
	if (exponent)
		snprintf(text, sizeof text, "%lld.%0*lld %s", (long long)whole, (int)exponent, (long long)part,
				 c ? c->code : "???");
	else
		snprintf(text, sizeof text, "%lld %s", (long long)whole, c ? c->code : "???");
	/* a struct money in bounds needs at most 20 characters */
	memcpy(out, text, MONEY_TEXT_BYTES - 1);
	out[MONEY_TEXT_BYTES - 1] = 0;
}
