/*
 * jails — the sandbox of each process: policy/jail_common.def and policy/jail_<process>.def made into a jail_spec.
 */
#ifndef DAEMON_WIRE_JAILS_H
#define DAEMON_WIRE_JAILS_H

#include "daemon/base/conf.h"
#include "daemon/base/err.h"
#include "daemon/base/jail.h"
#include "daemon/wire/msg.h"

/*
 * jails_enter(self, dir_fd, conf, trap, out)
 *   dir_fd   what "@dir" stands for; -1: none was given and such rows are left out
 *   conf     names the paths of "@key" rows; borrowed; NULL: there are none
 *   trap     a missing system call is named on stderr before the process dies of it (test installations)
 *   Returns  ERR_OK · ERR_JAIL. On error the caller must end: the process may be half in.
 */
enum err jails_enter(enum process self, int dir_fd, const struct conf *conf, bool trap, struct jail *out) MUST;
/*
 * jails_declared(p)
 *   The rows as they are written, for people to read: a path of the process's own directory is "@dir", and its dir_fd
 * -1. NULL: this process has no jail of its own (the monitor, officers' programs). Valid until the next call.
 */
const struct jail_spec *jails_declared(enum process p);

#endif
