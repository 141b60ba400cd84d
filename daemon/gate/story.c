#include "daemon/gate/story.h"

#include <event2/event.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/str.h"
#include "daemon/gate/client_cache.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

#define STORY_WAITING 256
#define STORY_MS      200
#define LENGTH_BYTES  2 /* before each: a record has less than 16 KiB */

static struct {
	sp_request_record waiting[STORY_WAITING];
	unsigned n;
	bool timed;
} story;

/* ── to the ledger ── */

static void
tell(struct peer *ledger, const sp_request_notes_req *req)
{
	if (req->records.size && tell_request_notes(ledger, req) != ERR_OK)
		log_warn("what became of some requests is not kept", LOG_I("bytes", req->records.size));
}

static uint64_t
second_of(const sp_request_record *r)
{
	return (uint64_t)r->at_ms / 1000;
}

/* All that began in this second; as many messages as they need. */
static void
tell_second(struct peer *ledger, uint64_t second)
{
	static sp_request_notes_req req;
	req.second = second;
	req.records.size = 0;
	for (unsigned i = 0; i < story.n; i++) {
		const sp_request_record *r = &story.waiting[i];
		size_t bytes;
		if (second_of(r) != second || !pb_get_encoded_size(&bytes, sp_request_record_fields, r))
			continue;
		if (req.records.size + bytes + LENGTH_BYTES > sizeof req.records.bytes) {
			tell(ledger, &req);
			req.records.size = 0;
		}
		pb_ostream_t out =
			pb_ostream_from_buffer(req.records.bytes + req.records.size, sizeof req.records.bytes - req.records.size);
		if (pb_encode_delimited(&out, sp_request_record_fields, r))
			req.records.size += (pb_size_t)out.bytes_written;
	}
	tell(ledger, &req);
}

/* Nearly always one second or two. Not by qsort(3), which asks the kernel how much memory there is: our jail ends who
 * does. */
void
story_flush(void)
{
	struct peer *ledger = proc_peer(PROCESS_LEDGER, 0);
	for (unsigned i = 0; i < story.n && ledger; i++) {
		uint64_t second = second_of(&story.waiting[i]);
		unsigned before = 0;
		while (before < i && second_of(&story.waiting[before]) != second)
			before++;
		if (before == i)
			tell_second(ledger, second);
	}
	story.n = 0;
}

static void
moment_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	story.timed = false;
	story_flush();
}

/* ── one request ── */

/* By the names of render_request. */
static uint32_t
idempotency_of(const struct request *r)
{
	if (!(r->route->flags & ROUTE_KEY) || r->code == ERR_IDEMPOTENCY_MISSING || r->code == ERR_IDEMPOTENCY_KEY)
		return 0;
	return r->code == ERR_IDEMPOTENCY_BUSY ? 3 : r->code == ERR_IDEMPOTENCY_REUSED ? 4 : r->replayed ? 2 : 1;
}

static void
put_text(char *to, size_t size, const char *text)
{
	if (str_set(to, size, text) != ERR_OK)
		to[0] = 0;
}

/* The second is the one that the id names: who asks has nothing else. */
static int64_t
began_at_ms(const char *id)
{
	struct id taken;
	return id_take("req", id, &taken) == ERR_OK ? id_time_ms(&taken) : 0;
}

void
story_keep(const struct request *r, int status)
{
	const struct timeval moment = {0, STORY_MS * 1000};
	const struct client *c =
		r->route && !(r->route->flags & ROUTE_OPEN) ? client_cache_find(r->caller.cert_sha256) : NULL;
	if (!c)
		return;
	uint64_t total = (uint64_t)(clock_mono_us() - r->began_us), away = (uint64_t)r->vault_us + r->ledger_us;
	sp_request_record *to = &story.waiting[story.n++];
	/* member by member: to clear 300 bytes first is what it would cost most */
	memcpy(to->id, r->caller.request_id, sizeof to->id);
	put_text(to->client, sizeof to->client, c->name);
	snprintf(to->route, sizeof to->route, "%s %s", method_name(r->route->method), r->route->path);
	to->status = (uint32_t)status;
	put_text(to->code, sizeof to->code, r->code ? err_code(r->code) : "");
	to->idempotency = idempotency_of(r);
	memcpy(to->payment, r->payment, sizeof to->payment);
	to->has_timings = true;
	to->timings = (sp_request_timings){total, total > away ? total - away : 0, r->vault_us, r->ledger_us};
	to->leaves_count = 0;
	put_text(to->traceparent, sizeof to->traceparent,
			 str_holds_pan(r->caller.traceparent, strlen(r->caller.traceparent)) ? "" : r->caller.traceparent);
	to->at_ms = began_at_ms(r->caller.request_id);
	if (story.n == STORY_WAITING)
		story_flush();
	else if (!story.timed && event_base_once(proc_base(), -1, EV_TIMEOUT, moment_over, NULL, &moment) == 0)
		story.timed = true;
}
