#include "daemon/base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_us(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t
clock_wall_ms(void)
{
	return read_us(CLOCK_REALTIME) / 1000;
}

int64_t
clock_mono_ms(void)
{
	return read_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
clock_mono_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01 of a civil date and back (Howard Hinnant's algorithms): no libc time zone code, no locks. */
static int64_t
days_of(int64_t y, unsigned m, unsigned d)
{
	y -= m <= 2;
	int64_t era = y / 400;
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (int64_t)(m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

static void
civil_of(int64_t days, int *y_out, unsigned *m_out, unsigned *d_out)
{
	days += 719468;
	int64_t era = days / 146097;
	int64_t doe = days - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	*d_out = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
	*m_out = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
	*y_out = (int)(yoe + era * 400 + (*m_out <= 2));
}

#define LAST_MS 253402300799999 /* 9999-12-31T23:59:59.999Z */

void
clock_text(int64_t ms, char out[CLOCK_TEXT_BYTES])
{
	int y;
	unsigned m, d;
	if (ms < 0)
		ms = 0;
	if (ms > LAST_MS)
		ms = LAST_MS;
	civil_of(ms / 86400000, &y, &m, &d);
	unsigned rest = (unsigned)(ms % 86400000);
	char text[64];
	snprintf(text, sizeof text, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", y, m, d, rest / 3600000, rest / 60000 % 60,
			 rest / 1000 % 60, rest % 1000);
	memcpy(out, text, CLOCK_TEXT_BYTES);
	out[CLOCK_TEXT_BYTES - 1] = 0;
}

static bool
digits(const char **p, unsigned n, unsigned *out)
{
	unsigned v = 0;
	for (; n; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		v = v * 10 + (unsigned)(**p - '0');
	}
	*out = v;
	return true;
}

static bool
sign(const char **p, char c)
{
	return *(*p)++ == c;
}

enum err
clock_parse(const char *p, int64_t *out)
{
	static const unsigned days_in[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned y, mo, d, h, mi, s, ms = 0;
	if (strnlen(p, 31) < 20 || strnlen(p, 31) > 30)
		return ERR_WRONG_TYPE;
	if (!(digits(&p, 4, &y) && sign(&p, '-') && digits(&p, 2, &mo) && sign(&p, '-') && digits(&p, 2, &d) &&
		  sign(&p, 'T') && digits(&p, 2, &h) && sign(&p, ':') && digits(&p, 2, &mi) && sign(&p, ':') &&
		  digits(&p, 2, &s)))
		return ERR_WRONG_TYPE;
	if (*p == '.') {
		unsigned n = 0, weight = 100;
		for (p++; *p >= '0' && *p <= '9' && n < 9; p++, n++, weight /= 10)
			ms += weight * (unsigned)(*p - '0');
		if (n == 0)
			return ERR_WRONG_TYPE;
	}
	if (p[0] != 'Z' || p[1])
		return ERR_WRONG_TYPE;
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > days_in[mo - 1] + (mo == 2 && leap) || h > 23 || mi > 59 ||
		s > 59)
		return ERR_WRONG_TYPE;
	*out = (days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + s) * 1000 + ms;
	return ERR_OK;
}
