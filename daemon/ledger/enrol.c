/* The writing half of officer_side: the first merchant and client, and clients that an officer signed for. */
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/ledger/attempt.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/caller.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"
#include "daemon/ledger/officer_side.h"
#include "daemon/ledger/pay.h"
#include "daemon/wire/ask.h"

#define CHECK_DEADLINE_MS 10000
#define CHECKS_MAX        16

static unsigned checks;

static void
tell_gates(void)
{
	const sp_clients_changed_req tell = {.epoch = store_clients_epoch(ledger.store)};
	caller_forget();
	pay_forget();
	for (unsigned i = 0; i < 16; i++) {
		struct peer *gate = proc_peer(PROCESS_GATE, i);
		if (gate && peer_up(gate) && tell_clients_changed(gate, &tell) != ERR_OK)
			log_warn("a gate was not told that clients changed", LOG_I("gate", i));
	}
}

/* ── the first merchant, account and client ── */

struct first {
	struct call *call;
	sp_ledger_init_req req;
};

static enum err
put_first(const sp_ledger_init_req *req)
{
	struct merchant m = {.livemode = ledger.livemode, .created_at_ms = clock_wall_ms()};
	struct routing_account a = {.livemode = ledger.livemode};
	enum err e = str_set(m.id, sizeof m.id, req->merchant);
	attempt_connector(req->account, a.connector);
	/* no live payment goes to the simulator: it would be authorized by nobody */
	if (!e && ledger.livemode && strcmp(a.connector, "simulator") == 0)
		e = ERR_NOT_SUPPORTED;
	if (!e)
		e = str_set(m.account, sizeof m.account, req->account);
	if (!e)
		e = str_set(a.id, sizeof a.id, req->account);
	if (!e && req->account[0])
		e = store_account_put(ledger.store, &a);
	return e ? e : store_merchant_put(ledger.store, &m);
}

static enum err
count_client(void *arg, const sp_client_view *c)
{
	(void)c;
	++*(unsigned *)arg;
	return ERR_OK;
}

static enum err
init_act(void *arg)
{
	struct first *f = arg;
	unsigned clients = 0;
	bool more;
	static struct merchant m;
	static sp_client_view client;
	/* every step may be repeated: a second run finds what the first one made */
	enum err e = store_merchant_get(ledger.store, f->req.merchant, &m);
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (e == ERR_NOT_FOUND && ((e = put_first(&f->req)) ||
							   (e = leaves_officer(EVENT_MERCHANT_ADD, "", f->req.uid, f->req.merchant, ERR_OK)) ||
							   (!f->req.more && (e = leaves_officer(EVENT_L_INIT, "", f->req.uid, "ledger", ERR_OK)))))
		return e;
	if (!f->req.has_client || store_client_by_cert(ledger.store, f->req.client.cert_sha256, &client) == ERR_OK)
		return ERR_OK;
	/* only the first client comes without an officer's signature, whoever can start us in init mode */
	if ((e = store_client_list(ledger.store, "", 1, count_client, &clients, &more)))
		return e;
	if (clients)
		return ERR_INITIALISED;
	if (!f->req.client.created_at_ms)
		f->req.client.created_at_ms = clock_wall_ms();
	if ((e = store_client_put(ledger.store, &f->req.client)))
		return e;
	return leaves_officer(EVENT_CLIENT_ADD, "", f->req.uid, f->req.client.name, ERR_OK);
}

static void
init_done(void *arg, enum err e)
{
	struct first *f = arg;
	static const sp_ledger_init_rep rep;
	if (!e)
		tell_gates();
	call_reply(f->call, e, e ? NULL : &rep);
	mem_free(f);
}

static const struct batch_row init_row = {init_act, NULL, init_done};

/* `init` tells vault and ledger one right after the other: this one waits until the vault has given the keys. */
static struct first *early;

void
officer_side_opened(void)
{
	if (early)
		batch_run(&init_row, early, sizeof *early);
	early = NULL;
}

void
officer_side_init(struct call *call, const void *req)
{
	enum err e = !proc_init_mode() ? ERR_INITIALISED
				 : ledger.stopping ? ERR_SHUTTING_DOWN
				 : early           ? ERR_OVERLOADED
								   : ERR_OK;
	struct first *f = e ? NULL : mem_new(1, sizeof *f);
	if (!f) {
		call_reply(call, e ? e : ERR_MEMORY, NULL);
		return;
	}
	f->call = call;
	f->req = *(const sp_ledger_init_req *)req;
	early = f;
	if (ledger.store)
		officer_side_opened();
}

/* ── a client that an officer signed for ── */

struct enrol {
	struct call *call;
	sp_client_add_req req;
};

static const char *const scope_names[] = {
#define SCOPE(ID, name, what) name,
#include "policy/scopes.def"
#undef SCOPE
};

