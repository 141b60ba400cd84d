/*
 * clock — the two clocks, and RFC 3339 text.
 * Invariants: intervals and deadlines use clock_mono_ms only; wall time is for people and for records.
 */
#ifndef DAEMON_BASE_CLOCK_H
#define DAEMON_BASE_CLOCK_H

#include <stdint.h>

#include "daemon/base/err.h"

int64_t clock_wall_ms(void); /* Unix time in milliseconds */
int64_t clock_mono_ms(void); /* CLOCK_MONOTONIC in milliseconds */
int64_t clock_mono_us(void);

#define CLOCK_TEXT_BYTES 25
/* "2026-11-21T10:46:00.123Z"; years 1970..9999, others are clamped. */
void clock_text(int64_t wall_ms, char out[CLOCK_TEXT_BYTES]);
/* RFC 3339 with Z, with or without fraction (≤ 9 digits). ERR_WRONG_TYPE on anything else. */
enum err clock_parse(const char *text, int64_t *wall_ms_out) MUST;

#endif
