/*
 * vault — cards, tokens, data keys, officers, and the log of all that touches them.
 *
 * Alone in holding: the data keys, the database's key, the HSM's PIN, security codes of open authorizations, and the
 * right to have a checkpoint or an export signed. Answers   gate: tokenize · ledger: open_store token_facts lodge
 * redeemed close_authorization vault_token_delete sign_checkpoint check_officer · courier: redeem credentials ·
 * officers' programs through the desk: vault_init key_list vault_audit_read sign_export vault_facts audit_keys · notes
 * of desk, hsm and courier. Asks      hsm: its verbs. Tells the monitor: hung. Jail      policy/jail_vault.def: no
 * socket but those it was given, no exec, no thread; files beneath its own directory. Files     boot boot.journal
 * vault.db vault.db-wal reserve Signals   none of its own: the monitor says stop over the control socket. Exit      0
 * stopped · 1 failed (the reason is the last line of its log and the cause in its page).
 */
#include <event2/event.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"
#include "vault/anchor.h"
#include "vault/group.h"
#include "vault/history.h"
#include "vault/close.h"
#include "vault/cvc.h"
#include "vault/disk.h"
#include "vault/grant.h"
#include "vault/hsmlink.h"
#include "vault/mint.h"
#include "vault/consent.h"
#include "vault/refusals.h"
#include "vault/setup.h"
#include "vault/signing.h"
#include "vault/cardrow.h"
#include "vault/unseal.h"
#include "vault/views.h"

#define TICK_MS   1000
#define ANCHOR_MS 60000
#define PRUNE_MS  60000
/* Of each second, at most this long for what is past its time: foreground work comes first. */
#define PRUNE_BUDGET_MS 30
/* Overdue codes wiped in one tick: the rest waits a second. */
#define WIPES_MAX 128

static struct vault vault;
static struct event *tick;
static struct {
	int64_t checkpoint_at, anchor_at, prune_at;
} last;

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
	/* After a failed fsync nobody knows what is on the disk: start anew from what is really there. */
	if (db_fatal(v->db))
		proc_die(ERR_IO, "fsync failed");
	if (e != ERR_OK) {
		disk_failed();
		unseal_show(v);
		return;
	}
	logbook_position(v->log, &at);
	page_add(p, METRIC_COMMITS, 1);
	page_add(p, METRIC_BATCHED, members);
	page_observe(p, METRIC_COMMIT_SECONDS, (uint64_t)took_us);
	page_set(p, METRIC_VAULT_LEAVES, at.size);
	page_set(p, METRIC_CARDS, v->cards);
	page_set(p, METRIC_CVC_HELD, cvc_count(v->cvc));
}

static const struct group_hooks group_hooks = {reply, written};

static void
commit_now(void)
{
	if (!vault.db)
		return;
	if (group_commit(&vault) != ERR_OK)
		return;
	enum err e = db_between_batches(vault.db);
	if (db_fatal(vault.db))
		proc_die(ERR_IO, "fsync failed");
	if (e == ERR_DISK_FULL || e == ERR_IO) {
		disk_failed();
		unseal_show(&vault);
	}
	page_set(proc_page(), METRIC_WAL_BYTES, db_wal_bytes(vault.db));
}

/* An effect: refused at once, and without a leaf, while nothing may be done. */
static void
run_effect(struct call *call, const struct group_command *c, const void *req)
{
	enum err e = vault_effects(&vault);
	if (e != ERR_OK)
		call_reply(call, e, NULL);
	else
		group_run(&vault, call, c, req);
}

/* What ends things goes on while effects are refused. */
static void
run_open(struct call *call, const struct group_command *c, const void *req)
{
	if (!vault.db || vault.refusing == ERR_VAULT_SEALED)
		call_reply(call, ERR_VAULT_SEALED, NULL);
	else
		group_run(&vault, call, c, req);
}

static bool
sealed(struct call *call)
{
	bool is = !vault.db || vault.refusing == ERR_VAULT_SEALED;
	if (is)
		call_reply(call, ERR_VAULT_SEALED, NULL);
	return is;
}

