#include "console/ctl/layout.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Below it the vault and the ledger refuse effects (their margins, with the preset audit.reserve). */
#define ROOM_BYTES_MIN ((uint64_t)32 << 20)

static const struct {
	const char *name;
	const char *owner; /* process whose user owns it; NULL: whoever runs init */
	unsigned mode;
	bool etc; /* beneath etc, else beneath state */
} directories[] = {
	{"vault", "vault", 0700, false},     {"ledger", "ledger", 0700, false},
	{"hsm", "hsm", 0700, false},         {"hsm/tokens", "hsm", 0700, false},
	{"courier", "courier", 0700, false}, {"herald", "herald", 0700, false},
	{"tls", NULL, 0700, true},           {"ca", NULL, 0700, true},
	{"clients", NULL, 0700, true},       {"officers", NULL, 0700, true},
	{"credentials", NULL, 0700, true},   {"sallyport.conf.d", NULL, 0755, true},
};

static const char *const users[] = {"vault", "hsm", "ledger", "gate", "courier", "herald", "desk"};

static struct passwd *
user_of(const char *process)
{
	char name[40];
	snprintf(name, sizeof name, "sallyport-%s", process);
	return getpwnam(name);
}

enum err
layout_user(const char *process, uid_t *out)
{
	const struct passwd *u = user_of(process);
	if (!u)
		return ERR_USERS_MISSING;
	*out = u->pw_uid;
	return ERR_OK;
}

const char *
layout_user_missing(void)
{
	for (size_t i = 0; i < sizeof users / sizeof *users; i++)
		if (!user_of(users[i]))
			return users[i];
	return NULL;
}

enum err
layout_place(const struct paths *p, const char *name, struct layout_place *out)
{
	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
		if (strcmp(directories[i].name, name) == 0) {
			out->owner = directories[i].owner;
			out->mode = directories[i].mode;
			out->etc = directories[i].etc;
			return ctl_path(out->path, out->etc ? p->etc : p->state, name);
		}
	return ERR_FILE_MISSING;
}

enum err
layout_check_users(const struct paths *p)
{
	char path[PATH_BYTES];
	struct stat st;

	if (geteuid() != 0)
		return ERR_OK;
	if (layout_user_missing())
		return ERR_USERS_MISSING;
	snprintf(path, sizeof path, "%s", p->state);
	/* every parent must let others through; DIR itself we make 0755 */
	for (char *slash = strrchr(path, '/'); slash && slash != path; slash = strrchr(path, '/')) {
		*slash = 0;
		if (stat(path, &st) == 0 && !(st.st_mode & S_IXOTH))
			return ERR_DIR_NOT_SEARCHABLE;
	}
	return ERR_OK;
}

static enum err
make_directory(const char *path, unsigned mode)
{
	if (mkdir(path, (mode_t)mode) == 0)
		return chmod(path, (mode_t)mode) == 0 ? ERR_OK : ERR_IO;
	if (errno == EEXIST)
		return ERR_OK;
	return errno == EACCES || errno == EPERM ? ERR_PERMISSION : errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
}

enum err
layout_give(const char *path, const char *process)
{
	struct passwd *u;

	if (geteuid() != 0)
		return ERR_OK;
	if (!(u = user_of(process)))
		return ERR_USERS_MISSING;
	return lchown(path, u->pw_uid, u->pw_gid) == 0 ? ERR_OK : ERR_IO;
}

enum err
layout_check_room(const struct paths *p)
{
	struct statvfs f;
	if (statvfs(p->state, &f) != 0)
		return ERR_IO;
	return (uint64_t)f.f_bavail * f.f_frsize < ROOM_BYTES_MIN ? ERR_DISK_FULL : ERR_OK;
}

enum err
layout_make_directories(const struct paths *p)
{
	char path[PATH_BYTES];
	enum err e;

	if ((e = make_directory(p->etc, 0755)) != ERR_OK || (e = make_directory(p->state, 0755)) != ERR_OK ||
		(e = make_directory(p->run, 0755)) != ERR_OK)
		return e;
	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
		if ((e = ctl_path(path, directories[i].etc ? p->etc : p->state, directories[i].name)) != ERR_OK ||
			(e = make_directory(path, directories[i].mode)) != ERR_OK)
			return e;
		if (directories[i].owner && (e = layout_give(path, directories[i].owner)) != ERR_OK)
			return e;
	}
	return ERR_OK;
}

void
layout_remove_empty(const struct paths *p)
{
	char path[PATH_BYTES];
	for (size_t i = sizeof directories / sizeof *directories; i > 0; i--)
		if (ctl_path(path, directories[i - 1].etc ? p->etc : p->state, directories[i - 1].name) == ERR_OK)
			(void)rmdir(path);
}

bool
layout_complete(const struct paths *p)
{
	char path[PATH_BYTES];
	return ctl_path(path, p->etc, "ca.crt") == ERR_OK && access(path, F_OK) == 0;
}
