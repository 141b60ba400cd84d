#include "vault/unseal.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"
#include "vault/anchor.h"
#include "vault/group.h"
#include "vault/cvc.h"
#include "vault/disk.h"
#include "vault/grant.h"
#include "vault/hsmlink.h"
#include "vault/refusals.h"
#include "vault/cardrow.h"

#define DB_FILE "vault.db"

static struct {
	enum { AT_BOOT, AT_HSM, AT_KEYS, AT_STORES, AT_ANCHOR, AT_JOURNAL, SERVING, STUCK } at;
	bool busy, held;
	enum err cause;
	struct anchor anchor;
} un = {.cause = ERR_NOT_READY};

enum err
unseal_cause(void)
{
	return un.cause;
}

void
unseal_hold(bool held)
{
	un.held = held;
}

/* ── the state that is shown ── */

static bool
grace_is_over(void)
{
	int64_t at = hsmlink_lost_at();
	return at > 0 && clock_mono_ms() - at >= conf_int(proc_conf(), CONF_HSM_GRACE);
}

void
unseal_show(struct vault *v)
{
	enum page_state state = PAGE_SERVING;
	enum err cause = ERR_OK;
	if (un.at != SERVING) {
		state = PAGE_SEALED;
		cause = un.cause;
	} else if (!disk_ok()) {
		state = PAGE_REFUSING;
		cause = ERR_AUDIT_AWAY;
	} else if (!v->hsm_in) {
		state = grace_is_over() ? PAGE_REFUSING : PAGE_SERVING;
		cause = ERR_HSM_AWAY;
	}
	v->refusing = state == PAGE_SERVING ? ERR_OK : state == PAGE_SEALED ? ERR_VAULT_SEALED : cause;
	if (atomic_load(&proc_page()->state) != PAGE_STOPPING)
		proc_state(state, cause);
}

/* ── steps ── */

/* May the same step succeed later without anybody doing something to our files? */
static bool
can_pass(enum err e)
{
	return err_retryable(e) || e == ERR_HSM_TOKEN || e == ERR_HSM_PIN_MISSING;
}

static void
failed(struct vault *v, enum err e)
{
	if (un.cause != e)
		log_warn("the vault stays sealed", LOG_E("cause", e), LOG_S("next", err_next(e)));
	un.cause = e;
	if (!can_pass(e))
		un.at = STUCK;
	unseal_show(v);
}

static void
step_boot(struct vault *v)
{
	/* Half made, by a setup that was killed or goes on: reading it again would pull it from under the keyring. */
	bool half = v->boot.install[0] != '\0' && !v->boot.complete;
	enum err e = half ? ERR_OK : boot_load(BOOT_FILE, &v->boot);
	if (e == ERR_FILE_MISSING || (e == ERR_OK && !v->boot.complete)) {
		/* Setup will come, or nobody: there is no appliance here yet. */
		un.cause = ERR_NOT_INITIALISED;
		unseal_show(v);
		return;
	}
	/* a live installation whose configuration says test would give away that PINs may lie in files, and the reverse */
	if (e == ERR_OK && v->boot.test != (strcmp(conf_text(proc_conf(), CONF_MODE), "test") == 0))
		e = ERR_MODE_CHANGED;
	if (e == ERR_OK)
		e = vault_name(v);
	if (e == ERR_OK)
		e = keyring_new(&v->boot, &v->keys);
	if (e != ERR_OK) {
		failed(v, e);
		return;
	}
	un.at = AT_HSM;
	unseal_step(v);
}

static void
step_hsm(struct vault *v)
{
	enum err e = hsmlink_cause(v);
	if (e == ERR_OK) {
		un.at = AT_KEYS;
		unseal_step(v);
		return;
	}
	/* A refused PIN is tried again with the next broker only; it is no reason to stop looking for one. */
	un.cause = e;
	unseal_show(v);
}

static void
keys_came(void *arg, enum err e)
{
	struct vault *v = arg;
	un.busy = false;
	if (e == ERR_OK) {
		un.at = AT_STORES;
	} else if (can_pass(e)) {
		un.at = AT_HSM;
	}
	if (e != ERR_OK)
		failed(v, e == ERR_PEER_AWAY || e == ERR_DEADLINE ? ERR_HSM_AWAY : e);
	else
		unseal_step(v);
}

static void
step_keys(struct vault *v)
{
	if (keyring_ready(v->keys)) {
		un.at = AT_STORES;
		unseal_step(v);
		return;
	}
	enum err e = keyring_unwrap_all(v->keys, v->hsm, v->limits.hsm_deadline_ms, keys_came, v);
	un.busy = e == ERR_OK;
	if (e == ERR_PEER_AWAY)
		un.at = AT_HSM;
	if (e != ERR_OK)
		failed(v, e);
}

static void
close_stores(struct vault *v)
{
	logbook_close(v->log);
	db_close(v->db);
	v->log = NULL;
	v->db = NULL;
}

static enum err
open_memory(struct vault *v)
{
	enum err e = ERR_OK;
	if (!v->cvc)
		e = cvc_new(&v->cvc);
	if (e == ERR_OK && !v->grants)
		e = grant_new(&v->grants);
	if (e == ERR_OK && !v->refusals)
		e = refusals_new(&v->refusals);
	return e;
}

