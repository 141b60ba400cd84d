#include "daemon/ledger/caller.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/ledger/ledger.h"

/* A client record is 4 KiB and a host has few clients: a handful of places by the hash's first byte. */
#define PLACES 64
static sp_client_view cache[PLACES];
static bool filled[PLACES];

void
caller_forget(void)
{
	memset(filled, 0, sizeof filled);
}

enum err
caller_find(const uint8_t cert_sha256[32], const sp_client_view **out)
{
	unsigned place = cert_sha256[0] % PLACES;
	sp_client_view *c = &cache[place];
	*out = NULL;
	if (!filled[place] || memcmp(c->cert_sha256, cert_sha256, 32) != 0) {
		filled[place] = false;
		enum err e = store_client_by_cert(ledger.store, cert_sha256, c);
		if (e)
			return e;
		filled[place] = true;
	}
	if (c->revoked || (c->not_after_ms && clock_wall_ms() > c->not_after_ms))
		return ERR_CLIENT_REVOKED;
	*out = c;
	return ERR_OK;
}

enum err
caller_check(bool has, const sp_caller *as, enum caller_scope scope, const sp_client_view **out)
{
	*out = NULL;
	if (!has)
		return ERR_CLIENT_UNKNOWN;
	enum err e = caller_find(as->cert_sha256, out);
	if (e)
		return e;
	return (*out)->scopes & (UINT64_C(1) << scope) ? ERR_OK : ERR_SCOPE;
}

bool
caller_sees(const sp_client_view *client, const char *merchant)
{
	for (pb_size_t i = 0; i < client->merchants_count; i++)
		if (!strcmp(client->merchants[i], merchant))
			return true;
	return false;
}

enum err
caller_merchant(const sp_client_view *client, const char *wanted, const char **out)
{
	*out = NULL;
	if (!wanted[0]) {
		if (client->merchants_count != 1)
			return client->merchants_count ? ERR_MERCHANT_NEEDED : ERR_MERCHANT_DENIED;
		*out = client->merchants[0];
		return ERR_OK;
	}
	for (pb_size_t i = 0; i < client->merchants_count; i++)
		if (!strcmp(client->merchants[i], wanted)) {
			*out = client->merchants[i];
			return ERR_OK;
		}
	return ERR_MERCHANT_DENIED;
}
