#include "vault/hsmlink.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/wire/ask.h"
#include "daemon/wire/proc.h"

#define PIN_MAX 64
/* Its first question: a module may load slowly, and a token may take its time to log in. */
#define LOGIN_DEADLINE_MS 10000

static struct {
	struct vault *v;
	const struct hsmlink_hooks *hooks;
	struct secret *pin;
	enum err cause;
	bool asking_login, asking_status, pin_refused;
	unsigned pins, asked_pin; /* how many were read, and which one the log-in was asked with */
	uint64_t told_hung_epoch;
	int64_t lost_at_ms;
	sp_hsm_status_rep status;
} hl = {.cause = ERR_HSM_AWAY};

/* ── the PIN ── */

static enum err
read_pin(int fd, struct secret **out)
{
	char text[PIN_MAX + 2];
	/* pread: a restarted vault is given the same descriptor, with the offset where it was left */
	ssize_t n = pread(fd, text, sizeof text, 0);
	enum err e = n < 0 ? ERR_IO : ERR_OK;
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (e == ERR_OK && (n == 0 || n > PIN_MAX))
		e = n == 0 ? ERR_HSM_PIN_MISSING : ERR_OUT_OF_RANGE;
	if (e == ERR_OK)
		e = secret_copy(text, (size_t)n, out);
	mem_wipe(text, sizeof text);
	return e;
}

enum err
hsmlink_open(struct vault *v, int pin_fd, const struct hsmlink_hooks *hooks)
{
	enum err e = ERR_OK;
	hl.v = v;
	hl.hooks = hooks;
	if (pin_fd >= 0) {
		e = read_pin(pin_fd, &hl.pin);
		close(pin_fd);
	}
	if (!hl.pin)
		hl.cause = ERR_HSM_PIN_MISSING;
	/* An empty file is a missing PIN: that is a state to be shown, not a reason to die. */
	return e == ERR_HSM_PIN_MISSING ? ERR_OK : e;
}

bool
hsmlink_is_pin(enum err e)
{
	return e == ERR_HSM_PIN || e == ERR_HSM_PIN_LOW || e == ERR_HSM_PIN_LAST || e == ERR_HSM_PIN_LOCKED;
}

bool
hsmlink_has_pin(void)
{
	return hl.pin != NULL;
}

const struct secret *
hsmlink_pin(void)
{
	return hl.pin;
}

/* ── lost and back ── */

static void
lost(struct vault *v)
{
	bool was_in = v->hsm_in;
	v->hsm_in = false;
	/* without a PIN no broker can help: that stays the cause when one comes up */
	hl.cause = hl.pin ? ERR_HSM_AWAY : ERR_HSM_PIN_MISSING;
	if (was_in) {
		hl.lost_at_ms = clock_mono_ms();
		hl.hooks->lost(v);
	}
}

/* It is alive and does not answer: only the monitor can end it. Once per life of the broker. */
static void
tell_hung_once(struct vault *v)
{
	sp_hung_req req = {.process = PROCESS_HSM, .epoch = peer_epoch(v->hsm)};
	if (!peer_up(v->hsm) || hl.told_hung_epoch == req.epoch)
		return;
	log_warn("hsm does not answer", LOG_I("epoch", req.epoch));
	if (tell_hung(proc_monitor(), &req) == ERR_OK)
		hl.told_hung_epoch = req.epoch;
}

static void
logged_in(void *arg, enum err e, const void *rep)
{
	struct vault *v = arg;
	(void)rep;
	hl.asking_login = false;
	if (e == ERR_OK) {
		v->hsm_in = true;
		hl.cause = ERR_OK;
		hl.lost_at_ms = 0;
		hl.hooks->in(v);
		return;
	}
	if (e == ERR_DEADLINE)
		tell_hung_once(v);
	/* of one that was not tried the token's counter may be set back by its owner: it is looked at again */
	hl.pin_refused = hsmlink_is_pin(e) && e != ERR_HSM_PIN_LAST && hl.asked_pin == hl.pins;
	hl.cause = e == ERR_DEADLINE || e == ERR_PEER_AWAY ? ERR_HSM_AWAY : e;
	hl.hooks->failed(v, hl.cause);
}

/* Keys are made one by one during setup: they prove something when it is complete. */
static uint32_t
proving(const struct vault *v)
{
	const struct boot_key *ahk = v->boot.complete ? boot_active(&v->boot, KEY_AHK) : NULL;
	return ahk ? ahk->generation : 0;
}

static void
log_in(struct vault *v)
{
	sp_hsm_login_req req = sp_hsm_login_req_init_zero;
	/* while an installation is being made, setup logs in: a wrong PIN must not cost two tries */
	if (proc_init_mode() && !v->boot.complete)
		return;
	if (!hl.pin || hl.asking_login || hl.pin_refused || v->hsm_in || !peer_up(v->hsm))
		return;
	req.pin.size = (pb_size_t)hl.pin->len;
	memcpy(req.pin.bytes, hl.pin->bytes, hl.pin->len);
	req.ahk = proving(v);
	hl.asking_login = ask_hsm_login(v->hsm, &req, LOGIN_DEADLINE_MS, logged_in, v) == ERR_OK;
	hl.asked_pin = hl.pins;
	mem_wipe(&req, sizeof req);
}

void
hsmlink_renew(struct vault *v, int pin_fd)
{
	struct secret *pin = NULL;
	if (pin_fd < 0)
		return;
	enum err e = v->hsm_in ? ERR_OK : read_pin(pin_fd, &pin);
	close(pin_fd);
	if (e != ERR_OK)
		log_warn("the new PIN can't be used", LOG_E("cause", e));
	/* the same that was refused would cost the token another of its few tries */
	bool known = pin && hl.pin && pin->len == hl.pin->len && sodium_memcmp(pin->bytes, hl.pin->bytes, pin->len) == 0;
	if (!pin || known) {
		secret_free(pin);
		return;
	}
	secret_free(hl.pin);
	hl.pin = pin;
	hl.pins++;
	hl.pin_refused = false;
	hl.cause = ERR_HSM_AWAY;
	log_in(v);
}

void
hsmlink_peer(struct vault *v, bool up)
{
	if (!up) {
		lost(v);
		return;
	}
	hl.pin_refused = false;
	lost(v); /* a new broker is not logged in, whatever the old one was */
	log_in(v);
}

/* ── health ── */

static void
status_came(void *arg, enum err e, const void *rep)
{
	struct vault *v = arg;
	hl.asking_status = false;
	if (e == ERR_OK && rep)
		hl.status = *(const sp_hsm_status_rep *)rep;
	if (e == ERR_OK && hl.status.logged_in)
		return;
	if (e == ERR_DEADLINE)
		tell_hung_once(v);
	if (v->hsm_in)
		lost(v);
}

void
hsmlink_tick(struct vault *v)
{
	sp_hsm_status_req req = sp_hsm_status_req_init_zero;
	req.ahk = proving(v);
	log_in(v);
	if (v->hsm_in && !hl.asking_status)
		hl.asking_status = ask_hsm_status(v->hsm, &req, v->limits.hsm_deadline_ms, status_came, v) == ERR_OK;
}

enum err
hsmlink_cause(const struct vault *v)
{
	return v->hsm_in ? ERR_OK : hl.cause;
}

int64_t
hsmlink_lost_at(void)
{
	return hl.lost_at_ms;
}

const sp_hsm_status_rep *
hsmlink_status(void)
{
	return &hl.status;
}
