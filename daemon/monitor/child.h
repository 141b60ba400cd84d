/*
 * child — start one process: its binary from a descriptor, its user, its control socket and nothing else.
 */
#ifndef DAEMON_MONITOR_CHILD_H
#define DAEMON_MONITOR_CHILD_H

#include <sys/types.h>

#include "daemon/base/err.h"
#include "daemon/monitor/site.h"

/*
 * child_start(s, process, index, control, pid_out)
 *   control   the child's end of its control socket; borrowed, the child has it as descriptor 3
 *   Returns   ERR_OK · ERR_MEMORY (fork). A program that can't be run exits with 127.
 */
enum err child_start(const struct site *s, enum process process, unsigned index, int control, pid_t *pid_out) MUST;
/*
 * child_kill(s, process, pid)
 *   SIGKILL, sent as the process's own user: the monitor has no right to signal others (CAP_KILL), and needs none.
 */
void child_kill(const struct site *s, enum process process, pid_t pid);

#endif
