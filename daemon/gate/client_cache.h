/*
 * client_cache — which client a certificate belongs to, as the ledger said, for at most a minute.
 * Invariants: bounded (CLIENT_CACHE_SETS × 4 certificates, the least recently used goes); a change of any client record
 *   empties it (clients_changed); "unknown" is kept for two seconds only, so that a new client works at once.
 *   It saves a question per request and grants nothing: the ledger looks the certificate up again for every command.
 */
#ifndef DAEMON_GATE_CLIENT_CACHE_H
#define DAEMON_GATE_CLIENT_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "policy/schema/wire.pb.h"

#define CLIENT_CERT_BYTES 32

enum scope {
#define SCOPE(ID, name, what) SCOPE_##ID,
#include "policy/scopes.def"
#undef SCOPE
	SCOPE_MAX,
	SCOPE_NONE = -1
};
/* "payments:read"; "" for SCOPE_NONE. */
const char *client_cache_scope_name(enum scope s);

struct client {
	uint8_t cert_sha256[CLIENT_CERT_BYTES];
	enum err standing; /* ERR_OK · ERR_CLIENT_UNKNOWN · ERR_CLIENT_REVOKED */
	uint64_t scopes;
	uint64_t epoch;
	int64_t not_after_ms;
	bool livemode;
	char name[64];
	char install[40];
	unsigned merchants_n;
	char (*merchants)[64]; /* owned by the cache */
	int64_t until_mono_ms, used_mono_ms;
};

/* NULL: not known here, ask. Borrowed until control returns to the loop. */
const struct client *client_cache_find(const uint8_t cert[CLIENT_CERT_BYTES]);
/*
 * client_cache_ask(cert, done, arg): ask the ledger and remember; done runs once, later, when client_cache_find knows
 * more or e says why not (ERR_LEDGER_AWAY · ERR_DEADLINE · ERR_VAULT_SEALED · …).
 */
enum err client_cache_ask(const uint8_t cert[CLIENT_CERT_BYTES], void (*done)(void *arg, enum err e), void *arg) MUST;
/* Remember one answer; also what client_cache_ask does. e: ERR_OK, ERR_CLIENT_UNKNOWN or ERR_CLIENT_REVOKED. */
void client_cache_put(const uint8_t cert[CLIENT_CERT_BYTES], enum err e, const sp_client_of_rep *rep);
void client_cache_empty(void);

bool client_cache_allows(const struct client *c, enum scope s);
/*
 * client_cache_merchant(c, named, out): the merchant that a request is for.
 *   named       as the request says, "" when it does not.
 *   out         borrowed from c or named.
 *   Returns     ERR_OK · ERR_MERCHANT_NEEDED · ERR_MERCHANT_DENIED.
 */
enum err client_cache_merchant(const struct client *c, const char *named, const char **out) MUST;

#endif
