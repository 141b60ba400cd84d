/*
 * consent — an officer's signed statement: canonical lines, a known officer, fresh, for this installation, once.
 * Invariants: consent is a signature over exactly the bytes that are acted on, and the vault itself checks it; a nonce
 * is good once, and its row is in the same transaction as the leaf. The statement: "operation=…\ninstall=…\nnonce=<32
 * hex>\nat=<RFC 3339>\n" and the lines `name=value` of its operation, all of them, in order and no others, UTF-8
 * without control characters, each ending in a line feed. Source: design 30 (officers and ceremonies); PCI
 * DSS 4.0.1 8.2.1, 10.2.1.2.
 */
#ifndef VAULT_CONSENT_H
#define VAULT_CONSENT_H

#include "policy/schema/wire.pb.h"
#include "vault/group.h"

#define CONSENT_FRESH_MS 300000

/* The lines that every statement begins with. */
struct consent_statement {
	char operation[32], install[40], nonce[33];
	int64_t at_ms;
};

/* Pure parser. ERR_FILE_FORM. */
enum err consent_parse(const uint8_t *text, size_t bytes, struct consent_statement *out) MUST;
/* sp_check_officer_req → role. ERR_OFFICER_UNKNOWN · ERR_OFFICER_SIGNATURE · ERR_OFFICER_STALE · ERR_FILE_FORM ·
 * ERR_PERMISSION (not of this officer's role); each leaves a leaf. */
extern const struct group_command consent_check_command;

#endif
