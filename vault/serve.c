#include "vault/serve.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/wire/proc.h"
#include "vault/cardrow.h"
#include "vault/close.h"
#include "vault/consent.h"
#include "vault/grant.h"
#include "vault/history.h"
#include "vault/house.h"
#include "vault/hsmlink.h"
#include "vault/mint.h"
#include "vault/setup.h"
#include "vault/signing.h"
#include "vault/views.h"

#define PARKED_MAX 4
#define PARKED_MS  1000

static struct vault *vault;

void
serve_open(struct vault *v)
{
	vault = v;
}

/* An effect: refused at once, and without a leaf, while nothing may be done. */
static void
run_effect(struct call *call, const struct group_command *c, const void *req)
{
	enum err e = vault_effects(vault);
	if (e != ERR_OK)
		call_reply(call, e, NULL);
	else
		group_run(vault, call, c, req);
}

/* What ends things goes on while effects are refused. */
static void
run_open(struct call *call, const struct group_command *c, const void *req)
{
	if (!vault->db || vault->refusing == ERR_VAULT_SEALED)
		call_reply(call, ERR_VAULT_SEALED, NULL);
	else
		group_run(vault, call, c, req);
}

static bool
sealed(struct call *call)
{
	bool is = !vault->db || vault->refusing == ERR_VAULT_SEALED;
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
	enum err e = keyring_active(vault->keys, KEY_PGK_LEDGER, &pgk);
	if (e == ERR_OK)
		e = keyring_active(vault->keys, KEY_AHK, &ahk);
	if (e == ERR_OK)
		e = keyring_get(vault->keys, KEY_PGK_LEDGER, pgk, KEY_PROCESS, &page);
	if (e == ERR_OK)
		e = keyring_get(vault->keys, KEY_LSK, ahk, KEY_PROCESS, &lsk);
	if (e != ERR_OK)
		return e;
	rep->page_key.size = rep->ledger_secret.size = 32;
	memcpy(rep->page_key.bytes, page->bytes, 32);
	memcpy(rep->ledger_secret.bytes, lsk->bytes, 32);
	memcpy(rep->install, vault->boot.install, sizeof rep->install);
	memcpy(rep->node, vault->boot.node, sizeof rep->node);
	rep->livemode = !vault->boot.test;
	return history_last(vault, vault->ledger_origin, &rep->signed_size, rep->signed_root);
}

static enum err
act_open_store(struct vault *v, const void *req, struct member *m)
{
	struct leaf l = {.event = EVENT_OPEN_STORE, .actor = ACTOR_PROCESS, .actor_id = "ledger", .object_id = "vault"};
	(void)req;
	enum err e = give_store(m->rep);
	return e == ERR_OK ? vault_leaf(v, &l) : e;
}

static const struct group_command open_store_command = {.rep_bytes = sizeof(sp_open_store_rep), .act = act_open_store};

/*
 * At a start the ledger asks while the vault is still being opened. It is answered the moment that is done, instead of
 * being sent away to ask again; a vault that stays sealed says so after a second.
 */
static struct {
	struct call *call[PARKED_MAX];
	unsigned n;
	int64_t since_ms;
} parked;

static void
answer_open_store(struct call *call, const void *req)
{
	bool closed = !vault->db || vault->refusing == ERR_VAULT_SEALED;
	if (!closed || parked.n == PARKED_MAX) {
		run_open(call, &open_store_command, req);
		return;
	}
	if (parked.n == 0)
		parked.since_ms = clock_mono_ms();
	parked.call[parked.n++] = call;
}

void
serve_turn(void)
{
	bool closed = !vault->db || vault->refusing == ERR_VAULT_SEALED;
	if (parked.n == 0 || (closed && clock_mono_ms() - parked.since_ms < PARKED_MS))
		return;
	while (parked.n > 0)
		run_open(parked.call[--parked.n], &open_store_command, NULL);
}

static void
answer_token_facts(struct call *call, const void *req)
{
	const sp_token_facts_req *r = req;
	struct cardrow row;
	if (sealed(call))
		return;
	sp_token_facts_rep *rep = mem_new(1, sizeof *rep);
	enum err e = rep ? cardrow_find(vault, r->token, r->merchant, &row) : ERR_MEMORY;
	if (e == ERR_OK)
		e = cardrow_view(vault, &row, &rep->token);
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
		call_reply(call, grant_lodge(vault, req), &rep);
}

static void
answer_redeemed(struct call *call, const void *req)
{
	sp_redeemed_rep rep = sp_redeemed_rep_init_zero;
	if (sealed(call))
		return;
	/* What is not committed was not redeemed. */
	house_commit(vault);
	enum err e = grant_redeemed(vault, req, &rep);
	call_reply(call, e, e == ERR_OK ? &rep : NULL);
}

static void
answer_close_authorization(struct call *call, const void *req)
{
	static const sp_close_authorization_rep nothing;
	bool needed = true;
	if (sealed(call))
		return;
	if (close_needed(vault, req, &needed) == ERR_OK && !needed)
		call_reply(call, ERR_OK, &nothing);
	else
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
	setup_answer(vault, call, req);
}

static void
answer_key_list(struct call *call, const void *req)
{
	sp_key_list_rep rep = sp_key_list_rep_init_zero;
	(void)req;
	if (!sealed(call))
		call_reply(call, views_keys(vault, &rep), &rep);
}

static void
answer_vault_audit_read(struct call *call, const void *req)
{
	const sp_vault_audit_read_req *r = req;
	if (sealed(call))
		return;
	if (r->export && r->size == 0 && r->limit == 0 && vault_effects(vault) == ERR_OK) {
		group_run(vault, call, &views_export_begin_command, req);
		return;
	}
	sp_vault_audit_read_rep *rep = mem_new(1, sizeof *rep);
	enum err e = rep ? views_audit_read(vault, r, rep) : ERR_MEMORY;
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
	views_facts(vault, (enum err)atomic_load(&proc_page()->cause), hsmlink_status(), &rep);
	rep.uid = r->uid;
	call_reply(call, ERR_OK, &rep);
}

static void
answer_audit_keys(struct call *call, const void *req)
{
	sp_audit_keys_rep rep = sp_audit_keys_rep_init_zero;
	(void)req;
	call_reply(call, views_audit_keys(vault, &rep), &rep);
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
	else if (vault_effects(vault) == ERR_OK)
		group_run(vault, NULL, &command, &n);
}

const struct answer serve_answers[] = {
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
