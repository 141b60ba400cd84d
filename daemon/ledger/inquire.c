#include "daemon/ledger/inquire.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/str.h"
#include "daemon/ledger/attempt.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/ledger.h"

#define OUTAGE_WAIT_MS 1000 /* till we look again whether the processor answers */

static int64_t next_due_ms = INT64_MAX; /* wall; the earliest row that may be due */

struct due {
	struct attempt at[INQUIRE_BATCH];
	unsigned n, room;
	int64_t now_ms, next_ms;
};

void
inquire_at(int64_t wall_ms)
{
	if (wall_ms < next_due_ms)
		next_due_ms = wall_ms;
}

static enum err
take_due(void *arg, const struct attempt *a)
{
	struct due *due = arg;
	if (a->state != ATTEMPT_INQUIRING || flight_of_payment(a->payment.text))
		return ERR_OK;
	if (a->next_try_ms > due->now_ms) {
		due->next_ms = a->next_try_ms < due->next_ms ? a->next_try_ms : due->next_ms;
		return ERR_OK;
	}
	/* a processor that is known not to answer is asked when it does: each question counts towards the last one */
	if (effects_processor(a->account) != ERR_OK) {
		due->next_ms = due->now_ms + OUTAGE_WAIT_MS < due->next_ms ? due->now_ms + OUTAGE_WAIT_MS : due->next_ms;
		return ERR_OK;
	}
	if (due->n == due->room) {
		due->next_ms = due->now_ms + 100;
		return ERR_LIMIT;
	}
	due->at[due->n++] = *a;
	return ERR_OK;
}

static enum err
inquire(const struct attempt *a)
{
	static sp_job_req job;
	char connector[32];
	struct id id;
	struct flight *f;
	enum err e = store_payment_load(ledger.store, a->payment.text, ledger.state);
	if (e)
		return e;
	attempt_connector(a->account, connector);
	attempt_job(ledger.state, a->operation.text, connector, &job);
	id_new("att", clock_wall_ms(), &id);
	if ((e = str_set(job.attempt, sizeof job.attempt, id.text)))
		return e;
	job.inquired = payment_operation(ledger.state, a->operation.text)->kind;
	job.kind = sp_JOB_INQUIRE;
	if ((e = flight_new(&job, FLIGHT_SENT, &f)))
		return e;
	f->row = a->id;
	attempt_dispatch(f);
	return ERR_OK;
}

static void
count_one(struct flight *f, void *arg)
{
	*(unsigned *)arg += f->job.kind == sp_JOB_INQUIRE;
}

void
inquire_tick(void)
{
	static struct due due;
	unsigned running = 0;
	if (clock_wall_ms() < next_due_ms || !ledger_has(ledger_courier()))
		return;
	flight_each(count_one, &running);
	if (running >= INQUIRE_BATCH)
		return;
	due.n = 0;
	due.room = INQUIRE_BATCH - running;
	due.now_ms = clock_wall_ms();
	due.next_ms = INT64_MAX;
	enum err e = store_attempt_list(ledger.store, take_due, &due);
	next_due_ms = due.next_ms;
	if (e && e != ERR_LIMIT) {
		next_due_ms = due.now_ms + 1000;
		return;
	}
	for (unsigned i = 0; i < due.n; i++)
		if ((e = inquire(&due.at[i])) != ERR_OK) {
			log_warn("an inquiry can't be made", LOG_S("attempt", due.at[i].id.text), LOG_E("cause", e));
			inquire_at(due.now_ms + 1000);
		}
}
