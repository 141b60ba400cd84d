/*
 * officer_ask — opens an officer's key file for a command that signs with it.
 * Invariants: the passphrase comes by --passphrase-file or a prompt that does not echo; a wrong one at the prompt asks
 *   again, three times in all; one from a file is tried once.
 */
#ifndef CONSOLE_CTL_OFFICER_ASK_H
#define CONSOLE_CTL_OFFICER_ASK_H

#include "console/ctl/ctl.h"
#include "console/ctl/officer.h"

/* As officer_read; ERR_USAGE: a passphrase is needed and there is neither the flag nor a terminal. */
enum err officer_ask(const struct run *r, const char *path, struct officer *out) MUST;

#endif
