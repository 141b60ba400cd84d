/*
 * manual — the man pages sallyport(1) and sallyport.conf(5), printed from the command table and policy/config.def, so
 * that they can't say more than the program does.
 */
#ifndef CONSOLE_CTL_MANUAL_H
#define CONSOLE_CTL_MANUAL_H

#include "console/ctl/ctl.h"

int manual_commands(void);
int manual_configuration(void);

#endif
