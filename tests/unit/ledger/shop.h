/*
 * shop — a ledger over the readable store with two merchants: client 7 may do all for `demo`, client 8 may read
 * `other`.
 */
#ifndef TESTS_UNIT_LEDGER_SHOP_H
#define TESTS_UNIT_LEDGER_SHOP_H

int shop_open(void **state); /* cmocka's group set-up */
int shop_close(void **state);

#endif
