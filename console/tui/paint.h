/*
 * paint — the app on a terminal by ncurses: live, resized at any time, left as it was found.
 */
#ifndef CONSOLE_TUI_PAINT_H
#define CONSOLE_TUI_PAINT_H

#include <signal.h>

#include "console/tui/app.h"

/* Runs until q or *told; returns the exit status (1: the terminal can't be used). */
int paint_run(struct app *a, const volatile sig_atomic_t *told);

#endif
