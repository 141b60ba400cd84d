/*
 * caller — who is asking, looked up again here: certificate → client record → scopes → merchants.
 * Invariants: no name that gate sends is trusted, only the certificate's hash, and that only as far as gate itself: a
 *   taken-over gate can act for the clients that pass through it and for no other merchant than theirs.
 * Source: design 20, "Who is calling".
 */
#ifndef DAEMON_LEDGER_CALLER_H
#define DAEMON_LEDGER_CALLER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "policy/schema/wire.pb.h"

enum caller_scope {
#define SCOPE(ID, name, what) CALLER_##ID,
#include "policy/scopes.def"
#undef SCOPE
	CALLER_SCOPES
};

/*
 * caller_find(cert, out): *out is borrowed until the next turn of the loop.
 *   ERR_CLIENT_UNKNOWN · ERR_CLIENT_REVOKED · errors of the store.
 */
enum err caller_find(const uint8_t cert_sha256[32], const sp_client_view **out) MUST;
/* caller_check: found, and the scope is there. has: the request named a caller at all. ERR_CLIENT_UNKNOWN · … ·
 * ERR_SCOPE. */
enum err caller_check(bool has, const sp_caller *as, enum caller_scope scope, const sp_client_view **out) MUST;
/* caller_merchant: wanted, or the only one when it is "". ERR_MERCHANT_NEEDED · ERR_MERCHANT_DENIED. Borrowed from
 * client. */
enum err caller_merchant(const sp_client_view *client, const char *wanted, const char **out) MUST;
bool caller_sees(const sp_client_view *client, const char *merchant);
/* caller_forget: a record changed. */
void caller_forget(void);

#endif
