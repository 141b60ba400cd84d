#include "daemon/monitor/halt.h"

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/monitor/family.h"
#include "daemon/monitor/notify.h"
#include "policy/schema/wire.pb.h"

static const enum process stop_order[][3] = {
	{PROCESS_GATE, PROCESS_DESK, PROCESS_MAX},
	{PROCESS_COURIER, PROCESS_HERALD, PROCESS_MAX},
	{PROCESS_LEDGER, PROCESS_MAX},
	{PROCESS_VAULT, PROCESS_MAX},
	{PROCESS_HSM, PROCESS_MAX},
};
static const uint32_t stop_ms[] = {1500, 1500, 1000, 500, 500};
#define PHASES (sizeof stop_order / sizeof *stop_order)

static struct {
	unsigned phase;
	int64_t until_ms; /* of this phase */
} halt;

static bool
in_phase(const struct member *m, unsigned phase)
{
	for (const enum process *p = stop_order[phase]; *p != PROCESS_MAX; p++)
		if (*p == m->process)
			return true;
	return false;
}

static unsigned
alive_in(unsigned phase)
{
	unsigned n = 0;
	for (unsigned i = 0; i < family.n; i++)
		n += family.members[i].pid && (phase == PHASES || in_phase(&family.members[i], phase));
	return n;
}

static void
stop_phase(unsigned phase)
{
	sp_stop_req stop = {.grace_ms = stop_ms[phase]};
	halt.phase = phase;
	halt.until_ms = clock_mono_ms() + stop_ms[phase];
	for (unsigned i = 0; i < family.n; i++) {
		struct member *m = &family.members[i];
		if (m->pid && in_phase(m, phase) && hub_give(m->control, MSG_stop, &stop, -1) != ERR_OK)
			member_end(m, "it does not read that it shall stop");
	}
}

/* On to the next phase when the last one is over or out of time. */
void
halt_go_on(void)
{
	while (!family.done) {
		if (alive_in(halt.phase) > 0) {
			if (clock_mono_ms() < halt.until_ms)
				return;
			for (unsigned i = 0; i < family.n; i++)
				if (in_phase(&family.members[i], halt.phase))
					member_end(&family.members[i], "it did not stop in time");
			halt.until_ms = INT64_MAX; /* the kernel ends it; its death brings us here again */
			return;
		}
		if (halt.phase + 1 == PHASES) {
			family.done = true;
			event_base_loopbreak(family.base);
		} else {
			stop_phase(halt.phase + 1);
		}
	}
}

void
halt_begin(void)
{
	if (family.stopping) { /* asked twice: at once */
		for (unsigned i = 0; i < family.n; i++)
			member_end(&family.members[i], "asked to stop at once");
		return;
	}
	family.stopping = true;
	atomic_store(&family.page->cause, ERR_SHUTTING_DOWN);
	atomic_store(&family.page->state, PAGE_STOPPING);
	notify_send("STOPPING=1\nSTATUS=stopping");
	log_info("stopping", LOG_I("processes", alive_in(PHASES)));
	stop_phase(0);
	halt_go_on();
}