/* ── gate ── */

static void
answer_tokenize(struct call *call, const void *req)
{
	run_effect(call, &mint_command, req);
}

/* ── ledger ── */

static enum err
give_store(sp_open_store_rep *rep)
{
	const struct secret *page = NULL, *lsk = NULL;
	uint32_t pgk = 0, ahk = 0;
	enum err e = keyring_active(vault.keys, KEY_PGK_LEDGER, &pgk);
	if (e == ERR_OK)
		e = keyring_active(vault.keys, KEY_AHK, &ahk);
	if (e == ERR_OK)
		e = keyring_get(vault.keys, KEY_PGK_LEDGER, pgk, KEY_PROCESS, &page);
	if (e == ERR_OK)
		e = keyring_get(vault.keys, KEY_LSK, ahk, KEY_PROCESS, &lsk);
	if (e != ERR_OK)
		return e;
	rep->page_key.size = rep->ledger_secret.size = 32;
	memcpy(rep->page_key.bytes, page->bytes, 32);
	memcpy(rep->ledger_secret.bytes, lsk->bytes, 32);
	memcpy(rep->install, vault.boot.install, sizeof rep->install);
	memcpy(rep->node, vault.boot.node, sizeof rep->node);
	rep->livemode = !vault.boot.test;
	return history_last(&vault, vault.ledger_origin, &rep->signed_size, rep->signed_root);
}

static enum err
act_open_store(struct vault *v, const void *req, struct member *m)
{
	struct leaf l = {.event = EVENT_OPEN_STORE, .actor = ACTOR_PROCESS, .actor_id = "ledger", .object_id = "vault"};
	(void)req;
	enum err e = give_store(m->rep);
	return e == ERR_OK ? vault_leaf(v, &l) : e;
}

static void
answer_open_store(struct call *call, const void *req)
{
	static const struct group_command command = {.rep_bytes = sizeof(sp_open_store_rep), .act = act_open_store};
	run_open(call, &command, req);
}

static void
answer_token_facts(struct call *call, const void *req)
{
	const sp_token_facts_req *r = req;
	struct cardrow row;
	if (sealed(call))
		return;
	sp_token_facts_rep *rep = mem_new(1, sizeof *rep);
	enum err e = rep ? cardrow_find(&vault, r->token, r->merchant, &row) : ERR_MEMORY;
	if (e == ERR_OK)
		e = cardrow_view(&vault, &row, &rep->token);
	if (e == ERR_OK)
		rep->has_token = true;
	call_reply(call, e, e == ERR_OK ? rep : NULL);
	mem_free(rep);
}

static void
answer_lodge(struct call *call, const void *req)
{
	sp_lodge_rep rep = sp_lodge_rep_init_zero;
	if (!sealed(call))
		call_reply(call, grant_lodge(&vault, req), &rep);
}

static void
answer_redeemed(struct call *call, const void *req)
{
	sp_redeemed_rep rep = sp_redeemed_rep_init_zero;
	if (sealed(call))
		return;
	/* What is not committed was not redeemed. */
	commit_now();
	call_reply(call, grant_redeemed(&vault, req, &rep), &rep);
}

static void
answer_close_authorization(struct call *call, const void *req)
{
	run_open(call, &close_authorization_command, req);
}

static void
answer_vault_token_delete(struct call *call, const void *req)
{
	run_effect(call, &close_delete_command, req);
}

static void
answer_sign_checkpoint(struct call *call, const void *req)
{
	run_open(call, &history_ledger_command, req);
}

static void
answer_check_officer(struct call *call, const void *req)
{
	run_effect(call, &consent_check_command, req);
}

/* ── courier ── */

static void
answer_redeem(struct call *call, const void *req)
{
	run_effect(call, &grant_redeem_command, req);
}

static void
answer_credentials(struct call *call, const void *req)
{
	/* The simulator is the only connector and has none. */
	const sp_credentials_req *r = req;
	call_reply(call, strncmp(r->account, "simulator", 9) == 0 ? ERR_NOT_FOUND : ERR_PROCESSOR_UNKNOWN, NULL);
}

