#include "daemon/courier/script.h"

#include <assert.h>
#include <string.h>

#define ALIAS_PREFIX "tok_test_"

static const struct script_row rows[] = {
#define TEST(outcome, number, token, amount, decline_code, network_code, advice) \
	{SCRIPT_##outcome, number, &(token)[sizeof ALIAS_PREFIX - 1], amount, decline_code, network_code, advice},
#include "policy/test_values.def"
#undef TEST
};
#define ROWS (sizeof rows / sizeof *rows)

static const struct script_row refusals[SCRIPT_REFUSALS] = {
	[SCRIPT_NO_AUTHORIZATION] = {SCRIPT_DECLINE, "", "no_authorization", 0, "no_such_authorization", "25", ""},
	[SCRIPT_ABOVE] = {SCRIPT_DECLINE, "", "above", 0, "amount_exceeds_balance", "13", ""},
	[SCRIPT_CLOSED] = {SCRIPT_DECLINE, "", "closed", 0, "authorization_closed", "12", ""},
	[SCRIPT_NOTHING_LEFT] = {SCRIPT_DECLINE, "", "nothing_left", 0, "already_captured", "12", ""},
};

/* Every card and amount without a row of its own. */
static const struct script_row plain = {SCRIPT_APPROVE, "", "", 0, "", "", ""};

static const struct script_row *
of_number(const char *pan)
{
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].number, pan) == 0)
			return &rows[i];
	return NULL;
}

const struct script_row *
script_of_amount(int64_t amount_minor)
{
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].amount_minor == amount_minor)
			return &rows[i];
	return NULL;
}

const struct script_row *
script_choose(const char *pan, int64_t amount_minor)
{
	const struct script_row *row = of_number(pan);
	if (!row || row->outcome == SCRIPT_APPROVE) {
		const struct script_row *by_amount = script_of_amount(amount_minor);
		if (by_amount)
			row = by_amount;
	}
	return row ? row : &plain;
}

const struct script_row *
script_of_name(const char *name)
{
	if (!*name)
		return &plain;
	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	for (size_t i = 0; i < SCRIPT_REFUSALS; i++)
		if (strcmp(refusals[i].name, name) == 0)
			return &refusals[i];
	return NULL;
}

const struct script_row *
script_refusal(enum script_refusal why)
{
	assert(why < SCRIPT_REFUSALS);
	return &refusals[why];
}

const struct script_row *
script_rows(size_t *n_out)
{
	*n_out = ROWS;
	return rows;
}
