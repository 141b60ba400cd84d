/*
 * setup — an installation is made: token, keys, boot file, officers, the log's first leaves.
 * Invariants: only in init mode and only until the boot file carries its `complete` mark; a step that was done is not
 * done again, so that a setup that was killed is repeated and goes on. Source: design 80 (files); design 30.
 */
#ifndef VAULT_SETUP_H
#define VAULT_SETUP_H

#include "daemon/wire/peer.h"
#include "policy/schema/wire.pb.h"
#include "vault/vault.h"

/* Answers sp_vault_init_req when all is done. ERR_INITIALISED · ERR_MISSING_MEMBER · ERR_HSM_… · ERR_IO · … */
void setup_answer(struct vault *v, struct call *call, const sp_vault_init_req *req);

#endif
