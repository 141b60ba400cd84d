/*
 * layout — the directories and first files of an appliance: who owns what, and with which mode.
 * Invariants: every step may be repeated; nothing that exists is overwritten.
 * Source: design 80, "Files".
 */
#ifndef CONSOLE_CTL_LAYOUT_H
#define CONSOLE_CTL_LAYOUT_H

#include <sys/types.h>

#include "console/ctl/ctl.h"

/* Can the appliance's users get there and do they exist? (Only asked of root.) ERR_USERS_MISSING ·
 * ERR_DIR_NOT_SEARCHABLE. */
enum err layout_check_users(const struct paths *p) MUST;
/* Make all directories. ERR_PERMISSION · ERR_USERS_MISSING · ERR_IO. */
enum err layout_make_directories(const struct paths *p) MUST;
/* Is there room beneath state for an appliance that takes effects? ERR_DISK_FULL · ERR_IO */
enum err layout_check_room(const struct paths *p) MUST;
/* Take away those that are empty: an init that found a fault before it made anything leaves nothing. */
void layout_remove_empty(const struct paths *p);
/* Give a file to a process's user (root only; else nothing). */
enum err layout_give(const char *path, const char *process) MUST;
/* A directory of the appliance as it has to be. owner: the process whose user owns it, NULL: who owns the installation.
 */
struct layout_place {
	char path[PATH_BYTES];
	const char *owner;
	unsigned mode;
	bool etc; /* beneath etc, else beneath state */
};
/* By its name ("hsm/tokens"). ERR_FILE_MISSING (no such row) · ERR_OUT_OF_RANGE. */
enum err layout_place(const struct paths *p, const char *name, struct layout_place *out) MUST;
/* The user of a process. ERR_USERS_MISSING. */
enum err layout_user(const char *process, uid_t *out) MUST;
/* The first process that has no user of its own on this host; NULL: all have one. */
const char *layout_user_missing(void);
/* Is there a whole appliance here? (ca.crt is the last file that init writes.) */
bool layout_complete(const struct paths *p);

#endif
