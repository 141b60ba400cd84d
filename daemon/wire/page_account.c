#include "daemon/wire/page_account.h"

#include <string.h>

static unsigned
count(const struct page *p)
{
	/* names before this number are whole */
	unsigned n = atomic_load_explicit(&p->accounts_n, memory_order_acquire);
	return n < PAGE_ACCOUNTS ? n : PAGE_ACCOUNTS;
}

static int
find(const struct page *p, const char *account)
{
	unsigned n = count(p);
	for (unsigned i = 0; i < n; i++)
		if (strncmp(p->account[i].name, account, PAGE_ACCOUNT_NAME_BYTES) == 0)
			return (int)i;
	return -1;
}

int
page_account_place(struct page *p, const char *account)
{
	int place = find(p, account);
	unsigned n = count(p);
	size_t bytes = strlen(account);
	if (place >= 0 || n == PAGE_ACCOUNTS || bytes >= PAGE_ACCOUNT_NAME_BYTES)
		return place;
	memcpy(p->account[n].name, account, bytes + 1);
	atomic_store_explicit(&p->accounts_n, n + 1, memory_order_release);
	return (int)n;
}

void
page_account_set(struct page *p, int place, const struct health_outage *now)
{
	struct page_account *a = &p->account[place];
	atomic_store_explicit(&a->failures, now->failures, memory_order_relaxed);
	atomic_store_explicit(&a->since_wall_ms, now->since_wall_ms, memory_order_relaxed);
	atomic_store_explicit(&a->retry_mono_ms, now->retry_mono_ms, memory_order_relaxed);
	/* last: who sees it open finds the figures that belong to it */
	atomic_store_explicit(&a->breaker, now->breaker, memory_order_release);
}

bool
page_account_read(const struct page *p, unsigned i, struct health_outage *out)
{
	if (i >= count(p))
		return false;
	const struct page_account *a = &p->account[i];
	out->breaker = atomic_load_explicit(&a->breaker, memory_order_acquire);
	out->failures = atomic_load_explicit(&a->failures, memory_order_relaxed);
	out->since_wall_ms = atomic_load_explicit(&a->since_wall_ms, memory_order_relaxed);
	out->retry_mono_ms = atomic_load_explicit(&a->retry_mono_ms, memory_order_relaxed);
	memcpy(out->account, a->name, sizeof out->account);
	out->account[sizeof out->account - 1] = 0; /* never trust that it ends */
	return true;
}

unsigned
page_account_out(const struct page *p, struct health_outage *first_out)
{
	struct health_outage one;
	unsigned out = 0;
	for (unsigned i = 0; page_account_read(p, i, &one); i++)
		if (one.breaker && out++ == 0)
			*first_out = one;
	return out;
}

bool
page_account_answers(const struct page *p, const char *account)
{
	int place = find(p, account);
	return place < 0 || atomic_load_explicit(&p->account[place].breaker, memory_order_relaxed) == 0;
}
