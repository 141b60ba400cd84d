#include "daemon/ledger/tokens.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/ledger/caller.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/facts.h"
#include "daemon/ledger/ledger.h"
#include "daemon/wire/ask.h"

#define VAULT_DEADLINE_MS 5000
#define WAITING_MAX       1024

/*
 * A token belongs to one merchant and a request names none: the vault is asked for each merchant of the client in turn,
 * until it is found. Nearly every client has one.
 */
struct hunt {
	struct call *call;
	sp_client_view client;
	sp_caller as;
	char token[40];
	unsigned next; /* merchant */
	bool erase;
};
static unsigned waiting;

static void ask_next(struct hunt *h);

static void
finish(struct hunt *h, enum err e, const void *rep)
{
	if (e == ERR_PEER_AWAY || e == ERR_DEADLINE)
		e = ERR_VAULT_AWAY;
	call_reply(h->call, e, e ? NULL : rep);
	mem_free(h);
	waiting--;
}

static void
got(void *arg, enum err e, const void *rep)
{
	struct hunt *h = arg;
	const sp_token_facts_rep *r = rep;
	static sp_token_get_rep out;
	if (e == ERR_TOKEN_NOT_FOUND && h->next < h->client.merchants_count) {
		ask_next(h);
		return;
	}
	if (!e && (!r || !r->has_token))
		e = ERR_INTERNAL;
	if (!e) {
		facts_put(&r->token, clock_mono_ms());
		out.has_token = true;
		out.token = r->token;
	}
	finish(h, e, &out);
}

static void
erased(void *arg, enum err e, const void *rep)
{
	struct hunt *h = arg;
	static const sp_token_delete_rep out;
	(void)rep;
	if (e == ERR_TOKEN_NOT_FOUND && h->next < h->client.merchants_count) {
		ask_next(h);
		return;
	}
	finish(h, e, &out);
}

static enum err
ask_get(struct hunt *h, const char *merchant)
{
	sp_token_facts_req req = sp_token_facts_req_init_zero;
	memcpy(req.token, h->token, sizeof req.token);
	enum err e = str_set(req.merchant, sizeof req.merchant, merchant);
	return e ? e : ask_token_facts(ledger_vault(), &req, VAULT_DEADLINE_MS, got, h);
}

static enum err
ask_erase(struct hunt *h, const char *merchant)
{
	sp_vault_token_delete_req req = sp_vault_token_delete_req_init_zero;
	memcpy(req.token, h->token, sizeof req.token);
	req.has_caller = true;
	req.caller = h->as;
	memcpy(req.client, h->client.name, sizeof req.client);
	enum err e = str_set(req.merchant, sizeof req.merchant, merchant);
	return e ? e : ask_vault_token_delete(ledger_vault(), &req, VAULT_DEADLINE_MS, erased, h);
}

static void
ask_next(struct hunt *h)
{
	const char *merchant = h->client.merchants[h->next++];
	enum err e = h->erase ? ask_erase(h, merchant) : ask_get(h, merchant);
	if (e)
		finish(h, e, NULL);
}

static enum err
check(bool has_caller, const sp_caller *as, enum caller_scope scope, const char *token,
	  const sp_client_view **client_out)
{
	enum err e = caller_check(has_caller, as, scope, client_out);
	if (e)
		return e;
	if (waiting >= WAITING_MAX)
		return ERR_OVERLOADED;
	return !strncmp(token, "tok_", 4) && (*client_out)->merchants_count ? ERR_OK : ERR_TOKEN_NOT_FOUND;
}

static void
hunt(struct call *call, bool has_caller, const sp_caller *as, const char *token, bool erase)
{
	const sp_client_view *client;
	enum err e = check(has_caller, as, erase ? CALLER_TOKENS_DELETE : CALLER_TOKENS_READ, token, &client);
	/* erasing is an effect of the vault, with its leaf */
	if (!e && erase)
		e = effects_allowed();
	struct hunt *h = e ? NULL : mem_new(1, sizeof *h);
	if (!h) {
		call_reply(call, e ? e : ERR_MEMORY, NULL);
		return;
	}
	waiting++;
	*h = (struct hunt){.call = call, .client = *client, .as = *as, .erase = erase};
	memcpy(h->token, token, strlen(token) + 1);
	if (erase)
		facts_drop(token);
	ask_next(h);
}

void
tokens_get(struct call *call, const void *request)
{
	const sp_token_get_req *req = request;
	if (!ledger_closed(call))
		hunt(call, req->has_caller, &req->caller, req->token, false);
}

void
tokens_delete(struct call *call, const void *request)
{
	const sp_token_delete_req *req = request;
	if (!ledger_closed(call))
		hunt(call, req->has_caller, &req->caller, req->token, true);
}
