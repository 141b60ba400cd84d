#include "daemon/ledger/leaves.h"

#include <stdio.h>
#include <string.h>

#include "daemon/ledger/ledger.h"

/* Which leaf names which request: a ring of small slots, found by the end of the id (its random part). What a lost
 * batch left in it is harmless: its request was not answered, and the numbers are given again to leaves that overwrite
 * it. */
#define SLOTS 65536 /* a power of two */
#define STEPS 8     /* a request has few leaves */
static struct slot {
	uint64_t tail[2], seq;
} slots[SLOTS];

static bool
tail_of(const char *request, uint64_t out[2])
{
	size_t n = strlen(request);
	if (n < 16)
		return false;
	memcpy(out, request + n - 16, 16);
	return true;
}

static unsigned
first_slot(const uint64_t tail[2])
{
	return (unsigned)((tail[0] ^ tail[1] * UINT64_C(0x9e3779b97f4a7c15)) >> 48);
}

static void
remember(const char *request, uint64_t seq)
{
	uint64_t tail[2];
	struct slot *oldest = NULL;
	if (!tail_of(request, tail))
		return;
	for (unsigned i = 0; i < STEPS; i++) {
		struct slot *s = &slots[(first_slot(tail) + i) % SLOTS];
		if (!oldest || s->seq < oldest->seq)
			oldest = s;
	}
	*oldest = (struct slot){{tail[0], tail[1]}, seq};
}

unsigned
leaves_of(const char *request, uint64_t *out, unsigned max)
{
	uint64_t tail[2];
	unsigned n = 0;
	if (!tail_of(request, tail))
		return 0;
	for (unsigned i = 0; i < STEPS; i++) {
		const struct slot *s = &slots[(first_slot(tail) + i) % SLOTS];
		if (s->tail[0] == tail[0] && s->tail[1] == tail[1] && n < max)
			out[n++] = s->seq;
	}
	/* few: by hand */
	for (unsigned i = 1; i < n; i++)
		for (unsigned k = i; k > 0 && out[k - 1] > out[k]; k--) {
			uint64_t x = out[k];
			out[k] = out[k - 1];
			out[k - 1] = x;
		}
	return n;
}

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
	uint64_t seq;
	enum err failed = store_leaf(ledger.store, &l, &seq);
	if (!failed)
		remember(as->request_id, seq);
	return failed;
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
