/* The HSM's side on this host, and the stores: only what can be seen without keys. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console/ctl/doctor.h"
#include "console/ctl/layout.h"
#include "daemon/base/mark.h"
#include "daemon/base/mem.h"

#define BOOT_BYTES_MAX 65536 /* vault/boot.h */
#define PAGE_LEAST     512   /* SQLite's smallest page */

void
doctor_stores_module(const struct doctor *d, const char *arg, struct verdict *v)
{
	static const char elf[4] = {0x7f, 'E', 'L', 'F'};
	const char *path = conf_text(d->conf, CONF_HSM_MODULE);
	char head[4] = "";
	struct stat st;
	(void)arg;
	if (stat(path, &st) != 0) {
		doctor_fail(v, "hsm.module %s: %s", path, strerror(errno));
		doctor_next(v, "install the module, or set hsm.module in the configuration");
		return;
	}
	FILE *f = fopen(path, "re");
	bool whole = f && fread(head, 1, sizeof head, f) == sizeof head && memcmp(head, elf, sizeof elf) == 0;
	if (f)
		fclose(f);
	if (whole) {
		doctor_ok(v, "%s", path);
		return;
	}
	doctor_fail(v, "hsm.module %s is no library that can be loaded", path);
	doctor_next(v, "install the module anew");
}

/* SoftHSM's directory, for what init made. Another HSM keeps its keys elsewhere. */
void
doctor_stores_tokens(const struct doctor *d, const char *arg, struct verdict *v)
{
	struct layout_place at;
	struct stat st;
	uid_t uid = d->owner;
	unsigned tokens = 0;
	(void)arg;
	if (!conf_bool(d->conf, CONF_HSM_SOFTWARE)) {
		doctor_ok(v, "not here: the HSM is no software");
		return;
	}
	if (layout_place(&d->run->paths, "hsm/tokens", &at) != ERR_OK || !doctor_stat(at.path, &st, v)) {
		if (v->result == DOCTOR_FAIL)
			doctor_next(v, "put %s back from its backup: the keys are in it", at.path);
		return;
	}
	if (d->owner == 0 && layout_user("hsm", &uid) != ERR_OK) {
		doctor_blocked(v, "install.users");
		return;
	}
	DIR *dir = opendir(at.path);
	for (const struct dirent *e; dir && (e = readdir(dir));)
		tokens += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	if ((st.st_mode & 077) || st.st_uid != uid) {
		doctor_fail(v, "%s has mode %04o and belongs to the user %u", at.path, (unsigned)st.st_mode & 07777u,
					(unsigned)st.st_uid);
		doctor_next(v, "chown %u %s && chmod 0700 %s", (unsigned)uid, at.path, at.path);
	} else if (dir && !tokens) {
		doctor_fail(v, "%s is empty: there is no token", at.path);
		doctor_next(v, "put %s back from its backup: the keys are in it", at.path);
	} else {
		doctor_ok(v, "%u token%s", tokens, tokens == 1 ? "" : "s");
	}
}

void
doctor_stores_software(const struct doctor *d, const char *arg, struct verdict *v)
{
	bool software = conf_bool(d->conf, CONF_HSM_SOFTWARE);
	(void)arg;
	if (!software || d->test) {
		doctor_ok(v, software ? "allowed: this installation is a test" : "none is allowed");
		return;
	}
	doctor_fail(v, "hsm.allow_software is yes in a live installation: its keys can be copied as files");
	doctor_next(v, "set hsm.allow_software = no, and keep the keys in an HSM");
}

void
doctor_stores_version(const struct doctor *d, const char *arg, struct verdict *v)
{
	struct buf why;
	(void)arg;
	buf_init(&why, 1024);
	enum err e = mark_check(d->run->paths.state, &why);
	if (e == ERR_OK)
		doctor_ok(v, "of this version or older");
	else
		doctor_fail(v, "%.*s", why.len ? (int)why.len : (int)strlen(err_title(e)),
					why.len ? (const char *)buf_at(&why) : err_title(e));
	if (e != ERR_OK)
		doctor_next(v, "%s", err_next(e));
	buf_clear(&why);
}

