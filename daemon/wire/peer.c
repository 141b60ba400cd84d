#include "daemon/wire/peer.h"

#include <assert.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/wire/frame.h"
#include "daemon/wire/hub.h"
#include "policy/schema/wire.pb.h"

#define GUEST_CALLS_MAX 64

/* A question that waits for its answer. */
struct ask {
	struct deadline deadline; /* first: the heap hands back its address */
	struct peer *peer;
	uint64_t id;
	unsigned number;
	peer_done_fn done;
	peer_raw_done_fn raw_done; /* instead of done */
	void *arg;
	uint8_t *kept; /* the whole frame, of a row that is sent again */
	size_t kept_bytes;
	TAILQ_ENTRY(ask) link;
};

/* A question that waits for our answer. */
struct call {
	struct peer *peer;
	uint64_t serial; /* of the socket that it came over */
	uint64_t id;
	unsigned number;
	const uint8_t *bytes; /* while the answer function runs */
	size_t bytes_n;
	bool tell;
};

/*
 * One room for every message of the table: nothing is allocated per message, and one wipe after dispatch is enough for
 * all card data that ever comes in. Safe because user code never dispatches (hub.h).
 */
#define REP_ASK(name) sp_##name##_rep name##_rep;
#define REP_TELL(name)
static union {
#define MSG(number, name, from, to, cap, kind, loss) \
	sp_##name##_req name##_req;                      \
	REP_##kind(name)
#include "policy/messages.def"
#undef MSG
} decoded;
static bool decoded_in_use;

static uint8_t scratch[FRAME_BYTES_MAX];

void
peer_wipe_scratch(size_t bytes)
{
	mem_wipe(scratch, bytes < sizeof scratch ? bytes : sizeof scratch);
}

/* ── encoding ── */

static enum err
encode_body(const pb_msgdesc_t *fields, const void *message, size_t bytes_max, size_t *bytes_out)
{
	*bytes_out = 0;
	if (!message)
		return ERR_OK;
	pb_ostream_t out = pb_ostream_from_buffer(scratch + FRAME_HEADER_BYTES, bytes_max);
	if (!pb_encode(&out, fields, message)) {
		mem_wipe(scratch + FRAME_HEADER_BYTES, bytes_max);
		return ERR_PROTOCOL;
	}
	*bytes_out = out.bytes_written;
	return ERR_OK;
}

enum err
peer_encode(unsigned number, const void *req, const uint8_t **frame_out, size_t *bytes_out)
{
	const struct msg_row *row = msg_row_of(number);
	size_t body;
	if (!row || encode_body(row->request, req, row->bytes_max, &body) != ERR_OK)
		return ERR_PROTOCOL;
	frame_write(scratch, number, false, ERR_OK, 0, body);
	*frame_out = scratch;
	*bytes_out = FRAME_HEADER_BYTES + body;
	return ERR_OK;
}

/* ── asking ── */

static enum err
grow_slots(struct peer *p)
{
	unsigned n = p->slots_n ? p->slots_n * 2 : 32;
	struct ask **slots = mem_grow(p->slots, n * sizeof *slots);
	if (!slots)
		return ERR_MEMORY;
	p->slots = slots;
	uint16_t *free_slots = mem_grow(p->free_slots, n * sizeof *free_slots);
	if (!free_slots)
		return ERR_MEMORY;
	p->free_slots = free_slots;
	for (unsigned i = n; i-- > p->slots_n;)
		p->free_slots[p->free_n++] = (uint16_t)i;
	p->slots_n = n;
	return ERR_OK;
}

static void
forget_ask(struct ask *a)
{
	struct peer *p = a->peer;
	unsigned slot = (unsigned)(a->id & 0xffff);
	deadline_remove(&p->hub->deadlines, &a->deadline);
	TAILQ_REMOVE(&p->asks, a, link);
	p->slots[slot] = NULL;
	p->free_slots[p->free_n++] = (uint16_t)slot;
	p->asks_n--;
	p->held_bytes -= a->kept_bytes;
	mem_free(a->kept);
	mem_free(a);
}

static void
finish_ask(struct ask *a, enum err e, const void *rep, const uint8_t *raw, size_t raw_bytes)
{
	struct ask done = *a;
	forget_ask(a);
	if (done.raw_done)
		done.raw_done(done.arg, e, raw, raw_bytes);
	else
		done.done(done.arg, e, rep);
}

