#include "vault/house.h"

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/wire/proc.h"
#include "vault/anchor.h"
#include "vault/close.h"
#include "vault/cvc.h"
#include "vault/disk.h"
#include "vault/grant.h"
#include "vault/group.h"
#include "vault/history.h"
#include "vault/mint.h"
#include "vault/refusals.h"
#include "vault/unseal.h"

#define ANCHOR_MS 60000
#define PRUNE_MS  60000
/* Of each second, at most this long for what is past its time: foreground work comes first. */
#define PRUNE_BUDGET_MS 30
/* Overdue codes wiped in one tick: the rest waits a second. */
#define WIPES_MAX 128

static struct {
	int64_t checkpoint_at, anchor_at, prune_at;
} last;
static struct {
	uint64_t tokenized, redeemed;
} told;

/* ── effects of commits ── */

static void
reply(struct call *call, enum err e, const void *rep)
{
	call_reply(call, e, rep);
}

static void
written(struct vault *v, enum err e, size_t members, int64_t took_us)
{
	struct page *p = proc_page();
	struct checkpoint at;
	/* A failed fsync or rollback: start anew from what is really there. */
	if (db_fatal(v->db))
		proc_die(ERR_IO, "the database can't be relied on");
	if (e != ERR_OK) {
		disk_failed();
		unseal_show(v);
		return;
	}
	logbook_position(v->log, &at);
	/* Counters go on where the process's former life left them: the page outlives it. */
	page_add(p, METRIC_TOKENIZED, v->tokenized - told.tokenized);
	page_add(p, METRIC_REDEEMED, v->redeemed - told.redeemed);
	told.tokenized = v->tokenized;
	told.redeemed = v->redeemed;
	page_add(p, METRIC_COMMITS, 1);
	page_add(p, METRIC_BATCHED, members);
	page_observe(p, METRIC_COMMIT_SECONDS, (uint64_t)took_us);
	page_set(p, METRIC_VAULT_LEAVES, at.size);
	page_set(p, METRIC_CARDS, v->cards);
	page_set(p, METRIC_CVC_HELD, cvc_count(v->cvc));
}

const struct group_hooks house_hooks = {reply, written};

void
house_commit(struct vault *v)
{
	if (!v->db)
		return;
	if (group_commit(v) != ERR_OK)
		return;
	enum err e = db_between_batches(v->db);
	if (db_fatal(v->db))
		proc_die(ERR_IO, "the database can't be relied on");
	if (e == ERR_DISK_FULL || e == ERR_IO) {
		disk_failed();
		unseal_show(v);
	}
	page_set(proc_page(), METRIC_WAL_BYTES, db_wal_bytes(v->db));
}

/* ── once a second ── */

static enum err
act_refusals(struct vault *v, const void *req, struct member *m)
{
	(void)req;
	(void)m;
	return refusals_tell(v);
}

static enum err
act_prune(struct vault *v, const void *req, struct member *m)
{
	bool done = true;
	(void)req;
	(void)m;
	enum err e = mint_prune(v, clock_wall_ms(), &done);
	if (e != ERR_OK || done)
		last.prune_at = clock_mono_ms();
	return e;
}

static void
wipe_overdue(struct vault *v, int64_t now)
{
	char token[32];
	/* The commit empties the list from its head, so each turn sees the next one. */
	for (unsigned i = 0; i < WIPES_MAX && cvc_overdue(v->cvc, now, token); i++) {
		group_run(v, NULL, &close_overdue_command, token);
		house_commit(v);
	}
}

static void
keep_house(struct vault *v, int64_t now)
{
	static const struct group_command tell = {.act = act_refusals}, prune = {.act = act_prune};
	grant_sweep(v->grants, now);
	wipe_overdue(v, now);
	if (vault_effects(v) != ERR_OK)
		return;
	if (refusals_due(v->refusals, now)) {
		group_run(v, NULL, &tell, NULL);
		if (group_commit(v) == ERR_OK)
			refusals_told(v->refusals, now);
	}
	while (now - last.prune_at >= PRUNE_MS && clock_mono_ms() - now < PRUNE_BUDGET_MS) {
		group_run(v, NULL, &prune, NULL);
		if (group_commit(v) != ERR_OK)
			return;
	}
	house_commit(v);
}

static void
show_checkpoint(void *arg, enum err e)
{
	const struct vault *v = arg;
	if (e == ERR_OK && v->checkpoint_at_ms > 0)
		page_set(proc_page(), METRIC_VAULT_CHECKPOINT_AT, (uint64_t)v->checkpoint_at_ms);
}

static void
sign_and_anchor(struct vault *v, int64_t now)
{
	if (!v->hsm_in)
		return;
	if (now - last.checkpoint_at >= conf_int(proc_conf(), CONF_CHECKPOINT_EVERY) && !history_running()) {
		last.checkpoint_at = now;
		history_own(v, show_checkpoint, v);
	}
	if (now - last.anchor_at >= ANCHOR_MS) {
		last.anchor_at = now;
		anchor_set(v, NULL, NULL);
	}
}

void
house_tick(struct vault *v)
{
	int64_t now = clock_mono_ms();
	uint64_t free_bytes = 0;
	disk_check(&free_bytes);
	page_set(proc_page(), METRIC_DISK_FREE, free_bytes);
	unseal_show(v);
	keep_house(v, now);
	sign_and_anchor(v, now);
}
