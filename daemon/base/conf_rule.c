#include "daemon/base/conf_rule.h"

#include <stdio.h>
#include <string.h>

enum relation { AT_MOST, AT_LEAST, BELOW, NONE_BUT_IN_TEST };
enum held { TO_PRESET, TO_WRITTEN };

static const struct rule {
	enum conf_key key;
	enum relation relation;
	enum conf_key other;
	enum held held;
	const char *why;
} rules[] = {
#define RULE(ID, relation, OTHER, held, why) {CONF_##ID, relation, CONF_##OTHER, held, why},
#include "policy/config_rule.def"
#undef RULE
};

static const char *const words[] = {
	[AT_MOST] = "at most", [AT_LEAST] = "at least", [BELOW] = "less than", [NONE_BUT_IN_TEST] = "none while mode is"};

static bool
holds(const struct conf *c, const struct rule *r)
{
	if (r->relation == NONE_BUT_IN_TEST)
		return strcmp(conf_text(c, r->key), "none") == 0 || strcmp(conf_text(c, r->other), "test") == 0;
	int64_t a = conf_int(c, r->key), b = conf_int(c, r->other);
	if (a == 0)
		return true;
	return r->relation == AT_MOST ? a <= b : r->relation == AT_LEAST ? a >= b : a < b;
}

enum err
conf_rule_check(const struct conf *c, struct buf *problems)
{
	enum err e = ERR_OK;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		const struct rule *r = &rules[i];
		const char *from = conf_origin(c, r->key);
		bool written = strcmp(conf_origin(c, r->other), CONF_PRESET) != 0;
		if (strcmp(from, CONF_PRESET) == 0 || (r->held == TO_WRITTEN && !written) || holds(c, r))
			continue;
		e = ERR_CONFIG;
		if (problems && buf_printf(problems, "%s: %s: %s contradicts %s = %s: %s; allowed: %s %s\n", from,
								   conf_name(r->key), conf_text(c, r->key), conf_name(r->other), conf_text(c, r->other),
								   r->why, words[r->relation], conf_text(c, r->other)) != ERR_OK)
			break; /* no room for more problems: the first ones are enough */
	}
	return e;
}
