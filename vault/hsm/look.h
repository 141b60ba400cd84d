/*
 * look — is this a PKCS#11 module, and does it have our token? For `sallyport config check` and `doctor`, which never
 * load a module themselves: they run this program as the HSM's user, and kill it when it takes too long.
 * Invariants: nobody logs in, no PIN is known here, nothing on the token is changed.
 */
#ifndef VAULT_HSM_LOOK_H
#define VAULT_HSM_LOOK_H

/*
 * look_run(argc, argv): argv is hsm --look MODULE [TOKEN [software]], in the HSM's own directory when TOKEN is given.
 *   Writes one line: an error's code ("ok": all is there) and what the module said last.
 *   Returns 0 (it looked) · 2 (usage).
 */
int look_run(int argc, char **argv);

#endif
