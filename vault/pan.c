#include "vault/pan.h"

#include <string.h>

#include "daemon/base/str.h"

#define YEARS_AHEAD_MAX 30
#define HOUR_MS         (INT64_C(3600) * 1000)

struct range {
	sp_brand brand;
	const char *low, *high;
	uint32_t lengths;
	unsigned cvc_least, cvc_most;
};

static const struct range ranges[] = {
#define RANGE(brand, low, high, lengths, least, most) {sp_brand_BRAND_##brand, low, high, lengths, least, most},
#include "policy/brand.def"
#undef RANGE
};
static const struct range unknown = {sp_brand_BRAND_UNKNOWN, "", "", ((1u << 20) - (1u << 12)), 3, 4};

static const struct {
	const char *number, *token;
} published[] = {
#define TEST(outcome, number, token, amount, decline, network, advice) {number, token},
#include "policy/test_values.def"
#undef TEST
};

static bool
all_digits(const uint8_t *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

static unsigned
luhn_sum(const uint8_t *digits, size_t n, bool doubled)
{
	unsigned sum = 0;
	while (n-- > 0) {
		unsigned d = digits[n] - '0';
		if (doubled)
			d = d > 4 ? 2 * d - 9 : 2 * d;
		doubled = !doubled;
		sum += d;
	}
	return sum;
}

bool
pan_luhn(const uint8_t *digits, size_t n)
{
	return n > 0 && luhn_sum(digits, n, false) % 10 == 0;
}

uint8_t
pan_luhn_digit(const uint8_t *digits, size_t n)
{
	return (uint8_t)('0' + (10 - luhn_sum(digits, n, true) % 10) % 10);
}

static const struct range *
range_of(const uint8_t *pan, size_t n)
{
	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
		const struct range *r = &ranges[i];
		size_t head = strlen(r->low);
		if (n >= head && memcmp(pan, r->low, head) >= 0 && memcmp(pan, r->high, head) <= 0)
			return r;
	}
	return &unknown;
}

sp_brand
pan_brand(const uint8_t *pan, size_t n)
{
	return range_of(pan, n)->brand;
}

static bool
is_published(const uint8_t *pan, size_t n)
{
	for (size_t i = 0; i < sizeof published / sizeof *published; i++)
		if (strlen(published[i].number) == n && memcmp(published[i].number, pan, n) == 0)
			return true;
	return false;
}

const char *
pan_test_number(const char *token)
{
	for (size_t i = 0; i < sizeof published / sizeof *published; i++)
		if (published[i].token[0] && strcmp(published[i].token, token) == 0)
			return published[i].number;
	return NULL;
}

/* Days since 1970-01-01 of the first of a month (proleptic Gregorian; Hinnant's days_from_civil with day 1). */
static int64_t
days_of(int64_t year, int64_t month)
{
	year -= month <= 2;
	int64_t era = year / 400, of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool
pan_expired(uint32_t month, uint32_t year, int64_t wall_ms)
{
	/* The first of the next month, twelve hours later: then it has begun in the last time zone too. */
	int64_t next = month == 12 ? days_of((int64_t)year + 1, 1) : days_of(year, (int64_t)month + 1);
	return wall_ms >= next * 24 * HOUR_MS + 12 * HOUR_MS;
}

static enum err
check_expiry(const struct card *c, int64_t wall_ms)
{
	if (c->exp_month < 1 || c->exp_month > 12 || c->exp_year < 2000 || c->exp_year > 2199)
		return ERR_CARD_EXPIRY;
	if (pan_expired(c->exp_month, c->exp_year, wall_ms))
		return ERR_CARD_EXPIRED;
	/* Nobody issues a card for longer than that: a slip of the finger. */
	if (!pan_expired(c->exp_month, c->exp_year - YEARS_AHEAD_MAX, wall_ms))
		return ERR_CARD_EXPIRY;
	return ERR_OK;
}

static enum err
check_number(const struct card *c, const struct range *r)
{
	/* Track 1 and 2 begin and part their fields with these; they are refused by name, so that the sender learns it. */
	for (size_t i = 0; i < c->pan_len; i++)
		if (memchr("%;^=", c->pan[i], 4))
			return ERR_CARD_TRACK;
	if (!all_digits(c->pan, c->pan_len))
		return ERR_CARD_LUHN;
	if (c->pan_len > PAN_DIGITS_MAX || !(r->lengths & (1u << c->pan_len)))
		return ERR_CARD_LENGTH;
	return pan_luhn(c->pan, c->pan_len) ? ERR_OK : ERR_CARD_LUHN;
}

enum err
pan_check(const struct card *c, const struct pan_rules *rules, sp_brand *brand_out)
{
	const struct range *r = range_of(c->pan, c->pan_len);
	enum err e = check_number(c, r);
	*brand_out = r->brand;
	if (e == ERR_OK)
		e = check_expiry(c, rules->wall_ms);
	if (e != ERR_OK)
		return e;
	if (c->cvc_len > 0 && (c->cvc_len < r->cvc_least || c->cvc_len > r->cvc_most || !all_digits(c->cvc, c->cvc_len)))
		return ERR_CARD_CVC;
	if (str_holds_pan((const char *)c->holder, c->holder_len))
		return ERR_PAN_IN_METADATA;
	bool known = is_published(c->pan, c->pan_len);
	if (!rules->test && known)
		return ERR_TEST_CARD_IN_LIVE;
	if (rules->test && rules->published_only && !known)
		return ERR_REAL_CARD_IN_TEST;
	return ERR_OK;
}
