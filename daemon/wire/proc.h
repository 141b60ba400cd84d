/*
 * proc — the skeleton of every child process: control socket, gifts, jail, loop, peers, page, reload, stop.
 * Invariants: main is a table and a call of proc_run; a child holds no descriptor that the monitor did not give it; end
 *   of file on the control socket ends the process; peers come and go, struct peer stays.
 *
 * A child starts with descriptor 3 = its control socket and nothing else. The monitor sends `give` frames (one
 * descriptor each), then `go`. Then: conf parsed → before_jail → jail → after_jail → `ready` → loop.
 */
#ifndef DAEMON_WIRE_PROC_H
#define DAEMON_WIRE_PROC_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/conf.h"
#include "daemon/base/err.h"
#include "daemon/wire/page.h"
#include "daemon/wire/peer.h"

struct event_base;

struct proc_spec {
	enum process self;
	const struct answer *answers; /* ends with {MSG_NONE, NULL}; checked against messages.def at start */
	/* Load and warm up: dlopen, CA bundle, getaddrinfo, secret_open. Gifts can be taken, peers can't be asked. */
	enum err (*before_jail)(void);
	/* In the jail: open databases, start. Peers can be asked from here on. */
	enum err (*after_jail)(void);
	/* A peer came up (again) or went away. May be NULL. */
	void (*on_peer)(struct peer *p, bool up);
	/* All readable peers of this turn of the loop have been dispatched: commit the batch. May be NULL. */
	void (*on_turn)(void);
	/* A new configuration is in force (proc_conf()). May be NULL. */
	void (*on_reload)(void);
	/* Finish what runs within grace_ms and call proc_exit. NULL: exit at once. */
	void (*on_stop)(uint32_t grace_ms);
	size_t arena_bytes; /* of the secret arena; 0 for none */
};

/* proc_run: the whole life of a child; returns its exit status (0 stop, 1 failed, see *_main.c). */
int proc_run(const struct proc_spec *spec, int argc, char **argv);

struct event_base *proc_base(void);
const struct conf *proc_conf(void);
struct page *proc_page(void); /* our own, writable */
unsigned proc_index(void);
bool proc_init_mode(void); /* started by sallyportd --init */
/* NULL when no row of messages.def links us with it, or no such instance. Stable for the life of the process. */
struct peer *proc_peer(enum process p, unsigned index);
/* take the descriptor of a gift, -1 when it was not given; the caller owns it. name may be NULL. */
int proc_gift(int what, const char *name);
/* The uid that owns this installation (the caller of init), for desk. UINT32_MAX when it was not told. */
uint32_t proc_owner(void);
/* Our peer at the other end of the control socket. */
struct peer *proc_monitor(void);
/* Pages of all processes (desk, gate, monitor): NULL when not given or not mapped. */
const struct page *proc_page_of(enum process p, unsigned index);
/*
 * proc_listen(fd, allow)
 *   Accept peers of process OFFICER on a listening descriptor (desk): each becomes a struct peer with its uid.
 *   fd        a listening Unix socket; owned from here on
 *   allow     may this uid (SO_PEERCRED) talk to us? One that may not gets a hello whose epoch is ERR_PERMISSION.
 *   At most 64 programs at a time, 16 of one uid; those above get ERR_OVERLOADED in the same way.
 *   Returns   ERR_OK · ERR_MEMORY.
 */
enum err proc_listen(int fd, bool (*allow)(uint32_t uid)) MUST;
/* Leave the loop and exit with this status; fatal errors log first. */
void proc_exit(int status);
_Noreturn void proc_die(enum err e, const char *what);
/*
 * Set state and cause in our page (daemon/wire/page.h): what status, health, readyz and the console show. A process
 * that has said nothing when after_jail returns is taken to be serving: one that still waits for something says
 * proc_state(PAGE_STARTING, ERR_NOT_READY) there.
 */
void proc_state(enum page_state state, enum err cause);

#endif
