/*
 * fill — payments put into a store by the store's own code, without any process around it: what the benches of the
 * store write, and how a store of a million payments is made.
 *
 * One payment is three commits, as on the road of one payment: (1) requested: idempotency look-up and row, two events,
 * read model, attempt row, leaf; (2) result: load, authorized and captured, read model, attempt gone, leaf, and the
 * view for the answer; (3) its four events listed for herald and marked as published. A round does this for a group of
 * payments in three transactions. Errors end the program: there is nothing that it could go on with.
 */
#ifndef TESTS_BENCH_FILL_H
#define TESTS_BENCH_FILL_H

#include "daemon/store/store.h"

#define FILL_GROUP_MAX 256

struct fill;

/* at_ms: when the first payment is made; each round is 3 ms later. commit: instead of store_commit, to time it (NULL).
 */
struct fill *fill_new(struct store *s, int64_t at_ms, void (*commit)(struct store *s));
void fill_free(struct fill *f);
void fill_orders(struct fill *f); /* each payment has an order id of its own (one more index entry) */
void fill_round(struct fill *f, unsigned group);
void fill_must(enum err e, const char *what);

#endif
