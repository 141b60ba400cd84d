/* What init made, or a package: users, directories, configuration, PIN, unit. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console/ctl/doctor.h"
#include "console/ctl/layout.h"

#define UNIT          "sallyport.service"
#define PIN_BYTES_MAX 66 /* with its line's end */

void
doctor_install_whole(const struct doctor *d, const char *arg, struct verdict *v)
{
	(void)arg;
	if (layout_complete(&d->run->paths)) {
		doctor_ok(v, "init came to its end here");
		return;
	}
	doctor_fail(v, "there is no whole appliance in %s", d->run->paths.etc);
	doctor_next(v, "sallyport%s%s init; it goes on where it stopped", d->run->paths.dir[0] ? " --dir " : "",
				d->run->paths.dir);
}

void
doctor_install_conf(const struct doctor *d, const char *arg, struct verdict *v)
{
	const char *text = d->conf_problems.len ? (const char *)buf_at(&d->conf_problems) : "";
	size_t n = 0;
	(void)arg;
	while (n < d->conf_problems.len && text[n] != '\n')
		n++;
	if (d->conf_error == ERR_OK)
		doctor_ok(v, "valid");
	else
		doctor_fail(v, "%.*s", n ? (int)(n < 400 ? n : 400) : (int)strlen(err_title(d->conf_error)),
					n ? text : err_title(d->conf_error));
	if (d->conf_error != ERR_OK)
		doctor_next(v, "sallyport%s%s config check", d->run->paths.dir[0] ? " --dir " : "", d->run->paths.dir);
}

void
doctor_install_users(const struct doctor *d, const char *arg, struct verdict *v)
{
	const char *missing = layout_user_missing();
	(void)arg;
	if (d->owner != 0) {
		const struct passwd *u = getpwuid(d->owner);
		doctor_ok(v, "one user runs all of it: %s", u ? u->pw_name : "without a name");
	} else if (!missing) {
		doctor_ok(v, "each process has its own");
	} else {
		doctor_fail(v, "there is no user sallyport-%s", missing);
		doctor_next(v, "useradd --system --user-group --no-create-home sallyport-%s, or systemd-sysusers", missing);
	}
}

void
doctor_install_group(const struct doctor *d, const char *arg, struct verdict *v)
{
	const char *name = conf_text(d->conf, CONF_OFFICERS);
	(void)arg;
	if (getgrnam(name)) {
		doctor_ok(v, "%s", name);
		return;
	}
	/* the owner gets in without it */
	doctor_warn(v, "there is no group %s: only the owner may talk to the desk", name);
	doctor_next(v, "groupadd --system %s", name);
}

void
doctor_install_parents(const struct doctor *d, const char *arg, struct verdict *v)
{
	char path[PATH_BYTES];
	struct stat st;
	(void)arg;
	snprintf(path, sizeof path, "%s", d->run->paths.state);
	for (;;) {
		if (stat(path, &st) == 0 && (st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)) {
			doctor_fail(v, "anybody may change %s: its stores could be put aside for others", path);
			doctor_next(v, "chmod o-w %s", path);
			return;
		}
		if (d->owner == 0 && stat(path, &st) == 0 && !(st.st_mode & S_IXOTH)) {
			doctor_fail(v, "the processes' users can't go through %s", path);
			doctor_next(v, "chmod o+x %s", path);
			return;
		}
		char *slash = strrchr(path, '/');
		if (!slash || slash == path)
			break;
		*slash = 0;
	}
	doctor_ok(v, "open to the stores' users, closed to change");
}

/* Whose the place has to be; the owner's where there is one user for all. */
static uid_t
owner_of(const struct doctor *d, const struct layout_place *at, const char **name_out)
{
	static char name[40];
	uid_t uid = d->owner;
	*name_out = "its owner";
	if (d->owner == 0 && at->owner && layout_user(at->owner, &uid) == ERR_OK) {
		snprintf(name, sizeof name, "sallyport-%s", at->owner);
		*name_out = name;
	}
	return uid;
}

void
doctor_install_dir(const struct doctor *d, const char *arg, struct verdict *v)
{
	struct layout_place at;
	struct stat st;
	const char *name;
	if (layout_place(&d->run->paths, arg, &at) != ERR_OK) {
		doctor_fail(v, "no directory of this name is known");
		doctor_next(v, "report it: it is a fault of this program");
		return;
	}
	/* an installation whose CA and PIN come from elsewhere has no such places */
	if (at.etc && strcmp(arg, "tls") != 0 && stat(at.path, &st) != 0 && errno == ENOENT) {
		doctor_ok(v, "not here");
		return;
	}
	if (!doctor_stat(at.path, &st, v))
		return;
	uid_t uid = owner_of(d, &at, &name);
	unsigned mode = st.st_mode & 07777u;
	if (!S_ISDIR(st.st_mode)) {
		doctor_fail(v, "%s is no directory", at.path);
		doctor_next(v, "put %s back from its backup", at.path);
	} else if (st.st_uid != uid) {
		doctor_fail(v, "%s belongs to the user %u, not to %s", at.path, (unsigned)st.st_uid, name);
		doctor_next(v, "chown %u %s", (unsigned)uid, at.path);
	} else if (mode & ~at.mode) {
		doctor_fail(v, "%s has mode %04o, wider than %04o", at.path, mode, at.mode);
		doctor_next(v, "chmod %04o %s, and see who could have read it", at.mode, at.path);
	} else if ((mode & 0700) != (at.mode & 0700)) {
		doctor_fail(v, "%s has mode %04o: its own user can't use it", at.path, mode);
		doctor_next(v, "chmod %04o %s", at.mode, at.path);
	} else {
		doctor_ok(v, "mode %04o, of %s", mode, name);
	}
}

