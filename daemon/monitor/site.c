#include "daemon/monitor/site.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/mark.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/monitor/listen.h"

#define PIN_BYTES_MAX 64

static const enum process with_dir[] = {PROCESS_HSM, PROCESS_VAULT, PROCESS_LEDGER, PROCESS_COURIER, PROCESS_HERALD};

static void
say(struct buf *why, const char *what, const char *which)
{
	if (buf_printf(why, "%s%s%s", what, *which ? ": " : "", which) != ERR_OK)
		return; /* the code tells it too */
}

static enum err
join(char out[SITE_PATH_BYTES], const char *dir, const char *name)
{
	return snprintf(out, SITE_PATH_BYTES, "%s/%s", dir, name) < SITE_PATH_BYTES ? ERR_OK : ERR_IO;
}

bool
site_runs(const struct site *s, enum process p)
{
	if (p == PROCESS_MONITOR || p >= PROCESS_OFFICER)
		return false;
	return !s->init || p == PROCESS_HSM || p == PROCESS_VAULT || p == PROCESS_LEDGER || p == PROCESS_DESK;
}

/* ── where things are ── */

static enum err
find_places(struct site *s, const char *dir, struct buf *why)
{
	char real[PATH_MAX];
	enum err e;
	if (!dir) {
		snprintf(s->etc, sizeof s->etc, "%s", SYSCONFDIR);
		snprintf(s->state, sizeof s->state, "%s", STATEDIR);
		snprintf(s->run, sizeof s->run, "%s", RUNDIR);
		return ERR_OK;
	}
	if (!realpath(dir, real)) {
		say(why, "there is no such directory", dir);
		return ERR_NOT_INITIALISED;
	}
	if ((e = str_set(s->etc, sizeof s->etc, real)) != ERR_OK ||
		(e = str_set(s->state, sizeof s->state, real)) != ERR_OK)
		return e;
	return join(s->run, real, "run");
}

static enum err
load_conf(struct site *s, struct buf *why)
{
	struct stat st;
	char path[SITE_PATH_BYTES];
	enum err e = join(path, s->etc, "sallyport.conf");
	if (e != ERR_OK)
		return e;
	if (stat(path, &st) != 0) {
		say(why, "there is no configuration", path);
		return errno == EACCES ? ERR_PERMISSION : ERR_NOT_INITIALISED;
	}
	/* who made the directory owns the installation; the file itself may have been put there by a package */
	if (stat(s->etc, &st) == 0)
		s->owner = st.st_uid;
	if (!(s->conf = conf_new()))
		return ERR_MEMORY;
	if ((e = conf_load(s->conf, s->etc, why)) != ERR_OK)
		return e;
	s->test = strcmp(conf_text(s->conf, CONF_MODE), "test") == 0;
	s->gates = (unsigned)conf_int(s->conf, CONF_GATES);
	return ERR_OK;
}

static enum err
lock(struct site *s, struct buf *why)
{
	char path[SITE_PATH_BYTES];
	enum err e = join(path, s->run, "lock");
	if (e != ERR_OK)
		return e;
	if (mkdir(s->run, 0755) != 0 && errno != EEXIST) {
		say(why, "can't make the directory", s->run);
		return ERR_PERMISSION;
	}
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0) {
		say(why, "can't open the lock file", path);
		return ERR_PERMISSION;
	}
	if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
		say(why, "another sallyportd runs over this directory", s->state);
		return ERR_EXISTS;
	}
	return ERR_OK;
}

/* ── users ── */

static enum err
find_users(struct site *s, struct buf *why)
{
	char name[40];
	for (unsigned p = PROCESS_MONITOR + 1; p < PROCESS_OFFICER; p++) {
		s->users[p].uid = getuid();
		s->users[p].gid = getgid();
		if (!s->root)
			continue;
		snprintf(name, sizeof name, "sallyport-%s", process_name((enum process)p));
		const struct passwd *pw = getpwnam(name);
		if (!pw) {
			say(why, "there is no user", name);
			return ERR_USERS_MISSING;
		}
		s->users[p].uid = pw->pw_uid;
		s->users[p].gid = pw->pw_gid;
	}
	return ERR_OK;
}

