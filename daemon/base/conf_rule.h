/*
 * conf_rule — values that are right each by itself and contradict each other.
 * Invariants: presets never contradict; only a key that somebody wrote is complained of, at its own file and line.
 *   Adding a rule is adding a row to policy/config_rule.def.
 */
#ifndef DAEMON_BASE_CONF_RULE_H
#define DAEMON_BASE_CONF_RULE_H

#include "daemon/base/conf.h"

/* conf_rule_check(c, problems): each contradiction is one line in problems (may be NULL), in the form of conf_parse.
 * ERR_CONFIG. */
enum err conf_rule_check(const struct conf *c, struct buf *problems) MUST;

#endif
