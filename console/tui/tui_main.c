/*
 * sallyport-console — an officer's screen over ssh. Reads through desk, changes nothing, holds no secret.
 * Files: DIR/run/desk.sock. Signals: SIGWINCH by curses, SIGINT and SIGTERM leave cleanly. Exit status: 0, 2 usage, 5
 * not running (--plain --once only: the screens show it and wait).
 */
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console/tui/app.h"
#include "console/tui/paint.h"
#include "console/tui/plain.h"
#include "daemon/base/mem.h"
#include "daemon/wire/client.h"

static volatile sig_atomic_t told;

static void
on_signal(int number)
{
	(void)number;
	told = 1;
}

static int
usage(FILE *to, int status)
{
	fputs("  $ sallyport-console --dir /srv/sallyport\n\n"
		  "The console of a Sallyport appliance: Overview, Keys, Audit, Payments, live and read-only.\n\n"
		  "usage: sallyport-console [--dir DIR] [--plain [--once]] [--ascii] [--no-color] [--screen NAME]\n\n"
		  "  --dir DIR      the appliance under DIR instead of the installed one (or SALLYPORT_DIR)\n"
		  "  --plain        lines instead of a full screen (by itself for TERM=dumb); reads commands from stdin\n"
		  "  --once         with --plain: print the screen once and leave\n"
		  "  --ascii        no byte above 0x7e (by itself where the locale is not UTF-8)\n"
		  "  --no-color     states stand as words only (also with NO_COLOR)\n"
		  "  --screen NAME  begin on overview, keys, audit or payments\n\n"
		  "? inside lists the keys that work.\n",
		  to);
	return status;
}

static bool
take_value(int argc, char **argv, int *i, const char *name, const char **out)
{
	if (strcmp(argv[*i], name) != 0 || *i + 1 >= argc)
		return false;
	*out = argv[++*i];
	return true;
}

int
main(int argc, char **argv)
{
	static struct app a;
	const char *dir = getenv("SALLYPORT_DIR"), *screen = NULL, *term = getenv("TERM");
	bool plain = !term || strcmp(term, "dumb") == 0, once = false;

	setlocale(LC_ALL, "");
	a.ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	a.color = !getenv("NO_COLOR");
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return usage(stdout, 0);
		if (strcmp(argv[i], "--version") == 0)
			return puts("sallyport-console " VERSION) < 0;
		if (strcmp(argv[i], "--plain") == 0)
			plain = true;
		else if (strcmp(argv[i], "--once") == 0)
			once = true;
		else if (strcmp(argv[i], "--ascii") == 0)
			a.ascii = true;
		else if (strcmp(argv[i], "--no-color") == 0)
			a.color = false;
		else if (!take_value(argc, argv, &i, "--dir", &dir) && !take_value(argc, argv, &i, "--screen", &screen))
			return usage(stderr, 2);
	}
	int n = dir ? snprintf(a.socket, sizeof a.socket, "%s/run/desk.sock", dir)
				: snprintf(a.socket, sizeof a.socket, "%s/desk.sock", RUNDIR);
	if (n >= 108)
		return fputs("sallyport-console: the directory's path is too long\nnext: use a shorter DIR\n", stderr), 2;
	if (sodium_init() < 0 || (screen && !app_command(&a, screen)))
		return usage(stderr, 2);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	int status = plain ? plain_run(&a, once, &told) : paint_run(&a, &told);
	client_close(a.client);
	return status;
}
