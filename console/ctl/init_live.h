/*
 * init_live — sallyport init --live: an appliance for real cards, on a token that somebody else has set up.
 * Invariants: all that is brought is checked before anything is made; the token is only looked at until its PIN and its
 *   contents are known to be right; no private key of an officer is taken, none of a client made without --make-ca; a
 *   wrong PIN is tried once.
 * Source: design 80 (first start), 30 (HSM as it is); proof/for-people 7, 14.
 */
#ifndef CONSOLE_CTL_INIT_LIVE_H
#define CONSOLE_CTL_INIT_LIVE_H

#include "console/ctl/making.h"

/* The command's act for --live; r is usable and there is no whole appliance. */
int init_live_act(struct run *r);

/* ── init_wishes.c: what was asked for ── */
/* -1: all is there and fits together; else the exit status, and the message is printed. */
int init_wishes_read(struct making *m);
/* Files and names behind the flags: officers, certificates, the module. Fills m; m->cause names what is wrong. */
enum err init_wishes_check(struct making *m) MUST;
/* A file that a flag names, at most 256 KiB, NUL added; mem_free. */
enum err init_wishes_file(struct making *m, const char *flag, char **out) MUST;

/* ── init_pin.c: where the PIN is kept after init ── */
/* The PIN as an encrypted credential of this host, and the unit told of it. */
enum err init_pin_seal(struct making *m) MUST;
/* What to do so that the service finds the PIN; lines for the last page. */
void init_pin_tell(const struct making *m);

#endif
