/*
 * softhand — the hsm's answers made by hand in this process, in place of wire's peer_ask: for tests of the code above
 * it. Invariants: answers come later, from softhand_run, as they do from a real peer.
 */
#ifndef TESTS_UNIT_VAULT_SOFTHAND_H
#define TESTS_UNIT_VAULT_SOFTHAND_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/wire/peer.h"

struct softhand {
	unsigned asked;   /* questions so far */
	unsigned fail_at; /* 0: none; the k-th question (from 1) gets fail_with */
	enum err fail_with;
	bool refuse;     /* the failing question is refused by peer_ask itself: no callback */
	bool lie;        /* the failing question gets a wrong answer instead: a flipped bit */
	uint8_t ad[200]; /* of the last key that was wrapped or unwrapped */
	size_t ad_bytes;
	bool busy; /* a question is open: never two */
};
extern struct softhand softhand;

/* A fresh HSM: new keys. */
void softhand_reset(void);
/* Answers until nothing is asked any more. */
void softhand_run(void);

#endif