/* The lines that the statement must end with; they are made again from the request, so that both say the same. */
static enum err
statement_body(const sp_client_view *c, struct buf *out)
{
	char hex[65], until[CLOCK_TEXT_BYTES] = "none";
	const char *comma = "";
	str_hex(c->cert_sha256, 32, hex);
	if (c->not_after_ms)
		clock_text(c->not_after_ms, until);
	enum err e = buf_printf(out, "client=%s\ncert_sha256=%s\nnot_after=%s\nscopes=", c->name, hex, until);
	for (unsigned i = 0; i < sizeof scope_names / sizeof *scope_names && !e; i++)
		if (c->scopes & (UINT64_C(1) << i)) {
			e = buf_printf(out, "%s%s", comma, scope_names[i]);
			comma = ",";
		}
	if (!e)
		e = buf_add_text(out, "\nmerchants=");
	for (pb_size_t i = 0; i < c->merchants_count && !e; i++)
		e = buf_printf(out, "%s%s", i ? "," : "", c->merchants[i]);
	return e ? e : buf_add_text(out, "\n");
}

static enum err
check_statement(const sp_client_add_req *req)
{
	static const char head[] = "operation=client.add\n";
	struct buf body;
	const uint8_t *bytes = req->statement.bytes;
	size_t n = req->statement.size;
	buf_init(&body, sizeof req->statement.bytes);
	enum err e = statement_body(&req->client, &body);
	if (!e && (n < body.len + sizeof head - 1 || memcmp(bytes, head, sizeof head - 1) != 0 ||
			   bytes[n - body.len - 1] != '\n' || memcmp(bytes + n - body.len, buf_at(&body), body.len) != 0))
		e = ERR_OFFICER_SIGNATURE;
	buf_clear(&body);
	return e;
}

/* Names are shown and stand in statements: no commas, no control characters, nothing that looks like another line. */
static enum err
check_client(const sp_client_view *c)
{
	static struct merchant m;
	if (!str_visible(c->name, sizeof c->name - 1) || strpbrk(c->name, ",="))
		return ERR_CHARACTERS;
	if (!c->merchants_count)
		return ERR_MERCHANT_NEEDED;
	if (c->scopes >> (sizeof scope_names / sizeof *scope_names))
		return ERR_OUT_OF_RANGE;
	for (pb_size_t i = 0; i < c->merchants_count; i++)
		if (store_merchant_get(ledger.store, c->merchants[i], &m) != ERR_OK)
			return ERR_NOT_FOUND;
	return ERR_OK;
}

static enum err
add_act(void *arg)
{
	struct enrol *n = arg;
	static sp_client_view there;
	enum err e = check_client(&n->req.client);
	if (e)
		return e;
	if (store_client_by_name(ledger.store, n->req.client.name, &there) == ERR_OK)
		return ERR_CLIENT_EXISTS;
	n->req.client.created_at_ms = clock_wall_ms();
	n->req.client.revoked = false;
	memcpy(n->req.client.added_by, n->req.officer, sizeof n->req.client.added_by);
	if ((e = store_client_put(ledger.store, &n->req.client)))
		return e;
	return leaves_officer(EVENT_CLIENT_ADD, n->req.officer, n->req.uid, n->req.client.name, ERR_OK);
}

static enum err
add_refused(void *arg, enum err e)
{
	struct enrol *n = arg;
	return leaves_officer(EVENT_CLIENT_ADD, n->req.officer, n->req.uid, n->req.client.name, e);
}

static void
add_done(void *arg, enum err e)
{
	struct enrol *n = arg;
	static sp_client_add_rep rep;
	if (!e) {
		tell_gates();
		rep.has_client = true;
		rep.client = n->req.client;
	}
	call_reply(n->call, e, e ? NULL : &rep);
	mem_free(n);
}

static const struct batch_row add_row = {add_act, add_refused, add_done};

static void
officer_checked(void *arg, enum err e, const void *rep)
{
	struct enrol *n = arg;
	(void)rep;
	checks--;
	/* the vault left its own leaf about the signature */
	if (e || ledger.stopping) {
		call_reply(n->call, e == ERR_PEER_AWAY || e == ERR_DEADLINE ? ERR_VAULT_AWAY : e ? e : ERR_SHUTTING_DOWN, NULL);
		mem_free(n);
		return;
	}
	batch_run(&add_row, n, sizeof *n);
}

static enum err
ask_vault(struct enrol *n)
{
	static sp_check_officer_req req;
	req = (sp_check_officer_req)sp_check_officer_req_init_zero;
	memcpy(req.officer, n->req.officer, sizeof req.officer);
	req.statement.size = n->req.statement.size;
	memcpy(req.statement.bytes, n->req.statement.bytes, n->req.statement.size);
	req.signature.size = n->req.signature.size;
	memcpy(req.signature.bytes, n->req.signature.bytes, n->req.signature.size);
	memcpy(req.operation, "client.add", sizeof "client.add");
	req.officer_uid = n->req.uid;
	return ask_check_officer(ledger_vault(), &req, CHECK_DEADLINE_MS, officer_checked, n);
}

void
officer_side_client_add(struct call *call, const void *request)
{
	const sp_client_add_req *req = request;
	struct enrol *n = NULL;
	if (ledger_closed(call))
		return;
	enum err e = !req->has_client ? ERR_MISSING_MEMBER : !req->officer[0] ? ERR_OFFICER_NEEDED : check_statement(req);
	if (!e && checks >= CHECKS_MAX)
		e = ERR_OVERLOADED;
	if (!e && !(n = mem_new(1, sizeof *n)))
		e = ERR_MEMORY;
	if (!e) {
		n->call = call;
		n->req = *req;
		e = ask_vault(n);
	}
	if (!e) {
		checks++;
		return;
	}
	call_reply(call, e, NULL);
	mem_free(n);
}
