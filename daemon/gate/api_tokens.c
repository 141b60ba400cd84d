#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/gate/card.h"
#include "daemon/gate/request.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

#define LEDGER_DEADLINE_MS 5000

struct token_in {
	struct card card;
	bool card_given;
	int dedupe;
	sp_tokenize_req req;
};

#define REQ(member_) \
	.offset = offsetof(struct token_in, req.member_), .bytes = sizeof(((struct token_in *)0)->req.member_)

static const struct choice formats[] = {{"opaque", sp_token_format_FORMAT_OPAQUE},
										{"bin6_last4", sp_token_format_FORMAT_BIN6_LAST4},
										{"luhn", sp_token_format_FORMAT_LUHN},
										{NULL, 0}};
static const struct choice dedupes[] = {{"merchant", 1}, {"none", 0}, {NULL, 0}};

static const struct member members[] = {
	{.name = "encrypted", .kind = MEMBER_REFUSED, .bad = ERR_NOT_SUPPORTED, .what = "not served yet"},
	{.name = "bank_account", .kind = MEMBER_REFUSED, .bad = ERR_NOT_SUPPORTED, .what = "not served yet"},
	{.name = "card",
	 .kind = MEMBER_OBJECT,
	 .flags = MEMBER_REQUIRED,
	 .shape = &card_shape,
	 .offset = offsetof(struct token_in, card),
	 .given = offsetof(struct token_in, card_given)},
	{.name = "format", .kind = MEMBER_CHOICE, .choices = formats, REQ(format), .what = "form of the token; opaque"},
	{.name = "ttl",
	 .kind = MEMBER_DURATION,
	 .least = 1,
	 .most = 315360000,
	 REQ(ttl_ms),
	 .what = "seconds to live; for ever"},
	{.name = "max_uses", .kind = MEMBER_UINT32, .least = 1, .most = 1000000, REQ(max_uses), .what = "payments at most"},
	{.name = "dedupe",
	 .kind = MEMBER_CHOICE,
	 .choices = dedupes,
	 .offset = offsetof(struct token_in, dedupe),
	 .what = "merchant: the same card again gives the same token"},
	{.name = "merchant",
	 .kind = MEMBER_TEXT,
	 .flags = MEMBER_VISIBLE,
	 .least = 1,
	 .most = 63,
	 REQ(merchant),
	 .what = "needed when the client acts for more than one"},
	{.name = "customer",
	 .kind = MEMBER_TEXT,
	 .flags = MEMBER_NO_PAN,
	 .least = 1,
	 .most = 63,
	 REQ(customer),
	 .what = "your own id"},
	{.name = "metadata",
	 .kind = MEMBER_METADATA,
	 .offset = offsetof(struct token_in, req.metadata),
	 .bytes = sizeof(((struct token_in *)0)->req.metadata.bytes),
	 .what = "at most 50 keys"},
};
static const struct shape token_shape = SHAPE("TokenRequest", members);

static void
on_minted(void *arg, enum err e, const void *answer)
{
	const sp_tokenize_rep *rep = answer;
	struct request *r = arg;

	if (!request_alive(r))
		return;
	if (e || !rep || !rep->has_token) {
		card_complain(r, e);
		request_fail(r, e ? request_peer_error(e, PROCESS_VAULT) : ERR_PROTOCOL);
		return;
	}
	if (rep->existed)
		request_header(r, "Deduplicated", "true");
	if (rep->replayed)
		request_header(r, "Idempotent-Replayed", "true");
	render_object(request_writer(), NULL, &render_token, &rep->token);
	request_send(r, rep->existed ? 200 : 201);
}

static void
act_create(struct request *r)
{
	struct token_in *in = r->state = mem_new(1, sizeof(*in));
	const char *merchant;
	sp_idem idem = sp_idem_init_zero;
	enum err e;

	if (!in) {
		request_fail(r, ERR_MEMORY);
		return;
	}
	in->dedupe = 1;
	if (!request_read(r, in) || !request_idem(r, "card", &idem))
		return;
	e = client_cache_merchant(r->client, in->req.merchant, &merchant);
	if (!e && merchant != in->req.merchant)
		e = str_set(in->req.merchant, sizeof(in->req.merchant), merchant);
	if (!e) {
		in->req.dedupe = in->dedupe;
		memcpy(in->req.idempotency_key, idem.key, sizeof(idem.key));
		memcpy(in->req.body_sha256, idem.body_sha256, sizeof(idem.body_sha256));
		e = card_send(r, &in->card, &in->req, on_minted);
	}
	if (e)
		request_fail(r, e);
}

static void
on_got(void *arg, enum err e, const void *answer)
{
	const sp_token_get_rep *rep = answer;
	struct request *r = arg;

	if (!request_alive(r))
		return;
	if (e || !rep || !rep->has_token) {
		request_fail(r, e ? request_peer_error(e, PROCESS_LEDGER) : ERR_PROTOCOL);
		return;
	}
	render_object(request_writer(), NULL, &render_token, &rep->token);
	request_send(r, 200);
}

static void
act_get(struct request *r)
{
	sp_token_get_req req = {.has_caller = true, .caller = r->caller};
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	enum err e = str_set(req.token, sizeof(req.token), r->object);

	request_waits(r, PROCESS_LEDGER);
	if (e)
		e = ERR_TOKEN_NOT_FOUND;
	else
		e = ledger ? ask_token_get(ledger, &req, LEDGER_DEADLINE_MS, on_got, r) : ERR_LEDGER_AWAY;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

static void
on_deleted(void *arg, enum err e, const void *answer)
{
	struct request *r = arg;

	(void)answer;
	if (!request_alive(r))
		return;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
	else
		request_send(r, 204);
}

static void
act_delete(struct request *r)
{
	sp_token_delete_req req = {.has_caller = true, .caller = r->caller};
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	enum err e = str_set(req.token, sizeof(req.token), r->object);

	request_waits(r, PROCESS_LEDGER);
	if (e)
		e = ERR_TOKEN_NOT_FOUND;
	else
		e = ledger ? ask_token_delete(ledger, &req, LEDGER_DEADLINE_MS, on_deleted, r) : ERR_LEDGER_AWAY;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

static const struct route routes[] = {
	{METHOD_POST, "/v1/tokens", "createToken", ROUTE_EFFECT | ROUTE_KEY | ROUTE_BODY, SCOPE_TOKENS_CREATE, &token_shape,
	 NULL, act_create, 201, &render_token, false, "Hand in a card and get a token",
	 "{\"card\":{\"number\":\"4242424242424242\",\"exp_month\":12,\"exp_year\":2031,\"cvc\":\"123\"}}"},
	{METHOD_GET, "/v1/tokens/{tok}", "getToken", 0, SCOPE_TOKENS_READ, NULL, NULL, act_get, 200, &render_token, false,
	 "Read what may be shown of a token"},
	{METHOD_DELETE, "/v1/tokens/{tok}", "deleteToken", ROUTE_EFFECT, SCOPE_TOKENS_DELETE, NULL, NULL, act_delete, 204,
	 NULL, false, "Erase a stored card"},
};

const struct api api_tokens = API_TABLE("tokens", routes);
