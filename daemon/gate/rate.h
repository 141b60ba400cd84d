/*
 * rate — how many requests a client may send in a second: a token bucket for each certificate, in this gate.
 * Invariants: bounded (1024 certificates; the least recently seen goes, and comes back with a full bucket); a client
 *   that is over its rate costs no other client anything; a bucket never holds more than one second's worth.
 */
#ifndef DAEMON_GATE_RATE_H
#define DAEMON_GATE_RATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * rate_take(cert, per_second, now_us, left_out): one request of the client with this certificate (32 bytes) now.
 *   now_us      monotonic.
 *   left_out    whole requests that are left at once.
 *   Returns     false: over its rate; nothing was taken.
 */
bool rate_take(const uint8_t cert[32], uint32_t per_second, int64_t now_us, uint32_t *left_out);

#endif
