#include "vault/keylife.h"

#include <stddef.h>
#include <string.h>

#define DAY_MS   ((int64_t)86400000)
#define MONTH_MS (DAY_MS * 30)

static const char *const states[KEY_STATE_MAX] = {
#define STATE(id, name, what) [KEY_##id] = name,
#include "policy/keylife.def"
};

static const bool allowed[KEY_STATE_MAX][KEY_OPERATION_MAX] = {
#define ALLOW(state, operation, why) [KEY_##state][KEY_##operation] = true,
#include "policy/keylife.def"
};

static const bool moves[KEY_STATE_MAX][KEY_STATE_MAX] = {
#define MOVE(from, to, when) [KEY_##from][KEY_##to] = true,
#include "policy/keylife.def"
};

static const struct purpose {
	const char *name, *algorithm;
	enum key_where where;
	int months;
} purposes[KEY_PURPOSE_MAX] = {
#define PURPOSE(id, name, where, algorithm, months, what) [KEY_##id] = {name, algorithm, KEY_IN_##where, months},
#include "policy/keylife.def"
};

static bool
is_state(enum key_state s)
{
	return (unsigned)s < KEY_STATE_MAX;
}

static bool
is_purpose(enum key_purpose p)
{
	return (unsigned)p < KEY_PURPOSE_MAX;
}

enum err
keylife_may(enum key_state s, enum key_operation op)
{
	return is_state(s) && (unsigned)op < KEY_OPERATION_MAX && allowed[s][op] ? ERR_OK : ERR_KEY_RETIRED;
}

enum err
keylife_move(enum key_state from, enum key_state to)
{
	return is_state(from) && is_state(to) && moves[from][to] ? ERR_OK : ERR_INVALID_STATE;
}

const char *
keylife_state_name(enum key_state s)
{
	return is_state(s) ? states[s] : "?";
}

const char *
keylife_purpose_name(enum key_purpose p)
{
	return is_purpose(p) ? purposes[p].name : "?";
}

const char *
keylife_algorithm(enum key_purpose p)
{
	return is_purpose(p) ? purposes[p].algorithm : "?";
}

enum key_where
keylife_where(enum key_purpose p)
{
	return is_purpose(p) ? purposes[p].where : KEY_IN_VAULT;
}

int64_t
keylife_period_ms(enum key_purpose p)
{
	return is_purpose(p) ? purposes[p].months * MONTH_MS : 0;
}

enum err
keylife_state_of(const char *name, enum key_state *out)
{
	for (unsigned i = 0; i < KEY_STATE_MAX; i++) {
		if (strcmp(states[i], name) == 0) {
			*out = i;
			return ERR_OK;
		}
	}
	return ERR_NOT_FOUND;
}

enum err
keylife_purpose_of(const char *name, enum key_purpose *out)
{
	for (unsigned i = 0; i < KEY_PURPOSE_MAX; i++) {
		if (strcmp(purposes[i].name, name) == 0) {
			*out = i;
			return ERR_OK;
		}
	}
	return ERR_NOT_FOUND;
}
