/*
 * unseal — from a sealed vault to a serving one, and what it is while serving: one state, shown in the page.
 *   boot file → PIN → HSM log-in → keys → database and log → anchor → serving
 * Invariants: nothing is served before the last step; a cause that can pass by itself is tried again every second, one
 * that can't (another token, a damaged store, a rollback) keeps the vault sealed until a person has acted. Source:
 * design 30.
 */
#ifndef VAULT_UNSEAL_H
#define VAULT_UNSEAL_H

#include "vault/vault.h"

/* Reads the boot file and begins. Never fails: what fails is the cause that is shown. */
void unseal_start(struct vault *v);
/* Go on when a step can be taken: after a log-in, once a second, at the end of setup. */
void unseal_step(struct vault *v);
/* Once a second, and after every change of HSM or disk: work out vault.refusing and the page's state. */
void unseal_show(struct vault *v);
/* Open database and log with the keyring's page key (also used by setup). Errors as db_open, logbook_open, cvc_new. */
enum err unseal_open_stores(struct vault *v) MUST;
/* Take over from setup: the stores are open, there is nothing left to do but to serve. */
void unseal_serve(struct vault *v);
enum err unseal_cause(void);
/* Keep out while setup works; a step of ours is not begun. */
void unseal_hold(bool held);

#endif
