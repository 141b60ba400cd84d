/*
 * plain — the app as lines for screen readers, scripts and dumb terminals: no cursor addressing, no escape byte.
 */
#ifndef CONSOLE_TUI_PLAIN_H
#define CONSOLE_TUI_PLAIN_H

#include <signal.h>
#include <stdbool.h>

#include "console/tui/app.h"

/* Prints the screen, then reads one action per line (a name, a key, or a text after "filter ") until quit or end of
 * file. */
int plain_run(struct app *a, bool once, const volatile sig_atomic_t *told);

#endif
