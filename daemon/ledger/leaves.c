#include "daemon/ledger/leaves.h"

#include <stdio.h>

#include "daemon/ledger/ledger.h"

enum err
leaves_client(enum audit_event event, const sp_caller *as, const char *client, const char *object, const char *merchant,
			  enum err e)
{
	const struct leaf l = {.actor = ACTOR_CLIENT,
						   .actor_id = client,
						   .cert_sha256 = as->cert_sha256,
						   .ip = as->ip,
						   .event = event,
						   .object_id = object,
						   .merchant = merchant,
						   .outcome = e ? LEAF_DENY : LEAF_OK,
						   .code = e,
						   .request = as->request_id};
	return store_leaf(ledger.store, &l, NULL);
}

enum err
leaves_processor(enum audit_event event, const char *account, const char *object, const char *merchant,
				 sp_operation_status status, const char *reason)
{
	static const enum leaf_outcome outcome[] = {
		[sp_OP_SUCCEEDED] = LEAF_OK,    [sp_OP_DECLINED] = LEAF_DENY,   [sp_OP_FAILED] = LEAF_ERROR,
		[sp_OP_UNKNOWN] = LEAF_UNKNOWN, [sp_OP_PENDING] = LEAF_UNKNOWN, [sp_OP_NEEDS_REVIEW] = LEAF_UNKNOWN,
	};
	const struct leaf l = {.actor = ACTOR_PROCESSOR,
						   .actor_id = account,
						   .event = event,
						   .object_id = object,
						   .merchant = merchant,
						   .outcome = outcome[status],
						   .reason = reason};
	return store_leaf(ledger.store, &l, NULL);
}

enum err
leaves_process(enum audit_event event, const char *process, const char *object, enum err e, int64_t count)
{
	const struct leaf l = {.actor = ACTOR_PROCESS,
						   .actor_id = process,
						   .event = event,
						   .object_id = object,
						   .outcome = e ? LEAF_ERROR : LEAF_OK,
						   .code = e,
						   .count = count};
	return store_leaf(ledger.store, &l, NULL);
}

enum err
leaves_officer(enum audit_event event, const char *officer, uint32_t uid, const char *object, enum err e)
{
	char number[16];
	snprintf(number, sizeof number, "%u", uid);
	const struct leaf l = {.actor = officer[0] ? ACTOR_OFFICER : ACTOR_UID,
						   .actor_id = officer[0] ? officer : number,
						   .event = event,
						   .object_id = object,
						   .outcome = e ? LEAF_DENY : LEAF_OK,
						   .code = e};
	return store_leaf(ledger.store, &l, NULL);
}
