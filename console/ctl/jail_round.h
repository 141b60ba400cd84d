/*
 * jail_round — one look at all processes: what the desk tells, what the kernel says, what is wrong. For the command and
 * for the doctor. Invariants: nothing is changed; with nobody at the desk the round has the declared rows alone.
 */
#ifndef CONSOLE_CTL_JAIL_ROUND_H
#define CONSOLE_CTL_JAIL_ROUND_H

#include "console/ctl/ctl.h"
#include "console/ctl/jail_judge.h"

#define JAIL_ROUND_ROWS  32
#define JAIL_USER_BYTES  40
#define JAIL_TITLE_BYTES 24

struct jail_row {
	enum process process;
	sp_process_view told; /* pid 0: it does not run */
	char user[JAIL_USER_BYTES];
	uint32_t uid;
	enum err looked; /* ERR_OK: seen is filled in */
	struct jail_seen seen;
	unsigned calls; /* that its rows allow */
	size_t faults_n;
	struct jail_fault faults[JAIL_FAULTS_MAX];
};

struct jail_round {
	enum err desk; /* what asking the desk gave; ERR_OK: the rows are of processes that run */
	struct jail_host host;
	unsigned faults, unseen, down; /* in all rows */
	size_t n;
	struct jail_row rows[JAIL_ROUND_ROWS];
};

/*
 * jail_round_look(r, out)
 *   Asks the desk, looks and judges; where a fault is found, again for a second at most: a process that is just being
 *   started is not in its jail yet.
 *   Returns  ERR_OK · ERR_NOT_RUNNING · ERR_NOT_INITIALISED (out has the declared rows alone) · what the desk answered
 */
enum err jail_round_look(const struct run *r, struct jail_round *out) MUST;
/* "vault", "gate/1". Returns out. */
const char *jail_round_title(const struct jail_row *row, char out[JAIL_TITLE_BYTES]);

#endif
