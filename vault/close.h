/*
 * close — what ends the life of a code or a card: a closed authorization, a code past its time, a deleted token.
 */
#ifndef VAULT_CLOSE_H
#define VAULT_CLOSE_H

#include "policy/schema/wire.pb.h"
#include "vault/group.h"

/* sp_close_authorization_req: wipes the code, erases a single-use token. Any number of times. Runs while effects are
 * refused. */
extern const struct group_command close_authorization_command;
/* Is there a code to wipe or a card to erase? Most closed authorizations leave neither, and then cost no transaction.
 * ERR_DB · ERR_IO. */
enum err close_needed(struct vault *v, const sp_close_authorization_req *r, bool *needed_out) MUST;
/* sp_vault_token_delete_req. ERR_TOKEN_NOT_FOUND · what vault_effects says. */
extern const struct group_command close_delete_command;
/* req: a token's text. The code's time is over. */
extern const struct group_command close_overdue_command;

#endif
