#include "console/ctl/hidden.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "console/ctl/interrupt.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

/* One line into guarded memory; the buffer on the way is wiped. whole: nothing may follow it. */
static enum err
take_line(int fd, bool whole, struct secret **out)
{
	char text[HIDDEN_BYTES_MAX + 2];
	size_t n = 0;
	enum err e = ERR_OK;

	while (e == ERR_OK && n < sizeof text) {
		ssize_t got = read(fd, text + n, sizeof text - n);
		if (got < 0)
			e = errno == EINTR ? ERR_INTERRUPTED : ERR_IO;
		if (got <= 0)
			break;
		n += (size_t)got;
		if (!whole && memchr(text, '\n', n))
			break;
	}
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (e == ERR_OK && (n == 0 || n > HIDDEN_BYTES_MAX || memchr(text, '\n', n) || memchr(text, 0, n)))
		e = ERR_FILE_FORM;
	if (e == ERR_OK)
		e = secret_copy(text, n, out);
	mem_wipe(text, sizeof text);
	return e;
}

static enum err
open_place(const char *where, int *out)
{
	uint64_t number;

	if (strcmp(where, "-") == 0)
		*out = dup(STDIN_FILENO);
	else if (strncmp(where, "fd:", 3) == 0)
		*out = str_decimal(where + 3, 1023, &number) == ERR_OK ? dup((int)number) : -1;
	else
		*out = open(where, O_RDONLY | O_CLOEXEC);
	if (*out >= 0)
		return ERR_OK;
	return errno == EACCES || errno == EPERM ? ERR_PERMISSION : ERR_FILE_MISSING;
}

enum err
hidden_read(const char *where, struct secret **out)
{
	struct stat st;
	int fd = -1;
	enum err e = open_place(where, &fd);

	*out = NULL;
	if (e != ERR_OK)
		return e;
	if (fstat(fd, &st) != 0)
		e = ERR_IO;
	else if (S_ISREG(st.st_mode) && (st.st_mode & 077))
		e = ERR_FILE_EXPOSED;
	else if (S_ISDIR(st.st_mode))
		e = ERR_FILE_FORM;
	if (e == ERR_OK)
		e = take_line(fd, true, out);
	close(fd);
	return e;
}

/* Ctrl-C at the prompt must not leave a terminal that shows nothing. */
static enum err
read_unseen(int tty, struct secret **out)
{
	struct termios shown, unseen;
	enum err e;

	if (tcgetattr(tty, &shown) != 0)
		return ERR_IO;
	unseen = shown;
	unseen.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	interrupt_restore(tty, &shown);
	if (tcsetattr(tty, TCSAFLUSH, &unseen) != 0)
		return ERR_IO;
	e = take_line(tty, false, out);
	(void)tcsetattr(tty, TCSAFLUSH, &shown);
	interrupt_restore(-1, NULL);
	if (write(tty, "\n", 1) != 1)
		return e == ERR_OK ? ERR_IO : e;
	return e;
}

enum err
hidden_ask(const struct run *r, const char *question, struct secret **out)
{
	*out = NULL;
	if (r->no_input || !isatty(STDIN_FILENO))
		return ERR_USAGE;
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return ERR_USAGE;
	size_t n = strlen(question);
	enum err e = write(tty, question, n) == (ssize_t)n ? read_unseen(tty, out) : ERR_IO;
	close(tty);
	return e;
}

enum err
hidden_get(const struct run *r, const char *flag, const char *question, struct secret **out)
{
	const char *where = ctl_flag(r, flag);
	return where ? hidden_read(where, out) : hidden_ask(r, question, out);
}
