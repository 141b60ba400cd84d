/* bus_memory — a sink in its plainest form: it keeps what it is given, in order, and answers at the end of the turn. */
#include "daemon/herald/bus_memory.h"

#include "daemon/base/mem.h"
#include "daemon/herald/bus.h"

static struct {
	char *event[BUS_MEMORY_MAX];
	bus_done_fn done[BUS_MEMORY_MAX];
	void *arg[BUS_MEMORY_MAX];
	size_t count, answered;
} memory;

static bool
memory_wanted(const struct conf *conf)
{
	(void)conf;
	return true;
}

static enum err
memory_open(const struct conf *conf)
{
	(void)conf;
	return ERR_OK;
}

static enum err
memory_put(const struct bus_entry *entry, bus_done_fn done, void *arg)
{
	if (memory.count == BUS_MEMORY_MAX)
		return ERR_LIMIT;
	char *copy = mem_strdup(entry->event);
	if (!copy)
		return ERR_MEMORY;
	memory.event[memory.count] = copy;
	memory.done[memory.count] = done;
	memory.arg[memory.count++] = arg;
	return ERR_OK;
}

static void
memory_turn(void)
{
	for (; memory.answered < memory.count; memory.answered++)
		memory.done[memory.answered](memory.arg[memory.answered], ERR_OK);
}

static void
memory_close(void)
{
	memory_turn();
	while (memory.count)
		mem_free(memory.event[--memory.count]);
	memory.answered = 0;
}

size_t
bus_memory_count(void)
{
	return memory.count;
}

const char *
bus_memory_event(size_t i)
{
	return i < memory.count ? memory.event[i] : NULL;
}

const struct bus bus_memory = {
	.name = "memory",
	.wanted = memory_wanted,
	.open = memory_open,
	.put = memory_put,
	.turn = memory_turn,
	.reload = memory_open,
	.close = memory_close,
};
