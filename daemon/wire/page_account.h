/*
 * page_account — the processor accounts on courier's page: which of them does not answer, since when, and when it is
 * tried again. Invariants: only courier writes; a place is given once in the life of a page and keeps its name, so that
 * nobody reads half a name; at most PAGE_ACCOUNTS. What it says holds while courier hangs, too.
 */
#ifndef DAEMON_WIRE_PAGE_ACCOUNT_H
#define DAEMON_WIRE_PAGE_ACCOUNT_H

#include "daemon/wire/page.h"

/* Courier: the place of this account, made when it has none; -1: all are taken. */
int page_account_place(struct page *p, const char *account);
/* Courier: what is true of it now. */
void page_account_set(struct page *p, int place, const struct health_outage *now);
/* The i-th account from 0, whatever its breaker; false past the last. */
bool page_account_read(const struct page *p, unsigned i, struct health_outage *out);
/* How many accounts do not answer (breaker not closed), and the first of them. */
unsigned page_account_out(const struct page *p, struct health_outage *first_out);
/* Does this one answer, as far as is known? */
bool page_account_answers(const struct page *p, const char *account);

#endif
