/*
 * stage — a ledger over the readable store with two merchants: client 7 may do all for `demo`, client 8 may read
 * `other`.
 */
#ifndef TESTS_UNIT_LEDGER_STAGE_H
#define TESTS_UNIT_LEDGER_STAGE_H

int stage_open(void **state); /* cmocka's group set-up */
int stage_close(void **state);

#endif
