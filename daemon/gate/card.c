#include "daemon/gate/card.h"

#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

#define VAULT_DEADLINE_MS 5000

#define TRACK(name_)                                                   \
	{                                                                  \
		.name = (name_), .kind = MEMBER_REFUSED, .bad = ERR_CARD_TRACK \
	}

static const struct member members[] = {
	TRACK("track1"),
	TRACK("track2"),
	TRACK("track_data"),
	TRACK("pin"),
	TRACK("pin_block"),
	{.name = "number",
	 .kind = MEMBER_DIGITS,
	 .flags = MEMBER_REQUIRED,
	 .least = 12,
	 .most = 19,
	 .bad = ERR_CARD_LENGTH,
	 .offset = offsetof(struct card, pan),
	 .bytes = sizeof(((struct card *)0)->pan.bytes),
	 .what = "12 to 19 digits without spaces"},
	{.name = "exp_month",
	 .kind = MEMBER_UINT32,
	 .flags = MEMBER_REQUIRED,
	 .least = 1,
	 .most = 12,
	 .bad = ERR_CARD_EXPIRY,
	 .offset = offsetof(struct card, exp_month),
	 .what = "1 to 12"},
	{.name = "exp_year",
	 .kind = MEMBER_UINT32,
	 .flags = MEMBER_REQUIRED,
	 .least = 2000,
	 .most = 2199,
	 .bad = ERR_CARD_EXPIRY,
	 .offset = offsetof(struct card, exp_year),
	 .what = "four digits"},
	{.name = "cvc",
	 .kind = MEMBER_DIGITS,
	 .least = 3,
	 .most = 4,
	 .bad = ERR_CARD_CVC,
	 .offset = offsetof(struct card, cvc),
	 .bytes = sizeof(((struct card *)0)->cvc.bytes),
	 .what = "kept in guarded memory until the authorization has ended, never stored"},
	{.name = "holder",
	 .kind = MEMBER_BYTES,
	 .flags = MEMBER_NO_PAN,
	 .least = 1,
	 .most = 127,
	 .offset = offsetof(struct card, holder),
	 .bytes = sizeof(((struct card *)0)->holder.bytes),
	 .what = "the cardholder's name"},
};
const struct shape card_shape = SHAPE("CardRequest", members);

enum err
card_send(struct request *r, struct card *c, sp_tokenize_req *req, peer_done_fn done)
{
	struct peer *vault = proc_peer(PROCESS_VAULT, 0);
	enum err e = ERR_VAULT_AWAY;

	memcpy(&req->pan, &c->pan, sizeof(req->pan));
	memcpy(&req->cvc, &c->cvc, sizeof(req->cvc));
	memcpy(&req->holder, &c->holder, sizeof(req->holder));
	req->exp_month = c->exp_month;
	req->exp_year = c->exp_year;
	req->has_caller = true;
	req->caller = r->caller;
	(void)memcpy(req->client, r->client->name, sizeof(req->client));
	request_waits(r, PROCESS_VAULT);
	if (vault)
		e = ask_tokenize(vault, req, VAULT_DEADLINE_MS, done, r);
	mem_wipe(c, sizeof(*c));
	mem_wipe(req, sizeof(*req));
	return request_peer_error(e, PROCESS_VAULT);
}

void
card_complain(struct request *r, enum err e)
{
	static const struct {
		enum err e;
		const char *pointer;
	} pointers[] = {{ERR_CARD_LUHN, "/card/number"},
					{ERR_CARD_LENGTH, "/card/number"},
					{ERR_CARD_EXPIRED, "/card/exp_year"},
					{ERR_CARD_EXPIRY, "/card/exp_month"},
					{ERR_CARD_CVC, "/card/cvc"},
					{ERR_TEST_CARD_IN_LIVE, "/card/number"},
					{ERR_REAL_CARD_IN_TEST, "/card/number"}};

	for (size_t i = 0; i < sizeof(pointers) / sizeof(*pointers); i++)
		if (pointers[i].e == e)
			complaints_add(&r->complaints, e, pointers[i].pointer, NULL);
}
