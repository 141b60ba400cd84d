#include "console/ctl/interrupt.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Made before there is a signal: a handler may call write and little else. */
static char text[512], document[1024];
static const char *volatile half_made;
static size_t text_bytes, document_bytes;
static struct termios terminal;
static volatile sig_atomic_t terminal_fd = -1;

static void
on_interrupt(int number)
{
	(void)number;
	if (terminal_fd >= 0)
		(void)tcsetattr(terminal_fd, TCSAFLUSH, &terminal);
	if (half_made)
		unlink(half_made);
	/* nobody is left who could be told that a write failed */
	if (document_bytes && write(STDOUT_FILENO, document, document_bytes) < 0)
		text_bytes = 0;
	if (text_bytes && write(STDERR_FILENO, text, text_bytes) < 0)
		document_bytes = 0;
	_exit(EXIT_CODE_INTERRUPTED);
}

static void
prepare(const struct run *r, const char *cause, const char *next)
{
	const char *what = r->command->words;
	int n = snprintf(text, sizeof text, "%ssallyport: %s: %s\nnext: %s\n", isatty(STDERR_FILENO) ? "\n" : "", what,
					 cause ? cause : err_title(ERR_INTERRUPTED), next ? next : err_next(ERR_INTERRUPTED));

	text_bytes = n > 0 && (size_t)n < sizeof text ? (size_t)n : 0;
	document_bytes = 0;
	if (r->json) {
		json_t *doc = ctl_problem_json(ERR_INTERRUPTED, what, cause, next);
		size_t bytes = doc ? json_dumpb(doc, document, sizeof document - 1, JSON_COMPACT) : 0;
		json_decref(doc);
		if (bytes && bytes < sizeof document - 1) {
			document[bytes] = '\n';
			document_bytes = bytes + 1;
		}
	}
}

void
interrupt_watch(const struct run *r)
{
	const struct sigaction action = {.sa_handler = on_interrupt};
	prepare(r, NULL, NULL);
	sigaction(SIGINT, &action, NULL);
}

void
interrupt_leaves(const struct run *r, const char *cause, const char *next)
{
	sigset_t one, old;
	sigemptyset(&one);
	sigaddset(&one, SIGINT);
	/* it would print what is half written */
	sigprocmask(SIG_BLOCK, &one, &old);
	prepare(r, cause, next);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

void
interrupt_remove(const char *path)
{
	half_made = path;
}

void
interrupt_restore(int tty, const struct termios *as_it_was)
{
	terminal_fd = -1;
	if (as_it_was)
		terminal = *as_it_was;
	terminal_fd = tty;
}

void
interrupt_ignore(void)
{
	const struct sigaction action = {.sa_handler = SIG_IGN};
	sigaction(SIGINT, &action, NULL);
}
