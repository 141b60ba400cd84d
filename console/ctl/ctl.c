#include "console/ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "console/ctl/interrupt.h"
#include "daemon/base/mem.h"
#include "daemon/wire/client.h"

static const struct {
	enum err e;
	enum exit_code code;
} exits[] = {
	{ERR_OK, EXIT_CODE_DONE},
	{ERR_USAGE, EXIT_CODE_USAGE},
	{ERR_VAULT_SEALED, EXIT_CODE_SEALED},
	{ERR_HSM_PIN, EXIT_CODE_SEALED},
	{ERR_HSM_PIN_LOW, EXIT_CODE_SEALED},
	{ERR_HSM_PIN_LAST, EXIT_CODE_SEALED},
	{ERR_HSM_PIN_LOCKED, EXIT_CODE_SEALED},
	{ERR_HSM_PIN_MISSING, EXIT_CODE_SEALED},
	{ERR_AUDIT_AWAY, EXIT_CODE_REFUSING},
	{ERR_HSM_AWAY, EXIT_CODE_REFUSING},
	{ERR_NOT_RUNNING, EXIT_CODE_NOT_RUNNING},
	{ERR_NOT_INITIALISED, EXIT_CODE_NOT_INITIALISED},
	{ERR_PERMISSION, EXIT_CODE_NOT_PERMITTED},
	{ERR_OFFICER_NEEDED, EXIT_CODE_NOT_PERMITTED},
	{ERR_OFFICER_UNKNOWN, EXIT_CODE_NOT_PERMITTED},
	{ERR_OFFICER_SIGNATURE, EXIT_CODE_NOT_PERMITTED},
	{ERR_OFFICER_STALE, EXIT_CODE_NOT_PERMITTED},
	{ERR_OFFICER_PASSPHRASE, EXIT_CODE_NOT_PERMITTED},
	{ERR_CONFIG, EXIT_CODE_FOUND},
	{ERR_CONFIG_REFUSED, EXIT_CODE_FOUND},
	{ERR_VERIFY_FAILED, EXIT_CODE_FOUND},
	{ERR_CERTIFICATE_INVALID, EXIT_CODE_FOUND},
	{ERR_CLIENT_UNKNOWN, EXIT_CODE_FOUND},
	{ERR_CLIENT_REVOKED, EXIT_CODE_FOUND},
	{ERR_UPGRADE_REFUSED, EXIT_CODE_FOUND},
	{ERR_INTERRUPTED, EXIT_CODE_INTERRUPTED},
};

int
ctl_exit_of(enum err e)
{
	for (size_t i = 0; i < sizeof exits / sizeof *exits; i++)
		if (exits[i].e == e)
			return (int)exits[i].code;
	return EXIT_CODE_FAILED;
}

