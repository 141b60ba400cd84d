#include "console/ctl/jail_seen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "daemon/base/jail.h"
#include "daemon/base/str.h"

#define STATUS_BYTES 8192
#define THREADS_MAX  1024
#define GET_MDWE     66 /* Debian 12's headers do not know it */

/* ── one file ── */

/* -1: errno says why. Whole, or as much as fits: what is looked for stands before. */
static ssize_t
read_text(const char *path, char *out, size_t size)
{
	size_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : 0;
	while (fd >= 0 && n < size - 1 && (got = read(fd, out + n, size - 1 - n)) > 0)
		n += (size_t)got;
	int why = errno;
	if (fd >= 0)
		close(fd);
	out[n] = 0;
	errno = why;
	return got < 0 ? -1 : (ssize_t)n;
}

static enum err
err_of(int number)
{
	return number == EACCES || number == EPERM                        ? ERR_PERMISSION
		   : number == ENOENT || number == ESRCH || number == ENOTDIR ? ERR_NOT_FOUND
																	  : ERR_FILE_FORM;
}

/* The text behind "Name:\t" at the beginning of a line; NULL: no such line. */
static const char *
line_of(const char *text, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, name, n) == 0 && p[n] == ':')
			return p + n + 1;
	}
	return NULL;
}

static bool
read_number(const char *text, const char *name, int base, uint64_t *out)
{
	const char *p = line_of(text, name);
	char *end;
	if (!p)
		return false;
	while (*p == ' ' || *p == '\t')
		p++;
	errno = 0;
	*out = strtoull(p, &end, base);
	return end != p && errno == 0 && (*end == '\n' || *end == 0);
}

static bool
read_four(const char *text, const char *name, uint32_t out[4])
{
	const char *p = line_of(text, name);
	return p &&
		   sscanf(p, "%10" SCNu32 " %10" SCNu32 " %10" SCNu32 " %10" SCNu32, &out[0], &out[1], &out[2], &out[3]) == 4;
}

/* Is there a supplementary group other than the process's own? No such line: take it that there is. */
static bool
has_other_groups(const char *text, uint32_t own)
{
	const char *p = line_of(text, "Groups");
	if (!p)
		return true;
	for (;;) {
		char *end;
		p += strspn(p, " \t");
		if (*p == '\n' || *p == 0)
			return false;
		if (strtoull(p, &end, 10) != own || end == p)
			return true;
		p = end;
	}
}

/* ── one thread ── */

static bool
read_status(const char *text, struct jail_seen *out)
{
	uint64_t parent, seccomp, filters = 0, no_new, eff, prm, amb;
	*out = (struct jail_seen){.threads = 1};
	if (!read_number(text, "PPid", 10, &parent) || !read_number(text, "Seccomp", 10, &seccomp) ||
		!read_number(text, "NoNewPrivs", 10, &no_new) || !read_number(text, "CapEff", 16, &eff) ||
		!read_number(text, "CapPrm", 16, &prm) || !read_number(text, "CapAmb", 16, &amb) ||
		!read_four(text, "Uid", out->uid) || !read_four(text, "Gid", out->gid))
		return false;
	out->counted = read_number(text, "Seccomp_filters", 10, &filters);
	out->parent = (uint32_t)parent;
	out->seccomp = (unsigned)seccomp;
	out->filters = (unsigned)filters;
	out->no_new_privs = no_new == 1;
	out->caps = eff | prm | amb;
	out->other_groups = has_other_groups(text, out->gid[0]);
	return true;
}

/* The looser of two, right by right. */
static void
loosen(struct jail_seen *all, const struct jail_seen *one)
{
	all->threads++;
	if (one->seccomp < all->seccomp)
		all->seccomp = one->seccomp;
	if (one->filters < all->filters)
		all->filters = one->filters;
	all->no_new_privs = all->no_new_privs && one->no_new_privs;
	all->other_groups = all->other_groups || one->other_groups;
	all->caps |= one->caps;
	for (unsigned i = 0; i < 4; i++) {
		/* a thread of another user must not hide behind the others */
		if (one->uid[i] != all->uid[0])
			all->uid[i] = one->uid[i];
		if (one->gid[i] != all->gid[0])
			all->gid[i] = one->gid[i];
	}
}