enum err
unseal_open_stores(struct vault *v)
{
	struct db_options options = {.cache_bytes = (size_t)conf_int(proc_conf(), CONF_DB_CACHE),
								 .wal_bytes_max = (size_t)conf_int(proc_conf(), CONF_WAL_MAX),
								 .must_exist = v->boot.complete};
	const struct secret *key = NULL;
	uint32_t generation = 0;
	enum err e = open_memory(v);
	if (e == ERR_OK)
		e = keyring_active(v->keys, KEY_PGK_VAULT, &generation);
	if (e == ERR_OK)
		e = keyring_get(v->keys, KEY_PGK_VAULT, generation, KEY_PROCESS, &key);
	if (e == ERR_OK)
		e = db_open(DB_FILE, key->bytes, &options, &v->db);
	if (e == ERR_OK)
		e = db_migrate(v->db, vault_migrations(), VAULT_MIGRATIONS);
	if (e == ERR_OK)
		e = logbook_open(v->db, v->origin, v->boot.install, "vault", &v->log);
	if (e == ERR_OK)
		e = cardrow_count(v, &v->cards);
	if (e == ERR_OK)
		e = disk_open((uint64_t)conf_int(proc_conf(), CONF_RESERVE));
	if (e != ERR_OK)
		close_stores(v);
	return e;
}

static void
step_stores(struct vault *v)
{
	enum err e = unseal_open_stores(v);
	if (e != ERR_OK) {
		failed(v, e);
		return;
	}
	un.at = AT_ANCHOR;
	unseal_step(v);
}

static void
anchor_came(void *arg, enum err e, const void *rep)
{
	struct vault *v = arg;
	const sp_hsm_anchor_get_rep *r = rep;
	struct anchor a;
	un.busy = false;
	if (e == ERR_OK && r && r->present) {
		e = anchor_decode(r->anchor.bytes, r->anchor.size, &a);
		if (e == ERR_OK)
			e = anchor_check(v, &a);
		else
			e = ERR_ROLLBACK; /* an anchor that nobody of us wrote */
	}
	if (e != ERR_OK) {
		failed(v, e == ERR_PEER_AWAY || e == ERR_DEADLINE ? ERR_HSM_AWAY : e);
		return;
	}
	un.at = AT_JOURNAL;
	unseal_step(v);
}

static void
step_anchor(struct vault *v)
{
	sp_hsm_anchor_get_req req = sp_hsm_anchor_get_req_init_zero;
	memcpy(req.node, v->boot.node, sizeof req.node);
	enum err e = ask_hsm_anchor_get(v->hsm, &req, v->limits.hsm_deadline_ms, anchor_came, v);
	un.busy = e == ERR_OK;
	if (e != ERR_OK)
		failed(v, e == ERR_PEER_AWAY ? ERR_HSM_AWAY : e);
}

/* ── the first leaves: what was tried while sealed, and that we are here ── */

static enum err
add_note(void *arg, const struct boot_note *n)
{
	struct vault *v = arg;
	struct leaf l = {.event = EVENT_UNSEAL,
					 .actor = ACTOR_UID,
					 .object_id = n->object,
					 .outcome = strcmp(n->code, "ok") == 0 ? LEAF_OK : LEAF_DENY,
					 .reason = n->code};
	return vault_leaf(v, &l);
}

static enum err
first_leaves(struct vault *v, const void *req, struct member *m)
{
	size_t notes = 0;
	struct leaf start = {.event = EVENT_START, .actor = ACTOR_PROCESS, .actor_id = "vault", .object_id = "vault"};
	struct leaf open = {.event = EVENT_UNSEAL,
						.actor = ACTOR_PROCESS,
						.actor_id = "vault",
						.object_id = "vault",
						.reason = "credential"};
	(void)req;
	(void)m;
	enum err e = boot_journal_read(BOOT_JOURNAL, add_note, v, &notes);
	if (e == ERR_OK)
		e = vault_leaf(v, &start);
	return e == ERR_OK ? vault_leaf(v, &open) : e;
}

static void
leaves_written(struct vault *v, struct member *m)
{
	un.busy = false;
	enum err e = m->e == ERR_OK ? boot_journal_clear(BOOT_JOURNAL) : m->e;
	if (e != ERR_OK)
		failed(v, e);
	else
		unseal_serve(v);
}

static enum err
journal_act(struct vault *v, const void *req, struct member *m)
{
	m->after = leaves_written;
	return first_leaves(v, req, m);
}

static void
step_journal(struct vault *v)
{
	static const struct group_command command = {.act = journal_act};
	un.busy = true;
	group_run(v, NULL, &command, NULL);
	(void)group_commit(v);
}

void
unseal_serve(struct vault *v)
{
	un.at = SERVING;
	un.cause = ERR_OK;
	unseal_show(v);
	log_info("the vault is open", LOG_I("cards", v->cards));
}

void
unseal_step(struct vault *v)
{
	static void (*const steps[])(struct vault *) = {
		[AT_BOOT] = step_boot,     [AT_HSM] = step_hsm,         [AT_KEYS] = step_keys, [AT_STORES] = step_stores,
		[AT_ANCHOR] = step_anchor, [AT_JOURNAL] = step_journal, [SERVING] = NULL,      [STUCK] = NULL};
	if (!un.busy && !un.held && steps[un.at])
		steps[un.at](v);
}

void
unseal_start(struct vault *v)
{
	un.at = AT_BOOT;
	unseal_step(v);
}