static enum err
new_ask(struct peer *p, enum msg number, uint32_t deadline_ms, struct ask **out)
{
	enum err e;
	struct ask *a;
	if (p->free_n == 0 && (e = grow_slots(p)) != ERR_OK)
		return e;
	if (!(a = mem_new(1, sizeof *a)))
		return ERR_MEMORY;
	if ((e = deadline_add(&p->hub->deadlines, &a->deadline, clock_mono_ms() + (deadline_ms ? deadline_ms : 1))) !=
		ERR_OK) {
		mem_free(a);
		return e;
	}
	a->peer = p;
	a->number = number;
	a->id = ++p->sequence << 16 | p->free_slots[--p->free_n];
	p->slots[a->id & 0xffff] = a;
	p->asks_n++;
	TAILQ_INSERT_TAIL(&p->asks, a, link);
	*out = a;
	return ERR_OK;
}

static enum err
keep_frame(struct ask *a, const uint8_t *frame, size_t bytes)
{
	if (!(a->kept = mem_alloc(bytes)))
		return ERR_MEMORY;
	memcpy(a->kept, frame, bytes);
	a->kept_bytes = bytes;
	a->peer->held_bytes += bytes;
	return ERR_OK;
}

/* May this question be queued now? */
static enum err
admit(const struct peer *p, enum msg number, enum msg_kind kind)
{
	const struct msg_row *row = msg_row_of(number);
	if (!row || row->kind != kind || !msg_allowed(number, p->hub->self, p->process))
		return ERR_PROTOCOL;
	if (p->fd < 0 && (kind == MSG_KIND_TELL || row->after_peer_loss != MSG_LOSS_RESEND))
		return ERR_PEER_AWAY;
	if (p->out.len > HUB_OUT_MAX || p->held_bytes > HUB_OUT_MAX || p->asks_n >= HUB_ASKS_MAX || p->doomed)
		return ERR_PEER_FULL;
	return ERR_OK;
}

/* The frame is in scratch, its body already encoded. */
static enum err
queue_ask(struct peer *p, enum msg number, size_t body, uint32_t deadline_ms, struct ask **out)
{
	struct ask *a;
	size_t bytes = FRAME_HEADER_BYTES + body;
	enum err e = new_ask(p, number, deadline_ms, &a);
	if (e != ERR_OK)
		return e;
	frame_write(scratch, number, false, ERR_OK, a->id, body);
	if (msg_row_of(number)->after_peer_loss == MSG_LOSS_RESEND)
		e = keep_frame(a, scratch, bytes);
	if (e == ERR_OK && p->fd >= 0)
		e = buf_add(&p->out, scratch, bytes);
	if (e != ERR_OK) {
		forget_ask(a);
		return e == ERR_LIMIT ? ERR_PEER_FULL : e;
	}
	hub_dirty(p);
	*out = a;
	return ERR_OK;
}

enum err
peer_ask(struct peer *p, enum msg number, const void *req, uint32_t deadline_ms, peer_done_fn done, void *arg)
{
	struct ask *a;
	size_t body;
	enum err e = admit(p, number, MSG_KIND_ASK);
	if (e != ERR_OK)
		return e;
	const struct msg_row *row = msg_row_of(number);
	if ((e = encode_body(row->request, req, row->bytes_max, &body)) != ERR_OK)
		return e;
	if ((e = queue_ask(p, number, body, deadline_ms, &a)) == ERR_OK) {
		a->done = done;
		a->arg = arg;
	}
	peer_wipe_scratch(FRAME_HEADER_BYTES + body);
	return e;
}

enum err
peer_ask_raw(struct peer *p, enum msg number, const uint8_t *req, size_t req_bytes, uint32_t deadline_ms,
			 peer_raw_done_fn done, void *arg)
{
	struct ask *a;
	enum err e = admit(p, number, MSG_KIND_ASK);
	if (e != ERR_OK)
		return e;
	if (req_bytes > msg_row_of(number)->bytes_max)
		return ERR_PROTOCOL;
	if (req_bytes)
		memcpy(scratch + FRAME_HEADER_BYTES, req, req_bytes);
	if ((e = queue_ask(p, number, req_bytes, deadline_ms, &a)) == ERR_OK) {
		a->raw_done = done;
		a->arg = arg;
	}
	peer_wipe_scratch(FRAME_HEADER_BYTES + req_bytes);
	return e;
}

enum err
peer_tell(struct peer *p, enum msg number, const void *req)
{
	const uint8_t *frame;
	size_t bytes;
	enum err e = admit(p, number, MSG_KIND_TELL);
	if (e != ERR_OK || (e = peer_encode(number, req, &frame, &bytes)) != ERR_OK)
		return e;
	e = buf_add(&p->out, frame, bytes);
	peer_wipe_scratch(bytes);
	hub_dirty(p);
	return e == ERR_LIMIT ? ERR_PEER_FULL : e;
}

/* ── loss and time ── */

void
peer_lose_asks(struct peer *p, bool all)
{
	struct ask *a, *next;
	uint64_t last = p->sequence;
	/* a callback may ask again: those have a later sequence and stay */
	for (a = TAILQ_FIRST(&p->asks); a && a->id >> 16 <= last; a = next) {
		next = TAILQ_NEXT(a, link);
		if (all || !a->kept)
			finish_ask(a, ERR_PEER_AWAY, NULL, NULL, 0);
	}
}

