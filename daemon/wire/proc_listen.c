#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/wire/frame.h"
#include "daemon/wire/hub.h"
#include "daemon/wire/proc.h"
#include "policy/schema/wire.pb.h"

#define GUESTS_MAX  64
#define OF_UID_MAX  16
#define ACCEPTS_MAX 16 /* in one turn */

static struct {
	bool (*allow)(uint32_t uid);
	struct event *event;
	struct hub *hub;
} listener;

/* Counted, not remembered: there are few of them. */
static enum err
admit(uint32_t uid)
{
	unsigned all = 0, of_uid = 0;
	for (const struct peer *p = TAILQ_FIRST(&listener.hub->peers); p; p = TAILQ_NEXT(p, link)) {
		all += p->process == PROCESS_OFFICER;
		of_uid += p->process == PROCESS_OFFICER && p->uid == uid;
	}
	if (!listener.allow(uid))
		return ERR_PERMISSION;
	return all >= GUESTS_MAX || of_uid >= OF_UID_MAX ? ERR_OVERLOADED : ERR_OK;
}

/* The reason stands where a hello has its epoch; the client program knows it there. */
static void
turn_away(int fd, enum err e)
{
	sp_hello_req hello = {.process = PROCESS_DESK, .epoch = (uint64_t)e, .build_id = {.size = HUB_BUILD_ID_BYTES}};
	const uint8_t *frame;
	size_t bytes;
	hub_build_id(hello.build_id.bytes);
	if (peer_encode(MSG_hello, &hello, &frame, &bytes) == ERR_OK &&
		send(fd, frame, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_info("turned away", LOG_S("reply", "not delivered"));
	close(fd);
}

static void
welcome(int fd)
{
	struct ucred who;
	socklen_t n = sizeof who;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0) {
		close(fd);
		return;
	}
	enum err e = admit(who.uid);
	struct peer *p = e == ERR_OK ? hub_guest(listener.hub, PROCESS_OFFICER, who.uid) : NULL;
	if (e == ERR_OK && !p)
		e = ERR_MEMORY;
	if (e != ERR_OK) {
		log_info("officer's program turned away", LOG_I("uid", who.uid), LOG_E("cause", e));
		turn_away(fd, e);
	} else if (hub_attach(p, fd, 0) != ERR_OK) {
		hub_unref(p);
	}
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	(void)what, (void)arg;
	hub_mark(listener.hub);
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (got < 0)
			return;
		welcome(got);
	}
}

enum err
proc_listen(int fd, bool (*allow)(uint32_t uid))
{
	listener.allow = allow;
	listener.hub = proc_monitor()->hub;
	listener.event = event_new(proc_base(), fd, EV_READ | EV_PERSIST, on_accept, NULL);
	return listener.event && evutil_make_socket_nonblocking(fd) == 0 && event_add(listener.event, NULL) == 0
			   ? ERR_OK
			   : ERR_MEMORY;
}