static bool
may_search(const struct stat *st, uid_t uid, gid_t gid)
{
	if (st->st_uid == uid)
		return (st->st_mode & S_IXUSR) != 0;
	if (st->st_gid == gid)
		return (st->st_mode & S_IXGRP) != 0;
	return (st->st_mode & S_IXOTH) != 0;
}

/* SQLite and PKCS#11 modules make names absolute, so each parent must let the process's user through. */
static enum err
check_parents(const struct site *s, struct buf *why)
{
	char path[SITE_PATH_BYTES];
	struct stat st;
	if (!s->root)
		return ERR_OK;
	for (unsigned i = 0; i < sizeof with_dir / sizeof *with_dir; i++) {
		snprintf(path, sizeof path, "%s", s->state);
		for (char *slash = path + strlen(path); slash && slash != path; slash = strrchr(path, '/')) {
			*slash = 0;
			if (stat(path, &st) == 0 && may_search(&st, s->users[with_dir[i]].uid, s->users[with_dir[i]].gid))
				continue;
			say(why, "its users can't go through", path);
			return ERR_DIR_NOT_SEARCHABLE;
		}
	}
	return ERR_OK;
}

/* ── what children get ── */

static enum err
open_dirs(struct site *s, struct buf *why)
{
	char path[SITE_PATH_BYTES];
	struct stat st;
	for (unsigned i = 0; i < sizeof with_dir / sizeof *with_dir; i++) {
		enum process p = with_dir[i];
		enum err e = join(path, s->state, process_name(p));
		if (e != ERR_OK)
			return e;
		if (mkdir(path, 0700) != 0 && errno != EEXIST) {
			say(why, "can't make the directory", path);
			return ERR_PERMISSION;
		}
		/* a place only: its process looks inside under its own user, so that we need no right over others' files */
		s->dirs[p] = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (s->dirs[p] < 0 || fstat(s->dirs[p], &st) != 0) {
			say(why, "can't open the directory", path);
			return ERR_PERMISSION;
		}
		if (s->root && st.st_uid != s->users[p].uid &&
			fchownat(s->dirs[p], "", s->users[p].uid, s->users[p].gid, AT_EMPTY_PATH) != 0) {
			say(why, "it does not belong to its process's user", path);
			return ERR_FILE_RIGHTS;
		}
	}
	return ERR_OK;
}

static enum err
open_binaries(struct site *s, const char *libexec, struct buf *why)
{
	char path[SITE_PATH_BYTES];
	enum err e = str_set(s->libexec, sizeof s->libexec, libexec && s->test ? libexec : LIBEXECDIR);
	for (unsigned p = 0; p < PROCESS_OFFICER && e == ERR_OK; p++) {
		if (!site_runs(s, (enum process)p))
			continue;
		if ((e = join(path, s->libexec, process_name((enum process)p))) != ERR_OK)
			break;
		s->binaries[p] = open(path, O_PATH | O_CLOEXEC);
		if (s->binaries[p] < 0) {
			say(why, "a program of the appliance is missing", path);
			e = ERR_FILE_MISSING;
		}
	}
	return e;
}

int
site_memfd(const char *name, const void *bytes, size_t n)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (fchmod(fd, 0600) == 0 && write(fd, bytes, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return -1;
}

/* What init hands over, else the credential of systemd; in a test installation else the file that init made. */
void
site_read_pin(struct site *s)
{
	const char *credentials = s->init && s->pin_fd >= 0 ? NULL : getenv("CREDENTIALS_DIRECTORY");
	char path[SITE_PATH_BYTES], pin[PIN_BYTES_MAX + 2];
	int fd = s->init ? s->pin_fd : -1;
	s->pin_fd = -1;
	if (credentials && join(path, credentials, "hsm-pin") == ERR_OK)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && s->test && join(path, s->etc, "credentials/hsm-pin") == ERR_OK)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	ssize_t n = read(fd, pin, sizeof pin);
	close(fd);
	while (n > 0 && (pin[n - 1] == '\n' || pin[n - 1] == '\r'))
		n--;
	int fresh = n > 0 && n <= PIN_BYTES_MAX ? site_memfd("hsm-pin", pin, (size_t)n) : -1;
	mem_wipe(pin, sizeof pin);
	if (fresh < 0)
		return;
	if (s->pin >= 0)
		close(s->pin);
	s->pin = fresh;
}

