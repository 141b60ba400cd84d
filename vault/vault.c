#include "vault/vault.h"

#include <stdio.h>

/*
 * token     one stored card under one token. `card` is HMAC(number, expiry): dedupe finds a card again by it. `pan` and
 *           `person` (expiry, holder) are sealed records: SQL never sees what is in them.
 * minted    which idempotency key made which token: `who` is a hash of client and key, `body` binds key to body and
 * card. redeemed  a card was opened for this attempt: unique, and asked for after a crash. signed    what was signed
 * last for each log, on the disk before the HSM is asked. nonce     officers' statements that were used, kept as long
 * as they could still be fresh.
 */
static const char tables[] =
	"CREATE TABLE token(id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, merchant TEXT NOT NULL, format INTEGER NOT "
	"NULL,"
	" fingerprint BLOB NOT NULL, card BLOB NOT NULL, brand INTEGER NOT NULL, bin TEXT NOT NULL, last4 TEXT NOT NULL,"
	" dek INTEGER NOT NULL, pan BLOB NOT NULL, epk INTEGER NOT NULL, person BLOB NOT NULL, version INTEGER NOT NULL,"
	" cvc INTEGER NOT NULL, uses INTEGER NOT NULL, max_uses INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,"
	" expires_at_ms INTEGER NOT NULL, single_use INTEGER NOT NULL, customer TEXT, metadata BLOB) STRICT;"
	"CREATE INDEX token_by_card ON token(merchant, card) WHERE max_uses = 0 AND expires_at_ms = 0;"
	"CREATE INDEX token_by_end ON token(expires_at_ms) WHERE expires_at_ms > 0;"
	"CREATE TABLE minted(id INTEGER PRIMARY KEY, who BLOB NOT NULL UNIQUE, body BLOB NOT NULL, token TEXT NOT NULL,"
	" at_ms INTEGER NOT NULL) STRICT;"
	"CREATE TABLE redeemed(attempt TEXT PRIMARY KEY, payment TEXT NOT NULL, token TEXT NOT NULL, at_ms INTEGER NOT "
	"NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE INDEX redeemed_by_payment ON redeemed(payment);"
	"CREATE TABLE signed(origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, at_ms INTEGER NOT NULL) "
	"STRICT;"
	"CREATE TABLE nonce(nonce TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

const char *const *
vault_migrations(void)
{
	static const char *all[VAULT_MIGRATIONS];
	enum {
#define SCHEMA(ID, name, migrations) SCHEMA_##ID = (migrations),
#include "policy/schema_version.def"
#undef SCHEMA
	};
	_Static_assert(VAULT_MIGRATIONS == SCHEMA_VAULT, "policy/schema_version.def says otherwise");
	all[0] = logbook_schema;
	all[1] = tables;
	return all;
}

static enum err
put_name(char *out, size_t bytes, const struct boot *b, const char *log)
{
	int n = snprintf(out, bytes, "sallyport.%s/%s%s", b->install, b->node, log);
	return n > 0 && (size_t)n < bytes ? ERR_OK : ERR_OUT_OF_RANGE;
}

enum err
vault_name(struct vault *v)
{
	enum err e = put_name(v->origin, sizeof v->origin, &v->boot, "/vault");
	if (e == ERR_OK)
		e = put_name(v->ledger_origin, sizeof v->ledger_origin, &v->boot, "/ledger");
	if (e == ERR_OK)
		e = put_name(v->ask_name, sizeof v->ask_name, &v->boot, "");
	return e;
}

enum err
vault_effects(const struct vault *v)
{
	return v->db ? v->refusing : ERR_VAULT_SEALED;
}

enum err
vault_leaf(struct vault *v, const struct leaf *l)
{
	return logbook_add(v->log, l, NULL);
}
