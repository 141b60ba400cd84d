#include "vault/close.h"

#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "vault/cvc.h"
#include "vault/cardrow.h"

struct closing {
	char token[CARDROW_TEXT_BYTES];
	bool erased, wipes;
};

/*
 * The code goes even when the log could not be written: keeping it would break the stricter rule. The ledger then asks
 * again, and the leaf is written that time if a code was held in between, or never, as there was nothing left to wipe.
 */
static void
after_commit(struct vault *v, struct member *m)
{
	struct closing *c = m->state;
	if (!c)
		return;
	if (c->wipes)
		(void)cvc_wipe(v->cvc, c->token);
	if (m->e == ERR_OK && c->erased && v->cards > 0)
		v->cards--;
}

static enum err
begin(struct member *m, const char *token, bool wipes, struct closing **out)
{
	if (!(*out = mem_new(1, sizeof **out)))
		return ERR_MEMORY;
	(*out)->wipes = wipes;
	m->state = *out;
	m->after = after_commit;
	return str_set((*out)->token, sizeof(*out)->token, token);
}

static enum err
wipe(struct vault *v, const char *token, const char *payment, sp_cvc_state state)
{
	if (!cvc_held(v->cvc, token))
		return ERR_OK;
	struct leaf l = {.event = EVENT_CVC_WIPE,
					 .actor = ACTOR_PROCESS,
					 .actor_id = "vault",
					 .object_id = token,
					 .session = payment,
					 .reason = state == sp_cvc_state_CVC_EXPIRED ? "expired" : "closed"};
	enum err e = cardrow_set_cvc(v, token, state);
	return e == ERR_OK ? vault_leaf(v, &l) : e;
}

static enum err
erase(struct vault *v, const struct cardrow *row, const struct leaf *l, struct closing *c)
{
	enum err e = cardrow_erase(v, row);
	c->erased = e == ERR_OK;
	return e == ERR_OK ? vault_leaf(v, l) : e;
}

static enum err
close_authorization(struct vault *v, const void *req, struct member *m)
{
	const sp_close_authorization_req *r = req;
	struct cardrow row;
	struct closing *c = NULL;
	if (!v->db)
		return ERR_VAULT_SEALED;
	bool ours = cvc_of_payment(v->cvc, r->token, r->payment, r->created_at_ms);
	enum err e = begin(m, r->token, ours, &c);
	enum err found = cardrow_find(v, r->token, NULL, &row);
	/* Closed before, deleted, or one of the fixed tokens: nothing to erase. */
	bool erases = found == ERR_OK && row.single_use;
	if (e == ERR_OK && found != ERR_TOKEN_NOT_FOUND)
		e = found;
	if (e == ERR_OK && ours)
		e = wipe(v, r->token, r->payment, sp_cvc_state_CVC_CONSUMED);
	if (e != ERR_OK || !erases)
		return e;
	struct leaf l = {.event = EVENT_TOKEN_DELETE,
					 .actor = ACTOR_PROCESS,
					 .actor_id = "ledger",
					 .object_id = r->token,
					 .merchant = row.merchant,
					 .session = r->payment,
					 .reason = "single_use"};
	return erase(v, &row, &l, c);
}

static enum err
delete_token(struct vault *v, const void *req, struct member *m)
{
	const sp_vault_token_delete_req *r = req;
	struct cardrow row;
	struct closing *c = NULL;
	enum err e = vault_effects(v);
	if (e == ERR_OK)
		e = cardrow_find(v, r->token, r->merchant, &row);
	if (e == ERR_OK && row.id == 0)
		e = ERR_TOKEN_NOT_FOUND;
	if (e == ERR_OK)
		e = begin(m, r->token, true, &c);
	if (e == ERR_OK)
		e = wipe(v, r->token, "", sp_cvc_state_CVC_CONSUMED);
	if (e != ERR_OK)
		return e;
	struct leaf l = {.event = EVENT_TOKEN_DELETE,
					 .actor = ACTOR_CLIENT,
					 .actor_id = r->client,
					 .cert_sha256 = r->has_caller ? r->caller.cert_sha256 : NULL,
					 .ip = r->caller.ip,
					 .request = r->caller.request_id,
					 .object_id = r->token,
					 .merchant = r->merchant,
					 .reason = "asked"};
	return erase(v, &row, &l, c);
}

static enum err
wipe_overdue(struct vault *v, const void *req, struct member *m)
{
	struct closing *c = NULL;
	enum err e = begin(m, req, true, &c);
	return e == ERR_OK ? wipe(v, req, "", sp_cvc_state_CVC_EXPIRED) : e;
}

enum err
close_needed(struct vault *v, const sp_close_authorization_req *r, bool *needed_out)
{
	bool row = false;
	*needed_out = cvc_of_payment(v->cvc, r->token, r->payment, r->created_at_ms);
	if (*needed_out)
		return ERR_OK;
	struct stmt *s = db_stmt(v->db, "SELECT 1 FROM token WHERE token = ?1 AND single_use = 1");
	stmt_text(s, 1, r->token);
	enum err e = stmt_row(s, &row);
	stmt_done(s);
	*needed_out = row;
	return e;
}

const struct group_command close_authorization_command = {.rep_bytes = sizeof(sp_close_authorization_rep),
														  .act = close_authorization};
const struct group_command close_delete_command = {.rep_bytes = sizeof(sp_vault_token_delete_rep), .act = delete_token};
const struct group_command close_overdue_command = {.act = wipe_overdue};
