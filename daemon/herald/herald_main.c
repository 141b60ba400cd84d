/*
 * herald — tells the world what happened: takes the ledger's outbox and publishes it.
 * Holds alone:  nothing; it has no socket to the vault.
 * Answers:      publish (ledger).
 * Jail:         policy/jail_herald.def. Files: events.jsonl, one CloudEvent a line.
 * Signals:      none; reload (which also reopens the file, for logrotate) and stop come over the control socket.
 */
#include <event2/event.h>
#include <jansson.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/herald/outbox.h"
#include "daemon/wire/proc.h"

/*
 * The sinks' syncs share the disk with the commits of ledger and vault, and nobody waits for an event: what comes
 * within this time is made durable together.
 */
#define TURN_EVERY_MS 10

static struct event *later;
static int64_t turned_ms;

static enum err
before_jail(void)
{
	json_set_alloc_funcs(mem_alloc, mem_free);
	return ERR_OK;
}

static void
nothing(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static void
on_turn(void)
{
	int64_t now_ms = clock_mono_ms(), left_ms = turned_ms + TURN_EVERY_MS - now_ms;
	if (left_ms > 0 && (evtimer_pending(later, NULL) ||
						event_add(later, &(struct timeval){.tv_usec = (suseconds_t)left_ms * 1000}) == 0))
		return;
	outbox_turn();
	turned_ms = now_ms;
}

static enum err
after_jail(void)
{
	enum err e = outbox_open(proc_conf());
	/* its coming wakes the loop, whose turn does the rest */
	if (e == ERR_OK && !(later = evtimer_new(proc_base(), nothing, NULL)))
		e = ERR_MEMORY;
	if (e == ERR_OK)
		proc_state(PAGE_SERVING, ERR_OK);
	return e;
}

static void
on_reload(void)
{
	outbox_reload(proc_conf());
}

/* What was written is answered for; the rest comes again. */
static void
on_stop(uint32_t grace_ms)
{
	(void)grace_ms;
	outbox_close();
	proc_exit(0);
}

static const struct answer answers[] = {
	{MSG_publish, outbox_answer},
	{MSG_NONE, NULL},
};

int
main(int argc, char **argv)
{
	static const struct proc_spec spec = {
		.self = PROCESS_HERALD,
		.answers = answers,
		.before_jail = before_jail,
		.after_jail = after_jail,
		.on_turn = on_turn,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};
	return proc_run(&spec, argc, argv);
}