void
peer_resend(struct peer *p)
{
	for (struct ask *a = TAILQ_FIRST(&p->asks); a; a = TAILQ_NEXT(a, link))
		if (a->kept && buf_add(&p->out, a->kept, a->kept_bytes) != ERR_OK)
			break; /* held_bytes is far below the buffer's ceiling: no memory; its deadline ends it */
}

void
peer_expire(struct hub *h, int64_t mono_ms)
{
	struct deadline *d;
	while ((d = deadline_first(&h->deadlines)) != NULL && d->due_ms <= mono_ms)
		finish_ask((struct ask *)(void *)d, ERR_DEADLINE, NULL, NULL, 0);
}

void
peer_clear(struct peer *p)
{
	assert(TAILQ_EMPTY(&p->asks));
	mem_free(p->slots);
	mem_free(p->free_slots);
	buf_clear(&p->in);
	buf_clear(&p->out);
}

/* ── dispatch ── */

/* Into the shared room; the caller wipes it. */
static bool
decode(const pb_msgdesc_t *fields, const uint8_t *bytes, size_t n)
{
	assert(!decoded_in_use);
	decoded_in_use = true;
	pb_istream_t in = pb_istream_from_buffer(bytes, n);
	return pb_decode(&in, fields, &decoded);
}

static void
wipe_decoded(size_t bytes)
{
	mem_wipe(&decoded, bytes);
	decoded_in_use = false;
}

static enum err
take_answer(struct peer *p, const struct frame *f)
{
	unsigned slot = (unsigned)(f->id & 0xffff);
	struct ask *a = slot < p->slots_n ? p->slots[slot] : NULL;
	if (!a || a->id != f->id) /* late: its deadline came first. Never asked: a breach. */
		return f->id >> 16 <= p->sequence && f->id >> 16 > 0 && slot < p->slots_n ? ERR_OK : ERR_PROTOCOL;
	if (a->number != f->number)
		return ERR_PROTOCOL;
	if (a->raw_done) {
		finish_ask(a, f->e, NULL, f->body, f->body_bytes);
		return ERR_OK;
	}
	bool body = f->e == ERR_OK || f->body_bytes > 0;
	bool sound = !body || decode(f->row->reply, f->body, f->body_bytes);
	if (sound)
		finish_ask(a, f->e, body ? &decoded : NULL, NULL, 0);
	if (body)
		wipe_decoded(f->row->reply_bytes);
	return sound ? ERR_OK : ERR_PROTOCOL;
}

static struct call *
new_call(struct peer *p, const struct frame *f)
{
	struct call *c = mem_new(1, sizeof *c);
	if (!c)
		return NULL;
	*c = (struct call){.peer = p,
					   .serial = p->serial,
					   .id = f->id,
					   .number = f->number,
					   .bytes = f->body,
					   .bytes_n = f->body_bytes,
					   .tell = f->row->kind == MSG_KIND_TELL};
	p->refs++;
	p->calls_n++;
	return c;
}

static void
free_call(struct call *c)
{
	struct peer *p = c->peer;
	p->calls_n--;
	mem_free(c);
	hub_unref(p);
}

/* Why this question is not even looked at; ERR_OK: it is. */
static enum err
refuse(const struct peer *p, const struct frame *f)
{
	unsigned calls_max = p->process == PROCESS_OFFICER ? GUEST_CALLS_MAX : HUB_CALLS_MAX;
	/* how the appliance is can be asked by a program of any version: its messages only grow (see wire.proto) */
	if (p->mismatch && f->number != MSG_status)
		return ERR_BUILD_MISMATCH;
	if (!p->hub->answers[f->number])
		return ERR_NOT_SUPPORTED;
	if (f->row->kind == MSG_KIND_ASK && (p->calls_n >= calls_max || p->out.len > HUB_OUT_MAX))
		return ERR_OVERLOADED;
	return ERR_OK;
}

static enum err
take_request(struct peer *p, const struct frame *f)
{
	enum err refusal = refuse(p, f);
	if (refusal == ERR_OK && !decode(f->row->request, f->body, f->body_bytes)) {
		wipe_decoded(f->row->request_bytes);
		return ERR_PROTOCOL;
	}
	struct call *c = new_call(p, f);
	if (c && refusal == ERR_OK) {
		p->hub->answers[f->number](c, &decoded);
		/* an ASK may be answered and freed by now; a TELL is ours to free */
		if (f->row->kind == MSG_KIND_TELL)
			free_call(c);
	} else if (c && f->row->kind == MSG_KIND_ASK) {
		call_reply(c, refusal, NULL);
	} else if (c) {
		free_call(c);
	}
	if (refusal == ERR_OK)
		wipe_decoded(f->row->request_bytes);
	return ERR_OK;
}

