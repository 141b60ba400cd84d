#include "daemon/herald/outbox.h"

#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/herald/bus.h"
#include "daemon/herald/cloudevent.h"
#include "daemon/wire/proc.h"
#include "policy/schema/wire.pb.h"

#define SINKS_MAX 8

static struct {
	const struct bus *sinks[SINKS_MAX];
	size_t sinks_n;
	struct outbox_order order;
} outbox;

/* One entry between the sinks: it is answered when the last of them has spoken. */
struct entry {
	struct call *call;
	unsigned waiting;
	enum err worst;
	uint64_t sequence;
	char key[sizeof((sp_publish_req *)0)->partition_key];
};

/* ── the rule of order ── */

static unsigned
place_of(const char *key)
{
	uint32_t h = 2166136261u;
	for (; *key; key++)
		h = (h ^ (uint8_t)*key) * 16777619u;
	return (h ^ h >> 8 ^ h >> 16 ^ h >> 24) & 255;
}

bool
outbox_take(struct outbox_order *o, const char *key, uint64_t sequence, int64_t now_ms)
{
	unsigned at = place_of(key);
	/* the ledger may have given the entry up: then nobody is left to wait for */
	if (o->held[at].sequence && now_ms - o->held[at].at_ms > OUTBOX_HOLD_MS)
		o->held[at].sequence = 0;
	if (o->held[at].sequence && sequence > o->held[at].sequence)
		return false;
	if (sequence == o->held[at].sequence)
		o->held[at].sequence = 0;
	return true;
}

void
outbox_failed(struct outbox_order *o, const char *key, uint64_t sequence, int64_t now_ms)
{
	unsigned at = place_of(key);
	if (o->held[at].sequence && o->held[at].sequence < sequence)
		return;
	o->held[at].sequence = sequence;
	o->held[at].at_ms = now_ms;
}

/* ── entries ── */

/* Events wait, payments do not: a sink in trouble is a warning of a process that serves. */
static void
say_state(enum err e)
{
	static enum err said = ERR_OK;
	if (e != said)
		proc_state(PAGE_SERVING, said = e);
}

static void
sink_done(void *arg, enum err e)
{
	struct entry *entry = arg;

	if (e != ERR_OK)
		entry->worst = e;
	if (--entry->waiting)
		return;
	if (entry->worst != ERR_OK) {
		outbox_failed(&outbox.order, entry->key, entry->sequence, clock_mono_ms());
		log_warn("an event was not taken", LOG_I("sequence", entry->sequence), LOG_E("error", entry->worst));
	} else
		page_add(proc_page(), METRIC_PUBLISHED, 1);
	say_state(entry->worst);
	sp_publish_rep rep = sp_publish_rep_init_zero;
	call_reply(entry->call, entry->worst, entry->worst == ERR_OK ? &rep : NULL);
	mem_free(entry);
}

static void
put_everywhere(struct entry *entry, const sp_publish_req *req, const char *line)
{
	struct bus_entry e = {.sequence = req->sequence,
						  .id = req->id,
						  .type = req->type,
						  .key = entry->key,
						  .event = line,
						  .event_bytes = strlen(line)};
	/* one for ourselves, so that the entry lives until all sinks were asked */
	entry->waiting = 1 + (unsigned)outbox.sinks_n;
	for (size_t i = 0; i < outbox.sinks_n; i++) {
		enum err err = outbox.sinks[i]->put(&e, sink_done, entry);
		if (err != ERR_OK)
			sink_done(entry, err);
	}
	sink_done(entry, ERR_OK);
}

void
outbox_answer(struct call *call, const void *request)
{
	const sp_publish_req *req = request;
	const char *key = *req->partition_key ? req->partition_key : req->subject;
	struct entry *entry = NULL;
	char *line = NULL;
	enum err e;

	if (!outbox_take(&outbox.order, key, req->sequence, clock_mono_ms())) {
		call_reply(call, ERR_PEER_FULL, NULL);
		return;
	}
	e = cloudevent_line(req, conf_text(proc_conf(), CONF_INSTALL), &line);
	if (e == ERR_OK && !(entry = mem_new(1, sizeof *entry)))
		e = ERR_MEMORY;
	if (e == ERR_OK) {
		entry->call = call;
		entry->sequence = req->sequence;
		memcpy(entry->key, key, strlen(key) + 1);
		put_everywhere(entry, req, line);
	} else {
		if (e != ERR_JSON) /* what can't be an event never will be: it does not hold the others */
			outbox_failed(&outbox.order, key, req->sequence, clock_mono_ms());
		log_warn("an event could not be written", LOG_I("sequence", req->sequence), LOG_E("error", e));
		call_reply(call, e, NULL);
	}
	mem_free(line);
}

void
outbox_turn(void)
{
	for (size_t i = 0; i < outbox.sinks_n; i++)
		outbox.sinks[i]->turn();
}

/* ── sinks ── */

enum err
outbox_open(const struct conf *conf)
{
	const struct bus *bus;
	for (size_t i = 0; (bus = bus_at(i)) != NULL && outbox.sinks_n < SINKS_MAX; i++) {
		if (!bus->wanted(conf))
			continue;
		enum err e = bus->open(conf);
		if (e != ERR_OK) {
			log_warn("a sink of events did not open", LOG_S("bus", bus->name), LOG_E("error", e));
			return e;
		}
		outbox.sinks[outbox.sinks_n++] = bus;
	}
	return ERR_OK;
}

void
outbox_reload(const struct conf *conf)
{
	for (size_t i = 0; i < outbox.sinks_n; i++) {
		enum err e = outbox.sinks[i]->reload(conf);
		if (e != ERR_OK)
			log_warn("a sink of events did not reload", LOG_S("bus", outbox.sinks[i]->name), LOG_E("error", e));
	}
}

void
outbox_close(void)
{
	while (outbox.sinks_n)
		outbox.sinks[--outbox.sinks_n]->close();
}
