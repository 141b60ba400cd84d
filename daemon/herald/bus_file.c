/*
 * bus_file — events.jsonl: one CloudEvent a line, appended by one write, synced once a turn before anybody is told.
 * The file may be moved away by logrotate at any time: a reload goes on in a new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/herald/bus.h"

#define FILE_NAME "events.jsonl"
#define BATCH_MAX 1024

static struct {
	int fd;
	off_t end; /* where the last whole line ends */
	struct {
		bus_done_fn done;
		void *arg;
	} batch[BATCH_MAX];
	size_t waiting;
} file = {.fd = -1};

static bool
file_wanted(const struct conf *conf)
{
	return conf_bool(conf, CONF_HERALD_FILE);
}

/* A line that a crash cut off was never answered for: it comes again, so what there is of it goes. */
static enum err
repair(int fd, off_t *end_out)
{
	char tail[4096];
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ERR_IO;
	off_t end = st.st_size;
	while (end > 0) {
		size_t n = end < (off_t)sizeof tail ? (size_t)end : sizeof tail;
		if (pread(fd, tail, n, end - (off_t)n) != (ssize_t)n)
			return ERR_IO;
		const char *last = memrchr(tail, '\n', n);
		if (last) {
			end -= (off_t)n - (last - tail) - 1;
			break;
		}
		end -= (off_t)n;
	}
	if (end != st.st_size) {
		log_warn("a cut-off last line was dropped", LOG_S("file", FILE_NAME), LOG_I("bytes", st.st_size - end));
		if (ftruncate(fd, end) != 0)
			return ERR_IO;
	}
	*end_out = end;
	return ERR_OK;
}

static enum err
open_file(int *fd_out, off_t *end_out)
{
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	/* the herald before us may still be ending: its half line is not ours to cut off */
	enum err e = fd < 0 || flock(fd, LOCK_EX) != 0 ? ERR_IO : repair(fd, end_out);
	if (e != ERR_OK && fd >= 0)
		close(fd);
	if (e == ERR_OK)
		*fd_out = fd;
	return e;
}

static enum err
file_open(const struct conf *conf)
{
	(void)conf;
	return open_file(&file.fd, &file.end);
}

static void
file_turn(void)
{
	if (file.waiting == 0)
		return;
	enum err e = fdatasync(file.fd) == 0 ? ERR_OK : errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO;
	size_t n = file.waiting;
	/* a done may put again: it then belongs to the next batch */
	file.waiting = 0;
	for (size_t i = 0; i < n; i++)
		file.batch[i].done(file.batch[i].arg, e);
}

static enum err
file_put(const struct bus_entry *entry, bus_done_fn done, void *arg)
{
	struct iovec line[] = {{(void *)(uintptr_t)entry->event, entry->event_bytes}, {(void *)(uintptr_t) "\n", 1}};
	ssize_t n = (ssize_t)entry->event_bytes + 1;

	if (file.waiting == BATCH_MAX)
		file_turn(); /* a burst after a restart: it is synced in parts, not refused */
	ssize_t put = writev(file.fd, line, 2);
	if (put != n) {
		enum err e = put >= 0 || errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO;
		if (put > 0 && ftruncate(file.fd, file.end) != 0)
			e = ERR_IO;
		return e;
	}
	file.end += n;
	file.batch[file.waiting].done = done;
	file.batch[file.waiting++].arg = arg;
	return ERR_OK;
}

static enum err
file_reload(const struct conf *conf)
{
	struct stat there, ours;
	int fd;
	off_t end;

	(void)conf;
	file_turn();
	/* not rotated: ours is the file, and a second lock on it would wait for ourselves */
	if (stat(FILE_NAME, &there) == 0 && fstat(file.fd, &ours) == 0 && there.st_dev == ours.st_dev &&
		there.st_ino == ours.st_ino)
		return ERR_OK;
	enum err e = open_file(&fd, &end);
	if (e != ERR_OK) /* the old file serves on */
		return e;
	close(file.fd);
	file.fd = fd;
	file.end = end;
	return ERR_OK;
}

static void
file_close(void)
{
	file_turn();
	if (file.fd >= 0)
		close(file.fd);
	file.fd = -1;
}

const struct bus bus_file = {
	.name = "file",
	.wanted = file_wanted,
	.open = file_open,
	.put = file_put,
	.turn = file_turn,
	.reload = file_reload,
	.close = file_close,
};
