/*
 * keyring — the vault's keys in memory, unwrapped once by the HSM and then used without it.
 * Invariants: keys stand in the secret arena only; the 32 bytes that the HSM unwraps are never used themselves but only
 *   HKDF of them bound to install, purpose and generation; a key whose commitment does not match its row never enters;
 *   what a key may be used for is its state's (policy/keylife.def).
 * Source: design 30; NIST SP 800-57; RFC 5869; PCI DSS 4.0.1 3.6.1.2.
 */
#ifndef VAULT_KEYRING_H
#define VAULT_KEYRING_H

#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "daemon/wire/peer.h"
#include "policy/schema/wire.pb.h"
#include "vault/boot.h"
#include "vault/keylife.h"
#include "vault/xaes.h"

struct keyring;

/* Arena room that a keyring of n generations of each key needs at most: for proc_spec.arena_bytes. */
#define KEYRING_ARENA_BYTES 32768

/*
 * keyring_new(b, out): an empty keyring over the rows of b, which stays the caller's and must outlive it. Draws SADK.
 *   Returns   ERR_OK · ERR_MEMORY · ERR_CVC_ROOM.
 */
enum err keyring_new(struct boot *b, struct keyring **out) MUST;
/* Wipes all keys. Not while a make or unwrap is running (asserted). NULL is fine. */
void keyring_free(struct keyring *k);

typedef void (*keyring_done_fn)(void *arg, enum err e);
/*
 * keyring_make_all(k, hsm, deadline_ms, done, arg)
 *   At init, after hsm_login: makes kek, ask, xsk, ahk generation 1 in the HSM (those that are there stay), draws and
 *   wraps the rest, derives LSK. Rows that b has already are unwrapped instead, so it may be run again after a kill.
 *   New rows are in b when done runs with ERR_OK: boot_store them.
 * keyring_unwrap_all(k, hsm, deadline_ms, done, arg)
 *   At start, after hsm_login: unwraps every row whose state allows any use, checks ask and xsk against the HSM's
 * public keys (ERR_HSM_KEY: another token), derives LSK. One question to the HSM at a time, each with deadline_ms. done
 * runs exactly once, never before the call returns. On failure the keyring holds no key from the run and may be run
 * again. done's e  ERR_OK · ERR_HSM_CORRUPT (a blob or a commitment) · ERR_HSM_AWAY · ERR_HSM_KEY · ERR_PEER_AWAY ·
 * ERR_DEADLINE · … Returns   ERR_OK (done will run) · ERR_EXISTS (running, or run) · ERR_HSM_KEY (b lacks rows) ·
 * ERR_PEER_AWAY · ERR_PEER_FULL · ERR_MEMORY. Blocks    no.
 */
enum err keyring_make_all(struct keyring *k, struct peer *hsm, uint32_t deadline_ms, keyring_done_fn done,
						  void *arg) MUST;
enum err keyring_unwrap_all(struct keyring *k, struct peer *hsm, uint32_t deadline_ms, keyring_done_fn done,
							void *arg) MUST;
bool keyring_ready(const struct keyring *k);

/*
 * keyring_get(k, purpose, generation, op, out)
 *   DEK, EPK, FPK, PGK_VAULT, PGK_LEDGER, LSK (generation of ahk), SADK (generation 1): 32 bytes, borrowed, until
 *   keyring_free.
 *   Returns   ERR_OK · ERR_KEY_RETIRED (its state does not allow op) · ERR_HSM_KEY (no such key in memory).
 */
enum err keyring_get(const struct keyring *k, enum key_purpose p, uint32_t generation, enum key_operation op,
					 const struct secret **out) MUST;
/* keyring_xaes: the same for DEK, EPK, SADK, with its AES schedule ready. */
enum err keyring_xaes(const struct keyring *k, enum key_purpose p, uint32_t generation, enum key_operation op,
					  const struct xaes **out) MUST;
/* The active generation: what new records name. ERR_HSM_KEY · ERR_KEY_RETIRED (none is active). */
enum err keyring_active(const struct keyring *k, enum key_purpose p, uint32_t *generation_out) MUST;

/*
 * keyring_list(k, out, max): every row and SADK and LSK as key_views; returns how many. `uses` and `rows` are 0:
 * whoever counts them fills them in by key and generation.
 */
size_t keyring_list(const struct keyring *k, sp_key_view *out, size_t max);

#endif
