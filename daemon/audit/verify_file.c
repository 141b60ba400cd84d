#include "daemon/audit/verify_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/str.h"

#define KEY_FILE_MAX 4096

static enum err
err_of_errno(int code)
{
	return code == ENOENT || code == ENOTDIR ? ERR_FILE_MISSING
		   : code == EACCES || code == EPERM ? ERR_PERMISSION
											 : ERR_IO;
}

static enum err
read_some(void *arg, void *out, size_t max, size_t *got_out)
{
	const int *fd = arg;
	ssize_t n;

	do
		n = read(*fd, out, max);
	while (n < 0 && errno == EINTR);
	*got_out = n > 0 ? (size_t)n : 0;
	return n < 0 ? ERR_IO : ERR_OK;
}

/* A whole small file; ERR_FILE_FORM when it is longer than any that we read. */
static enum err
read_whole(int dir, const char *name, char *out, size_t size, size_t *bytes_out)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t n = 0, got = 1;
	enum err e = ERR_OK;

	*bytes_out = 0;
	if (fd < 0)
		return err_of_errno(errno);
	while (!e && got > 0 && n < size) {
		e = read_some(&fd, out + n, size - n, &got);
		n += got;
	}
	close(fd);
	if (!e && n == size)
		e = ERR_FILE_FORM;
	*bytes_out = n;
	return e;
}

static enum err
read_keys(const char *dir_path, struct verify_keys *out, const char **blamed_out)
{
	static const char *const names[] = {"vkey", "audit.pem", "minisign.pub"};
	char text[3][KEY_FILE_MAX];
	size_t n[3];
	bool there[3];
	int dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e = ERR_OK;

	*blamed_out = dir_path;
	if (dir < 0)
		return err_of_errno(errno);
	for (unsigned i = 0; i < 3 && !e; i++) {
		e = read_whole(dir, names[i], text[i], KEY_FILE_MAX, &n[i]);
		there[i] = !e;
		if (e == ERR_FILE_MISSING && i > 0)
			e = ERR_OK; /* one form of the export key is enough; verify_keys_read says so when both are missing */
		else if (e)
			*blamed_out = names[i];
	}
	close(dir);
	if (e)
		return e;
	return verify_keys_read(text[0], n[0], there[1] ? text[1] : NULL, n[1], there[2] ? text[2] : NULL, n[2], out);
}

/* F.tar.minisig; *bytes_out 0 when there is none. What is too long to be one is handed on as damaged. */
static enum err
read_minisig(const char *path, char out[KEY_FILE_MAX], size_t *bytes_out)
{
	char name[PATH_MAX];
	int n = snprintf(name, sizeof(name), "%s.minisig", path);
	enum err e;

	*bytes_out = 0;
	if (n < 0 || (size_t)n >= sizeof(name))
		return ERR_FILE_MISSING;
	e = read_whole(AT_FDCWD, name, out, KEY_FILE_MAX, bytes_out);
	if (e == ERR_FILE_FORM) {
		*bytes_out = KEY_FILE_MAX;
		return ERR_OK;
	}
	return e;
}

static enum err
read_since(const char *path, struct verify_ask *out, const char **blamed_out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err e;

	*blamed_out = path;
	if (fd < 0)
		return err_of_errno(errno);
	e = verify_since_read(read_some, &fd, out);
	close(fd);
	return e;
}

/* "vault:17" */
static enum err
read_record(const char *text, struct verify_ask *out)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (n == 0 || n >= sizeof(out->record_log) || str_decimal(colon + 1, INT64_MAX, &out->record_seq))
		return ERR_USAGE;
	memcpy(out->record_log, text, n);
	out->record_log[n] = '\0';
	return ERR_OK;
}

static enum err
read_options(const struct verify_options *o, struct verify_ask *out, const char **blamed_out)
{
	enum err e = ERR_OK;

	memset(out, 0, sizeof(*out));
	if (o->keys_dir)
		e = read_keys(o->keys_dir, &out->keys, blamed_out);
	if (!e && o->since)
		e = read_since(o->since, out, blamed_out);
	if (!e && o->record) {
		*blamed_out = o->record;
		e = read_record(o->record, out);
	}
	return e;
}

enum err
verify_file(const char *path, const struct verify_options *options, struct verify_report *report,
			const char **blamed_out)
{
	struct verify_ask ask;
	char minisig[KEY_FILE_MAX];
	size_t minisig_n = 0;
	bool signature = true;
	int fd;
	enum err e;

	memset(report, 0, sizeof(*report));
	e = read_options(options, &ask, blamed_out);
	if (e)
		return e;
	*blamed_out = path;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_of_errno(errno);
	e = read_minisig(path, minisig, &minisig_n);
	if (e == ERR_FILE_MISSING) {
		signature = false;
		e = ERR_OK;
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (!e)
		e = verify_export(read_some, &fd, signature ? minisig : NULL, minisig_n, &ask, report);
	close(fd);
	return e;
}
