#include "console/tui/latency.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void
latency_sample(struct latency *l, const uint64_t *counts, unsigned n)
{
	if (l->n == LATENCY_SAMPLES + 1)
		memmove(l->sample, l->sample + 1, LATENCY_SAMPLES * sizeof *l->sample);
	else
		l->n++;
	uint64_t *now = l->sample[l->n - 1];
	for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
		now[b] = b < n ? counts[b] : 0;
}

/* What came into a bucket between the oldest look and the newest. */
static uint64_t
grown(const struct latency *l, unsigned bucket)
{
	uint64_t sum = 0;

	for (unsigned i = 1; i < l->n; i++) {
		uint64_t before = l->sample[i - 1][bucket], after = l->sample[i][bucket];
		sum += after >= before ? after - before : after;
	}
	return sum;
}

uint32_t
latency_at(const struct latency *l, unsigned percent)
{
	uint64_t all = 0, seen = 0;

	assert(percent >= 1 && percent <= 100);
	for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
		all += grown(l, b);
	if (all == 0)
		return LATENCY_NONE;
	uint64_t rank = (all * percent + 99) / 100;
	for (unsigned b = 0; b < PAGE_BUCKETS; b++) {
		uint64_t here = grown(l, b), least = b ? page_bucket_us[b - 1] : 0;
		if (seen + here >= rank)
			return (uint32_t)(least + (page_bucket_us[b] - least) * (rank - seen) / here);
		seen += here;
	}
	return page_bucket_us[PAGE_BUCKETS - 1] + 1;
}

void
latency_text(uint32_t us, char out[LATENCY_TEXT_BYTES])
{
	if (us == LATENCY_NONE)
		snprintf(out, LATENCY_TEXT_BYTES, "-");
	else if (us > page_bucket_us[PAGE_BUCKETS - 1])
		snprintf(out, LATENCY_TEXT_BYTES, ">%u s", page_bucket_us[PAGE_BUCKETS - 1] / 1000000);
	else if (us < 99950)
		snprintf(out, LATENCY_TEXT_BYTES, "%u.%u", (us + 50) / 1000, (us + 50) % 1000 / 100);
	else
		snprintf(out, LATENCY_TEXT_BYTES, "%u", (us + 500) / 1000);
}
