/*
 * jail_seen — what the kernel says of a process's jail: /proc/PID/status of every thread, its limits, its label.
 * Invariants: of several threads the loosest counts; what is not there in the form that is expected is an error and
 * never taken for a lock; nothing is sent to the process. Source: proc(5), capabilities(7), seccomp(2).
 */
#ifndef CONSOLE_CTL_JAIL_SEEN_H
#define CONSOLE_CTL_JAIL_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"

#define JAIL_SEEN_LABEL_BYTES 128
#define JAIL_SEEN_NO_LIMIT    UINT64_MAX

enum jail_seccomp { JAIL_SECCOMP_NONE, JAIL_SECCOMP_STRICT, JAIL_SECCOMP_FILTER };

struct jail_seen {
	uint32_t parent;
	uint32_t uid[4], gid[4]; /* real, effective, saved, of files */
	bool other_groups;       /* a supplementary one that is not its own */
	unsigned threads;
	unsigned seccomp; /* enum jail_seccomp */
	unsigned filters; /* how many stand one over the other; 0 also where the kernel does not count (before 5.9) */
	bool counted;
	bool no_new_privs;
	uint64_t caps; /* effective, permitted and ambient ones together */
	uint64_t core_max, memlock, files;
	char label[JAIL_SEEN_LABEL_BYTES]; /* SELinux context or AppArmor profile; "": neither is in force */
};

/*
 * jail_seen_read(proc, pid, out)
 *   proc     "/proc"; tests have their own
 *   Returns  ERR_OK · ERR_NOT_FOUND (there is no such process) · ERR_PERMISSION (it may not be looked at) ·
 *            ERR_FILE_FORM (the kernel did not say all that is asked for)
 */
enum err jail_seen_read(const char *proc, uint32_t pid, struct jail_seen *out) MUST;
/* The type of an SELinux context ("user:role:type[:level]"), the whole of another label, "-" of none. Returns out. */
const char *jail_seen_domain(const struct jail_seen *s, char out[JAIL_SEEN_LABEL_BYTES]);

/* The host's side: what a jail can be made of here. */
struct jail_host {
	unsigned landlock_abi;
	bool mdwe;
	bool selinux, enforcing;
	bool module; /* the appliance's policy module is loaded and its programs are labelled */
};
void jail_seen_host(struct jail_host *out);

#endif