void
doctor_stores_boot(const struct doctor *d, const char *arg, struct verdict *v)
{
	static const char head[] = "sallyport-boot 1\n";
	char path[PATH_BYTES], *text;
	size_t n;
	(void)arg;
	if (ctl_path(path, d->run->paths.state, "vault/boot") != ERR_OK ||
		!(text = doctor_read(path, BOOT_BYTES_MAX, &n, v)))
		return;
	if (strncmp(text, head, sizeof head - 1) != 0 || !strstr(text, "\nsignature ")) {
		doctor_fail(v, "%s is no boot file", path);
		doctor_next(v, "put %s back from its backup", path);
	} else if (!strstr(text, "\ncomplete yes\n")) {
		doctor_fail(v, "%s says that the setup has not come to its end", path);
		doctor_next(v, "sallyport init; it goes on where it stopped");
	} else {
		doctor_ok(v, "complete; its signature is checked when the vault starts");
	}
	mem_free(text);
}

/* Is what a process keeps its own, and nobody else's to read? */
static bool
is_kept(const struct doctor *d, const char *process, const char *path, const struct stat *st, struct verdict *v)
{
	uid_t uid = d->owner;
	if (d->owner == 0 && layout_user(process, &uid) != ERR_OK) {
		doctor_blocked(v, "install.users");
		return false;
	}
	if (S_ISREG(st->st_mode) && !(st->st_mode & 077) && st->st_uid == uid)
		return true;
	doctor_fail(v, "%s has mode %04o and belongs to the user %u", path, (unsigned)st->st_mode & 07777u,
				(unsigned)st->st_uid);
	doctor_next(v, "chown %u %s && chmod 0600 %s", (unsigned)uid, path, path);
	return false;
}

/* arg: "vault vault.db" */
void
doctor_stores_db(const struct doctor *d, const char *arg, struct verdict *v)
{
	char process[16], file[32], name[64], path[PATH_BYTES];
	struct stat st;
	if (sscanf(arg, "%15s %31s", process, file) != 2)
		return;
	snprintf(name, sizeof name, "%s/%s", process, file);
	if (ctl_path(path, d->run->paths.state, name) != ERR_OK || !doctor_stat(path, &st, v) ||
		!is_kept(d, process, path, &st, v))
		return;
	/* a file that ends inside a page was cut */
	if (st.st_size >= PAGE_LEAST && st.st_size % PAGE_LEAST == 0) {
		doctor_ok(v, "%lld KiB", (long long)st.st_size >> 10);
		return;
	}
	doctor_fail(v, "%s is cut: %lld bytes are no whole pages", path, (long long)st.st_size);
	doctor_next(v, "put %s back from its backup", path);
}

void
doctor_stores_reserve(const struct doctor *d, const char *arg, struct verdict *v)
{
	char name[32], path[PATH_BYTES];
	struct stat st;
	long long want = conf_int(d->conf, CONF_RESERVE);
	snprintf(name, sizeof name, "%s/reserve", arg);
	if (ctl_path(path, d->run->paths.state, name) != ERR_OK || !doctor_stat(path, &st, v) ||
		!is_kept(d, arg, path, &st, v)) {
		if (v->result == DOCTOR_FAIL && access(path, F_OK) != 0)
			doctor_next(v, "restart the appliance: it makes it anew");
		return;
	}
	/* its blocks count, not its length */
	if ((long long)st.st_blocks * 512 >= want && st.st_size >= want) {
		doctor_ok(v, "%lld MiB are kept back", want >> 20);
		return;
	}
	doctor_fail(v, "%lld of %lld KiB are kept back: the disk was full, or audit.reserve was raised",
				(long long)st.st_blocks / 2, want >> 10);
	doctor_next(v, "free space, then wait or restart the appliance");
}
