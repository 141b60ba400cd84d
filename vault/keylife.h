/*
 * keylife — the states of a key and what each allows, from policy/keylife.def.
 * Invariants: what the table does not allow is refused; DESTROYED is final.
 * Source: NIST SP 800-57 part 1 rev. 5, section 7; PCI DSS 4.0.1 3.7.
 */
#ifndef VAULT_KEYLIFE_H
#define VAULT_KEYLIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"

enum key_state {
#define STATE(id, name, what) KEY_##id,
#include "policy/keylife.def"
	KEY_STATE_MAX
};

enum key_purpose {
#define PURPOSE(id, name, where, algorithm, months, what) KEY_##id,
#include "policy/keylife.def"
	KEY_PURPOSE_MAX
};

enum key_operation { KEY_PROTECT, KEY_PROCESS, KEY_REPLACE, KEY_OPERATION_MAX };
enum key_where { KEY_IN_HSM, KEY_IN_VAULT, KEY_IN_LEDGER };

/* ERR_OK · ERR_KEY_RETIRED. */
enum err keylife_may(enum key_state s, enum key_operation op) MUST;
/* ERR_OK · ERR_INVALID_STATE. */
enum err keylife_move(enum key_state from, enum key_state to) MUST;

/* Static text, "?" outside the table. */
const char *keylife_state_name(enum key_state s);
const char *keylife_purpose_name(enum key_purpose p);
const char *keylife_algorithm(enum key_purpose p);
enum key_where keylife_where(enum key_purpose p);
/* Length of its period, 0: none. */
int64_t keylife_period_ms(enum key_purpose p);
/* Back from a name. ERR_NOT_FOUND. */
enum err keylife_state_of(const char *name, enum key_state *out) MUST;
enum err keylife_purpose_of(const char *name, enum key_purpose *out) MUST;

#endif
