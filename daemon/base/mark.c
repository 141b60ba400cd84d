#include "daemon/base/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_BYTES 2048
#define PATH_MAX_  512

static const struct {
	const char *name;
	unsigned migrations;
} schemas[] = {
#define SCHEMA(ID, name, migrations) {#name, migrations},
#include "policy/schema_version.def"
#undef SCHEMA
};

static enum err
path_of(const char *dir, const char *name, char out[PATH_MAX_])
{
	return snprintf(out, PATH_MAX_, "%s/%s", dir, name) < PATH_MAX_ ? ERR_OK : ERR_IO;
}

/* The whole file as a string; "" when there is none. */
static enum err
read_mark(const char *dir, char text[MARK_BYTES])
{
	char path[PATH_MAX_];
	enum err e = path_of(dir, "stores", path);
	text[0] = 0;
	if (e != ERR_OK)
		return e;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ERR_OK : ERR_IO;
	ssize_t n = read(fd, text, MARK_BYTES);
	close(fd);
	if (n < 0)
		return ERR_IO;
	if (n == MARK_BYTES || memchr(text, 0, (size_t)n))
		return ERR_FILE_FORM;
	text[n] = 0;
	return ERR_OK;
}

/* What this version knows of a store; 0: nothing at all. */
static unsigned
known(const char *name)
{
	for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
		if (strcmp(schemas[i].name, name) == 0)
			return schemas[i].migrations;
	return 0;
}

static enum err
check_line(const char *line, struct buf *why)
{
	char name[32];
	char digits[10];
	int end = 0;
	if (!*line || *line == '#' || strncmp(line, "version ", 8) == 0)
		return ERR_OK;
	if (sscanf(line, "%31[a-z_] %9[0-9]%n", name, digits, &end) != 2 || line[end])
		return ERR_FILE_FORM;
	unsigned number = (unsigned)strtoul(digits, NULL, 10);
	if (number <= known(name))
		return ERR_OK;
	enum err e = buf_printf(why, "the %s's store has schema %u, this version (" PACKAGE_VERSION ") knows %u", name,
							number, known(name));
	return e == ERR_OK ? ERR_DB_VERSION : e;
}

enum err
mark_check(const char *dir, struct buf *why)
{
	char text[MARK_BYTES], *save = NULL;
	enum err e = read_mark(dir, text);
	for (char *line = strtok_r(text, "\n", &save); line && e == ERR_OK; line = strtok_r(NULL, "\n", &save))
		e = check_line(line, why);
	return e;
}

bool
mark_same(const char *dir)
{
	char text[MARK_BYTES], *save = NULL;
	size_t same = 0;
	if (read_mark(dir, text) != ERR_OK)
		return false;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[32];
		unsigned number;
		if (*line != '#' && sscanf(line, "%31[a-z_] %9u", name, &number) == 2 && number)
			same += number == known(name);
	}
	return same == sizeof schemas / sizeof *schemas;
}

static enum err
put_file(const char *path, const char *text)
{
	size_t n = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
	/* everybody may know it: a package's scripts, doctor */
	bool whole = fchmod(fd, 0644) == 0 && write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;
	enum err e = whole ? ERR_OK : errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
	close(fd);
	return e;
}

enum err
mark_write(const char *dir)
{
	char path[PATH_MAX_], fresh[PATH_MAX_], text[MARK_BYTES], old[MARK_BYTES];
	int n = snprintf(text, sizeof text,
					 "# Schema versions of the stores beside this file; older versions refuse them.\nversion %s\n",
					 PACKAGE_VERSION);
	for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%s %u\n", schemas[i].name, schemas[i].migrations);
	enum err e = path_of(dir, "stores", path);
	if (e == ERR_OK)
		e = path_of(dir, "stores.tmp", fresh);
	if (e != ERR_OK || (read_mark(dir, old) == ERR_OK && strcmp(old, text) == 0))
		return e;
	e = put_file(fresh, text);
	if (e == ERR_OK && rename(fresh, path) != 0)
		e = ERR_IO;
	if (e != ERR_OK)
		unlink(fresh);
	return e;
}
