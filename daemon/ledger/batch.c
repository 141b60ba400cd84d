#include "daemon/ledger/batch.h"

#include <event2/event.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ledger/effects.h"
#include "daemon/ledger/ledger.h"

/* A command or a read that waits for the commit. */
struct member {
	const struct batch_row *row; /* NULL: a read */
	void *arg;
	enum err e;
	struct call *call;
	void (*run)(struct call *call, const void *req);
};

/* Twice the commands: reads that wait count too, and a full list commits. */
#define MEMBERS_MAX (2 * BATCH_COMMANDS_MAX)
static struct member members[MEMBERS_MAX];
static unsigned members_n, commands_n;
static size_t bytes_n;
static struct event *later;
static enum err (*ride_before)(void);
static void (*ride_after)(bool kept);

static void
commit_later(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	batch_commit();
}

enum err
batch_open(void)
{
	/* what a commit's answers open has no turn of its own to follow */
	later = event_new(proc_base(), -1, 0, commit_later, NULL);
	return later ? ERR_OK : ERR_MEMORY;
}

void
batch_ride(enum err (*before)(void), void (*after)(bool kept))
{
	ride_before = before;
	ride_after = after;
}

bool
batch_fatal(enum err e)
{
	/* SQLite may have rolled back on its own: nothing of the batch can be relied on */
	return e == ERR_DISK_FULL || e == ERR_IO || e == ERR_DB || e == ERR_DB_KEY || e == ERR_MEMORY || e == ERR_CRYPTO;
}

/* Members are taken off first: what they do may fill the next batch. */
static void
tell_members(enum err e)
{
	struct member told[MEMBERS_MAX];
	unsigned n = members_n;
	memcpy(told, members, n * sizeof *told);
	members_n = commands_n = 0;
	bytes_n = 0;
	/* reads first: what is done after a commit may open the next batch, and they must not see into that one */
	for (unsigned i = 0; i < n; i++)
		if (!told[i].row) {
			told[i].run(told[i].call, told[i].arg);
			mem_free(told[i].arg);
		}
	for (unsigned i = 0; i < n; i++)
		if (told[i].row)
			told[i].row->done(told[i].arg, e ? ERR_AUDIT_AWAY : told[i].e);
}

static void
lose(enum err e)
{
	log_warn("a batch was lost", LOG_E("cause", e), LOG_I("members", members_n));
	effects_failed(e);
	store_rollback(ledger.store);
	if (ride_after)
		ride_after(false);
	tell_members(e);
	/* a page that fsync lost would not be written again: only a new start reads what is really there */
	if (e == ERR_IO || e == ERR_CRYPTO)
		proc_exit(1);
}

void
batch_commit(void)
{
	/* what is done after a commit may open the next batch; a few rounds, then the loop's other work has its turn */
	for (unsigned round = 0; round < 4 && ledger.store && store_in_batch(ledger.store); round++) {
		int64_t from_us = clock_mono_us();
		unsigned commands = commands_n;
		enum err e = ride_before ? ride_before() : ERR_OK;
		if (!e)
			e = store_commit(ledger.store);
		if (e) {
			lose(e);
			return;
		}
		page_add(proc_page(), METRIC_COMMITS, 1);
		page_add(proc_page(), METRIC_BATCHED, commands);
		page_observe(proc_page(), METRIC_COMMIT_SECONDS, (uint64_t)(clock_mono_us() - from_us));
		if (ride_after)
			ride_after(true);
		tell_members(ERR_OK);
	}
	if (!ledger.store)
		return;
	if (store_in_batch(ledger.store))
		event_active(later, EV_TIMEOUT, 0);
	else if (store_between_batches(ledger.store) != ERR_OK)
		log_warn("the write-ahead log could not be shortened", LOG_I("wal", 1));
}

static enum err
begin(void)
{
	if (store_in_batch(ledger.store))
		return ERR_OK;
	return store_begin(ledger.store);
}

static enum err
act(const struct batch_row *row, void *arg)
{
	enum err e = store_mark(ledger.store), f;
	if (e)
		return e;
	e = row->act(arg);
	if (!e)
		return store_release(ledger.store);
	if (batch_fatal(e))
		return e;
	store_undo(ledger.store);
	if (row->refused && (f = row->refused(arg, e)) != ERR_OK)
		return batch_fatal(f) ? f : e;
	return e;
}

void
batch_run(const struct batch_row *row, void *arg, size_t bytes)
{
	if (commands_n >= BATCH_COMMANDS_MAX || bytes_n + bytes > BATCH_BYTES_MAX || members_n >= MEMBERS_MAX)
		batch_commit();
	enum err e = members_n < MEMBERS_MAX ? begin() : ERR_OVERLOADED;
	if (e) {
		if (e != ERR_OVERLOADED)
			effects_failed(e);
		row->done(arg, e == ERR_OVERLOADED ? e : ERR_AUDIT_AWAY);
		return;
	}
	e = act(row, arg);
	members[members_n++] = (struct member){.row = row, .arg = arg, .e = e};
	commands_n++;
	bytes_n += bytes;
	if (batch_fatal(e))
		lose(e);
}

void
batch_read(struct call *call, const void *req, size_t bytes, void (*run)(struct call *call, const void *req))
{
	if (!store_in_batch(ledger.store)) {
		run(call, req);
		return;
	}
	if (members_n >= MEMBERS_MAX)
		batch_commit();
	void *copy = members_n < MEMBERS_MAX ? mem_new(1, bytes) : NULL;
	if (!copy) {
		call_reply(call, ERR_OVERLOADED, NULL);
		return;
	}
	memcpy(copy, req, bytes);
	members[members_n++] = (struct member){.arg = copy, .call = call, .run = run};
}
