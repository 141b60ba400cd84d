/*
 * signing — an export's manifest and archive, signed with XSK: only over checkpoints that this vault signed.
 * Invariants: the leaf audit.export is committed before the HSM is asked; nothing is signed that was not looked at
 *   (manifest_check), so XSK is no oracle.
 * Source: design 40 (export); minisign's prehashed form.
 */
#ifndef VAULT_SIGNING_H
#define VAULT_SIGNING_H

#include "policy/schema/wire.pb.h"
#include "vault/group.h"

/*
 * sp_sign_export_req, as policy/schema/wire.proto says: the manifest, then also the tar. ERR_OUT_OF_RANGE ·
 * ERR_FILE_FORM · ERR_VERIFY_FAILED · ERR_HSM_AWAY · ERR_DEADLINE · ERR_AUDIT_AWAY.
 */
extern const struct group_command signing_export_command;

#endif
