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
#include "daemon/wire/proc.h"
#include "vault/anchor.h"
#include "vault/cvc.h"
#include "vault/disk.h"
#include "vault/group.h"
#include "vault/history.h"
#include "vault/hsmlink.h"
#include "vault/house.h"
#include "vault/serve.h"
#include "vault/unseal.h"

#define TICK_MS 1000

static struct vault vault;
static struct event *tick;

/* ── once a second ── */

static void
on_turn(void)
{
	serve_turn();
	house_commit(&vault);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	house_commit(&vault);
	hsmlink_tick(&vault);
	unseal_step(&vault);
	serve_turn();
	if (vault.db && unseal_cause() == ERR_OK)
		house_tick(&vault);
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

static void
on_reload(void)
{
	read_conf();
	hsmlink_renew(&vault, proc_gift(sp_gift_GIFT_PIN, NULL));
}

static enum err
before_jail(void)
{
	read_conf();
	enum err e = db_warm();
	if (e == ERR_OK)
		e = group_new(&house_hooks, &vault.group);
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
	serve_open(&vault);
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
	struct leaf seal = {
		.event = EVENT_SEAL, .actor = ACTOR_PROCESS, .actor_id = "vault", .object_id = "vault", .reason = "stop"};
	struct leaf stop = {.event = EVENT_STOP, .actor = ACTOR_PROCESS, .actor_id = "vault", .object_id = "vault"};
	(void)req;
	(void)m;
	/* with the process go the keys: from here on nothing can be opened until the next vault.unseal */
	enum err e = vault_leaf(v, &seal);
	return e == ERR_OK ? vault_leaf(v, &stop) : e;
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
	house_commit(&vault);
	if (history_running())
		signed_last(NULL, ERR_OK);
	else
		history_own(&vault, signed_last, NULL);
}

int
main(int argc, char **argv)
{
	static const struct proc_spec spec = {.self = PROCESS_VAULT,
										  .answers = serve_answers,
										  .before_jail = before_jail,
										  .after_jail = after_jail,
										  .on_peer = on_peer,
										  .on_turn = on_turn,
										  .on_reload = on_reload,
										  .on_stop = on_stop,
										  .arena_bytes = KEYRING_ARENA_BYTES + CVC_ARENA_BYTES + 4096};
	return proc_run(&spec, argc, argv);
}