static enum err
read_threads(const char *proc, uint32_t pid, struct jail_seen *out)
{
	char path[128], text[STATUS_BYTES];
	uint64_t number;
	enum err e = ERR_OK;
	struct dirent *d;
	snprintf(path, sizeof path, "%.64s/%" PRIu32 "/task", proc, pid);
	DIR *tasks = opendir(path);
	if (!tasks)
		return err_of(errno);
	while (e == ERR_OK && (d = readdir(tasks)) && out->threads < THREADS_MAX) {
		struct jail_seen one;
		if (str_decimal(d->d_name, UINT32_MAX, &number) != ERR_OK || number == pid)
			continue;
		snprintf(path, sizeof path, "%.64s/%" PRIu32 "/task/%" PRIu64 "/status", proc, pid, number);
		if (read_text(path, text, sizeof text) < 0)
			e = err_of(errno) == ERR_NOT_FOUND ? ERR_OK : err_of(errno); /* it has ended meanwhile */
		else if (!read_status(text, &one))
			e = ERR_FILE_FORM;
		else
			loosen(out, &one);
	}
	closedir(tasks);
	return e;
}

/* ── limits and label ── */

/* A row is "Max core file size        0                    0                    bytes": name, soft, hard, unit. */
static bool
read_limit(const char *text, const char *name, uint64_t *soft, uint64_t *hard)
{
	char a[24], b[24];
	const char *p = strstr(text, name);
	if (!p || sscanf(p + strlen(name), " %23s %23s", a, b) != 2)
		return false;
	*soft = strcmp(a, "unlimited") == 0 ? JAIL_SEEN_NO_LIMIT : strtoull(a, NULL, 10);
	*hard = strcmp(b, "unlimited") == 0 ? JAIL_SEEN_NO_LIMIT : strtoull(b, NULL, 10);
	return true;
}

static bool
read_limits(const char *text, struct jail_seen *out)
{
	uint64_t soft, hard;
	if (!read_limit(text, "Max core file size", &soft, &out->core_max) ||
		!read_limit(text, "Max locked memory", &out->memlock, &hard) ||
		!read_limit(text, "Max open files", &out->files, &hard))
		return false;
	/* the soft one may be raised to the hard one at any time, so that counts */
	if (soft > out->core_max)
		out->core_max = soft;
	return true;
}

enum err
jail_seen_read(const char *proc, uint32_t pid, struct jail_seen *out)
{
	char path[128], text[STATUS_BYTES];
	enum err e;
	*out = (struct jail_seen){.threads = 0};
	snprintf(path, sizeof path, "%.64s/%" PRIu32 "/status", proc, pid);
	if (read_text(path, text, sizeof text) < 0) {
		e = err_of(errno);
		/* a /proc with hidepid= shows nothing of others' processes: one that we may not send a signal is there */
		return e == ERR_NOT_FOUND && kill((pid_t)pid, 0) != 0 && errno == EPERM ? ERR_PERMISSION : e;
	}
	if (!read_status(text, out))
		return ERR_FILE_FORM;
	if ((e = read_threads(proc, pid, out)) != ERR_OK)
		return e;
	snprintf(path, sizeof path, "%.64s/%" PRIu32 "/limits", proc, pid);
	if (read_text(path, text, sizeof text) < 0)
		return err_of(errno);
	if (!read_limits(text, out))
		return ERR_FILE_FORM;
	/* EINVAL: no module of this kind is in force */
	snprintf(path, sizeof path, "%.64s/%" PRIu32 "/attr/current", proc, pid);
	if (read_text(path, out->label, sizeof out->label) < 0)
		out->label[0] = 0;
	out->label[strcspn(out->label, "\n")] = 0;
	return ERR_OK;
}

const char *
jail_seen_domain(const struct jail_seen *s, char out[JAIL_SEEN_LABEL_BYTES])
{
	const char *role = strchr(s->label, ':'), *type = role ? strchr(role + 1, ':') : NULL;
	if (type)
		snprintf(out, JAIL_SEEN_LABEL_BYTES, "%.*s", (int)strcspn(type + 1, ":"), type + 1);
	else
		snprintf(out, JAIL_SEEN_LABEL_BYTES, "%s", s->label[0] ? s->label : "-");
	return out;
}

void
jail_seen_host(struct jail_host *out)
{
	char text[256] = "";
	ssize_t n;
	*out = (struct jail_host){.landlock_abi = jail_kernel_abi(), .mdwe = prctl(GET_MDWE, 0, 0, 0, 0) >= 0};
	out->selinux = read_text("/sys/fs/selinux/enforce", text, sizeof text) > 0;
	out->enforcing = out->selinux && text[0] == '1';
	if (!out->selinux)
		return;
	/* the module's installation labels the programs, its removal takes the labels off */
	n = getxattr(SBINDIR "/sallyportd", "security.selinux", text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	out->module = strstr(text, ":sallyport_monitor_exec_t") != NULL;
}
