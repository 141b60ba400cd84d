/*
 * jail_judge — is a process in its jail? What its rows declare against what the kernel says, and what it said itself
 * where the kernel tells nothing. One table of checks; each fault is named and told in words.
 */
#ifndef CONSOLE_CTL_JAIL_JUDGE_H
#define CONSOLE_CTL_JAIL_JUDGE_H

#include <stddef.h>

#include "console/ctl/jail_seen.h"
#include "daemon/wire/msg.h"
#include "policy/schema/wire.pb.h"

#define JAIL_FAULTS_MAX   16
#define JAIL_FAULT_BYTES  160
#define JAIL_USER_UNKNOWN UINT32_MAX

struct jail_fault {
	const char *check; /* "seccomp" */
	const char *next;  /* what to do */
	char text[JAIL_FAULT_BYTES];
};

struct jail_case {
	enum process process;
	const sp_process_view *told;     /* what it said of itself at its start */
	enum err looked;                 /* what jail_seen_read gave */
	const struct jail_seen *seen;    /* when looked is ERR_OK */
	const struct jail_seen *monitor; /* NULL: it could not be looked at */
	const struct jail_host *host;
	uint32_t monitor_pid;
	uint32_t uid;       /* that it must have; JAIL_USER_UNKNOWN: there is no such user here */
	const char *user;   /* of that name */
	unsigned calls;     /* that its rows allow */
	bool other_version; /* it runs another version than this command's: its rows may be others */
};

/* Fills in what is wrong; returns how many. None is found in a process that does not run (pid 0). */
size_t jail_judge(const struct jail_case *c, struct jail_fault faults[JAIL_FAULTS_MAX]);
/* How many checks there are, and the name of one. */
size_t jail_judge_checks(void);
const char *jail_judge_name(size_t i);
/* Does the process have a filter, paths and no capabilities of its own to be looked for? Not the monitor. */
bool jail_judge_is_child(enum process p);

#endif
