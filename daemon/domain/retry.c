#include "daemon/domain/retry.h"

#define DISPATCH_FIRST_MS INT64_C(200)
#define DISPATCH_CAP_MS   INT64_C(5000)

int64_t
retry_delay_ms(unsigned tries, int64_t first_ms, int64_t cap_ms, uint32_t random)
{
	int64_t delay = first_ms < 1 ? 1 : first_ms;

	for (unsigned i = 1; i < tries && delay < cap_ms; i++)
		delay *= 2; /* below the cap before, so no overflow: caps are far from 2^62 */
	if (delay > cap_ms)
		delay = cap_ms;
	/* Half of it is random, so that attempts which failed together do not come back together. */
	return delay - delay / 2 * (int64_t)(random >> 16) / 65536;
}

bool
retry_dispatch(unsigned tries, uint32_t random, int64_t *delay_ms_out)
{
	if (tries >= RETRY_DISPATCH_MAX)
		return false;
	*delay_ms_out = retry_delay_ms(tries, DISPATCH_FIRST_MS, DISPATCH_CAP_MS, random);
	return true;
}

bool
retry_inquiry(unsigned tries, int64_t first_ms, unsigned tries_max, uint32_t random, int64_t *delay_ms_out)
{
	if (tries >= tries_max)
		return false;
	*delay_ms_out = retry_delay_ms(tries + 1, first_ms, RETRY_INQUIRY_CAP_MS, random);
	return true;
}
