/*
 * routing — which processor account a payment goes to, and by which rule. Pure: rules in, account out.
 * Now: the processor that the request names, else the merchant's default account, else the configured one. Rules by
 * origin, BIN, currency and amount have their members; no rule crosses test and live.
 */
#ifndef DAEMON_DOMAIN_ROUTING_H
#define DAEMON_DOMAIN_ROUTING_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define ROUTING_NAME_BYTES 64

/* Empty members match everything. */
struct routing_rule {
	char name[ROUTING_NAME_BYTES];
	char merchant[ROUTING_NAME_BYTES], origin[ROUTING_NAME_BYTES * 2];
	char bin_prefix[9];
	uint32_t currency;
	int64_t least_minor, most_minor; /* 0: no bound */
	char account[ROUTING_NAME_BYTES];
};

/* A processor account: "simulator" or "<connector>:<name>". */
struct routing_account {
	char id[ROUTING_NAME_BYTES];
	char connector[32];
	char merchant[ROUTING_NAME_BYTES]; /* empty: any merchant */
	bool livemode;
};

struct routing_query {
	const char *merchant, *origin, *processor, *bin; /* processor: what the request names, "" if nothing */
	uint32_t currency;
	int64_t amount_minor;
	bool livemode;
};

/*
 * routing_pick(query, rules, n_rules, accounts, n_accounts, fallback, account_out, rule_out)
 *   First match in order; account_out points into accounts. rule_out: "request", the rule's name, or "default".
 *   Returns ERR_OK · ERR_PROCESSOR_UNKNOWN (named account is not this merchant's, or of the other mode; or none fits).
 */
enum err routing_pick(const struct routing_query *query, const struct routing_rule *rules, unsigned n_rules,
					  const struct routing_account *accounts, unsigned n_accounts, const char *fallback,
					  const struct routing_account **account_out, const char **rule_out) MUST;

#endif
