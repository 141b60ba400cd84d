/* What became of a request, for the client that sent it. */
#include <event2/event.h>

#include "daemon/base/clock.h"
#include "daemon/base/id.h"
#include "daemon/base/str.h"
#include "daemon/gate/operation.h"
#include "daemon/gate/story.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

/* Another gate may hold it still: its moment is waited for. */
#define AGAIN_MS 250
#define FRESH_MS 1000

static void ask(struct request *r);

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct request *r = arg;

	(void)fd, (void)what;
	if (request_alive(r))
		ask(r);
}

static bool
may_come(const struct request *r)
{
	struct id id;

	return id_take("req", r->object, &id) == ERR_OK && clock_wall_ms() - id_time_ms(&id) < FRESH_MS &&
		   clock_mono_us() - r->began_us < (FRESH_MS - AGAIN_MS) * 1000LL;
}

static void
on_got(void *arg, enum err e, const void *answer)
{
	const struct timeval again = {0, AGAIN_MS * 1000};
	const sp_request_get_rep *rep = answer;
	struct request *r = arg;

	if (!request_alive(r))
		return;
	if (e == ERR_NOT_FOUND && may_come(r) && event_base_once(proc_base(), -1, EV_TIMEOUT, on_again, r, &again) == 0)
		return;
	if (e || !rep || !rep->has_record) {
		request_fail(r, e ? request_peer_error(e, PROCESS_LEDGER) : ERR_PROTOCOL);
		return;
	}
	render_object(request_writer(), NULL, &render_request, &rep->record);
	request_send(r, 200);
}

static void
ask(struct request *r)
{
	sp_request_get_req req = {.has_caller = true, .caller = r->caller};
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	enum err e = str_set(req.id, sizeof(req.id), r->object);

	story_flush();
	request_waits(r, PROCESS_LEDGER);
	if (!e)
		e = ledger ? ask_request_get(ledger, &req, OPERATION_READ_DEADLINE_MS, on_got, r) : ERR_LEDGER_AWAY;
	if (e)
		request_fail(r, request_peer_error(e, PROCESS_LEDGER));
}

static const struct route routes[] = {
	{METHOD_GET, "/v1/requests/{req}", "getRequest", 0, SCOPE_NONE, NULL, NULL, ask, 200, &render_request, false,
	 "What became of a request of this client"},
};

const struct api api_requests = API_TABLE("requests", routes);
