#include "vault/setup.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"
#include "vault/group.h"
#include "vault/hsmlink.h"
#include "vault/unseal.h"

/* Keys are made one after the other, and some modules take their time for each. */
#define MAKE_DEADLINE_MS 20000

static struct {
	struct vault *v;
	struct call *call; /* NULL: nothing runs */
	sp_vault_init_req req;
} set;

static void
finish(enum err e)
{
	struct call *call = set.call;
	struct vault *v = set.v;
	sp_vault_init_rep rep = sp_vault_init_rep_init_zero;
	const struct boot_key *ask = boot_active(&v->boot, KEY_ASK);
	set.call = NULL;
	unseal_hold(false);
	rep.complete = e == ERR_OK && !set.req.look;
	if (e == ERR_OK && ask)
		e = note_vkey(v->ask_name, ask->public_key, rep.vkey, sizeof rep.vkey);
	if (e != ERR_OK)
		log_warn("setup stopped", LOG_E("cause", e), LOG_S("next", err_next(e)));
	call_reply(call, e, &rep);
}

/* ── 6: complete ── */

static void
completed(void *arg, enum err e)
{
	(void)arg;
	if (e == ERR_OK)
		unseal_serve(set.v);
	finish(e);
}

static void
mark_complete(void)
{
	struct vault *v = set.v;
	v->boot.complete = true;
	enum err e = boot_store(BOOT_FILE, &v->boot, v->hsm, MAKE_DEADLINE_MS, completed, NULL);
	if (e != ERR_OK) {
		v->boot.complete = false;
		finish(e);
	}
}

/* ── 5: the log's first leaves ── */

static enum err
key_leaves(struct vault *v)
{
	enum err e = ERR_OK;
	for (size_t i = 0; e == ERR_OK && i < v->boot.keys_n; i++) {
		const struct boot_key *k = &v->boot.keys[i];
		struct leaf l = {.event = EVENT_KEY_MAKE,
						 .actor = ACTOR_PROCESS,
						 .actor_id = "vault",
						 .object_id = keylife_purpose_name(k->purpose),
						 .key_id = keylife_purpose_name(k->purpose),
						 .key_generation = k->generation,
						 .reason = keylife_state_name(k->state)};
		e = vault_leaf(v, &l);
		/* a key is made pre-active; each change of its state is a leaf of its own, the first one too */
		l.event = EVENT_KEY_STATE;
		if (e == ERR_OK && k->state != KEY_PRE_ACTIVE)
			e = vault_leaf(v, &l);
	}
	return e;
}

static enum err
first_leaves(struct vault *v)
{
	struct leaf made = {.event = EVENT_INIT,
						.actor = ACTOR_UID,
						.actor_id = "owner",
						.object_id = v->boot.install,
						.reason = v->boot.test ? "test" : "live"};
	enum err e = vault_leaf(v, &made);
	for (size_t i = 0; e == ERR_OK && i < v->boot.officers_n; i++) {
		const struct boot_officer *o = &v->boot.officers[i];
		struct leaf l = {.event = EVENT_OFFICER_ENROL,
						 .actor = ACTOR_UID,
						 .actor_id = "owner",
						 .object_id = o->name,
						 .reason = o->role};
		e = vault_leaf(v, &l);
	}
	return e == ERR_OK ? key_leaves(v) : e;
}

static void
leaves_written(struct vault *v, struct member *m)
{
	(void)v;
	if (m->e == ERR_OK)
		mark_complete();
	else
		finish(m->e);
}

static enum err
act_leaves(struct vault *v, const void *req, struct member *m)
{
	(void)req;
	m->after = leaves_written;
	return first_leaves(v);
}

static void
open_stores(void)
{
	static const struct group_command command = {.act = act_leaves};
	struct vault *v = set.v;
	struct checkpoint at;
	enum err e = v->db ? ERR_OK : unseal_open_stores(v);
	if (e != ERR_OK) {
		finish(e);
		return;
	}
	logbook_position(v->log, &at);
	if (at.size > 0) { /* a setup that was killed had come this far */
		mark_complete();
		return;
	}
	group_run(v, NULL, &command, NULL);
	(void)group_commit(v);
}

/* ── 4: officers and the boot file ── */

static void
boot_stored(void *arg, enum err e)
{
	(void)arg;
	if (e == ERR_OK)
		open_stores();
	else
		finish(e);
}

static enum err
add_officers(struct vault *v)
{
	enum err e = ERR_OK;
	for (pb_size_t i = 0; e == ERR_OK && i < set.req.officers_count; i++) {
		const sp_officer_key *from = &set.req.officers[i];
		struct boot_officer o = {.name = ""};
		if (from->public_key.size != 32)
			return ERR_MISSING_MEMBER;
		e = str_set(o.name, sizeof o.name, from->name);
		if (e == ERR_OK)
			e = str_set(o.role, sizeof o.role, from->role);
		memcpy(o.public_key, from->public_key.bytes, 32);
		if (e == ERR_OK)
			e = boot_add_officer(&v->boot, &o);
		if (e == ERR_EXISTS)
			e = ERR_OK;
	}
	return e;
}

