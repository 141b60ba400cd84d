/*
 * stage — one real process of the appliance in its real jail; the test is its monitor and its peers.
 */
#ifndef TESTS_UNIT_COURIER_STAGE_H
#define TESTS_UNIT_COURIER_STAGE_H

#include <event2/event.h>
#include <stdbool.h>
#include <sys/types.h>

#include "daemon/wire/hub.h"

#define STAGE_PEERS_MAX 4

struct stage {
	enum process process; /* who is on it */
	const char *program, *conf, *dir;
	struct event_base *base;
	struct hub monitor;
	struct hub *peers[STAGE_PEERS_MAX]; /* the sides that the test plays */
	unsigned peers_n;
	int listen_fd; /* given as GIFT_LISTEN under the process's name; -1: none */
	uint32_t owner;
	struct page *page;
	pid_t child;
	bool ready;
};

/* The base and the monitor's side; the caller has set process, program, conf, dir, listen_fd, owner. */
void stage_open(struct stage *s);
/* A side that the test plays; answers as hub_open wants them. */
void stage_peer(struct stage *s, struct hub *hub, enum process self, const struct answer *answers);
/* Start it and wait until it is ready. */
void stage_start(struct stage *s);
/* One turn of all sides. */
void stage_turn(struct stage *s);
/* Ask it to stop; its exit status. */
int stage_stop(struct stage *s);

#endif
