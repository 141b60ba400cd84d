#include "daemon/ledger/recover.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/domain/retry.h"
#include "daemon/ledger/attempt.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/inquire.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"
#include "daemon/wire/ask.h"

#define LIST_WAIT_MS         3000 /* a courier that tells nothing runs nothing */
#define REDEEMED_DEADLINE_MS 15000
#define ASK_MAX              256

/* Connectors whose processor takes idempotent requests (daemon/courier/gw_x.c says the same in its `idempotent`). */
static const char *const idempotent[] = {"simulator"};

static bool courier_told;        /* what it runs, since it came up */
static int64_t courier_up_at_ms; /* 0: it is not up */
static bool rows_left;

bool
recover_idempotent(const char *account)
{
	char connector[32];
	attempt_connector(account, connector);
	for (size_t i = 0; i < sizeof idempotent / sizeof *idempotent; i++)
		if (!strcmp(idempotent[i], connector))
			return true;
	return false;
}

/* ── rows to flights ── */

struct rows {
	struct attempt at[512];
	unsigned n;
};
static struct rows rows;

static enum err
take_row(void *arg, const struct attempt *a)
{
	(void)arg;
	if (a->state == ATTEMPT_INQUIRING) {
		inquire_at(a->next_try_ms);
		return ERR_OK;
	}
	if (flight_of(a->id.text) || flight_of_payment(a->payment.text))
		return ERR_OK;
	rows.at[rows.n++] = *a;
	return rows.n < sizeof rows.at / sizeof *rows.at ? ERR_OK : ERR_LIMIT;
}

static enum err
job_of(const struct attempt *a, sp_job_req *job)
{
	static sp_event_detail detail;
	char connector[32];
	enum err e = store_payment_load(ledger.store, a->payment.text, ledger.state);
	if (!e)
		e = store_payment_requested(ledger.store, a->payment.text, &detail);
	if (e)
		return e;
	attempt_connector(a->account, connector);
	attempt_job(ledger.state, a->operation.text, connector, job);
	memcpy(job->statement_descriptor, detail.requested.statement_descriptor, sizeof job->statement_descriptor);
	job->initiator_mit = detail.requested.initiator_mit;
	return str_set(job->attempt, sizeof job->attempt, a->id.text);
}

static enum err
fly(const struct attempt *a)
{
	static sp_job_req job;
	struct flight *f;
	enum err e = job_of(a, &job);
	if (!e)
		e = flight_new(&job, FLIGHT_LOST, &f);
	if (e)
		return e;
	f->tries = a->tries;
	f->maybe_charged = a->maybe_charged;
	f->deadline_mono_ms = clock_mono_ms() + attempt_patience_ms();
	if (a->state == ATTEMPT_WAITING) {
		int64_t left_ms = a->next_try_ms - clock_wall_ms();
		flight_set(f, FLIGHT_WAITING);
		f->deadline_mono_ms = clock_mono_ms() + (left_ms > 0 ? left_ms : 0);
	}
	return ERR_OK;
}

static enum err
collect(unsigned *n_out)
{
	rows.n = 0;
	enum err e = store_attempt_list(ledger.store, take_row, NULL);
	rows_left = e == ERR_LIMIT;
	*n_out = rows.n;
	if (e && e != ERR_LIMIT)
		return e;
	for (unsigned i = 0; i < rows.n; i++) {
		e = fly(&rows.at[i]);
		if (e == ERR_OVERLOADED || e == ERR_MEMORY) {
			rows_left = true;
			return ERR_OK;
		}
		if (e)
			log_warn("an attempt can't be followed up", LOG_S("attempt", rows.at[i].id.text), LOG_E("cause", e));
	}
	return ERR_OK;
}

void
recover_later(void)
{
	rows_left = true;
}

static int64_t recovered;

static enum err
leaf_act(void *arg)
{
	(void)arg;
	return leaves_process(EVENT_RECOVERED, "ledger", "", ERR_OK, recovered);
}

static void
leaf_done(void *arg, enum err e)
{
	(void)arg, (void)e;
}

static const struct batch_row leaf_row = {leaf_act, NULL, leaf_done};

