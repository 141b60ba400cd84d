/*
 * latency — how long things took in the last seconds, from counts per bucket that only ever grow.
 * Invariants: what is said lies in the bucket in which the exact answer lies; a process that began anew takes nothing
 *   away. Why: an average says nothing of those who wait, and counts since the start say nothing of now.
 */
#ifndef CONSOLE_TUI_LATENCY_H
#define CONSOLE_TUI_LATENCY_H

#include <stdint.h>

#include "daemon/wire/page.h"

#define LATENCY_SAMPLES 10
#define LATENCY_BUCKETS (PAGE_BUCKETS + 1)
#define LATENCY_NONE    UINT32_MAX /* nothing was seen */

/* The counts of the last LATENCY_SAMPLES looks; all zero: none yet. */
struct latency {
	uint64_t sample[LATENCY_SAMPLES + 1][LATENCY_BUCKETS];
	unsigned n; /* samples so far */
};

/* One more look; n: how many counts there are, those beyond are taken for zero. */
void latency_sample(struct latency *l, const uint64_t *counts, unsigned n);
/* In microseconds, between the bounds of its bucket; LATENCY_NONE. percent: 1 to 100. */
uint32_t latency_at(const struct latency *l, unsigned percent);
/* "1.4", "230", ">25 s" or "-"; milliseconds. */
#define LATENCY_TEXT_BYTES 12
void latency_text(uint32_t us, char out[LATENCY_TEXT_BYTES]);

#endif
