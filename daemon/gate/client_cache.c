#include "daemon/gate/client_cache.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

#define SETS            256
#define WAYS            4
#define KNOWN_FOR_MS    60000
#define UNKNOWN_FOR_MS  2000
#define ASK_DEADLINE_MS 5000

static struct client cache[SETS][WAYS];

static const char *const scope_names[] = {
#define SCOPE(ID, name, what) name,
#include "policy/scopes.def"
#undef SCOPE
};

const char *
client_cache_scope_name(enum scope s)
{
	return s >= 0 && s < SCOPE_MAX ? scope_names[s] : "";
}

static void
forget(struct client *c)
{
	mem_free(c->merchants);
	*c = (struct client){0};
}

const struct client *
client_cache_find(const uint8_t cert[CLIENT_CERT_BYTES])
{
	struct client *set = cache[cert[0]];
	int64_t now = clock_mono_ms();

	for (unsigned i = 0; i < WAYS; i++) {
		if (!set[i].until_mono_ms || memcmp(set[i].cert_sha256, cert, CLIENT_CERT_BYTES) != 0)
			continue;
		if (now >= set[i].until_mono_ms) {
			forget(&set[i]);
			return NULL;
		}
		set[i].used_mono_ms = now;
		return &set[i];
	}
	return NULL;
}

static struct client *
place_for(const uint8_t cert[CLIENT_CERT_BYTES])
{
	struct client *set = cache[cert[0]], *oldest = &set[0];

	for (unsigned i = 0; i < WAYS; i++) {
		if (memcmp(set[i].cert_sha256, cert, CLIENT_CERT_BYTES) == 0)
			return &set[i];
		if (set[i].used_mono_ms < oldest->used_mono_ms)
			oldest = &set[i];
	}
	return oldest;
}

void
client_cache_put(const uint8_t cert[CLIENT_CERT_BYTES], enum err e, const sp_client_of_rep *rep)
{
	struct client *c = place_for(cert);
	int64_t now = clock_mono_ms();

	forget(c);
	memcpy(c->cert_sha256, cert, CLIENT_CERT_BYTES);
	c->standing = e;
	c->used_mono_ms = now;
	c->until_mono_ms = now + (e ? UNKNOWN_FOR_MS : KNOWN_FOR_MS);
	if (e)
		return;
	c->scopes = rep->client.scopes;
	c->epoch = rep->epoch;
	c->not_after_ms = rep->client.not_after_ms;
	c->livemode = rep->livemode;
	memcpy(c->name, rep->client.name, sizeof(c->name));
	memcpy(c->install, rep->install, sizeof(c->install));
	if (rep->client.revoked)
		c->standing = ERR_CLIENT_REVOKED;
	if (rep->client.merchants_count == 0)
		return;
	if (!(c->merchants = mem_new(rep->client.merchants_count, sizeof(*c->merchants)))) {
		forget(c); /* asked again at the next request */
		return;
	}
	c->merchants_n = rep->client.merchants_count;
	memcpy(c->merchants, rep->client.merchants, c->merchants_n * sizeof(*c->merchants));
}

void
client_cache_empty(void)
{
	for (unsigned s = 0; s < SETS; s++)
		for (unsigned i = 0; i < WAYS; i++)
			forget(&cache[s][i]);
}

struct question {
	uint8_t cert[CLIENT_CERT_BYTES];
	void (*done)(void *arg, enum err e);
	void *arg;
};

static void
on_answer(void *arg, enum err e, const void *rep)
{
	struct question *q = arg;

	if (e == ERR_CLIENT_UNKNOWN || e == ERR_CLIENT_REVOKED || (e == ERR_OK && rep)) {
		client_cache_put(q->cert, e, rep);
		e = ERR_OK;
	} else if (e == ERR_OK) {
		e = ERR_PROTOCOL;
	}
	q->done(q->arg, e == ERR_PEER_AWAY ? ERR_LEDGER_AWAY : e);
	mem_free(q);
}

enum err
client_cache_ask(const uint8_t cert[CLIENT_CERT_BYTES], void (*done)(void *arg, enum err e), void *arg)
{
	sp_client_of_req req = sp_client_of_req_init_zero;
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	struct question *q;
	enum err e;

	if (!ledger)
		return ERR_LEDGER_AWAY;
	if (!(q = mem_new(1, sizeof(*q))))
		return ERR_MEMORY;
	memcpy(q->cert, cert, CLIENT_CERT_BYTES);
	q->done = done;
	q->arg = arg;
	memcpy(req.cert_sha256, cert, CLIENT_CERT_BYTES);
	if ((e = ask_client_of(ledger, &req, ASK_DEADLINE_MS, on_answer, q)))
		mem_free(q);
	return e == ERR_PEER_AWAY ? ERR_LEDGER_AWAY : e;
}

bool
client_cache_allows(const struct client *c, enum scope s)
{
	return s == SCOPE_NONE || (c->scopes >> s & 1);
}

enum err
client_cache_merchant(const struct client *c, const char *named, const char **out)
{
	if (!*named) {
		if (c->merchants_n != 1)
			return ERR_MERCHANT_NEEDED;
		*out = c->merchants[0];
		return ERR_OK;
	}
	*out = named;
	for (unsigned i = 0; i < c->merchants_n; i++)
		if (strcmp(c->merchants[i], named) == 0)
			return ERR_OK;
	return ERR_MERCHANT_DENIED;
}
