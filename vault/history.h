/*
 * history — the vault signs the position of a log only if it follows from the position that it signed last.
 * Invariants: signed(origin, size, root) is on the disk before the HSM is asked; what was signed once may be signed
 * again and nothing that contradicts it ever is; a log that shrank or was rewritten is refused with a leaf. Source: RFC
 * 6962 2.1.2; C2SP tlog-checkpoint; design 40 (checkpoint and witness).
 */
#ifndef VAULT_HISTORY_H
#define VAULT_HISTORY_H

#include "policy/schema/wire.pb.h"
#include "vault/group.h"

/* What was signed last; size 0: nothing yet. ERR_DB · ERR_IO. */
enum err history_last(struct vault *v, const char *origin, uint64_t *size_out, uint8_t root_out[HASH_BYTES]) MUST;
/*
 * sp_sign_checkpoint_req of the ledger's log; answered when the HSM has signed. ERR_VERSION_CONFLICT (with signed_size)
 * · ERR_CRYPTO (leaf checkpoint.refused) · ERR_HSM_AWAY · ERR_DEADLINE · ERR_AUDIT_AWAY.
 */
extern const struct group_command history_ledger_command;
/*
 * history_own(v, done, arg): our own log by the same rule, when it has grown; stored in the logbook when signed.
 * done (may be NULL) runs once: ERR_OK (also when there was nothing to sign) or why not.
 */
void history_own(struct vault *v, void (*done)(void *arg, enum err e), void *arg);
bool history_running(void);

#endif
