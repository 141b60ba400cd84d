#include "daemon/ledger/expire.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/ledger.h"

/* Each round looks at those that are due, in the order of their ends, and begins again. */
#define ROUND_MS 10000

static struct store_due due;
static int64_t next_round_ms;

struct expiry {
	struct id payment;
};

static enum err
act(void *arg)
{
	const struct expiry *x = arg;
	static struct payment_event events[PAYMENT_EVENTS_MAX];
	unsigned n = 0;
	enum err e = store_payment_load(ledger.store, x->payment.text, ledger.state);
	if (e)
		return e;
	const struct payment_command cmd = {
		.kind = PAYMENT_EXPIRE, .at_ms = clock_wall_ms(), .actor = "timer", .payment = x->payment.text};
	if ((e = payment_decide(ledger.state, &cmd, events, &n)) || !n)
		return e;
	return store_payment_append(ledger.store, x->payment.text, ledger.state, events, n);
}

static void
done(void *arg, enum err e)
{
	struct expiry *x = arg;
	/* an operation in flight or a state that changed meanwhile: the next round looks again */
	if (e && e != ERR_INVALID_STATE && e != ERR_OPERATION_IN_FLIGHT)
		log_warn("an authorization could not expire", LOG_S("payment", x->payment.text), LOG_E("cause", e));
	mem_free(x);
}

static const struct batch_row row = {act, NULL, done};

static void
expire(const struct id *payment)
{
	struct expiry *x = mem_new(1, sizeof *x);
	if (!x)
		return;
	x->payment = *payment;
	batch_run(&row, x, 512);
}

void
expire_tick(void)
{
	static struct store_due page;
	if (clock_mono_ms() < next_round_ms || store_in_batch(ledger.store))
		return;
	enum err e = store_due_list(ledger.store, clock_wall_ms(), &due);
	if (e)
		log_warn("expired authorizations could not be looked for", LOG_E("cause", e));
	page = due;
	if (e || !due.more) {
		due = (struct store_due){.n = 0};
		next_round_ms = clock_mono_ms() + ROUND_MS;
	}
	for (unsigned i = 0; i < page.n && !e; i++)
		expire(&page.payments[i]);
}
