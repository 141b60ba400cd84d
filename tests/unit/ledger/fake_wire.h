/*
 * fake_wire — the ledger's peers as a test's own: every question is kept until the test answers it, every answer that
 * the ledger gives is kept until the test looks at it. Stands in for proc.c and peer.c of daemon/wire.
 */
#ifndef TESTS_UNIT_LEDGER_FAKE_WIRE_H
#define TESTS_UNIT_LEDGER_FAKE_WIRE_H

#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

struct fake_ask {
	enum msg number;
	uint8_t *req; /* copy of the request struct */
	peer_done_fn done;
	void *arg;
};

/* The oldest open question with this number, taken out; NULL: none. Give it to fake_answer. */
struct fake_ask *fake_take(enum msg number);
/* Runs its callback, ends the turn and frees it. */
void fake_answer(struct fake_ask *a, enum err e, const void *rep);
unsigned fake_open(enum msg number);

/* A question to the ledger. fake_call: the ledger answers it with act and the turn ends. */
struct call *fake_call(enum msg number, answer_fn act, const void *req);
/* Without the end of the turn. */
struct call *fake_call_more(enum msg number, answer_fn act, const void *req);
bool fake_replied(const struct call *call);
enum err fake_err(const struct call *call);
const void *fake_rep(const struct call *call); /* NULL: no body */
void fake_done(struct call *call);

void fake_up(enum process p, bool up);
void fake_turn(void);
void fake_pass_ms(int64_t ms); /* the clocks go on, and a tick runs */
void fake_on_turn(void (*turn)(void), void (*tick)(void));
enum page_state fake_state(void);
struct page *fake_page(enum process p); /* what that process says of itself */

#endif
