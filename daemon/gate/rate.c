#include "daemon/gate/rate.h"

#include <string.h>

#define SETS      256
#define WAYS      4
#define SECOND_US INT64_C(1000000)

struct bucket {
	uint8_t cert[32];
	int64_t seen_us; /* 0: nobody's */
	int64_t level;   /* millionths of a request */
};

static struct bucket buckets[SETS][WAYS];

static struct bucket *
bucket_of(const uint8_t cert[32], int64_t full, int64_t now_us)
{
	struct bucket *set = buckets[cert[0]], *oldest = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].seen_us && memcmp(set[i].cert, cert, sizeof(set[i].cert)) == 0)
			return &set[i];
		if (set[i].seen_us < oldest->seen_us)
			oldest = &set[i];
	}
	*oldest = (struct bucket){.seen_us = now_us, .level = full};
	memcpy(oldest->cert, cert, sizeof(oldest->cert));
	return oldest;
}

bool
rate_take(const uint8_t cert[32], uint32_t per_second, int64_t now_us, uint32_t *left_out)
{
	int64_t full = (int64_t)per_second * SECOND_US;
	struct bucket *b = bucket_of(cert, full, now_us);
	int64_t passed_us = now_us - b->seen_us;

	/* a second fills it, so no product below leaves 64 bits */
	b->level += passed_us >= SECOND_US ? full : passed_us * per_second;
	if (b->level > full)
		b->level = full;
	b->seen_us = now_us;
	bool may = b->level >= SECOND_US;

	if (may)
		b->level -= SECOND_US;
	*left_out = (uint32_t)(b->level / SECOND_US);
	return may;
}