/* Where the PIN comes from: a test installation's own file, or where systemd looks. systemd.exec(5), LoadCredential=.
 */
static bool
find_pin(const struct doctor *d, char path[PATH_BYTES], struct stat *st)
{
	static const char *const places[] = {"/etc/credstore/hsm-pin",           "/run/credstore/hsm-pin",
										 "/usr/lib/credstore/hsm-pin",       "/etc/credstore.encrypted/hsm-pin",
										 "/run/credstore.encrypted/hsm-pin", "/usr/lib/credstore.encrypted/hsm-pin"};
	for (size_t i = 0; !d->run->paths.dir[0] && i < sizeof places / sizeof *places; i++) {
		snprintf(path, PATH_BYTES, "%s", places[i]);
		if (stat(path, st) == 0 || errno == EACCES)
			return true;
	}
	if (ctl_path(path, d->run->paths.etc, "credentials/hsm-pin") != ERR_OK)
		return false;
	return d->test && (stat(path, st) == 0 || errno == EACCES);
}

void
doctor_install_pin(const struct doctor *d, const char *arg, struct verdict *v)
{
	char path[PATH_BYTES];
	struct stat st;
	(void)arg;
	if (!find_pin(d, path, &st)) {
		doctor_fail(v, "there is no PIN for the HSM: after the next start the vault stays sealed");
		doctor_next(v, "put the PIN into %s, mode 0600",
					d->test && d->run->paths.dir[0] ? path : "/etc/credstore/hsm-pin");
	} else if (doctor_stat(path, &st, v)) {
		/* an encrypted credential is longer than the PIN in it */
		bool sealed = strstr(path, ".encrypted/") != NULL;
		if (S_ISREG(st.st_mode) && st.st_size > 0 && (sealed || st.st_size <= PIN_BYTES_MAX)) {
			doctor_ok(v, "%s", path);
			return;
		}
		doctor_fail(v, "%s holds no PIN: %lld bytes", path, (long long)st.st_size);
		doctor_next(v, "put the PIN into %s, mode 0600", path);
	}
}

void
doctor_install_pin_mode(const struct doctor *d, const char *arg, struct verdict *v)
{
	char path[PATH_BYTES];
	struct stat st;
	(void)arg;
	if (!find_pin(d, path, &st)) {
		doctor_blocked(v, "install.pin");
	} else if (doctor_stat(path, &st, v)) {
		if (!(st.st_mode & 077) && (st.st_uid == 0 || st.st_uid == d->owner)) {
			doctor_ok(v, "mode %04o", (unsigned)st.st_mode & 07777u);
			return;
		}
		doctor_fail(v, "%s has mode %04o and belongs to the user %u", path, (unsigned)st.st_mode & 07777u,
					(unsigned)st.st_uid);
		doctor_next(v, "chown %u %s && chmod 0600 %s, then change the PIN", (unsigned)d->owner, path, path);
	}
}

void
doctor_install_unit(const struct doctor *d, const char *arg, struct verdict *v)
{
	(void)arg;
	if (d->run->paths.dir[0]) {
		doctor_ok(v, "no service: an installation of its own directory is started by hand");
	} else if (access("/run/systemd/system", F_OK) != 0) {
		doctor_warn(v, "systemd does not run here: nobody starts the appliance with the host");
		doctor_next(v, "have your init start sallyportd");
	} else if (access("/etc/systemd/system/multi-user.target.wants/" UNIT, F_OK) == 0) {
		doctor_ok(v, UNIT " is enabled");
	} else {
		doctor_warn(v, UNIT " is not enabled: it does not start with the host");
		doctor_next(v, "systemctl enable " UNIT);
	}
}

void
doctor_install_version(const struct doctor *d, const char *arg, struct verdict *v)
{
	(void)arg;
	if (d->desk != ERR_OK) {
		doctor_blocked(v, "running.desk");
	} else if (strcmp(d->status.version, VERSION) == 0 && !d->status.new_version) {
		doctor_ok(v, "%s", VERSION);
	} else {
		doctor_warn(v, "%s runs, %s is installed", d->status.version, VERSION);
		doctor_next(v, "sallyport upgrade");
	}
}
