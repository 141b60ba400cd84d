/*
 * house — what the vault does for itself: the commit at the end of a turn, and once a second the disk, codes past their
 * time, counted refusals, pruning, checkpoint and anchor.
 */
#ifndef VAULT_HOUSE_H
#define VAULT_HOUSE_H

#include "vault/group.h"

extern const struct group_hooks house_hooks;
/* Commit what waits and shorten the WAL. Nothing to do while sealed. A failed fsync ends the process. */
void house_commit(struct vault *v);
/* Once a second while the vault is open. */
void house_tick(struct vault *v);

#endif
