/*
 * herald — tells the world what happened: takes the ledger's outbox and publishes it.
 * Holds alone:  nothing; it has no socket to the vault.
 * Answers:      publish (ledger).
 * Jail:         policy/jail_herald.def. Files: events.jsonl, one CloudEvent a line.
 * Signals:      none; reload (which also reopens the file, for logrotate) and stop come over the control socket.
 */
#include <jansson.h>

#include "daemon/base/mem.h"
#include "daemon/herald/outbox.h"
#include "daemon/wire/proc.h"

static enum err
before_jail(void)
{
	json_set_alloc_funcs(mem_alloc, mem_free);
	return ERR_OK;
}

static enum err
after_jail(void)
{
	enum err e = outbox_open(proc_conf());
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
		.on_turn = outbox_turn,
		.on_reload = on_reload,
		.on_stop = on_stop,
	};
	return proc_run(&spec, argc, argv);
}
