/*
 * members — who may talk to the desk: root, the owner of the installation, members of the officers' group.
 * Invariants: the group is read from the machine's own /etc/group and /etc/passwd, without name services: those load
 *   code and open sockets, and this process has neither right. A user of whom the group is the primary one counts.
 * Source: group(5), passwd(5).
 */
#ifndef DAEMON_DESK_MEMBERS_H
#define DAEMON_DESK_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define MEMBERS_MAX 256

struct members {
	uint32_t owner;
	uint32_t uids[MEMBERS_MAX];
	size_t count;
};

/*
 * members_read(m, group_file, passwd_file, group): replaces the list; owner stays.
 *   Returns   ERR_OK (also when there is no such group: then root and the owner remain) · ERR_FILE_MISSING (m is
 *             unchanged) · ERR_LIMIT (more than MEMBERS_MAX: the first ones count).
 *   Blocks    on two small files.
 */
enum err members_read(struct members *m, const char *group_file, const char *passwd_file, const char *group) MUST;
bool members_has(const struct members *m, uint32_t uid);

#endif