int
site_tls(const struct site *s, const char *name)
{
	char path[SITE_PATH_BYTES], below[64];
	snprintf(below, sizeof below, "tls/%s", name);
	return join(path, s->etc, below) == ERR_OK ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
}

/* Without the right to pass over owner and mode, which the monitor gives away? */
static bool
stays_readable(int fd)
{
	struct stat st;
	if (fstat(fd, &st) != 0)
		return false;
	mode_t bit = st.st_uid == geteuid() ? S_IRUSR : st.st_gid == getegid() ? S_IRGRP : S_IROTH;
	return (st.st_mode & bit) != 0;
}

static enum err
check_tls(const struct site *s, struct buf *why)
{
	static const char *const files[] = {"server.key", "server.crt", "clients-ca.crt"};
	for (unsigned i = 0; i < 3 && !s->init; i++) {
		int fd = site_tls(s, files[i]);
		int code = errno;
		/* opened with the rights of root, and later, by a reload or a restarted gate, without them */
		bool ours = fd >= 0 && stays_readable(fd);
		if (fd >= 0)
			close(fd);
		if (fd < 0 && code == ENOENT) {
			say(why, "a file of tls/ is missing", files[i]);
			return ERR_FILE_MISSING;
		}
		if (!ours) {
			say(why, "a file of tls/ can't be read by the monitor's user", files[i]);
			return ERR_FILE_RIGHTS;
		}
	}
	return ERR_OK;
}

static enum err
open_listeners(struct site *s, struct buf *why)
{
	char path[SITE_PATH_BYTES];
	enum err e = join(path, s->run, "desk.sock");
	if (e == ERR_OK)
		e = listen_unix(path, conf_text(s->conf, CONF_OFFICERS), &s->desk, why);
	if (e == ERR_OK && !s->init)
		e = listen_tcp(conf_text(s->conf, CONF_LISTEN), s->gates, s->gate, why);
	return e;
}

enum err
site_open(const char *dir, const char *libexec, bool init, int pin_fd, struct site *s, struct buf *why)
{
	enum err e;
	*s = (struct site){.lock = -1, .pin = -1, .pin_fd = pin_fd, .desk = -1, .init = init, .root = geteuid() == 0};
	for (unsigned p = 0; p < PROCESS_MAX; p++)
		s->dirs[p] = s->binaries[p] = -1;
	for (unsigned i = 0; i < PAGE_INDEX_MAX; i++)
		s->gate[i] = -1;
	/* what is cheap to mend is told first */
	if ((e = find_places(s, dir, why)) != ERR_OK || (e = load_conf(s, why)) != ERR_OK ||
		(e = mark_check(s->state, why)) != ERR_OK || (e = find_users(s, why)) != ERR_OK ||
		(e = check_parents(s, why)) != ERR_OK || (e = lock(s, why)) != ERR_OK || (e = open_dirs(s, why)) != ERR_OK ||
		(e = open_binaries(s, libexec, why)) != ERR_OK || (e = check_tls(s, why)) != ERR_OK ||
		(e = open_listeners(s, why)) != ERR_OK)
		return e;
	site_read_pin(s);
	return ERR_OK;
}

enum err
site_drop_rights(const struct site *s)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return ERR_JAIL;
	if (!s->root)
		return ERR_OK;
	/* a unit that took CAP_SETPCAP from us has bounded us itself, and newer libcap-ng fails where it can't */
	if (capng_get_caps_process() != 0)
		return ERR_JAIL;
	capng_select_t what = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_SETUID, CAP_SETGID, -1) !=
			0 ||
		capng_apply(what) != 0)
		return ERR_JAIL;
	return ERR_OK;
}
