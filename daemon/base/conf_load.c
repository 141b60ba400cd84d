#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/conf.h"
#include "daemon/base/conf_rule.h"
#include "daemon/base/mem.h"

#define FILE_BYTES_MAX (64 * 1024)
#define CONF_FILES_MAX 64

static void
tell(const char *shown, int why, struct buf *problems)
{
	if (problems &&
		buf_printf(problems, "%s:1: file: %s; allowed: a text file of at most %d KiB that this user may read\n", shown,
				   strerror(why), FILE_BYTES_MAX / 1024) != ERR_OK)
		return; /* the code tells it too */
}

/* That the main file is not there is told by the code alone: then there is no appliance. All else is told by name. */
static enum err
no_file(const char *shown, int why, struct buf *problems)
{
	if (why == ENOENT || why == ENOTDIR)
		return ERR_FILE_MISSING;
	tell(shown, why, problems);
	return why == EACCES || why == EPERM ? ERR_PERMISSION : ERR_IO;
}

static enum err
load_file(struct conf *c, const char *path, const char *shown, struct buf *problems)
{
	struct stat st;
	char *text = NULL;
	enum err e = ERR_MEMORY;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return no_file(shown, errno, problems);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX)
		e = no_file(shown, S_ISDIR(st.st_mode) ? EISDIR : S_ISREG(st.st_mode) ? EFBIG : EINVAL, problems);
	else if ((text = mem_new((size_t)st.st_size + 1, 1))) {
		ssize_t n = read(fd, text, (size_t)st.st_size);
		e = n < 0 ? no_file(shown, errno, problems) : conf_parse(c, shown, text, (size_t)n, problems);
	}
	mem_free(text);
	close(fd);
	return e;
}

static int
is_conf_name(const struct dirent *d)
{
	size_t n = strlen(d->d_name);
	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".conf") == 0;
}

/* The worst of two: a file that can't be read outweighs one with errors. */
static enum err
worse(enum err a, enum err b)
{
	return b == ERR_OK || (b == ERR_CONFIG && a != ERR_OK) ? a : b;
}

/* sallyport.conf.d, in the order of names. */
static enum err
load_more(struct conf *c, const char *directory, struct buf *problems)
{
	char path[512], shown[320];
	struct dirent **files;
	enum err e = ERR_OK;
	if (snprintf(path, sizeof path, "%s/sallyport.conf.d", directory) >= (int)sizeof path)
		return ERR_FILE_MISSING;
	int n = scandir(path, &files, is_conf_name, alphasort);
	if (n < 0) /* there need not be such a directory */
		return errno == ENOENT ? ERR_OK : no_file("sallyport.conf.d", errno, problems);
	for (int i = 0; i < n; i++) {
		enum err one = ERR_FILE_MISSING;
		snprintf(shown, sizeof shown, "sallyport.conf.d/%s", files[i]->d_name);
		if (i < CONF_FILES_MAX && snprintf(path, sizeof path, "%s/%s", directory, shown) < (int)sizeof path)
			one = load_file(c, path, shown, problems);
		if (one == ERR_FILE_MISSING) { /* a link to nowhere, or one file too many */
			tell(shown, i < CONF_FILES_MAX ? ENOENT : EMFILE, problems);
			one = ERR_IO;
		}
		e = worse(e, one);
		free(files[i]);
	}
	free(files);
	return e;
}

static enum err
load_all(struct conf *c, const char *path, const char *shown, const char *directory, struct buf *problems)
{
	enum err e = load_file(c, path, shown, problems);
	if (e != ERR_OK && e != ERR_CONFIG)
		return e;
	e = worse(e, load_more(c, directory, problems));
	return e != ERR_OK && e != ERR_CONFIG ? e : worse(e, conf_rule_check(c, problems));
}

enum err
conf_load(struct conf *c, const char *directory, struct buf *problems)
{
	char path[512];
	if (snprintf(path, sizeof path, "%s/sallyport.conf", directory) >= (int)sizeof path)
		return ERR_FILE_MISSING;
	return load_all(c, path, "sallyport.conf", directory, problems);
}

enum err
conf_load_instead(struct conf *c, const char *file, const char *directory, struct buf *problems)
{
	return load_all(c, file, file, directory, problems);
}
