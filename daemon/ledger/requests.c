#include "daemon/ledger/requests.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/id.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/caller.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/leaves.h"
#include "daemon/ledger/ledger.h"

#define PRUNE_EVERY_MS 1000
/* A record grows by its leaves' numbers. */
#define CHUNK_BYTES (2 * sizeof((sp_request_notes_req){0}.records.bytes))

/* ── keeping ── */

/* Each record gets the numbers of the leaves that name it, which the gate can't know. */
static enum err
with_leaves(const sp_request_notes_req *req, uint8_t *chunk, size_t *n_out)
{
	static sp_request_record record;
	pb_istream_t in = pb_istream_from_buffer(req->records.bytes, req->records.size);
	pb_ostream_t out = pb_ostream_from_buffer(chunk, CHUNK_BYTES);
	while (in.bytes_left) {
		if (!pb_decode_delimited(&in, sp_request_record_fields, &record))
			return ERR_PROTOCOL;
		record.leaves_count =
			(pb_size_t)leaves_of(record.id, record.leaves, sizeof record.leaves / sizeof *record.leaves);
		if (!pb_encode_delimited(&out, sp_request_record_fields, &record))
			return ERR_LIMIT;
	}
	*n_out = out.bytes_written;
	return ERR_OK;
}

static enum err
act(void *arg)
{
	static uint8_t chunk[CHUNK_BYTES];
	static int64_t pruned_ms;
	const sp_request_notes_req *req = arg;
	int64_t now_ms = clock_wall_ms();
	size_t n;
	enum err e = with_leaves(req, chunk, &n);
	if (!e)
		e = store_requests_put(ledger.store, req->second, chunk, n, now_ms);
	if (e || clock_mono_ms() - pruned_ms < PRUNE_EVERY_MS)
		return e;
	pruned_ms = clock_mono_ms();
	int64_t before_ms = now_ms - conf_int(proc_conf(), CONF_REQUESTS_KEEP);
	return store_requests_prune(ledger.store, before_ms > 0 ? (uint64_t)before_ms / 1000 : 0,
								(uint64_t)conf_int(proc_conf(), CONF_REQUESTS_BYTES));
}

static void
done(void *arg, enum err e)
{
	if (e)
		log_warn("what became of some requests is not kept", LOG_E("cause", e));
	mem_free(arg);
}

void
requests_notes(struct call *call, const void *request)
{
	static const struct batch_row row = {act, NULL, done};
	(void)call;
	/* nothing of the reserve is for this */
	if (!ledger.store || effects_allowed() != ERR_OK)
		return;
	sp_request_notes_req *copy = mem_new(1, sizeof *copy);
	if (!copy)
		return;
	memcpy(copy, request, sizeof *copy);
	batch_run(&row, copy, copy->records.size);
}

/* ── telling ── */

struct search {
	const char *id, *client; /* client NULL: anybody's, for officers */
	sp_request_record *out;
	bool found;
};

static enum err
look(void *arg, const uint8_t *records, size_t n, bool *stop_out)
{
	struct search *s = arg;
	pb_istream_t in = pb_istream_from_buffer(records, n);
	while (in.bytes_left && pb_decode_delimited(&in, sp_request_record_fields, s->out)) {
		if (strcmp(s->out->id, s->id) != 0)
			continue;
		/* another client's is not there for this one */
		s->found = !s->client || strcmp(s->out->client, s->client) == 0;
		*stop_out = true;
		break;
	}
	return ERR_OK;
}

static enum err
find(const char *id, const char *client, sp_request_record *out)
{
	struct id taken;
	struct search s = {id, client, out, false};
	enum err e = id_take("req", id, &taken);
	if (e)
		return ERR_NOT_FOUND;
	e = store_requests_find(ledger.store, (uint64_t)id_time_ms(&taken) / 1000, look, &s);
	return e ? e : s.found ? ERR_OK : ERR_NOT_FOUND;
}

static void
get(struct call *call, const void *request)
{
	static sp_request_get_rep rep;
	const sp_request_get_req *req = request;
	const sp_client_view *client;
	enum err e = req->has_caller ? caller_find(req->caller.cert_sha256, &client) : ERR_CLIENT_UNKNOWN;
	if (!e)
		e = find(req->id, client->name, &rep.record);
	rep.has_record = true;
	call_reply(call, e, e ? NULL : &rep);
}

void
requests_get(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_request_get_req), get);
}

static void
show(struct call *call, const void *request)
{
	static sp_request_show_rep rep;
	const sp_request_show_req *req = request;
	enum err e = find(req->id, NULL, &rep.record);
	rep.has_record = true;
	call_reply(call, e, e ? NULL : &rep);
}

void
requests_show(struct call *call, const void *req)
{
	if (!ledger_closed(call))
		batch_read(call, req, sizeof(sp_request_show_req), show);
}
