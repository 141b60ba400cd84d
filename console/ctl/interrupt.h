/*
 * interrupt — Ctrl-C in every command: told like any other failure, and the exit status is 130.
 * Invariants: with --json there is one document also then: the problem, or the answer that was being printed, never
 * both. No half-made file stays behind.
 */
#ifndef CONSOLE_CTL_INTERRUPT_H
#define CONSOLE_CTL_INTERRUPT_H

#include <termios.h>

#include "console/ctl/ctl.h"

/* From here on SIGINT ends the program. Called once, when the command is known. */
void interrupt_watch(const struct run *r);
/* From here on something goes on without us: Ctrl-C says what (cause), and how it can be watched (next). */
void interrupt_leaves(const struct run *r, const char *cause, const char *next);
/* A half-made file that must not stay behind; borrowed until it is NULL again. */
void interrupt_remove(const char *path);
/* A terminal that shows nothing while a secret is typed is put back as it was; -1, NULL: it is as it was. */
void interrupt_restore(int tty, const struct termios *as_it_was);
/* The answer goes out now: it is not cut off any more. */
void interrupt_ignore(void);

#endif
