/*
 * jail — the sandbox of a process, from its rows in policy/jail_<process>.def.
 * Order: no_new_privs → not dumpable, no cores → MDWE → Landlock by ABI level → (helper threads) → seccomp with TSYNC,
 * default kill. Every right has its reason in its row:
 *   the words of the rows are told in policy/jail_common.def. TCP connections are none by default, binding never is.
 * Invariants: the two steps either do all that the kernel has, or fail; what they reached is in struct jail.
 * Source: seccomp(2), landlock(7), prctl(2).
 */
#ifndef DAEMON_BASE_JAIL_H
#define DAEMON_BASE_JAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"

struct jail {
	unsigned calls;        /* system calls that the filter allows, as jail_count counts them */
	unsigned landlock_abi; /* 0: the kernel has none */
	bool mdwe;             /* PR_SET_MDWE took */
	char text[96];         /* "31 calls, landlock 7, mdwe" */
};

struct jail_call {
	int number;         /* __NR_… */
	const char *reason; /* shown by `sallyport jail` */
	int arg;            /* -1: any arguments; else this argument must satisfy (value & mask) == want */
	unsigned long mask, want;
	int refuse; /* not 0: the call fails with this errno instead (what a library does without when it must) */
	const char *name, *mask_word, *want_word; /* as the row has them; refused ones have the errno in want_word */
};
struct jail_path {
	int dir_fd;       /* directory or file that may be used beneath; opened by the monitor, or -1 and then `path` */
	const char *path; /* NULL when dir_fd is given */
	bool write;
	const char *reason;
};
struct jail_spec {
	const struct jail_call *calls;
	size_t calls_n;
	const struct jail_path *paths;
	size_t paths_n;
	bool threads_later; /* clone with CLONE_THREAD only; clone3 answers ENOSYS */
	bool exec;          /* monitor only */
	bool tcp_connect;   /* may open TCP connections; binding never is */
	bool trap;          /* name a missing call on stderr, then die of it (test installations only) */
	const char *threads_reason, *tcp_reason;
};

/* How many system calls these rows allow on this machine; one that several rows allow counts once. */
unsigned jail_count(const struct jail_spec *s);
/* The Landlock ABI of this kernel; 0: none. */
unsigned jail_kernel_abi(void);
/* Not dumpable, RLIMIT_CORE 0, no_new_privs: call first thing in main. ERR_JAIL. */
enum err jail_begin(void) MUST;
/* Landlock now (before threads), seccomp last. ERR_JAIL names nothing: the log line does. */
enum err jail_paths(const struct jail_spec *s, struct jail *out) MUST;
enum err jail_calls(const struct jail_spec *s, struct jail *out) MUST;

#endif
