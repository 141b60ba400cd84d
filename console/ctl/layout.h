/*
 * layout — the directories and first files of an appliance: who owns what, and with which mode.
 * Invariants: every step may be repeated; nothing that exists is overwritten.
 * Source: design 80, "Files".
 */
#ifndef CONSOLE_CTL_LAYOUT_H
#define CONSOLE_CTL_LAYOUT_H

#include "console/ctl/ctl.h"

/* Can the appliance's users get there and do they exist? (Only asked of root.) ERR_USERS_MISSING ·
 * ERR_DIR_NOT_SEARCHABLE. */
enum err layout_check_users(const struct paths *p) MUST;
/* Make all directories. ERR_PERMISSION · ERR_USERS_MISSING · ERR_IO. */
enum err layout_make_directories(const struct paths *p) MUST;
/* Give a file to a process's user (root only; else nothing). */
enum err layout_give(const char *path, const char *process) MUST;
/* Is there a whole appliance here? (ca.crt is the last file that init writes.) */
bool layout_complete(const struct paths *p);

#endif
