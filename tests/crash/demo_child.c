/*
 * demo_child — stands in for any process of the appliance, so that the monitor and the wire are tested without them.
 * It is what its title says. The ledger asks the vault all the time and counts; SIGUSR1 makes any of them write
 * nonsense to its first peer; SIGUSR2 makes it stop reading its control socket and everything else (it hangs).
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/hub.h"
#include "daemon/wire/proc.h"

static volatile sig_atomic_t break_it, hang;
static struct event *ticker;
static struct peer *last_up;

static void
on_usr1(int n)
{
	if (n == SIGUSR1)
		break_it = 1;
	else
		hang = 1;
}

static void
answer_token_facts(struct call *c, const void *req)
{
	const sp_token_facts_req *r = req;
	sp_token_facts_rep rep = sp_token_facts_rep_init_zero;
	rep.has_token = true;
	memcpy(rep.token.id, r->token, sizeof rep.token.id - 1);
	page_add(proc_page(), METRIC_TOKENIZED, 1);
	call_reply(c, ERR_OK, &rep);
}

static void
take_facts(void *arg, enum err e, const void *rep)
{
	static unsigned good, bad;
	(void)arg, (void)rep;
	if (e == ERR_OK)
		good++;
	else
		bad++;
	if (good % 20 == 0 || e != ERR_OK)
		log_info("facts", LOG_I("good", good), LOG_I("bad", bad), LOG_E("last", e));
}

static void
tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	if (hang)
		for (;;)
			continue;
	if (break_it && last_up) {
		break_it = 0;
		if (send(last_up->fd, "nonsense nonsense", 17, MSG_NOSIGNAL) < 0)
			log_info("not sent", LOG_I("errno", errno));
	}
	struct peer *vault = proc_peer(PROCESS_VAULT, 0);
	sp_token_facts_req req = {.token = "tok_demo"};
	if (proc_monitor()->hub->self == PROCESS_LEDGER && vault &&
		ask_token_facts(vault, &req, 3000, take_facts, NULL) != ERR_OK)
		log_info("not asked", LOG_I("up", peer_up(vault)));
}

static void
on_peer(struct peer *p, bool up)
{
	log_info("peer", LOG_S("name", process_name(peer_process(p))), LOG_I("index", peer_index(p)), LOG_I("up", up),
			 LOG_I("epoch", peer_epoch(p)));
	if (up)
		last_up = p;
	else if (p == last_up)
		last_up = NULL;
}

static enum err
before_jail(void)
{
	signal(SIGUSR1, on_usr1);
	signal(SIGUSR2, on_usr1);
	return ERR_OK;
}

static enum err
after_jail(void)
{
	const struct timeval often = {0, 20000};
	ticker = event_new(proc_base(), -1, EV_PERSIST, tick, NULL);
	return ticker && event_add(ticker, &often) == 0 ? ERR_OK : ERR_MEMORY;
}

int
main(int argc, char **argv)
{
	static const struct answer of_vault[] = {{MSG_token_facts, answer_token_facts}, {MSG_NONE, NULL}};
	static const struct answer none[] = {{MSG_NONE, NULL}};
	struct proc_spec spec = {
		.answers = none, .before_jail = before_jail, .after_jail = after_jail, .on_peer = on_peer, .arena_bytes = 4096};
	for (unsigned p = 0; p < PROCESS_OFFICER; p++)
		if (strncmp(argv[0], process_name((enum process)p), strlen(process_name((enum process)p))) == 0)
			spec.self = (enum process)p;
	if (spec.self == PROCESS_VAULT)
		spec.answers = of_vault;
	return proc_run(&spec, argc, argv);
}
