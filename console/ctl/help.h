/*
 * help — usage, help and the table of exit codes, all made from the command table.
 */
#ifndef CONSOLE_CTL_HELP_H
#define CONSOLE_CTL_HELP_H

#include "console/ctl/ctl.h"

/* Each prints text, or with --json one document, to stdout and returns the exit status. */
int help_all(const struct run *r);
int help_command(const struct run *r, const struct command *c);
int help_exit_codes(const struct run *r);
int help_version(const struct run *r);

#endif
