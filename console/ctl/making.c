#include "console/ctl/making.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "console/ctl/layout.h"
#include "daemon/base/mem.h"
#include "daemon/wire/client.h"

#define ROOT_DAYS         3650
#define SERVER_DAYS       397
#define CLIENT_DAYS       397
#define PIN_FD            3
#define LOG_BYTES_MAX     ((size_t)1 << 20)
#define LITTLE_ROOM_BYTES 16384

enum err
making_fail(struct making *m, enum err e, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(m->cause, sizeof m->cause, fmt, args);
	va_end(args);
	return e;
}

void
making_show_plan(const struct making_step *steps, size_t n)
{
	puts("The plan:");
	for (size_t i = 0; i < n; i++)
		printf("  %zu. %-16s %s\n", i + 1, steps[i].what, steps[i].does);
	putchar('\n');
}

enum err
making_do(struct making *m, const struct making_step *steps, size_t n, size_t *at_out)
{
	for (*at_out = 0; *at_out < n; ++*at_out) {
		enum err e = steps[*at_out].act(m);
		if (e != ERR_OK)
			return e;
		if (!m->run->json) {
			printf("  done: %s\n", steps[*at_out].what);
			fflush(stdout);
		}
	}
	return ERR_OK;
}

/* ── files ── */

enum err
making_write_new(const char *dir, const char *name, const void *bytes, size_t n, unsigned mode)
{
	char path[PATH_BYTES];
	enum err e = ctl_path(path, dir, name);
	if (e != ERR_OK || access(path, F_OK) == 0)
		return e;
	return ctl_write_file(path, bytes, n, mode);
}

enum err
making_write_pair(const char *dir, const char *key_name, const char *certificate_name, const struct ca_pair *pair)
{
	char path[PATH_BYTES];
	enum err e;

	if ((e = ctl_path(path, dir, certificate_name)) != ERR_OK || access(path, F_OK) == 0)
		return e;
	if ((e = ctl_path(path, dir, key_name)) != ERR_OK ||
		(e = ctl_write_file(path, pair->key, strlen(pair->key), 0600)) != ERR_OK)
		return e;
	return making_write_new(dir, certificate_name, pair->certificate, strlen(pair->certificate), 0644);
}

enum err
making_directories(struct making *m)
{
	enum err e = layout_check_users(&m->run->paths);
	if (e == ERR_OK)
		e = layout_make_directories(&m->run->paths);
	return e == ERR_OK ? layout_check_room(&m->run->paths) : e;
}

enum err
making_own_ca(struct making *m, bool server)
{
	const char *etc = m->run->paths.etc, *listen = ctl_flag(m->run, "--listen");
	struct ca_pair pair;
	char host[CONF_HOST_BYTES] = "";
	enum err e;

	if (listen)
		ca_host_of(listen, host);
	if ((e = ca_make_root(m->install, ROOT_DAYS, &pair)) != ERR_OK ||
		(e = making_write_pair(etc, "ca/ca.key", "ca/ca.crt", &pair)) != ERR_OK ||
		(e = ca_read_root(etc, &m->root)) != ERR_OK)
		goto out;
	if (server && ((e = ca_issue(&m->root, "sallyport", CA_USE_SERVER, host, SERVER_DAYS, &pair)) != ERR_OK ||
				   (e = making_write_pair(etc, "tls/server.key", "tls/server.crt", &pair)) != ERR_OK))
		goto out;
out:
	mem_wipe(&pair, sizeof pair);
	return e;
}

enum err
making_client(struct making *m, const char *name)
{
	char key[96], certificate[96];
	struct ca_pair pair;
	enum err e = ca_issue(&m->root, name, CA_USE_CLIENT, NULL, CLIENT_DAYS, &pair);

	snprintf(key, sizeof key, "clients/%s.key", name);
	snprintf(certificate, sizeof certificate, "clients/%s.crt", name);
	if (e == ERR_OK)
		e = making_write_pair(m->run->paths.etc, key, certificate, &pair);
	mem_wipe(&pair, sizeof pair);
	return e;
}

/* ── the processes ── */

/* A pipe holds a PIN easily: it is written before anybody reads. */
static enum err
pin_pipe(const struct making *m, int *out)
{
	int fds[2];
	*out = -1;
	if (!m->pin)
		return ERR_OK;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return ERR_IO;
	ssize_t put = write(fds[1], m->pin->bytes, m->pin->len);
	close(fds[1]);
	*out = fds[0];
	return put == (ssize_t)m->pin->len ? ERR_OK : ERR_IO;
}

