/*
 * key_filter — which runs may have a key: the Bloom filters of all runs, asked in one look.
 * How: the filters lie crosswise. For each bit position there is one word for 32 runs, so a look-up reads the words of
 *   its positions and what is left after all of them is the answer for 32 runs at once; after half a dozen words most
 *   answers are "none". A run's own filter is made while the run is written, and stored with it.
 * Invariants: a key that was put in is never denied; a key that was not is confirmed by a run in 15,000.
 * Why: a new key has to ask every run of a day. Three million keys are 370 runs, and as many filters one after the
 * other cost more than the rest of a payment.
 */
#ifndef DAEMON_STORE_KEY_FILTER_H
#define DAEMON_STORE_KEY_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/domain/idempotency.h"

#define KEY_FILTER_KEYS  8192u                        /* in one filter; more make it less sharp, never wrong */
#define KEY_FILTER_BYTES (KEY_FILTER_KEYS * 20u / 8u) /* twenty bits for each */

struct key_filters;

/* A filter in the making, of KEY_FILTER_BYTES zeros: one more key. */
void key_filter_set(uint8_t *filter, const uint8_t key[IDEMPOTENCY_HASH_BYTES]);

/* NULL without memory. */
struct key_filters *key_filters_new(void);
void key_filters_free(struct key_filters *f); /* NULL is fine */

/* One more run's filter; slot_out: its name until it is dropped. ERR_MEMORY. */
enum err key_filters_add(struct key_filters *f, const uint8_t *filter, unsigned *slot_out) MUST;
void key_filters_drop(struct key_filters *f, unsigned slot);

/* Which may have the key? false: none. Then key_filters_said() for each slot, until the next call. */
bool key_filters_ask(struct key_filters *f, const uint8_t key[IDEMPOTENCY_HASH_BYTES]);
bool key_filters_said(const struct key_filters *f, unsigned slot);

#endif