int
ctl_print_json(json_t *doc)
{
	interrupt_ignore();
	bool made = doc != NULL;
	if (!made) /* one document also then */
		doc = ctl_problem_json(ERR_INTERNAL, "answer", NULL, NULL);
	bool out = doc && json_dumpf(doc, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF && fflush(stdout) == 0;
	json_decref(doc);
	return out && made ? EXIT_CODE_DONE : EXIT_CODE_FAILED;
}

/* A path may have been cut in the middle of a character: what is no UTF-8 becomes '?', so that there is a document. */
static json_t *
text_json(const char *text)
{
	json_t *s = json_string(text);
	char *plain = s ? NULL : mem_strdup(text);
	for (char *p = plain; p && *p; p++)
		if ((unsigned char)*p > 0x7e)
			*p = '?';
	if (plain)
		s = json_string(plain);
	mem_free(plain);
	return s;
}

json_t *
ctl_problem_json(enum err e, const char *what, const char *cause, const char *next)
{
	return json_pack("{ss+ ss so so ss sb so}", "type", "/problems/", err_code(e), "title", err_title(e), "what",
					 text_json(what), "detail", text_json(cause ? cause : err_title(e)), "code", err_code(e),
					 "retryable", (int)err_retryable(e), "next", text_json(next ? next : err_next(e)));
}

static int
fail(const struct run *r, enum err e, const char *what, const char *cause, const char *next)
{
	if (r->json)
		ctl_print_json(ctl_problem_json(e, what, cause, next));
	fprintf(stderr, "sallyport: %s: %s\nnext: %s\n", what, cause, next);
	return ctl_exit_of(e);
}

int
ctl_fail(const struct run *r, enum err e, const char *what, const char *cause)
{
	return fail(r, e, what, cause ? cause : err_title(e), err_next(e));
}

int
ctl_usage(const struct run *r, const char *problem)
{
	char next[96];
	if (r->command)
		snprintf(next, sizeof next, "sallyport %s --help", r->command->words);
	else
		snprintf(next, sizeof next, "sallyport help");
	return fail(r, ERR_USAGE, r->command ? r->command->words : "usage", problem, next);
}

struct client *
ctl_connect(struct run *r, int *status_out)
{
	struct client *c = NULL;
	char path[PATH_BYTES];
	struct stat st;
	enum err e = ctl_path(path, r->paths.etc, "sallyport.conf");

	if (e == ERR_OK && stat(path, &st) != 0 && errno == ENOENT)
		e = ERR_NOT_INITIALISED;
	if (e == ERR_OK)
		e = ctl_path(path, r->paths.run, "desk.sock");
	if (e == ERR_OK)
		e = client_open(path, 2000, &c);
	if (e != ERR_OK)
		*status_out = ctl_fail(r, e, r->command->words, NULL);
	return c;
}

enum err
ctl_ask(struct client *c, int msg, const void *req, void *rep)
{
	return client_ask(c, (enum msg)msg, req, rep, 10000);
}

enum err
ctl_path(char out[PATH_BYTES], const char *dir, const char *name)
{
	int n = snprintf(out, PATH_BYTES, "%s/%s", dir, name);
	return n > 0 && n < PATH_BYTES ? ERR_OK : ERR_OUT_OF_RANGE;
}

static enum err
err_of_errno(void)
{
	static const struct {
		int number;
		enum err e;
	} rows[] = {{ENOENT, ERR_FILE_MISSING}, {ENOTDIR, ERR_FILE_MISSING}, {ENAMETOOLONG, ERR_FILE_MISSING},
				{EACCES, ERR_PERMISSION},   {EPERM, ERR_PERMISSION},     {ENOSPC, ERR_DISK_FULL},
				{ENOMEM, ERR_MEMORY}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].number == errno)
			return rows[i].e;
	return ERR_IO;
}

enum err
ctl_read_file(const char *path, size_t max, char **out, size_t *n_out)
{
	enum err e = ERR_OK;
	char *text = NULL;
	size_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_of_errno();
	text = mem_new(1, max + 2);
	if (!text)
		e = ERR_MEMORY;
	while (e == ERR_OK && n <= max) {
		ssize_t got = read(fd, text + n, max + 1 - n);
		if (got < 0)
			e = err_of_errno();
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (e == ERR_OK && n > max)
		e = ERR_FILE_FORM;
	if (e != ERR_OK) {
		mem_free(text);
		return e;
	}
	text[n] = 0;
	*out = text;
	*n_out = n;
	return ERR_OK;
}

enum err
ctl_write_file(const char *path, const void *bytes, size_t n, unsigned mode)
{
	char tmp[PATH_BYTES + 8];
	enum err e = ERR_OK;
	const char *p = bytes;

	snprintf(tmp, sizeof tmp, "%s.tmp", path);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
	if (fd < 0)
		return err_of_errno();
	for (size_t done = 0; done < n && e == ERR_OK;) {
		ssize_t put = write(fd, p + done, n - done);
		if (put < 0)
			e = err_of_errno();
		else
			done += (size_t)put;
	}
	if (e == ERR_OK && (fchmod(fd, (mode_t)mode) != 0 || fsync(fd) != 0))
		e = err_of_errno();
	close(fd);
	if (e == ERR_OK && rename(tmp, path) != 0)
		e = err_of_errno();
	if (e != ERR_OK)
		unlink(tmp);
	return e;
}
