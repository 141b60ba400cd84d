/*
 * retry — when to try again: exponential, capped, with jitter from a random number that the caller brings.
 * Invariants: never below half of the plain exponential and never above the cap; no overflow for any try.
 */
#ifndef DAEMON_DOMAIN_RETRY_H
#define DAEMON_DOMAIN_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#define RETRY_INQUIRY_CAP_MS INT64_C(900000) /* 15 min */
#define RETRY_DISPATCH_MAX   5u              /* attempts of an operation that was surely not charged */

/* tries: how many were made (≥ 1). first_ms doubled tries-1 times, at most cap_ms, of which a random half is taken off.
 */
int64_t retry_delay_ms(unsigned tries, int64_t first_ms, int64_t cap_ms, uint32_t random);
/* Next dispatch of an operation that surely was not charged; false: enough, the operation failed. */
bool retry_dispatch(unsigned tries, uint32_t random, int64_t *delay_ms_out);
/* Next inquiry about an unknown outcome; false: enough, a person has to look. */
bool retry_inquiry(unsigned tries, int64_t first_ms, unsigned tries_max, uint32_t random, int64_t *delay_ms_out);

#endif
