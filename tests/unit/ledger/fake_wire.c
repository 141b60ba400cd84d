#include "tests/unit/ledger/fake_wire.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"

struct peer {
	enum process process;
	bool up;
};
static struct peer peers[PROCESS_MAX];

struct call {
	enum msg number;
	struct peer *from;
	bool replied;
	enum err e;
	uint8_t *rep;
};

#define ASKS_MAX 4096
static struct fake_ask *asks[ASKS_MAX];
static unsigned asks_n;
static void (*end_of_turn)(void), (*one_tick)(void);
static int64_t skew_ms;
static struct page page, other_pages[PROCESS_MAX];

int64_t __real_clock_mono_ms(void);
int64_t __wrap_clock_mono_ms(void);
int64_t __real_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void);

int64_t
__wrap_clock_mono_ms(void)
{
	return __real_clock_mono_ms() + skew_ms;
}

int64_t
__wrap_clock_wall_ms(void)
{
	return __real_clock_wall_ms() + skew_ms;
}

/* ── proc ── */

struct event_base *
proc_base(void)
{
	static struct event_base *base;
	return base ? base : (base = event_base_new());
}

const struct conf *
proc_conf(void)
{
	static struct conf *conf;
	return conf ? conf : (conf = conf_new());
}

struct page *
proc_page(void)
{
	return &page;
}

const struct page *
proc_page_of(enum process p, unsigned index)
{
	struct page *q = &other_pages[p];
	q->process = p;
	atomic_store(&q->heartbeat_mono_ms, clock_mono_ms());
	return index == 0 ? q : NULL;
}

struct page *
fake_page(enum process p)
{
	return &other_pages[p];
}

bool
proc_init_mode(void)
{
	return true;
}

struct peer *
proc_peer(enum process p, unsigned index)
{
	peers[p].process = p;
	return index == 0 ? &peers[p] : NULL;
}

void
proc_exit(int status)
{
	(void)status;
}

void
proc_die(enum err e, const char *what)
{
	(void)e, (void)what;
	abort();
}

void
proc_state(enum page_state state, enum err cause)
{
	page.process = PROCESS_LEDGER;
	atomic_store(&page.state, (uint32_t)state);
	atomic_store(&page.cause, (uint32_t)cause);
}

enum page_state
fake_state(void)
{
	return (enum page_state)atomic_load(&page.state);
}

/* ── peers ── */

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

enum err
peer_ask(struct peer *p, enum msg number, const void *req, uint32_t deadline_ms, peer_done_fn done, void *arg)
{
	const struct msg_row *row = msg_row_of(number);
	(void)deadline_ms;
	assert(row && row->kind == MSG_KIND_ASK && row->to == p->process);
	if (!p->up && row->after_peer_loss != MSG_LOSS_RESEND)
		return ERR_PEER_AWAY;
	assert(asks_n < ASKS_MAX);
	struct fake_ask *a = calloc(1, sizeof *a);
	*a = (struct fake_ask){.number = number, .req = malloc(row->request_bytes), .done = done, .arg = arg};
	memcpy(a->req, req, row->request_bytes);
	asks[asks_n++] = a;
	return ERR_OK;
}

enum err
peer_tell(struct peer *p, enum msg number, const void *req)
{
	(void)p, (void)number, (void)req;
	return ERR_OK;
}

struct fake_ask *
fake_take(enum msg number)
{
	for (unsigned i = 0; i < asks_n; i++)
		if (asks[i]->number == number) {
			struct fake_ask *a = asks[i];
			memmove(&asks[i], &asks[i + 1], (asks_n - i - 1) * sizeof *asks);
			asks_n--;
			return a;
		}
	return NULL;
}

unsigned
fake_open(enum msg number)
{
	unsigned n = 0;
	for (unsigned i = 0; i < asks_n; i++)
		n += asks[i]->number == number;
	return n;
}

void
fake_answer(struct fake_ask *a, enum err e, const void *rep)
{
	a->done(a->arg, e, rep);
	free(a->req);
	free(a);
	fake_turn();
}

void
fake_up(enum process p, bool up)
{
	proc_peer(p, 0)->up = up;
}

/* ── calls ── */

struct call *
fake_call_more(enum msg number, answer_fn act, const void *req)
{
	const struct msg_row *row = msg_row_of(number);
	struct call *c = calloc(1, sizeof *c);
	enum process from = row->from & (1u << PROCESS_GATE) ? PROCESS_GATE : PROCESS_COURIER;
	c->number = number;
	c->from = proc_peer(from, 0);
	act(c, req);
	return c;
}

struct call *
fake_call(enum msg number, answer_fn act, const void *req)
{
	struct call *c = fake_call_more(number, act, req);
	fake_turn();
	return c;
}

void
call_reply(struct call *call, enum err e, const void *rep)
{
	const struct msg_row *row = msg_row_of(call->number);
	assert(!call->replied);
	call->replied = true;
	call->e = e;
	if (rep) {
		call->rep = malloc(row->reply_bytes);
		memcpy(call->rep, rep, row->reply_bytes);
	}
}

struct peer *
call_peer(const struct call *call)
{
	return call->from;
}

bool
fake_replied(const struct call *call)
{
	return call->replied;
}

enum err
fake_err(const struct call *call)
{
	assert(call->replied);
	return call->e;
}

const void *
fake_rep(const struct call *call)
{
	return call->rep;
}

void
fake_done(struct call *call)
{
	free(call->rep);
	free(call);
}

/* ── time ── */

void
fake_on_turn(void (*turn)(void), void (*tick)(void))
{
	end_of_turn = turn;
	one_tick = tick;
	for (unsigned p = 0; p < PROCESS_MAX; p++)
		atomic_store(&other_pages[p].state, PAGE_SERVING);
}

void
fake_turn(void)
{
	end_of_turn();
	event_base_loop(proc_base(), EVLOOP_NONBLOCK);
}

void
fake_pass_ms(int64_t ms)
{
	skew_ms += ms;
	atomic_store(&page.heartbeat_mono_ms, clock_mono_ms());
	one_tick();
	fake_turn();
}
