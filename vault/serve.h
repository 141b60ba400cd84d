/*
 * serve — one answer function for each message that the vault takes: who may, now; then the command of its own file.
 * Invariants: effects are refused without a leaf while nothing may be done; what ends things goes on; a sealed vault
 * answers facts, audit keys and setup only.
 */
#ifndef VAULT_SERVE_H
#define VAULT_SERVE_H

#include "daemon/wire/peer.h"
#include "vault/vault.h"

/* Ends with {MSG_NONE, NULL}. */
extern const struct answer serve_answers[];
/* The vault that is served; before the first answer. */
void serve_open(struct vault *v);
/* At the end of each turn, before the commit, and once a second: answers what waited for the vault to be opened. */
void serve_turn(void);

#endif
