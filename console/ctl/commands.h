/*
 * commands — the table of all commands, from commands.def: main runs them; help, completion and manual tell of them.
 */
#ifndef CONSOLE_CTL_COMMANDS_H
#define CONSOLE_CTL_COMMANDS_H

#include "console/ctl/ctl.h"

const struct command *const *commands_all(void); /* NULL-ended */

#endif
