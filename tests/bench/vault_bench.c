/*
 * vault_bench — stands in for a gate of a test appliance and mints tokens as fast as the vault takes them: the real
 * vault in its jail, the real HSM behind it, its real disk. tests/bench/vault.sh starts it; each figure is one log line
 * of "gate/0".
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"
#include "vault/pan.h"

#define PHASE_MS     4000
#define SAMPLES_MAX  400000
#define DEADLINE_MS  30000
#define WINDOWS_MOST 512

static const struct {
	const char *name;
	unsigned window;
	bool code, same;
} phases[] = {
	{"one at a time", 1, false, false},     {"16 at a time", 16, false, false},
	{"128 at a time", 128, false, false},   {"512 at a time", 512, false, false},
	{"128, with a code", 128, true, false}, {"128, the same card again", 128, false, true},
};

static struct peer *vault;
static struct event *tick;
static unsigned phase, running;
static int64_t phase_end_us, phase_start_us;
static uint64_t serial, done, failed;
static uint32_t *took;
static struct slot {
	int64_t at_us;
	bool busy;
} slots[WINDOWS_MOST];

static void ask_one(struct slot *s);

static void
answered(void *arg, enum err e, const void *rep)
{
	struct slot *s = arg;
	int64_t now = clock_mono_us();
	(void)rep;
	s->busy = false;
	running--;
	if (e != ERR_OK)
		failed++;
	else if (done < SAMPLES_MAX)
		took[done++] = (uint32_t)(now - s->at_us);
	if (now < phase_end_us)
		ask_one(s);
}

static void
fill_card(sp_tokenize_req *r, uint64_t n)
{
	char digits[20];
	snprintf(digits, sizeof digits, "400000%09llu", (unsigned long long)(n % 1000000000u));
	memcpy(r->pan.bytes, digits, 15);
	r->pan.bytes[15] = pan_luhn_digit((const uint8_t *)digits, 15);
	r->pan.size = 16;
}

static void
ask_one(struct slot *s)
{
	static sp_tokenize_req r;
	memset(&r, 0, sizeof r);
	strcpy(r.client, "bench");
	strcpy(r.merchant, "demo");
	snprintf(r.idempotency_key, sizeof r.idempotency_key, "%lld-%llu", (long long)phase_start_us,
			 (unsigned long long)serial);
	fill_card(&r, phases[phase].same ? 7 : serial * 7919);
	serial++;
	r.exp_month = 12;
	r.exp_year = 2035;
	r.dedupe = true;
	if (phases[phase].code)
		memcpy(r.cvc.bytes, "123", r.cvc.size = 3);
	s->at_us = clock_mono_us();
	s->busy = ask_tokenize(vault, &r, DEADLINE_MS, answered, s) == ERR_OK;
	running += s->busy;
	failed += !s->busy;
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static void
tell(void)
{
	int64_t us = clock_mono_us() - phase_start_us;
	qsort(took, done, sizeof *took, by_size);
	log_info("bench", LOG_S("phase", phases[phase].name), LOG_I("per_second", done * 1000000 / (uint64_t)us),
			 LOG_I("p50_us", done ? took[done / 2] : 0), LOG_I("p99_us", done ? took[done * 99 / 100] : 0),
			 LOG_I("failed", failed));
	done = failed = 0;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	static int64_t begun_us;
	/* The vault is opened meanwhile. */
	begun_us = begun_us ? begun_us : clock_mono_us();
	if (clock_mono_us() - begun_us < 2000000)
		return;
	if (phase_end_us && (clock_mono_us() < phase_end_us || running > 0))
		return;
	if (!peer_up(vault) || phase == sizeof phases / sizeof *phases)
		return;
	if (phase_end_us) {
		tell();
		if (++phase == sizeof phases / sizeof *phases) {
			log_info("bench over", LOG_I("phases", phase));
			return;
		}
	}
	phase_start_us = clock_mono_us();
	phase_end_us = phase_start_us + PHASE_MS * 1000;
	for (unsigned i = 0; i < phases[phase].window; i++)
		ask_one(&slots[i]);
}

static enum err
before_jail(void)
{
	took = calloc(SAMPLES_MAX, sizeof *took);
	if (!took)
		return ERR_MEMORY;
	/* The first large qsort asks the kernel for the size of memory, which the jail does not allow. */
	qsort(took, SAMPLES_MAX / 100, sizeof *took, by_size);
	return ERR_OK;
}

static enum err
after_jail(void)
{
	vault = proc_peer(PROCESS_VAULT, 0);
	tick = event_new(proc_base(), -1, EV_PERSIST, on_tick, NULL);
	return vault && tick && event_add(tick, &(struct timeval){0, 50000}) == 0 ? ERR_OK : ERR_MEMORY;
}

static const struct answer answers[] = {{MSG_NONE, NULL}};

int
main(int argc, char **argv)
{
	static const struct proc_spec spec = {
		.self = PROCESS_GATE, .answers = answers, .before_jail = before_jail, .after_jail = after_jail};
	return proc_run(&spec, argc, argv);
}
