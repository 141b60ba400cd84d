#include "daemon/ledger/publish.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/ledger.h"
#include "daemon/wire/ask.h"

#define PUBLISH_DEADLINE_MS 30000
#define PAUSE_MS            500  /* after a refusal */
#define AHEAD_MAX           4096 /* of the oldest entry that is not marked */

enum slot_state { FREE, SENT, REFUSED, TAKEN };
static struct slot {
	enum slot_state state;
	uint64_t sequence;
	unsigned tries;
	int64_t again_mono_ms;
} slots[PUBLISH_WINDOW];

/* Slots by number: those that are free, and those that the herald took and that wait for their mark. */
static uint16_t free_slots[PUBLISH_WINDOW], taken[PUBLISH_WINDOW];
static unsigned free_n, taken_n, marking_n, refused_n;
static uint64_t sent; /* the last sequence that was handed over for the first time */
static bool behind;   /* something may be waiting */
static uint64_t dead;

void
publish_open(void)
{
	memset(slots, 0, sizeof slots);
	for (free_n = 0; free_n < PUBLISH_WINDOW; free_n++)
		free_slots[free_n] = (uint16_t)free_n;
	taken_n = marking_n = refused_n = 0;
	sent = 0;
	behind = true;
}

static void
set(struct slot *s, enum slot_state state)
{
	refused_n -= s->state == REFUSED;
	refused_n += state == REFUSED;
	s->state = state;
	if (state == TAKEN)
		taken[taken_n++] = (uint16_t)(s - slots);
	else if (state == FREE)
		free_slots[free_n++] = (uint16_t)(s - slots);
}

/* While one is refused the others go on, but not so far that the store could not remember them. */
static bool
too_far(void)
{
	uint64_t oldest = sent;
	for (unsigned i = 0; i < PUBLISH_WINDOW && refused_n; i++)
		if (slots[i].state == REFUSED && slots[i].sequence < oldest)
			oldest = slots[i].sequence;
	return sent - oldest >= AHEAD_MAX;
}

/* An entry that no sink will ever take is a dead letter: counted, logged, and out of the way. */
static void
refused(struct slot *s, enum err e)
{
	s->tries++;
	if (s->tries < PUBLISH_TRIES_MAX || err_retryable(e)) {
		set(s, REFUSED);
		s->again_mono_ms = clock_mono_ms() + PAUSE_MS;
		return;
	}
	log_warn("an event is given up", LOG_I("sequence", s->sequence), LOG_E("cause", e));
	page_set(proc_page(), METRIC_DEAD, ++dead);
	set(s, TAKEN);
}

static void mark(void);

static void
published(void *arg, enum err e, const void *rep)
{
	struct slot *s = arg;
	(void)rep;
	if (e)
		refused(s, e);
	else
		set(s, TAKEN);
	/* a window that is full of taken ones is no window: they get their marks now */
	if (behind && taken_n == PUBLISH_WINDOW / 2)
		mark();
}

static void
fill(const struct outbox_entry *entry, sp_publish_req *req)
{
	req->sequence = entry->sequence;
	memcpy(req->id, entry->id.text, sizeof req->id);
	snprintf(req->type, sizeof req->type, "%s", entry->type);
	memcpy(req->subject, entry->subject.text, sizeof req->subject);
	req->at_ms = entry->at_ms;
	memcpy(req->partition_key, entry->partition_key, sizeof req->partition_key);
	memcpy(req->traceparent, entry->traceparent, sizeof req->traceparent);
	memcpy(req->data.bytes, entry->data, entry->data_bytes);
	req->data.size = (pb_size_t)entry->data_bytes;
	req->livemode = entry->livemode;
	snprintf(req->source, sizeof req->source, "/sallyport/%s/%s", ledger.install, ledger.node);
}

static enum err
send_in(struct slot *s, const struct outbox_entry *entry)
{
	static sp_publish_req req;
	if (entry->data_bytes > sizeof req.data.bytes)
		return ERR_OUT_OF_RANGE;
	fill(entry, &req);
	enum err e = ask_publish(ledger_herald(), &req, PUBLISH_DEADLINE_MS, published, s);
	if (!e)
		set(s, SENT);
	return e;
}