/* ── officers' programs ── */

static void
answer_vault_init(struct call *call, const void *req)
{
	setup_answer(&vault, call, req);
}

static void
answer_key_list(struct call *call, const void *req)
{
	sp_key_list_rep rep = sp_key_list_rep_init_zero;
	(void)req;
	if (!sealed(call))
		call_reply(call, views_keys(&vault, &rep), &rep);
}

static void
answer_vault_audit_read(struct call *call, const void *req)
{
	const sp_vault_audit_read_req *r = req;
	if (sealed(call))
		return;
	if (r->export && r->size == 0 && r->limit == 0 && vault_effects(&vault) == ERR_OK) {
		group_run(&vault, call, &views_export_begin_command, req);
		return;
	}
	sp_vault_audit_read_rep *rep = mem_new(1, sizeof *rep);
	enum err e = rep ? views_audit_read(&vault, r, rep) : ERR_MEMORY;
	call_reply(call, e, e == ERR_OK ? rep : NULL);
	mem_free(rep);
}

static void
answer_sign_export(struct call *call, const void *req)
{
	run_open(call, &signing_export_command, req);
}

static void
answer_vault_facts(struct call *call, const void *req)
{
	const sp_vault_facts_req *r = req;
	sp_vault_facts_rep rep = sp_vault_facts_rep_init_zero;
	views_facts(&vault, (enum err)atomic_load(&proc_page()->cause), hsmlink_status(), &rep);
	rep.uid = r->uid;
	call_reply(call, ERR_OK, &rep);
}

static void
answer_audit_keys(struct call *call, const void *req)
{
	sp_audit_keys_rep rep = sp_audit_keys_rep_init_zero;
	(void)req;
	call_reply(call, views_audit_keys(&vault, &rep), &rep);
}

/* ── notes ── */

/* Who may note what: a process's word for something else is not taken. */
static const struct {
	enum process from;
	enum audit_event event;
} notes[] = {
	{PROCESS_DESK, EVENT_DESK_DENIED},
	{PROCESS_DESK, EVENT_START},
	{PROCESS_HSM, EVENT_START},
	{PROCESS_COURIER, EVENT_START},
};

struct note {
	enum process from;
	const sp_vault_note_req *req;
};

static enum err
act_note(struct vault *v, const void *req, struct member *m)
{
	const struct note *n = req;
	(void)m;
	struct leaf l = {.event = (enum audit_event)n->req->event,
					 .actor = ACTOR_PROCESS,
					 .actor_id = process_name(n->from),
					 .object_id = n->req->object,
					 .outcome = n->req->code == ERR_OK ? LEAF_OK : LEAF_DENY,
					 .code = n->req->code < ERR_MAX ? (enum err)n->req->code : ERR_INTERNAL,
					 .count = n->req->number <= INT64_MAX ? (int64_t)n->req->number : 0};
	return vault_leaf(v, &l);
}

static void
answer_vault_note(struct call *call, const void *req)
{
	static const struct group_command command = {.act = act_note};
	const struct note n = {peer_process(call_peer(call)), req};
	bool may = false;
	for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
		may = may || (notes[i].from == n.from && notes[i].event == n.req->event);
	if (!may)
		log_warn("note refused", LOG_S("from", process_name(n.from)), LOG_I("event", n.req->event));
	else if (vault_effects(&vault) == ERR_OK)
		group_run(&vault, NULL, &command, &n);
}

