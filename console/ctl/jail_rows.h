/*
 * jail_rows — a process's rows of policy/jail_*.def for people and programs: each right with its reason.
 */
#ifndef CONSOLE_CTL_JAIL_ROWS_H
#define CONSOLE_CTL_JAIL_ROWS_H

#include <jansson.h>

#include "console/ctl/ctl.h"
#include "daemon/base/jail.h"
#include "daemon/wire/msg.h"

/* What the process is, from policy/processes.def. */
const char *jail_rows_what(enum process p);
/* The monitor or a process that it starts, by its name; PROCESS_MAX: no such one. */
enum process jail_rows_process(const char *name);
/* "none", "listener", "connects", "listener, connects"; s may be NULL: a process without rows. */
const char *jail_rows_network(const struct jail_spec *s);
/* The files it may open besides those of all: "its directory", "/etc (read)", "none". Returns out. */
const char *jail_rows_files(const struct jail_spec *s, char out[64]);
/* Where a path of a row lies on this host. Returns out. */
const char *jail_rows_path(const struct run *r, enum process p, const struct jail_path *path, char out[PATH_BYTES]);

/* The whole list, printed. s may be NULL. */
void jail_rows_print(const struct run *r, enum process p, const struct jail_spec *s);
/* The same as members of doc: calls, refused_calls, paths. */
void jail_rows_json(const struct run *r, enum process p, const struct jail_spec *s, json_t *doc);

#endif
