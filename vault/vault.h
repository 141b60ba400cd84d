/*
 * vault — what the process holds: one struct, made by unseal and borrowed by everything else in this room.
 * Invariants: db, log and keys are there exactly while the vault is open; nothing outside this room sees the struct.
 */
#ifndef VAULT_VAULT_H
#define VAULT_VAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/secret.h"
#include "daemon/db/db.h"
#include "daemon/db/logbook.h"
#include "vault/boot.h"
#include "vault/keyring.h"

struct group;
struct cvc_store;
struct grants;
struct refusals;

/* As the configuration has it now; the main fills it in, so that the rest can be tested without a process. */
struct vault_limits {
	int64_t cvc_ttl_ms, idempotency_ttl_ms;
	uint64_t redeem_per_minute;
	bool published_only;
	uint32_t hsm_deadline_ms;
};

struct vault {
	struct boot boot;
	struct keyring *keys;
	struct db *db;
	struct logbook *log;
	struct group *group;
	struct cvc_store *cvc;
	struct grants *grants;
	struct refusals *refusals;
	struct vault_limits limits;
	struct peer *hsm;             /* borrowed, stable */
	bool hsm_in;                  /* it is up and logged in */
	enum err refusing;            /* ERR_OK, or why effects are refused now (sealed, HSM, disk) */
	uint64_t cards;               /* stored */
	uint64_t tokenized, redeemed; /* since the start of the process */
	uint64_t anchored_size;       /* both logs' sizes in the HSM's anchor, added */
	int64_t checkpoint_at_ms;     /* when our own log was signed last */
	char origin[NOTE_ORIGIN_MAX], ledger_origin[NOTE_ORIGIN_MAX];
	char ask_name[96]; /* of the checkpoint key */
};

/* Migrations of vault.db, the log's first. Static. */
#define VAULT_MIGRATIONS 2
const char *const *vault_migrations(void);

/* vault_name(v): origins and key name from the boot file's install and node. ERR_OUT_OF_RANGE. */
enum err vault_name(struct vault *v) MUST;
/* vault_effects(v): ERR_OK, or the reason for which nothing new may be done. */
enum err vault_effects(const struct vault *v) MUST;
/* vault_leaf(v, l): queue one leaf for the open transaction; a leaf that can't be made fails its command. */
enum err vault_leaf(struct vault *v, const struct leaf *l) MUST;

#endif
