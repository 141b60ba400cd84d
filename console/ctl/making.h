/*
 * making — what both kinds of sallyport init share: files that are made once, and the processes that make the stores.
 * Invariants: a step may be repeated and finds what it made before; the PIN reaches the monitor through a pipe and
 * never stands in an argument, an environment or a file of ours.
 */
#ifndef CONSOLE_CTL_MAKING_H
#define CONSOLE_CTL_MAKING_H

#include <sys/types.h>

#include "console/ctl/ca.h"
#include "console/ctl/ctl.h"
#include "console/ctl/officer.h"
#include "daemon/base/secret.h"
#include "daemon/wire/msg.h"

struct client;

#define MAKING_OFFICERS_MAX  16
#define MAKING_MERCHANTS_MAX 32

struct making {
	struct run *run;
	struct ca_pair root;
	char install[40];
	char cause[512]; /* more than the error's own title, "" when there is none */
	/* a live one only */
	struct secret *pin;
	struct officer officers[MAKING_OFFICERS_MAX]; /* their public halves */
	size_t officers_n;
	const char *merchants[MAKING_MERCHANTS_MAX];
	size_t merchants_n;
	const char *first_client; /* NULL: none is made */
	bool make_ca, conf_is_new, stores_begun;
};

struct making_step {
	const char *what, *does;
	enum err (*act)(struct making *m);
};

/* The monitor in init mode, with desk at the other end. */
struct making_daemon {
	const struct making *of;
	pid_t pid;
	struct client *client;
};

/* What will be done, for people. */
void making_show_plan(const struct making_step *steps, size_t n);
/* Does them in order, each told when it is done; at the first error *at_out is where. What acts say. */
enum err making_do(struct making *m, const struct making_step *steps, size_t n, size_t *at_out) MUST;
/* Writes the file unless it is there. */
enum err making_write_new(const char *dir, const char *name, const void *bytes, size_t n, unsigned mode) MUST;
/* Both files of a pair, the certificate last: it marks the pair as whole. */
enum err making_write_pair(const char *dir, const char *key_name, const char *certificate_name,
						   const struct ca_pair *pair) MUST;
enum err making_directories(struct making *m) MUST;
/* The small-site CA and the gate's certificate by it. */
enum err making_own_ca(struct making *m, bool server) MUST;
/* A client's certificate by the small-site CA, below clients/. */
enum err making_client(struct making *m, const char *name) MUST;
/* ERR_NOT_RUNNING: run/init.log says why. */
enum err making_start(struct making *m, struct making_daemon *out) MUST;
/* Asks; a process that has only just started is given its time, 30 s at most. */
enum err making_ask(struct making_daemon *d, enum msg number, const void *req, void *rep) MUST;
void making_stop(struct making_daemon *d);
/* Explains a failure: fills m->cause, printf-style, and returns e. */
enum err making_fail(struct making *m, enum err e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