static void
keys_made(void *arg, enum err e)
{
	struct vault *v = set.v;
	(void)arg;
	if (e == ERR_OK)
		e = add_officers(v);
	if (e == ERR_OK)
		e = boot_store(BOOT_FILE, &v->boot, v->hsm, MAKE_DEADLINE_MS, boot_stored, NULL);
	if (e != ERR_OK)
		finish(e);
}

/* ── 3: keys ── */

static void
make_keys(void)
{
	struct vault *v = set.v;
	enum err e = v->keys ? ERR_OK : keyring_new(&v->boot, &v->keys);
	if (e == ERR_OK && keyring_ready(v->keys)) {
		keys_made(NULL, ERR_OK);
		return;
	}
	if (e == ERR_OK)
		e = keyring_make_all(v->keys, v->hsm, MAKE_DEADLINE_MS, keys_made, NULL);
	if (e != ERR_OK)
		finish(e);
}

/* ── 2: log-in ── */

static void
logged_in(void *arg, enum err e, const void *rep)
{
	(void)arg;
	(void)rep;
	if (e == ERR_OK) {
		set.v->hsm_in = true;
		make_keys();
	} else {
		finish(e);
	}
}

static void
log_in(void)
{
	sp_hsm_login_req req = sp_hsm_login_req_init_zero;
	const struct secret *pin = hsmlink_pin();
	req.pin.size = (pb_size_t)pin->len;
	memcpy(req.pin.bytes, pin->bytes, pin->len);
	enum err e = set.v->hsm_in ? ERR_EXISTS : ask_hsm_login(set.v->hsm, &req, MAKE_DEADLINE_MS, logged_in, NULL);
	mem_wipe(&req, sizeof req);
	if (e == ERR_EXISTS)
		make_keys();
	else if (e != ERR_OK)
		finish(e);
}

/* ── 1: the token ── */

static void
token_made(void *arg, enum err e, const void *rep)
{
	(void)arg;
	(void)rep;
	if (e == ERR_OK && !set.req.look)
		log_in();
	else
		finish(e);
}

/* In a test installation the token is ours to make; else it is there, set up by its owner, and is only looked at. */
static void
make_token(void)
{
	sp_hsm_init_token_req req = sp_hsm_init_token_req_init_zero;
	const struct secret *pin = hsmlink_pin();
	uint8_t draw[16];
	char hex[33];
	/* The security officer's PIN of a software token serves nobody afterwards: drawn and forgotten. */
	randombytes_buf(draw, sizeof draw);
	str_hex(draw, sizeof draw, hex);
	enum err e = str_set(req.label, sizeof req.label, conf_text(proc_conf(), CONF_HSM_TOKEN));
	req.pin.size = (pb_size_t)pin->len;
	memcpy(req.pin.bytes, pin->bytes, pin->len);
	req.so_pin.size = 32;
	memcpy(req.so_pin.bytes, hex, 32);
	req.existing = !set.req.test;
	if (e == ERR_OK)
		e = str_set(req.node, sizeof req.node, set.req.node);
	if (e == ERR_OK)
		e = ask_hsm_init_token(set.v->hsm, &req, MAKE_DEADLINE_MS, token_made, NULL);
	mem_wipe(&req, sizeof req);
	mem_wipe(hex, sizeof hex);
	mem_wipe(draw, sizeof draw);
	if (e != ERR_OK)
		finish(e);
}

static enum err
prepare(struct vault *v, const sp_vault_init_req *req)
{
	if (!proc_init_mode())
		return ERR_INITIALISED;
	if (req->install[0] == '\0' || req->node[0] == '\0' || (req->officers_count == 0 && !req->look))
		return ERR_MISSING_MEMBER;
	if (!hsmlink_has_pin())
		return ERR_HSM_PIN_MISSING;
	if (v->boot.install[0] != '\0' && strcmp(v->boot.install, req->install) != 0)
		return ERR_INITIALISED; /* another one, half made */
	enum err e = v->boot.install[0] ? ERR_OK : boot_init(&v->boot, req->install, req->node, req->test);
	return e == ERR_OK ? vault_name(v) : e;
}

/* Why a vault whose setup is done is not open: a PIN that is wrong stays wrong, all else may only take its time. */
static enum err
closed_for(const struct vault *v)
{
	enum err e = hsmlink_cause(v);
	return hsmlink_is_pin(e) || e == ERR_HSM_PIN_MISSING || e == ERR_HSM_TOKEN ? e : ERR_NOT_READY;
}

void
setup_answer(struct vault *v, struct call *call, const sp_vault_init_req *req)
{
	if (set.call) {
		call_reply(call, ERR_IDEMPOTENCY_BUSY, NULL);
		return;
	}
	/* Repeated after all was done: the same answer, so that a setup that was killed later on can go on. */
	bool done = proc_init_mode() && v->boot.complete && strcmp(v->boot.install, req->install) == 0;
	/* all was made, but the vault has only just started and is not open yet: ask again in a moment */
	enum err e = done ? v->db ? ERR_OK : closed_for(v) : v->boot.complete ? ERR_INITIALISED : prepare(v, req);
	if (e != ERR_OK) {
		call_reply(call, e, NULL);
		return;
	}
	set.v = v;
	set.call = call;
	set.req = *req;
	unseal_hold(true);
	if (done)
		finish(ERR_OK);
	else
		make_token();
}
