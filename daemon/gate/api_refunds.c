#include "daemon/base/str.h"
#include "daemon/gate/operation.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

static void
on_got(void *arg, enum err e, const void *answer)
{
	const sp_refund_get_rep *rep = answer;
	struct request *r = arg;

	if (!request_alive(r))
		return;
	if (e || !rep || !rep->has_refund) {
		request_fail(r, e ? request_peer_error(e, PROCESS_LEDGER) : ERR_PROTOCOL);
		return;
	}
	render_object(request_writer(), NULL, &render_refund, &rep->refund);
	request_send(r, 200);
}

static void
act_get(struct request *r)
{
	sp_refund_get_req req = {.has_caller = true, .caller = r->caller};
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	enum err e = str_set(req.id, sizeof(req.id), r->object);

	request_waits(r, PROCESS_LEDGER);
	if (!e)
		e = ledger ? ask_refund_get(ledger, &req, OPERATION_READ_DEADLINE_MS, on_got, r) : ERR_LEDGER_AWAY;
	else
		e = ERR_REFUND_NOT_FOUND;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

static const struct route routes[] = {
	{METHOD_GET, "/v1/refunds/{any}", "getRefund", 0, SCOPE_PAYMENTS_READ, NULL, NULL, act_get, 200, &render_refund,
	 false, "Read a refund"},
};

const struct api api_refunds = API_TABLE("refunds", routes);
