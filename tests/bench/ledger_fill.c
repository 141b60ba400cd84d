/*
 * ledger_fill — stands in for the ledger of a test appliance and puts payments into its store until there are as many
 * as the file "fill" in its directory says: with the page key that the vault gives, in the ledger's own jail, through
 * the store's own code. tests/bench starts it in place of "ledger"; its last log line is "filled".
 */
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"
#include "tests/bench/fill.h"

#define ASK_EVERY_MS 50
#define TURN_MS      200 /* the monitor wants to see a heartbeat */

static struct event *timer;
static struct peer *vault;
static struct store *store;
static struct fill *fill;
static uint64_t wanted, stored;

static void
again(unsigned ms)
{
	if (event_add(timer, &(struct timeval){.tv_usec = ms * 1000}) != 0)
		proc_die(ERR_MEMORY, "a timer can't be set");
}

static void
opened(void *arg, enum err e, const void *rep)
{
	const sp_open_store_rep *r = rep;
	sp_ledger_facts_rep facts = {0};
	static char origin[NOTE_ORIGIN_MAX]; /* the store keeps its own copy */

	(void)arg;
	again(ASK_EVERY_MS);
	if (e || !r)
		return;
	snprintf(origin, sizeof origin, "sallyport.%s/%s/ledger", r->install, r->node);
	struct store_options options = {.path = "ledger.db",
									.key = r->page_key.bytes,
									.cache_bytes = 64 << 20,
									.wal_bytes_max = 64 << 20,
									.origin = origin,
									.install = r->install,
									.proc = "ledger",
									.idempotency_ttl_ms = conf_int(proc_conf(), CONF_IDEM_TTL)};
	fill_must(store_open(&store_sqlcipher, &options, &store), "open");
	fill_must(store_facts(store, &facts), "facts");
	stored = facts.payments;
	fill = fill_new(store, clock_wall_ms(), NULL);
}

static void
due(evutil_socket_t fd, short what, void *arg)
{
	static const sp_open_store_req req;
	int64_t until = clock_mono_ms() + TURN_MS;

	(void)fd, (void)what, (void)arg;
	if (!store) {
		if (!peer_up(vault) || ask_open_store(vault, &req, 5000, opened, NULL) != ERR_OK)
			again(ASK_EVERY_MS);
		return;
	}
	while (stored < wanted && clock_mono_ms() < until) {
		fill_round(fill, FILL_GROUP_MAX);
		stored += FILL_GROUP_MAX;
	}
	if (stored < wanted)
		again(1);
	else
		log_info("filled", LOG_I("payments", stored));
}

static enum err
read_wanted(void)
{
	char text[24] = "";
	int fd = open("fill", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	wanted = strtoull(text, NULL, 10);
	return n > 0 && wanted ? ERR_OK : ERR_IO;
}

static enum err
after_jail(void)
{
	enum err e = read_wanted();
	vault = proc_peer(PROCESS_VAULT, 0);
	timer = evtimer_new(proc_base(), due, NULL);
	if (e == ERR_OK && (!vault || !timer))
		e = ERR_MEMORY;
	if (e == ERR_OK)
		again(ASK_EVERY_MS);
	return e;
}

static void
on_stop(uint32_t grace_ms)
{
	(void)grace_ms;
	store_close(store);
	proc_exit(0);
}

static const struct answer answers[] = {{MSG_NONE, NULL}};

int
main(int argc, char **argv)
{
	static const struct proc_spec spec = {
		.self = PROCESS_LEDGER, .answers = answers, .after_jail = after_jail, .on_stop = on_stop, .arena_bytes = 4096};
	return proc_run(&spec, argc, argv);
}
