/*
 * sallyportd — the monitor: the parent of all processes of the appliance.
 *
 * Holds alone: the right to start the others under their users, the listening sockets, the PIN's memfd (it never reads
 *   it again), the binaries that it opened at its start. Parses no client's input and holds no key.
 * Answers: ready, hung (vault), cut (all). Says: give, go, reload, stop; ledger_note.
 * Jail: no_new_privs, not dumpable, no cores; as root CAP_SETUID and CAP_SETGID only.
 * Files: sallyport.conf and sallyport.conf.d, tls/ (for the gates), credentials/hsm-pin (test installations only),
 *   run/lock, run/desk.sock.
 * Signals: TERM, INT stop (0); HUP reads the configuration again; a second TERM stops at once.
 * Exit status: 0 stopped · 1 could not start · 2 usage · 9 the configuration was refused (a try more changes nothing).
 */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sodium.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/monitor/family.h"
#include "daemon/monitor/notify.h"
#include "daemon/monitor/site.h"

static const char help[] =
	"sallyportd --dir /srv/pay        run the appliance that sallyport init made there\n"
	"\n"
	"usage: sallyportd [--dir DIR] [--init [--pin-fd N]] [--libexec DIR]\n"
	"  --dir DIR      everything lies below DIR; without it /etc/sallyport, /var/lib/sallyport, /run/sallyport\n"
	"  --init         only hsm, vault, ledger and desk: sallyport init starts it so\n"
	"  --pin-fd N     with --init: the HSM's PIN is read from this descriptor\n"
	"  --libexec DIR  the programs of the processes (test installations only; or SALLYPORT_LIBEXEC)\n"
	"  --help, --version\n"
	"\n"
	"It stays in the foreground, writes one line that begins with \"ready\" to stdout when it serves, and logs to "
	"stderr.\n"
	"SIGTERM stops it, SIGHUP makes it read the configuration again.\n"
	"Exit: 0 stopped, 1 could not start, 2 usage, 9 the configuration was refused.\n";

#define EXIT_CONFIG 9 /* as `sallyport config check` */

struct options {
	const char *dir, *libexec;
	bool init;
	int pin_fd; /* -1: none */
};

static int
usage(void)
{
	fprintf(stderr, "sallyport: sallyportd: %s\nnext: sallyportd --help\n", err_title(ERR_USAGE));
	return 2;
}

/* -1: go on; else exit with this. */
static int
read_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {{"dir", required_argument, NULL, 'd'},
										  {"init", no_argument, NULL, 'i'},
										  {"libexec", required_argument, NULL, 'l'},
										  {"help", no_argument, NULL, 'h'},
										  {"version", no_argument, NULL, 'v'},
										  {"pin-fd", required_argument, NULL, 'p'},
										  {NULL, 0, NULL, 0}};
	uint64_t number;
	int c;
	o->libexec = getenv("SALLYPORT_LIBEXEC");
	opterr = 0;
	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (c) {
		case 'd':
			o->dir = optarg;
			break;
		case 'i':
			o->init = true;
			break;
		case 'l':
			o->libexec = optarg;
			break;
		case 'p':
			if (str_decimal(optarg, INT_MAX, &number) != ERR_OK)
				return usage();
			o->pin_fd = (int)number;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		case 'v':
			puts("sallyportd " PACKAGE_VERSION);
			return 0;
		default:
			return usage();
		}
	}
	return optind == argc ? -1 : usage();
}

/* The same words for `systemctl status`, which keeps them when we are gone. */
static void
tell_systemd(enum err e, const struct buf *why)
{
	char text[400];
	const char *at = why->len ? (const char *)buf_at(why) : "see the journal";
	size_t n = why->len ? why->len : strlen(at);
	const char *end = memchr(at, '\n', n); /* the first of them */
	notify_open();
	snprintf(text, sizeof text, "STATUS=not started — %s: %.*s; next: %s", err_title(e),
			 (int)(end ? (size_t)(end - at) : n), at, err_next(e));
	if (!notify_send(text))
		return; /* the journal has it */
}

static int
fail(enum err e, const struct buf *why)
{
	const char *text = why->len ? (const char *)buf_at(why) : "see above";
	size_t n = why->len ? why->len : strlen(text);
	n -= text[n - 1] == '\n'; /* errors of the configuration are lines */
	tell_systemd(e, why);
	fprintf(stderr, "sallyport: %s: %.*s\nnext: %s\n", err_title(e), (int)n, text,
			e == ERR_EXISTS ? "stop the other one, or choose another directory or address" : err_next(e));
	return e == ERR_CONFIG ? EXIT_CONFIG : 1;
}

/* As much as the host allows: a gate has a descriptor for each client, the vault locks its arena. */
static void
raise_limit(int which)
{
	struct rlimit l;
	if (getrlimit((__rlimit_resource_t)which, &l) != 0)
		return;
	l.rlim_cur = l.rlim_max;
	if (setrlimit((__rlimit_resource_t)which, &l) != 0)
		log_warn("a limit could not be raised", LOG_I("limit", which));
}

/* Nothing of this process's memory is to be had, and its limits are its children's. */
static enum err
harden(void)
{
	struct rlimit none = {0, 0};
	raise_limit(RLIMIT_NOFILE);
	raise_limit(RLIMIT_MEMLOCK);
#ifndef SANITIZERS
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return ERR_JAIL;
#endif
	return setrlimit(RLIMIT_CORE, &none) == 0 ? ERR_OK : ERR_JAIL;
}

int
main(int argc, char **argv)
{
	static struct site site;
	struct options o = {.pin_fd = -1};
	struct buf why;
	enum err e;
	pid_t parent = getppid();
	int status = read_options(argc, argv, &o);
	if (status >= 0)
		return status;
	log_open("monitor");
	buf_init(&why, 65536);
	if (sodium_init() < 0)
		return fail(ERR_RANDOM, &why);
	if ((e = site_open(o.dir, o.libexec, o.init, o.pin_fd, &site, &why)) != ERR_OK)
		return fail(e, &why);
	event_set_mem_functions(mem_alloc, mem_grow, mem_free);
	struct event_base *base = event_base_new();
	/* pages are opened twice through /proc, which is closed to us once we are not dumpable */
	if ((e = base ? family_open(&site, base) : ERR_MEMORY) != ERR_OK || (e = harden()) != ERR_OK ||
		(e = site_drop_rights(&site)) != ERR_OK)
		return fail(e, &why);
	/* who makes an appliance may be killed, and must not leave us in the way of the next try; asked for again, since
	 * each change of user or group forgets it */
	if (site.init && (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent))
		return 1;
	if ((e = family_start()) != ERR_OK)
		return fail(e, &why);
	return family_run();
}