static const struct answer answers[] = {
	{MSG_tokenize, answer_tokenize},
	{MSG_open_store, answer_open_store},
	{MSG_token_facts, answer_token_facts},
	{MSG_lodge, answer_lodge},
	{MSG_redeemed, answer_redeemed},
	{MSG_close_authorization, answer_close_authorization},
	{MSG_vault_token_delete, answer_vault_token_delete},
	{MSG_sign_checkpoint, answer_sign_checkpoint},
	{MSG_check_officer, answer_check_officer},
	{MSG_vault_note, answer_vault_note},
	{MSG_redeem, answer_redeem},
	{MSG_credentials, answer_credentials},
	{MSG_vault_init, answer_vault_init},
	{MSG_key_list, answer_key_list},
	{MSG_vault_audit_read, answer_vault_audit_read},
	{MSG_sign_export, answer_sign_export},
	{MSG_vault_facts, answer_vault_facts},
	{MSG_audit_keys, answer_audit_keys},
	{MSG_NONE, NULL},
};

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
wipe_overdue(int64_t now)
{
	char token[32];
	/* The commit empties the list from its head, so each turn sees the next one. */
	for (unsigned i = 0; i < WIPES_MAX && cvc_overdue(vault.cvc, now, token); i++) {
		group_run(&vault, NULL, &close_overdue_command, token);
		commit_now();
	}
}

static void
keep_house(int64_t now)
{
	static const struct group_command tell = {.act = act_refusals}, prune = {.act = act_prune};
	grant_sweep(vault.grants, now);
	wipe_overdue(now);
	if (vault_effects(&vault) != ERR_OK)
		return;
	if (refusals_due(vault.refusals, now)) {
		group_run(&vault, NULL, &tell, NULL);
		if (group_commit(&vault) == ERR_OK)
			refusals_told(vault.refusals, now);
	}
	while (now - last.prune_at >= PRUNE_MS && clock_mono_ms() - now < PRUNE_BUDGET_MS) {
		group_run(&vault, NULL, &prune, NULL);
		if (group_commit(&vault) != ERR_OK)
			return;
	}
	commit_now();
}

