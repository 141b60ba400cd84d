/*
 * hsmlink — our end of the HSM: log-in with the PIN that we keep, health once a second, lost and back.
 * Invariants: the PIN stands in guarded memory and goes to the broker only; a PIN that was refused is not tried again
 * with the same broker (a token locks itself after a few); a broker that misses its deadline is told to the monitor.
 * Source: design 30 (HSM as it is).
 */
#ifndef VAULT_HSMLINK_H
#define VAULT_HSMLINK_H

#include "policy/schema/wire.pb.h"
#include "vault/vault.h"

struct hsmlink_hooks {
	void (*in)(struct vault *v);                 /* logged in (again) */
	void (*lost)(struct vault *v);               /* did not answer, or went away, after it was in */
	void (*failed)(struct vault *v, enum err e); /* a log-in failed */
};

/* pin_fd: the monitor's gift, or -1; read and closed. ERR_IO · ERR_OUT_OF_RANGE · ERR_MEMORY · ERR_CVC_ROOM. */
enum err hsmlink_open(struct vault *v, int pin_fd, const struct hsmlink_hooks *hooks) MUST;
/* A PIN that was read anew, after a reload; -1: none came. A log-in that failed is tried with it, if it is another. */
void hsmlink_renew(struct vault *v, int pin_fd);
bool hsmlink_has_pin(void);
/* Does it say that the HSM did not take the PIN, or that it was not tried? */
bool hsmlink_is_pin(enum err e);
/* The PIN for hsm_init_token. Borrowed; NULL without one. */
const struct secret *hsmlink_pin(void);
/* The broker's socket came or went. */
void hsmlink_peer(struct vault *v, bool up);
/* Once a second. */
void hsmlink_tick(struct vault *v);
/* ERR_OK while it is in; else why not (ERR_HSM_PIN_MISSING, ERR_HSM_PIN, ERR_HSM_AWAY, …). */
enum err hsmlink_cause(const struct vault *v);
/* When it was lost (clock_mono_ms), 0 while it is there. */
int64_t hsmlink_lost_at(void);
/* As it said last; zero before that. */
const sp_hsm_status_rep *hsmlink_status(void);

#endif
