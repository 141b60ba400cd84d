/*
 * store_work — what the tests that break things let a store do: payments with all that goes with them, and the look for
 * them afterwards.
 */
#ifndef TESTS_UNIT_STORE_STORE_WORK_H
#define TESTS_UNIT_STORE_STORE_WORK_H

#include "daemon/store/store.h"

#define WORK_GROUP 4
#define WORK_TTL   INT64_C(86400000)

struct work {
	char dir[96], path[128];
	sp_payment_state *state;
	sp_event_detail *detail;
};

/* A directory of its own under root; 0 on success. */
int work_open(struct work *w, const char *root);
void work_close(struct work *w);
void work_remove_files(const struct work *w);
enum err work_store(struct work *w, size_t wal_bytes_max, struct store **out) MUST;

/* One payment with its key, its attempt and its leaf, as a command of the open batch. */
enum err work_pay(struct work *w, struct store *s, struct id *out) MUST;
/* A batch of WORK_GROUP of them, committed. On an error the batch is rolled back. */
enum err work_batch(struct work *w, struct store *s, struct id ids[WORK_GROUP]) MUST;

/*
 * Opens the store and looks for what was told: every payment that is there has its key, its leaf and its attempt,
 * batches are whole, and the read models are what the events make (the test fails otherwise). Returns how many are
 * missing.
 */
unsigned work_missing(struct work *w, const struct id *told, size_t n, uint64_t *payments_out);

#endif