static void
sign_and_anchor(int64_t now)
{
	if (!vault.hsm_in)
		return;
	if (now - last.checkpoint_at >= conf_int(proc_conf(), CONF_CHECKPOINT_EVERY) && !history_running()) {
		last.checkpoint_at = now;
		history_own(&vault, NULL, NULL);
		page_set(proc_page(), METRIC_VAULT_CHECKPOINT_AT, (uint64_t)vault.checkpoint_at_ms);
	}
	if (now - last.anchor_at >= ANCHOR_MS) {
		last.anchor_at = now;
		anchor_set(&vault, NULL, NULL);
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	int64_t now = clock_mono_ms();
	uint64_t free_bytes = 0;
	(void)fd;
	(void)what;
	(void)arg;
	commit_now();
	hsmlink_tick(&vault);
	unseal_step(&vault);
	if (!vault.db || unseal_cause() != ERR_OK)
		return;
	disk_check(&free_bytes);
	page_set(proc_page(), METRIC_DISK_FREE, free_bytes);
	unseal_show(&vault);
	keep_house(now);
	sign_and_anchor(now);
}

/* ── the HSM comes and goes ── */

static enum err
act_hsm_leaf(struct vault *v, const void *req, struct member *m)
{
	const enum audit_event *event = req;
	struct leaf l = {.event = *event,
					 .actor = ACTOR_PROCESS,
					 .actor_id = "vault",
					 .object_id = "hsm",
					 .outcome = *event == EVENT_HSM_LOST ? LEAF_ERROR : LEAF_OK};
	(void)m;
	return vault_leaf(v, &l);
}

static void
leave_hsm_leaf(enum audit_event event)
{
	static const struct group_command command = {.act = act_hsm_leaf};
	if (vault.db && unseal_cause() == ERR_OK && disk_ok())
		group_run(&vault, NULL, &command, &event);
}

static void
hsm_in(struct vault *v)
{
	static bool was_in;
	if (was_in)
		leave_hsm_leaf(EVENT_HSM_BACK);
	was_in = true;
	unseal_step(v);
	unseal_show(v);
}

static void
hsm_lost(struct vault *v)
{
	log_warn("hsm lost", LOG_I("epoch", peer_epoch(v->hsm)));
	leave_hsm_leaf(EVENT_HSM_LOST);
	unseal_show(v);
}

static void
hsm_failed(struct vault *v, enum err e)
{
	log_warn("hsm log-in failed", LOG_E("cause", e));
	unseal_step(v);
}

static const struct hsmlink_hooks hsm_hooks = {hsm_in, hsm_lost, hsm_failed};

static void
on_peer(struct peer *p, bool up)
{
	if (p == vault.hsm)
		hsmlink_peer(&vault, up);
}

/* ── life ── */

static void
read_conf(void)
{
	const struct conf *c = proc_conf();
	vault.limits = (struct vault_limits){.cvc_ttl_ms = conf_int(c, CONF_CVC_TTL),
										 .idempotency_ttl_ms = conf_int(c, CONF_IDEM_TTL),
										 .redeem_per_minute = (uint64_t)conf_int(c, CONF_CEILING),
										 .published_only = strcmp(conf_text(c, CONF_CARDS), "published") == 0,
										 .hsm_deadline_ms = (uint32_t)conf_int(c, CONF_HSM_DEADLINE)};
}

static enum err
before_jail(void)
{
	read_conf();
	enum err e = db_warm();
	if (e == ERR_OK)
		e = group_new(&group_hooks, &vault.group);
	if (e == ERR_OK)
		e = hsmlink_open(&vault, proc_gift(sp_gift_GIFT_PIN, NULL), &hsm_hooks);
	return e;
}

static enum err
after_jail(void)
{
	const struct timeval every = {TICK_MS / 1000, 0};
	vault.hsm = proc_peer(PROCESS_HSM, 0);
	vault.refusing = ERR_VAULT_SEALED;
	tick = event_new(proc_base(), -1, EV_PERSIST, on_tick, NULL);
	if (!vault.hsm || !tick || event_add(tick, &every) != 0)
		return ERR_MEMORY;
	unseal_start(&vault);
	return ERR_OK;
}

static void
leave_now(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	log_warn("stopped without the HSM's last signatures", LOG_I("leaves_unsigned", 1));
	proc_exit(0);
}

static void
anchored(void *arg, enum err e)
{
	(void)arg;
	(void)e;
	struct checkpoint at;
	logbook_position(vault.log, &at);
	log_info("stopped", LOG_I("leaves", at.size), LOG_I("anchored", vault.anchored_size), LOG_I("cards", vault.cards));
	disk_close();
	db_close(vault.db);
	vault.db = NULL;
	proc_exit(0);
}

static void
signed_last(void *arg, enum err e)
{
	(void)arg;
	(void)e;
	anchor_set(&vault, anchored, NULL);
}

static enum err
act_stop(struct vault *v, const void *req, struct member *m)
{
	struct leaf l = {.event = EVENT_STOP, .actor = ACTOR_PROCESS, .actor_id = "vault", .object_id = "vault"};
	(void)req;
	(void)m;
	return vault_leaf(v, &l);
}

static void
on_stop(uint32_t grace_ms)
{
	static const struct group_command command = {.act = act_stop};
	const struct timeval most = {grace_ms / 2000, (grace_ms / 2 % 1000) * 1000};
	if (!vault.db || unseal_cause() != ERR_OK) {
		proc_exit(0);
		return;
	}
	struct event *end = event_new(proc_base(), -1, 0, leave_now, NULL);
	if (!end || event_add(end, &most) != 0)
		proc_exit(0);
	group_run(&vault, NULL, &command, NULL);
	commit_now();
	if (history_running())
		signed_last(NULL, ERR_OK);
	else
		history_own(&vault, signed_last, NULL);
}

int
main(int argc, char **argv)
{
	static const struct proc_spec spec = {.self = PROCESS_VAULT,
										  .answers = answers,
										  .before_jail = before_jail,
										  .after_jail = after_jail,
										  .on_peer = on_peer,
										  .on_turn = commit_now,
										  .on_reload = read_conf,
										  .on_stop = on_stop,
										  .arena_bytes = KEYRING_ARENA_BYTES + CVC_ARENA_BYTES + 4096};
	return proc_run(&spec, argc, argv);
}
