/*
 * site — where this appliance lives: its directories, configuration, owner, users and the descriptors opened for its
 * children before rights are dropped.
 * Invariants: one monitor per site (lock); a `test` installation alone may take its PIN from a file or other binaries.
 */
#ifndef DAEMON_MONITOR_SITE_H
#define DAEMON_MONITOR_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/base/buf.h"
#include "daemon/base/conf.h"
#include "daemon/base/err.h"
#include "daemon/wire/msg.h"
#include "daemon/wire/page.h"

#define SITE_PATH_BYTES 400

struct site {
	char etc[SITE_PATH_BYTES], state[SITE_PATH_BYTES],
		run[SITE_PATH_BYTES]; /* one DIR, or the three of an installed one */
	char libexec[SITE_PATH_BYTES];
	struct conf *conf;
	bool root, test, init;
	uid_t owner;                    /* of the configuration: may ask the desk */
	int lock, pin;                  /* -1: none */
	int pin_fd;                     /* with --init: where the PIN is read from, once; -1 */
	int desk, gate[PAGE_INDEX_MAX]; /* listeners */
	unsigned gates;
	struct {
		uid_t uid;
		gid_t gid;
	} users[PROCESS_MAX];
	int dirs[PROCESS_MAX];     /* each process's own directory, -1: it has none */
	int binaries[PROCESS_MAX]; /* opened once: a running appliance stays one version */
};

/*
 * site_open(dir, libexec, init, pin_fd, s, why)
 *   dir      NULL: the installed layout
 *   libexec  from --libexec or the environment; NULL: the compiled-in one. Others in test installations only.
 *   pin_fd   where sallyport init hands the PIN over, -1: nowhere; taken
 *   why      what went wrong, for people: one line, added to
 *   Returns  ERR_OK · ERR_NOT_INITIALISED · ERR_CONFIG · ERR_USERS_MISSING · ERR_DIR_NOT_SEARCHABLE · ERR_EXISTS (runs
 *            already) · ERR_DB_VERSION (the stores are of a newer version) · ERR_PERMISSION · ERR_FILE_MISSING · ERR_IO
 * · ERR_MEMORY
 */
enum err site_open(const char *dir, const char *libexec, bool init, int pin_fd, struct site *s, struct buf *why) MUST;
/* Is this process started here (all, or only those of --init)? */
bool site_runs(const struct site *s, enum process p);
/* Read the credential hsm-pin anew; s->pin stays as it is (-1 at first: the vault stays sealed) where there is none. */
void site_read_pin(struct site *s);
/* A file below tls/ opened for reading, -1: it is not there. */
int site_tls(const struct site *s, const char *name);
/* Keep only the right to start children as their users and to stop them. ERR_JAIL. */
enum err site_drop_rights(const struct site *s) MUST;
/* Bytes as a memfd that nobody can change any more, at its start; -1: no memory. */
int site_memfd(const char *name, const void *bytes, size_t n);

#endif