static bool
same_build(const sp_hello_req *h)
{
	uint8_t ours[HUB_BUILD_ID_BYTES];
	hub_build_id(ours);
	return h->build_id.size == sizeof ours && memcmp(h->build_id.bytes, ours, sizeof ours) == 0;
}

static enum err
take_hello(struct peer *p, const sp_hello_req *h)
{
	struct hub *hub = p->hub;
	if (p->up)
		return ERR_PROTOCOL;
	p->mismatch = !same_build(h);
	if (p->mismatch && p->process != PROCESS_OFFICER) {
		log_fatal("build mismatch", LOG_S("peer", process_name(p->process)), LOG_I("index", p->index));
		return ERR_BUILD_MISMATCH;
	}
	if (p->process != PROCESS_OFFICER && (h->process != p->process || h->index != p->index || h->epoch != p->epoch))
		return ERR_PROTOCOL;
	p->up = true;
	hub_dirty(p); /* what waited for the hello */
	if (hub->on_peer)
		hub->on_peer(hub->arg, p, true);
	return ERR_OK;
}

/* The skeleton's own rows: from the monitor, to the monitor, and hello. */
static bool
is_control(const struct frame *f)
{
	return f->row->to == PROCESS_ANY || f->row->to == PROCESS_MONITOR;
}

static enum err
take_control(struct peer *p, const struct frame *f)
{
	/* what travels on a control socket has no business on another */
	if (f->number != MSG_hello && !p->control)
		return ERR_PROTOCOL;
	if (!decode(f->row->request, f->body, f->body_bytes)) {
		wipe_decoded(f->row->request_bytes);
		return ERR_PROTOCOL;
	}
	enum err e = ERR_OK;
	if (f->number == MSG_hello)
		e = take_hello(p, &decoded.hello_req);
	else if (p->hub->on_control)
		p->hub->on_control(p->hub->arg, p, f->number, &decoded);
	wipe_decoded(f->row->request_bytes);
	return e;
}

enum err
peer_dispatch(struct peer *p, const struct frame *f)
{
	if (is_control(f))
		return take_control(p, f);
	/* the first frame of a socket is its hello */
	if (!p->up && !p->control)
		return ERR_PROTOCOL;
	return f->answer ? take_answer(p, f) : take_request(p, f);
}

/* ── answering ── */

static void
queue_answer(struct call *c, enum err e, size_t body)
{
	struct peer *p = c->peer;
	frame_write(scratch, c->number, true, e, c->id, body);
	if (buf_add(&p->out, scratch, FRAME_HEADER_BYTES + body) != ERR_OK)
		p->doomed = true; /* it reads nothing any more */
	hub_dirty(p);
}

static bool
can_answer(const struct call *c)
{
	assert(!c->tell);
	return c->peer->fd >= 0 && c->serial == c->peer->serial;
}

void
call_reply(struct call *c, enum err e, const void *rep)
{
	const struct msg_row *row = msg_row_of(c->number);
	size_t body = 0;
	if (can_answer(c)) {
		if (encode_body(row->reply, rep, row->bytes_max, &body) != ERR_OK) {
			log_warn("answer does not fit its row", LOG_S("message", row->name));
			e = ERR_INTERNAL;
		}
		queue_answer(c, e, body);
		peer_wipe_scratch(FRAME_HEADER_BYTES + body);
	}
	free_call(c);
}

void
call_reply_raw(struct call *c, enum err e, const uint8_t *rep, size_t rep_bytes)
{
	if (can_answer(c)) {
		if (rep_bytes > msg_row_of(c->number)->bytes_max) {
			e = ERR_INTERNAL;
			rep_bytes = 0;
		}
		if (rep_bytes)
			memcpy(scratch + FRAME_HEADER_BYTES, rep, rep_bytes);
		queue_answer(c, e, rep_bytes);
		peer_wipe_scratch(FRAME_HEADER_BYTES + rep_bytes);
	}
	free_call(c);
}

struct peer *
call_peer(const struct call *c)
{
	return c->peer;
}

enum msg
call_number(const struct call *c)
{
	return (enum msg)c->number;
}

const uint8_t *
call_bytes(const struct call *c, size_t *bytes_out)
{
	*bytes_out = c->bytes_n;
	return c->bytes;
}

/* ── facts ── */

bool
peer_up(const struct peer *p)
{
	return p->up;
}

enum process
peer_process(const struct peer *p)
{
	return p->process;
}

unsigned
peer_index(const struct peer *p)
{
	return p->index;
}

uint64_t
peer_epoch(const struct peer *p)
{
	return p->epoch;
}

uint32_t
peer_uid(const struct peer *p)
{
	return p->uid;
}

size_t
peer_queued(const struct peer *p)
{
	return p->out.len;
}
