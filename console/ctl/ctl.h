/*
 * ctl — the `sallyport` command: one table of commands, one way to read arguments, one way to fail.
 * Invariants: a failure prints "sallyport: <what>: <cause>" and "next: <step>" on stderr and nothing on stdout, or with
 *   --json one problem document on stdout; no secret or card number is ever taken as an argument; nothing prompts
 *   without a terminal; abbreviations are refused.
 */
#ifndef CONSOLE_CTL_CTL_H
#define CONSOLE_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct client;

/* The exit codes, the same in every command (sallyport help exit-codes). */
enum exit_code {
#define EXIT_CODE(ID, number, what) EXIT_CODE_##ID = (number),
#include "console/ctl/exit_codes.def"
#undef EXIT_CODE
};

struct flag {
	const char *name;  /* "--output" */
	const char *value; /* "FILE" when it takes one, else NULL */
	const char *what;
};

struct run;
struct command {
	const char *words;   /* "client add" */
	const char *args;    /* "NAME", "" */
	const char *summary; /* one line */
	const char *about;   /* paragraphs for --help, "" */
	const char *example; /* a command line that works, without "$ " */
	const char *exits;   /* "0 1 2 5 7": those that it gives, each with a recipe in tests/scene/52-recipes.py */
	const char *schema;  /* of its --json document: DATADIR/schemas/<schema>.json */
	unsigned args_min, args_max;
	const struct flag *flags; /* ends with {NULL} */
	int (*act)(struct run *r);
};

#define RUN_ARGS_MAX  16
#define RUN_FLAGS_MAX 64
#define PATH_BYTES    512

/* Where things are: under --dir DIR, or installed. */
struct paths {
	char dir[PATH_BYTES];   /* "" when installed */
	char etc[PATH_BYTES];   /* DIR or /etc/sallyport */
	char state[PATH_BYTES]; /* DIR or /var/lib/sallyport */
	char run[PATH_BYTES];   /* DIR/run or /run/sallyport */
};

struct run {
	const struct command *command;
	struct paths paths;
	bool json, color, terminal, no_input, yes;
	unsigned args_n;
	const char *args[RUN_ARGS_MAX];
	unsigned values_n;
	struct {
		const char *name, *value;
	} values[RUN_FLAGS_MAX];
};

/* The value of a flag, "" for one that takes none, NULL when it was not given. */
const char *ctl_flag(const struct run *r, const char *name);
/* The nth of a flag that may be given more than once, from 0; NULL: there are not so many. */
const char *ctl_flag_nth(const struct run *r, const char *name, unsigned n);
/* Print the failure in the form above; returns the exit status of e. cause may be NULL: the error's own title. */
int ctl_fail(const struct run *r, enum err e, const char *what, const char *cause);
/* A usage failure about an argument: exit 2. */
int ctl_usage(const struct run *r, const char *problem);
int ctl_exit_of(enum err e);
/* The problem document of a failure; cause and next may be NULL: the error's own. NULL: no memory. */
json_t *ctl_problem_json(enum err e, const char *what, const char *cause, const char *next);
/* Prints the document on stdout as one line; takes the reference. Once in a run. */
int ctl_print_json(json_t *doc);
/* Connect to desk of this run's paths; on failure the message is printed and *status_out is the exit status. */
struct client *ctl_connect(struct run *r, int *status_out);
/* One question to desk with 10 s; prints nothing. */
enum err ctl_ask(struct client *c, int msg, const void *req, void *rep);
/* Join a directory and a name; ERR_OUT_OF_RANGE. */
enum err ctl_path(char out[PATH_BYTES], const char *dir, const char *name) MUST;
/* Whole file, at most max bytes, NUL added; *out is freed with mem_free. ERR_FILE_MISSING · ERR_PERMISSION ·
 * ERR_FILE_FORM (too big) · ERR_IO · ERR_MEMORY */
enum err ctl_read_file(const char *path, size_t max, char **out, size_t *n_out) MUST;
/* Write atomically (tmp, fsync, rename) with this mode. ERR_IO · ERR_PERMISSION · ERR_DISK_FULL */
enum err ctl_write_file(const char *path, const void *bytes, size_t n, unsigned mode) MUST;

#endif
