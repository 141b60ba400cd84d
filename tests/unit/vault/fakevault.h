/*
 * fakevault — the vault's room without processes: a real database and log in a directory of its own, keys that the test
 * made, an HSM that answers when the test says so, and replies that are kept.
 */
#ifndef TESTS_UNIT_VAULT_FAKEVAULT_H
#define TESTS_UNIT_VAULT_FAKEVAULT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/schema/wire.pb.h"
#include "vault/group.h"
#include "vault/vault.h"

#define OK(x) assert_int_equal((x), ERR_OK)

/* A new installation "t1"/"a" in test mode, open. in: where its directory is made, "/tmp" or a full path. */
struct vault *fake_open(const char *in);
void fake_close(void); /* and gone */
/* Closed and opened again, as after a restart: memory is lost, the store is there. */
void fake_restart(void);
const char *fake_dir(void);

/* Run one command and commit; its reply (a copy, zeroed when none came) to rep. */
enum err fake_run(const struct group_command *c, const void *req, void *rep);
/* The same without a commit: the answer comes with fake_commit. */
void fake_add(const struct group_command *c, const void *req);
enum err fake_commit(void);
/* How many answers came since the last question, and the last one's error. */
unsigned fake_answers(enum err *last_out);
/* What `written` was told last. */
enum err fake_written(void);

/* The HSM: answers what it was asked, with this error. Returns how many questions there were. */
unsigned fake_hsm_answers(enum err e);
/* Records of the log that hold this text. */
unsigned fake_leaves(const char *text);
/* A good tokenize question: Visa 4242…, key `key`. */
sp_tokenize_req fake_card(const char *number, const char *key);

#endif