enum err
recover_start(void)
{
	unsigned n;
	enum err e = collect(&n);
	if (e)
		return e;
	recovered = n;
	if (n) {
		log_info("attempts without a result are followed up", LOG_I("attempts", n));
		batch_run(&leaf_row, NULL, 512);
	}
	return ERR_OK;
}

/* ── was the card opened? ── */

/* One question to the vault about many attempts. Ids, not flights: they may end meanwhile. */
struct question {
	struct id attempts[ASK_MAX];
	unsigned n;
};

static void
send_again(struct flight *f, bool opened)
{
	if (!opened) {
		attempt_dispatch(f);
		return;
	}
	/* whatever stops the next attempt, this one may have charged: only an inquiry can say that it did not */
	f->maybe_charged = true;
	if (recover_idempotent(f->job.account) && f->tries < RETRY_DISPATCH_MAX)
		attempt_again(f);
	else
		attempt_conclude(f, sp_OUTCOME_UNKNOWN, ERR_COURIER_AWAY);
}

static void
redeemed_told(void *arg, enum err e, const void *rep)
{
	struct question *q = arg;
	const sp_redeemed_rep *r = rep;
	if (!e && (!r || r->redeemed_count != q->n))
		e = ERR_INTERNAL;
	for (unsigned i = 0; i < q->n; i++) {
		struct flight *f = flight_of(q->attempts[i].text);
		if (!f || f->stage != FLIGHT_ASKING)
			continue;
		/* without an answer it stays lost: asked again, or unknown when its time is over */
		if (e)
			flight_set(f, FLIGHT_LOST);
		else
			send_again(f, r->redeemed[i]);
	}
	mem_free(q);
}

static void
ask(struct question *q)
{
	sp_redeemed_req req = sp_redeemed_req_init_zero;
	for (unsigned i = 0; i < q->n; i++)
		memcpy(req.attempts[i], q->attempts[i].text, sizeof req.attempts[i]);
	req.attempts_count = (pb_size_t)q->n;
	enum err e = ask_redeemed(ledger_vault(), &req, REDEEMED_DEADLINE_MS, redeemed_told, q);
	if (e)
		redeemed_told(q, e, NULL);
}

static void
resolve(struct flight *f, void *arg)
{
	struct question **q = arg;
	if (f->stage != FLIGHT_LOST || f->listed)
		return;
	/* what has no card counts as sent from its row on: the derived key makes a repeat harmless, or it is unknown */
	if (f->job.kind == sp_JOB_INQUIRE) {
		attempt_dispatch(f);
		return;
	}
	if (f->job.kind != sp_JOB_AUTHORIZE) {
		f->maybe_charged = true;
		if (recover_idempotent(f->job.account))
			attempt_dispatch(f);
		else
			attempt_conclude(f, sp_OUTCOME_UNKNOWN, ERR_COURIER_AWAY);
		return;
	}
	if (!*q && !(*q = mem_new(1, sizeof **q)))
		return;
	flight_set(f, FLIGHT_ASKING);
	memcpy((*q)->attempts[(*q)->n++].text, f->job.attempt, sizeof f->job.attempt);
	if ((*q)->n == ASK_MAX) {
		ask(*q);
		*q = NULL;
	}
}

static void
resolve_all(void)
{
	struct question *q = NULL;
	flight_each(resolve, &q);
	if (q)
		ask(q);
}

/* ── the courier ── */

void
recover_courier(bool up)
{
	courier_told = false;
	courier_up_at_ms = up ? clock_mono_ms() : 0;
}

void
recover_running(struct call *call, const void *request)
{
	const sp_running_req *req = request;
	(void)call;
	if (!ledger.store)
		return;
	for (pb_size_t i = 0; i < req->attempts_count; i++) {
		struct flight *f = flight_of(req->attempts[i]);
		if (!f)
			continue;
		f->listed = true;
		if (f->stage == FLIGHT_LOST)
			flight_set(f, FLIGHT_SENT);
	}
	if (!req->last)
		return;
	courier_told = true;
	resolve_all();
}

void
recover_tick(void)
{
	unsigned n;
	if (rows_left && collect(&n) != ERR_OK)
		rows_left = true;
	if (!courier_up_at_ms)
		return;
	if (!courier_told && clock_mono_ms() - courier_up_at_ms > LIST_WAIT_MS)
		courier_told = true;
	if (courier_told)
		resolve_all();
}
