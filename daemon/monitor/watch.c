#include "daemon/monitor/watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mark.h"
#include "daemon/monitor/family.h"
#include "daemon/monitor/halt.h"
#include "daemon/monitor/notify.h"
#include "daemon/monitor/release.h"
#include "daemon/monitor/reload.h"

#define START_TICK_MS 20 /* until it serves: start-up is waited for */
#define START_TICKS   500
#define SETTLE_TICKS  150 /* not serving for so long (3 s): it is not just starting, it is sealed */
#define TICK_MS       250
#define LOOK_TICKS    4
#define HUNG_MS       30000 /* without a heartbeat: it will not come back by itself */
#define LEAVE_MS      1000  /* from closing its control socket to its end */

static struct {
	struct event *tick;
	unsigned ticks;
	int statm;
	char told[256]; /* the state in words */
	bool status_sent;
} watch;

static void
set_tick(unsigned ms)
{
	const struct timeval tv = {0, ms * 1000};
	event_add(watch.tick, &tv);
}

static void
say_ready(struct health h)
{
	const struct member *desk = family_find(PROCESS_DESK, 0);
	if (family.served)
		return;
	if (family.site->init ? !(desk && desk->ready) : !(family_all_ready() && h.state == PAGE_SERVING))
		return;
	family.served = true;
	set_tick(TICK_MS);
	if (family.site->init)
		printf("ready for init: %s/desk.sock\n", family.site->run);
	else
		printf("ready: %s serves on https://%s (%u processes)\n", family.site->state,
			   conf_text(family.site->conf, CONF_LISTEN), family.n + 1);
	fflush(stdout);
	/* only now: a version that never served must not keep out the one before it */
	enum err e = family.site->init ? ERR_OK : mark_write(family.site->state);
	if (e != ERR_OK)
		log_warn("the stores' versions could not be written", LOG_E("cause", e));
}

static void
tell_systemd(struct health h)
{
	char line[256], detail[256], status[300];
	health_line(h, line, sizeof line);
	if (strcmp(line, watch.told) != 0) {
		memcpy(watch.told, line, sizeof line);
		watch.status_sent = false;
		health_detail(h, detail, sizeof detail);
		log_info("state", LOG_S("now", page_state_word(h.state)), LOG_E("cause", h.cause),
				 LOG_S("process", process_name(h.process)), LOG_S("detail", detail),
				 LOG_S("runbook", h.cause == ERR_OK ? "" : err_runbook(h.cause)));
	}
	if (!watch.status_sent) {
		snprintf(status, sizeof status, "STATUS=%s", line);
		watch.status_sent = notify_send(status);
	}
	/* a sealed appliance is up too: it waits for its officers, not for systemd */
	if (!family.notified && family_all_ready() && (family.served || watch.ticks >= SETTLE_TICKS))
		family.notified = notify_send("READY=1");
	notify_alive();
}

static void
look_after(void)
{
	int64_t now = clock_mono_ms();
	for (unsigned i = 0; i < family.n; i++) {
		struct member *m = &family.members[i];
		if (m->ready && now - atomic_load(&m->page->heartbeat_mono_ms) > HUNG_MS)
			member_end(m, "its loop has stood still");
		if (m->left_at_ms && now - m->left_at_ms > LEAVE_MS)
			member_end(m, "its control socket is closed");
		for (unsigned k = i + 1; k < family.n; k++)
			if (family.links[i][k].cut)
				family_link(i, k);
	}
}

static void
note_release(void)
{
	if (!family.site->init)
		atomic_store(&family.page->new_version, release_replaced());
}

/* Told as the mildest of all causes: it goes on serving as it is. */
static void
show_cause(void)
{
	enum err e = reload_refused()                         ? ERR_CONFIG_REFUSED
				 : atomic_load(&family.page->new_version) ? ERR_NEW_VERSION
														  : ERR_OK;
	atomic_store(&family.page->cause, e);
}

static void
note_memory(void)
{
	char text[64];
	unsigned long all, resident;
	ssize_t n = pread(watch.statm, text, sizeof text - 1, 0);
	if (n <= 0)
		return;
	text[n] = 0;
	if (sscanf(text, "%lu %lu", &all, &resident) == 2)
		atomic_store(&family.page->rss_bytes, (uint64_t)resident * 4096);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	atomic_store(&family.page->heartbeat_mono_ms, clock_mono_ms());
	note_memory();
	if (family.stopping) {
		halt_go_on();
		return;
	}
	show_cause();
	struct health h = family_health();
	say_ready(h);
	tell_systemd(h);
	if (++watch.ticks == START_TICKS)
		set_tick(TICK_MS); /* sealed: somebody has to come, which takes longer than that */
	if (watch.ticks % LOOK_TICKS == 0) {
		look_after();
		note_release();
	}
}

enum err
watch_open(void)
{
	notify_open();
	release_open(family.site);
	watch.statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	watch.tick = event_new(family.base, -1, EV_PERSIST, on_tick, NULL);
	if (!watch.tick)
		return ERR_MEMORY;
	note_memory();
	set_tick(START_TICK_MS);
	return ERR_OK;
}
