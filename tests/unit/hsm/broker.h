/*
 * broker — the real hsm process in its real jail, for tests: we play its monitor and its vault.
 * Invariants: one at a time; broker_stop leaves no process behind.
 */
#ifndef TESTS_UNIT_HSM_BROKER_H
#define TESTS_UNIT_HSM_BROKER_H

#include <sys/types.h>

#include "daemon/wire/ask.h"
#include "daemon/wire/page.h"

/* Starts vault/hsm/hsm (or $HSM) in dir with this module; init: as under sallyportd --init. False when it did not get
 * ready. */
bool broker_start(const char *dir, const char *module, bool init);
/* Its pid, its page, and the vault's end of the socket. */
pid_t broker_pid(void);
const struct page *broker_page(void);
struct peer *broker_hsm(void);
/* Waits (at most 10 s of quiet) until *flag. */
void broker_wait(const bool *flag);
/* One question and its answer: rep (sizeof the rep struct) is copied when it came. */
enum err broker_ask(enum msg number, const void *req, void *rep, size_t rep_bytes, uint32_t deadline_ms);
/* Told to stop; returns its wait status. */
int broker_stop(void);
/* kill -9. */
void broker_kill(void);

#endif
