#include "daemon/domain/routing.h"

#include <string.h>

static bool
matches(const char *wanted, const char *given)
{
	return !*wanted || strcmp(wanted, given) == 0;
}

static bool
rule_matches(const struct routing_rule *r, const struct routing_query *q)
{
	return matches(r->merchant, q->merchant) && matches(r->origin, q->origin) &&
		   strncmp(q->bin, r->bin_prefix, strlen(r->bin_prefix)) == 0 && (!r->currency || r->currency == q->currency) &&
		   q->amount_minor >= r->least_minor && (!r->most_minor || q->amount_minor <= r->most_minor);
}

/* An account of another merchant or of the other mode is no account. */
static const struct routing_account *
usable(const struct routing_query *q, const struct routing_account *accounts, unsigned n, const char *id)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(accounts[i].id, id) == 0 && matches(accounts[i].merchant, q->merchant) &&
			accounts[i].livemode == q->livemode)
			return &accounts[i];
	return NULL;
}

enum err
routing_pick(const struct routing_query *query, const struct routing_rule *rules, unsigned n_rules,
			 const struct routing_account *accounts, unsigned n_accounts, const char *fallback,
			 const struct routing_account **account_out, const char **rule_out)
{
	const struct routing_account *found = NULL;
	const char *rule = "default";

	if (*query->processor) {
		/* Who names an account means this one: no rule may send the payment elsewhere. */
		found = usable(query, accounts, n_accounts, query->processor);
		rule = "request";
	} else {
		for (unsigned i = 0; i < n_rules && !found; i++) {
			if (!rule_matches(&rules[i], query))
				continue;
			found = usable(query, accounts, n_accounts, rules[i].account);
			rule = rules[i].name;
		}
		if (!found) {
			found = usable(query, accounts, n_accounts, fallback);
			rule = "default";
		}
	}
	if (!found)
		return ERR_PROCESSOR_UNKNOWN;
	*account_out = found;
	*rule_out = rule;
	return ERR_OK;
}
