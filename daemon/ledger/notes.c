#include "daemon/ledger/notes.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/caller.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"

/* Who may leave what. */
static const struct {
	enum process from;
	enum audit_event event;
} allowed[] = {
	{PROCESS_MONITOR, EVENT_L_PROCESS_START}, {PROCESS_MONITOR, EVENT_L_PROCESS_DIED}, {PROCESS_GATE, EVENT_DENIED},
	{PROCESS_COURIER, EVENT_PROCESSOR_LOST},  {PROCESS_COURIER, EVENT_PROCESSOR_BACK},
};

static bool
may_leave(enum process from, uint32_t event)
{
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		if (allowed[i].from == from && (uint32_t)allowed[i].event == event)
			return true;
	return false;
}

struct noted {
	sp_ledger_note_req req;
	enum process from;
};

static enum err
act(void *arg)
{
	struct noted *n = arg;
	static const uint8_t nobody[32];
	const sp_client_view *client = NULL;
	enum err code = n->req.code < ERR_MAX ? (enum err)n->req.code : ERR_INTERNAL;
	const char *process = process_name((enum process)n->req.process);
	bool known = memcmp(n->req.cert_sha256, nobody, 32) != 0 && caller_find(n->req.cert_sha256, &client) == ERR_OK;
	const struct leaf l = {.actor = known ? ACTOR_CLIENT : ACTOR_PROCESS,
						   .actor_id = known ? client->name : process_name(n->from),
						   .cert_sha256 = memcmp(n->req.cert_sha256, nobody, 32) ? n->req.cert_sha256 : NULL,
						   .ip = n->req.ip,
						   .event = (enum audit_event)n->req.event,
						   .object_id = n->req.object[0] ? n->req.object : process,
						   .outcome = n->from == PROCESS_GATE                        ? LEAF_DENY
									  : code || n->req.event == EVENT_L_PROCESS_DIED ? LEAF_ERROR
																					 : LEAF_OK,
						   .code = code,
						   .count = (int64_t)n->req.number};
	return store_leaf(ledger.store, &l, NULL);
}

static void
done(void *arg, enum err e)
{
	if (e)
		log_warn("a note was not kept", LOG_E("cause", e));
	mem_free(arg);
}

static const struct batch_row row = {act, NULL, done};

void
notes_answer(struct call *call, const void *req)
{
	static int64_t second;
	static unsigned in_second;
	const struct peer *from = call_peer(call);
	struct noted *n;
	if (!ledger.store || !may_leave(peer_process(from), ((const sp_ledger_note_req *)req)->event))
		return;
	if (second != clock_mono_ms() / 1000) {
		second = clock_mono_ms() / 1000;
		in_second = 0;
	}
	if (in_second++ >= NOTES_PER_SECOND_MAX || !(n = mem_new(1, sizeof *n)))
		return;
	n->req = *(const sp_ledger_note_req *)req;
	n->from = peer_process(from);
	batch_run(&row, n, 512);
}