static void
become_monitor(const struct making *m, int out, int log, int pin)
{
	const char *argv[8] = {"sallyportd", "--init"};
	unsigned n = 2;
	char number[8];

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(out, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	if (pin >= 0 && (pin == PIN_FD ? fcntl(pin, F_SETFD, 0) : dup2(pin, PIN_FD)) < 0)
		_exit(127);
	if (m->run->paths.dir[0]) {
		argv[n++] = "--dir";
		argv[n++] = m->run->paths.dir;
	}
	if (pin >= 0) {
		snprintf(number, sizeof number, "%d", PIN_FD);
		argv[n++] = "--pin-fd";
		argv[n++] = number;
	}
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* Waits for its "ready". */
static enum err
wait_for(int from)
{
	char line[256];
	size_t n = 0;
	while (n < sizeof line - 1) {
		ssize_t got = read(from, line + n, sizeof line - 1 - n);
		if (got <= 0)
			return ERR_NOT_RUNNING;
		n += (size_t)got;
		line[n] = 0;
		if (strstr(line, "ready"))
			return ERR_OK;
	}
	return ERR_NOT_RUNNING;
}

static enum err
open_log(const struct making *m, int *out)
{
	char path[PATH_BYTES];
	if (ctl_path(path, m->run->paths.run, "init.log") != ERR_OK)
		return ERR_OUT_OF_RANGE;
	/* what the processes say goes to a file: this screen is for the plan */
	*out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *out >= 0 ? ERR_OK : errno == ENOSPC ? ERR_DISK_FULL : errno == EACCES ? ERR_PERMISSION : ERR_IO;
}

/* ── why they ended ── */

static enum err
err_by(const char *(*word)(enum err), const char *text, size_t n)
{
	for (unsigned e = ERR_OK + 1; e < ERR_MAX; e++)
		if (strlen(word((enum err)e)) == n && strncmp(word((enum err)e), text, n) == 0)
			return (enum err)e;
	return ERR_OK;
}

/* The monitor's own last words ("sallyport: title: why"), or the cause in a process's. */
static enum err
err_of_line(const char *line)
{
	static const char fatal[] = "\"level\":\"fatal\"", cause[] = "\"cause\":\"", own[] = "sallyport: ";
	const char *at = strstr(line, cause);
	if (strncmp(line, own, sizeof own - 1) == 0)
		return err_by(err_title, line + sizeof own - 1, strcspn(line + sizeof own - 1, ":"));
	return at && strstr(line, fatal) ? err_by(err_code, at + sizeof cause - 1, strcspn(at + sizeof cause - 1, "\""))
									 : ERR_OK;
}

static bool
no_room(const char *path)
{
	struct statvfs fs;
	return statvfs(path, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < LITTLE_ROOM_BYTES;
}

/* A process that ended answers nothing, and that it does not answer helps nobody: what did it say last? */
static enum err
why_ended(const struct making *m, enum err e)
{
	char path[PATH_BYTES], *text = NULL, *save = NULL;
	enum err said = ERR_OK;
	size_t n;

	if (e != ERR_NOT_RUNNING && e != ERR_PEER_AWAY && e != ERR_IO && e != ERR_DEADLINE)
		return e;
	if (ctl_path(path, m->run->paths.run, "init.log") == ERR_OK &&
		ctl_read_file(path, LOG_BYTES_MAX, &text, &n) == ERR_OK)
		for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			if (err_of_line(line) != ERR_OK)
				said = err_of_line(line);
	mem_free(text);
	/* on a full disk not even that could be written */
	if (said == ERR_OK && (no_room(m->run->paths.state) || no_room(m->run->paths.run)))
		said = ERR_DISK_FULL;
	return said == ERR_OK ? e : said;
}

enum err
making_start(struct making *m, struct making_daemon *out)
{
	char path[PATH_BYTES];
	int said[2] = {-1, -1}, log = -1, pin = -1;
	enum err e = open_log(m, &log);

	*out = (struct making_daemon){.pid = -1, .of = m};
	if (e == ERR_OK)
		e = pin_pipe(m, &pin);
	if (e == ERR_OK && pipe2(said, O_CLOEXEC) != 0)
		e = ERR_IO;
	if (e == ERR_OK && (out->pid = fork()) == 0)
		become_monitor(m, said[1], log, pin);
	if (said[1] >= 0)
		close(said[1]);
	if (e == ERR_OK)
		e = out->pid > 0 ? wait_for(said[0]) : ERR_MEMORY;
	for (int *fd = (int[]){said[0], log, pin, -2}; *fd != -2; fd++)
		if (*fd >= 0)
			close(*fd);
	if (e == ERR_OK)
		e = ctl_path(path, m->run->paths.run, "desk.sock");
	if (e == ERR_OK)
		e = client_open(path, 5000, &out->client);
	if (e != ERR_OK) {
		making_stop(out);
		e = why_ended(m, e);
	}
	return e;
}

enum err
making_ask(struct making_daemon *d, enum msg number, const void *req, void *rep)
{
	enum err e = ERR_OK;
	for (int tries = 0; tries < 300; tries++) {
		e = client_ask(d->client, number, req, rep, 30000);
		if (e != ERR_VAULT_SEALED && e != ERR_NOT_READY && e != ERR_LEDGER_AWAY && e != ERR_VAULT_AWAY)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
	return why_ended(d->of, e);
}

void
making_stop(struct making_daemon *d)
{
	client_close(d->client);
	d->client = NULL;
	if (d->pid > 0) {
		kill(d->pid, SIGTERM);
		waitpid(d->pid, NULL, 0);
	}
	d->pid = -1;
}
