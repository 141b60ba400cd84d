/*
 * views — what officers' programs may read: keys, facts, the log, the audit keys. Nothing here opens a card.
 */
#ifndef VAULT_VIEWS_H
#define VAULT_VIEWS_H

#include "policy/schema/wire.pb.h"
#include "vault/group.h"

/* All while the vault is open, except facts and audit keys, which a sealed vault answers as far as it knows. */
enum err views_keys(struct vault *v, sp_key_list_rep *out) MUST;
void views_facts(struct vault *v, enum err cause, const sp_hsm_status_rep *hsm, sp_vault_facts_rep *out);
/* ERR_VAULT_SEALED before the boot file is known. */
enum err views_audit_keys(struct vault *v, sp_audit_keys_rep *out) MUST;
/* A piece of the log; see policy/schema/wire.proto. ERR_OUT_OF_RANGE (size beyond what is committed) · ERR_DB · ERR_IO.
 */
enum err views_audit_read(struct vault *v, const sp_vault_audit_read_req *req, sp_vault_audit_read_rep *out) MUST;
/* The leaf that the beginning of an export leaves; answers the question after its COMMIT. */
extern const struct group_command views_export_begin_command;

#endif
