/*
 * courier — speaks to processors and to nothing else.
 * Holds alone:  clear cards, from the vault's answer to a redeemed grant until the processor's first answer.
 * Answers:      job (ledger). Asks: redeem (vault), result (ledger). Tells: running (ledger).
 * Jail:         policy/jail_courier.def. Files: simulator.jsonl, the simulated issuer's books.
 * Signals:      none; reload and stop come over the control socket. Exit status: as proc_run.
 */
#include <sodium.h>

#include "daemon/courier/jobs.h"
#include "daemon/wire/proc.h"

static enum err
before_jail(void)
{
	return sodium_init() < 0 ? ERR_RANDOM : ERR_OK;
}

static enum err
after_jail(void)
{
	enum err e = jobs_open();
	if (e == ERR_OK)
		proc_state(PAGE_SERVING, ERR_OK);
	return e;
}

static void
on_peer(struct peer *p, bool up)
{
	if (up && peer_process(p) == PROCESS_LEDGER)
		jobs_list(p);
}

static void
finished(void)
{
	proc_exit(0);
}

static void
on_stop(uint32_t grace_ms)
{
	jobs_stop(grace_ms, finished);
}

static const struct answer answers[] = {
	{MSG_job, jobs_answer},
	{MSG_NONE, NULL},
};

int
main(int argc, char **argv)
{
	static const struct proc_spec spec = {
		.self = PROCESS_COURIER,
		.answers = answers,
		.before_jail = before_jail,
		.after_jail = after_jail,
		.on_peer = on_peer,
		.on_reload = jobs_reload,
		.on_stop = on_stop,
		.arena_bytes = JOBS_ARENA_BYTES,
	};
	return proc_run(&spec, argc, argv);
}
