/*
 * tokens — the ledger's part of a token's life: who may see or erase it. The card itself stays in the vault.
 */
#ifndef DAEMON_LEDGER_TOKENS_H
#define DAEMON_LEDGER_TOKENS_H

#include "daemon/wire/peer.h"

void tokens_get(struct call *call, const void *req);    /* answers token_get */
void tokens_delete(struct call *call, const void *req); /* answers token_delete */

#endif