/* ── new entries ── */

static enum err
send_new(void *arg, const struct outbox_entry *entry)
{
	(void)arg;
	if (!free_n)
		return ERR_LIMIT;
	struct slot *s = &slots[free_slots[--free_n]];
	s->sequence = entry->sequence;
	s->tries = 0;
	enum err e = send_in(s, entry);
	if (e == ERR_PEER_FULL || e == ERR_PEER_AWAY || e == ERR_MEMORY) {
		set(s, FREE);
		return e;
	}
	sent = entry->sequence;
	if (e)
		refused(s, e);
	return ERR_OK;
}

void
publish_push(void)
{
	if (!behind || !ledger.store || !ledger_has(ledger_herald()) || !free_n || too_far())
		return;
	unsigned room = free_n;
	enum err e = store_outbox_list(ledger.store, sent, room, send_new, NULL);
	behind = e != ERR_OK || free_n == 0;
	if (e && e != ERR_LIMIT && e != ERR_PEER_FULL && e != ERR_PEER_AWAY)
		log_warn("the outbox could not be read", LOG_E("cause", e));
}

/* ── those that were refused ── */

static enum err
send_refused(void *arg, const struct outbox_entry *entry)
{
	struct slot *s = arg;
	enum err e = entry->sequence == s->sequence ? send_in(s, entry) : ERR_OK;
	if (e)
		refused(s, e);
	return ERR_OK;
}

static void
push_again(void)
{
	int64_t now_ms = clock_mono_ms();
	if (!ledger_has(ledger_herald()))
		return;
	for (unsigned i = 0; i < PUBLISH_WINDOW; i++)
		if (slots[i].state == REFUSED && now_ms >= slots[i].again_mono_ms) {
			slots[i].again_mono_ms = now_ms + PAUSE_MS;
			enum err e = store_outbox_list(ledger.store, slots[i].sequence - 1, 1, send_refused, &slots[i]);
			if (e)
				log_warn("the outbox could not be read", LOG_E("cause", e));
		}
}

/* ── marks ── */

enum err
publish_mark(void)
{
	for (marking_n = 0; marking_n < taken_n; marking_n++) {
		enum err e = store_outbox_published(ledger.store, slots[taken[marking_n]].sequence);
		if (e && batch_fatal(e))
			return e;
		/* one that the store does not know any more needs no mark */
		if (e == ERR_LIMIT)
			break;
	}
	return ERR_OK;
}

void
publish_marked(bool kept)
{
	for (unsigned i = 0; i < marking_n && kept; i++)
		set(&slots[taken[i]], FREE);
	if (kept) {
		taken_n -= marking_n;
		memmove(taken, taken + marking_n, taken_n * sizeof *taken);
	}
	marking_n = 0;
	behind = behind || kept; /* the batch brought events, most likely */
}

static enum err
mark_act(void *arg)
{
	(void)arg;
	return ERR_OK; /* what rides in each batch does it */
}

static void
mark_done(void *arg, enum err e)
{
	(void)arg, (void)e;
}

static const struct batch_row mark_row = {mark_act, NULL, mark_done};

static void
mark(void)
{
	batch_run(&mark_row, NULL, 64);
}

void
publish_tick(bool second)
{
	static sp_ledger_facts_rep facts;
	if (refused_n)
		push_again();
	/* they ride in the next commit, or in their own after a second or when there are many */
	if (taken_n && (second || taken_n >= PUBLISH_WINDOW / 2))
		mark();
	behind = behind || second;
	publish_push();
	if (!second || store_facts(ledger.store, &facts) != ERR_OK)
		return;
	int64_t age_ms = facts.outbox ? clock_wall_ms() - (int64_t)facts.outbox_oldest_ms : 0;
	page_set(proc_page(), METRIC_OUTBOX, facts.outbox);
	page_set(proc_page(), METRIC_OUTBOX_LAG, age_ms > 0 ? (uint64_t)age_ms : 0);
}
