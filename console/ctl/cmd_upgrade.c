/*
 * sallyport upgrade — from the version that runs to the one that is installed, when nothing stands against it: the
 * checks come first and change nothing; then systemd restarts the service and we watch until it serves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "console/ctl/config_check.h"
#include "console/ctl/ctl.h"
#include "console/ctl/interrupt.h"
#include "console/ctl/layout.h"
#include "console/ctl/program.h"
#include "console/ctl/told.h"
#include "daemon/base/clock.h"
#include "daemon/base/mark.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/page.h"
#include "policy/schema/wire.pb.h"

#define DETAIL_BYTES  200
#define PIN_BYTES_MAX 66
#define DISK_FREE_MIN ((uint64_t)64 << 20)
#define WAIT_S        120
#define LOOK_MS       50
#define DESK_MS       500
#define NOTICED_S     2
#define ASK_MS        500 /* between two questions to systemd */
/* The monitor is ready for systemd after 3 s, sealed or not; a slow HSM or host may still unseal it by itself. */
#define SEALED_MS 20000

struct upgrade {
	struct run *run;
	bool test, sealed; /* of what runs now */
	bool same_schemas; /* the stores are as the new version has them: the old one takes them back */
	uint32_t pid;      /* of its monitor */
	char from[64];
	json_t *checks;
	unsigned against;
};

/* ── what runs ── */

static uint32_t
monitor_pid(const sp_status_rep *s)
{
	for (pb_size_t i = 0; i < s->processes_count; i++)
		if (strcmp(s->processes[i].name, "monitor") == 0)
			return s->processes[i].pid;
	return 0;
}

/* ── what could stand against it: each says in detail what it found ── */

/* A package that is half in place has programs of two versions. */
static bool
programs_are_whole(const struct upgrade *u, char detail[DETAIL_BYTES])
{
	const char *const argv[] = {SBINDIR "/sallyportd", "--version", NULL};
	char said[128];
	(void)u;
	if (program_run_quietly(argv, said, sizeof said) == 0 && strcmp(said, "sallyportd " VERSION "\n") == 0) {
		snprintf(detail, DETAIL_BYTES, "sallyportd and sallyport are of version %s", VERSION);
		return true;
	}
	snprintf(detail, DETAIL_BYTES, "%s is not of version %s: finish the installation, dpkg --configure -a", argv[0],
			 VERSION);
	return false;
}

static bool
configuration_is_valid(const struct upgrade *u, char detail[DETAIL_BYTES])
{
	char first[3 * DOCTOR_TEXT_BYTES] = "";
	struct config_check *c = config_check_make(u->run, NULL);
	enum err e = c ? c->e : ERR_MEMORY;
	if (e == ERR_CONFIG)
		config_check_first(c, first, sizeof first);
	else if (c)
		snprintf(first, sizeof first, "%s", c->cause);
	if (e == ERR_OK)
		snprintf(detail, DETAIL_BYTES, "valid for version %s, by form and by meaning", VERSION);
	else
		snprintf(detail, DETAIL_BYTES, "%.140s: all of it with sallyport config check",
				 first[0] ? first : err_title(e));
	mem_free(c);
	return e == ERR_OK;
}

static bool
stores_are_not_newer(const struct upgrade *u, char detail[DETAIL_BYTES])
{
	struct buf why;
	buf_init(&why, 1024);
	enum err e = mark_check(u->run->paths.state, &why);
	if (e == ERR_OK)
		snprintf(detail, DETAIL_BYTES, "of this version or older");
	else
		snprintf(detail, DETAIL_BYTES, "%.*s", (int)(why.len < 160 ? why.len : 160),
				 why.len ? (const char *)buf_at(&why) : err_title(e));
	buf_clear(&why);
	return e == ERR_OK;
}

/* The PIN without its line's end; 0: not there. */
static size_t
read_pin(const char *path, char pin[PIN_BYTES_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, pin, PIN_BYTES_MAX);
	if (fd >= 0)
		close(fd);
	while (n > 0 && (pin[n - 1] == '\n' || pin[n - 1] == '\r'))
		n--;
	return n > 0 ? (size_t)n : 0;
}

/* Where systemd looks, in its order: clear first. systemd.exec(5), LoadCredential=. */
static bool
find_stored(char path[PATH_BYTES], bool *sealed_out)
{
	static const struct {
		const char *path;
		bool sealed;
	} places[] = {{"/etc/credstore/hsm-pin", false},          {"/run/credstore/hsm-pin", false},
				  {"/usr/lib/credstore/hsm-pin", false},      {"/etc/credstore.encrypted/hsm-pin", true},
				  {"/run/credstore.encrypted/hsm-pin", true}, {"/usr/lib/credstore.encrypted/hsm-pin", true}};
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (access(places[i].path, F_OK) == 0) {
			*sealed_out = places[i].sealed;
			return str_set(path, PATH_BYTES, places[i].path) == ERR_OK;
		}
	return false;
}

/* What systemd would load, opened as it would open it. */
static size_t
stored_pin(const char *path, bool sealed, char pin[PIN_BYTES_MAX])
{
	const char *const argv[] = {"/usr/bin/systemd-creds", "--name=hsm-pin", "decrypt", path, "-", NULL};
	if (!sealed)
		return read_pin(path, pin);
	if (program_run(argv, pin, PIN_BYTES_MAX) != 0)
		return 0;
	return strcspn(pin, "\r\n");
}

/* A restart seals what has no PIN, or another one than it runs with: a try with a wrong one also counts at the HSM. */
static bool
it_can_unseal(const struct upgrade *u, char detail[DETAIL_BYTES])
{
	char path[PATH_BYTES], pin[PIN_BYTES_MAX], used[PIN_BYTES_MAX];
	bool sealed = false, good;
	size_t used_n = read_pin("/run/credentials/" PROGRAM_UNIT "/hsm-pin", used), n = 0;
	if (u->sealed) {
		snprintf(detail, DETAIL_BYTES, "it is sealed now; a restart can't make that worse");
		good = true;
	} else if (find_stored(path, &sealed)) {
		n = stored_pin(path, sealed, pin);
		good = n > 0 && n < PIN_BYTES_MAX && (!used_n || (n == used_n && memcmp(pin, used, n) == 0));
		snprintf(detail, DETAIL_BYTES,
				 good ? "the credential %s"
				 : n  ? "%s holds another PIN than the one in use"
					  : "%s can't be read",
				 path);
	} else if (used_n) {
		snprintf(detail, DETAIL_BYTES, "the credential hsm-pin, from where the unit had it at its last start");
		good = true;
	} else {
		good = u->test && ctl_path(path, u->run->paths.etc, "credentials/hsm-pin") == ERR_OK && read_pin(path, pin) > 0;
		snprintf(detail, DETAIL_BYTES,
				 good ? "the test installation's PIN" : "there is no credential hsm-pin: it would stay sealed");
	}
	mem_wipe(pin, sizeof pin);
	mem_wipe(used, sizeof used);
	return good;
}

static uint64_t
bytes_of(const char *dir, const char *name)
{
	char path[PATH_BYTES];
	struct stat st;
	return ctl_path(path, dir, name) == ERR_OK && stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* A migration may write a store anew before the old pages are free. */
static bool
disk_has_room(const struct upgrade *u, char detail[DETAIL_BYTES])
{
	struct statvfs f;
	uint64_t ledger = bytes_of(u->run->paths.state, "ledger/ledger.db"),
			 vault = bytes_of(u->run->paths.state, "vault/vault.db"),
			 need = DISK_FREE_MIN + (ledger > vault ? ledger : vault);
	if (statvfs(u->run->paths.state, &f) != 0) {
		snprintf(detail, DETAIL_BYTES, "the stores' file system: %s", strerror(errno));
		return false;
	}
	uint64_t have = (uint64_t)f.f_bavail * f.f_frsize;
	snprintf(detail, DETAIL_BYTES, "%llu MiB free, %llu needed", (unsigned long long)(have >> 20),
			 (unsigned long long)(need >> 20));
	return have >= need;
}

static const struct {
	const char *name;
	bool (*holds)(const struct upgrade *u, char detail[DETAIL_BYTES]);
} checks[] = {
	{"programs", programs_are_whole}, {"configuration", configuration_is_valid},
	{"stores", stores_are_not_newer}, {"unseal", it_can_unseal},
	{"disk", disk_has_room},
};

static void
check_all(struct upgrade *u)
{
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		char detail[DETAIL_BYTES];
		bool good = checks[i].holds(u, detail);
		u->against += !good;
		json_array_append_new(u->checks,
							  json_pack("{ss sb ss}", "check", checks[i].name, "ok", (int)good, "detail", detail));
		if (!u->run->json)
			printf("  %-4s  %-14s %s\n", good ? "ok" : "fail", checks[i].name, detail);
	}
	fflush(stdout);
}

/* ── the switch ── */

struct times {
	int64_t away_ms, back_ms; /* since the restart was asked for; -1: not seen */
};

/* Has the new one come as far as the old one was? */
static bool
is_back(const struct upgrade *u, const sp_status_rep *s)
{
	uint32_t pid = monitor_pid(s);
	return pid && pid != u->pid && (s->state == PAGE_SERVING || (u->sealed && s->state == PAGE_SEALED));
}

/* Restarts and watches; the last look in rep, with what it gave. */
static enum err
switch_over(const struct upgrade *u, int64_t until_ms, sp_status_rep *rep, struct times *t)
{
	int64_t begun = clock_mono_ms(), ask_at_ms = 0, open_at_ms = 0;
	int status = 0;
	enum err e = ERR_NOT_RUNNING;
	*t = (struct times){-1, -1};
	interrupt_leaves(u->run, "Interrupted; systemd goes on with the restart without you",
					 "sallyport status shows where it is; sallyport upgrade waits for its end");
	pid_t pid = program_service("restart");
	for (bool ended = pid < 0; clock_mono_ms() < until_ms;) {
		ended = ended || waitpid(pid, &status, WNOHANG) == pid;
		e = told_look(u->run, DESK_MS, DESK_MS, rep);
		int64_t now = clock_mono_ms() - begun;
		if (t->away_ms < 0 && (e != ERR_OK || monitor_pid(rep) != u->pid || rep->state != PAGE_SERVING))
			t->away_ms = now;
		if (e == ERR_OK && is_back(u, rep)) {
			t->back_ms = now;
			break;
		}
		/* systemd is done, and what came up will not serve by itself; or nothing came up, and systemd tries no more */
		if (!ended || e != ERR_OK || rep->state != PAGE_SEALED)
			open_at_ms = now;
		if (now - open_at_ms >= SEALED_MS)
			break;
		if (ended && (pid < 0 || status != 0) && now >= ask_at_ms) {
			if (!program_service_changing())
				break;
			ask_at_ms = now + ASK_MS;
		}
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	}
	return e;
}

/* A restart that somebody asked for, we ourselves perhaps before a Ctrl-C, comes to its end first. */
static enum err
settle(const struct upgrade *u, int64_t until_ms, sp_status_rep *rep)
{
	bool told = u->run->json;
	enum err e;
	for (;;) {
		e = told_look(u->run, DESK_MS, DESK_MS, rep);
		bool on_its_way =
			e == ERR_NOT_RUNNING || (e == ERR_OK && (rep->state == PAGE_STOPPING || rep->state == PAGE_STARTING));
		if (!on_its_way || clock_mono_ms() >= until_ms || !program_service_changing())
			return e;
		if (!told)
			puts("a restart is under way; waiting for its end");
		fflush(stdout);
		told = true;
		nanosleep(&(struct timespec){.tv_nsec = ASK_MS * 1000000L}, NULL);
	}
}

static int
tell_end(struct upgrade *u, enum err e, const sp_status_rep *rep, const struct times *t)
{
	char cause[640];
	if (t->back_ms >= 0 && u->run->json)
		return ctl_print_json(json_pack("{ss ss ss ss sO sI sI}", "result", "upgraded", "from", u->from, "to",
										rep->version, "line", rep->line, "checks", u->checks, "away_after_ms",
										(json_int_t)t->away_ms, "back_after_ms", (json_int_t)t->back_ms));
	if (t->back_ms >= 0) {
		printf("upgraded — %s runs: %s\n  away for %lld ms, back %lld ms after the restart was asked for\n",
			   rep->version, rep->line, (long long)(t->back_ms - t->away_ms), (long long)t->back_ms);
		return EXIT_CODE_DONE;
	}
	/* sealed or refusing has its own remedy, which the line names; what did not start has the journal */
	snprintf(cause, sizeof cause, "version %s does not serve: %s. Nothing is lost%s%s%s", VERSION,
			 e == ERR_OK ? rep->line : err_title(e), u->same_schemas ? "; version " : "",
			 u->same_schemas ? u->from : "",
			 u->same_schemas ? " takes the stores as they are and can be installed again"
							 : "; the stores may have been migrated, and then no older version takes them");
	return ctl_fail(u->run, ERR_UPGRADE_FAILED, "upgrade", cause);
}

static int
nothing_to_do(struct upgrade *u)
{
	if (u->run->json)
		return ctl_print_json(json_pack("{ss ss ss}", "result", "nothing to do", "from", u->from, "to", VERSION));
	printf("nothing to do — version %s is installed, and it runs\n", u->from);
	return EXIT_CODE_DONE;
}

static int
only_checked(struct upgrade *u)
{
	if (u->against)
		return ctl_fail(u->run, ERR_UPGRADE_REFUSED, "upgrade", NULL);
	if (u->run->json)
		return ctl_print_json(
			json_pack("{ss ss ss sO}", "result", "checked", "from", u->from, "to", VERSION, "checks", u->checks));
	puts("nothing stands against it; nothing was changed");
	return EXIT_CODE_DONE;
}

/* The monitor looks every second whether its programs were replaced: what was done only just now it may not have seen.
 */
static bool
is_new(const struct upgrade *u, sp_status_rep *rep)
{
	struct stat st;
	if (rep->new_version || strcmp(rep->version, VERSION) != 0)
		return true;
	if (stat(SBINDIR "/sallyportd", &st) != 0 || time(NULL) - st.st_ctim.tv_sec > NOTICED_S)
		return false;
	nanosleep(&(struct timespec){.tv_sec = NOTICED_S}, NULL);
	return told_look(u->run, DESK_MS, DESK_MS, rep) == ERR_OK && rep->new_version;
}

static int
upgrade(struct upgrade *u, uint64_t wait_s)
{
	static sp_status_rep rep;
	struct times times;
	int64_t until_ms = clock_mono_ms() + (int64_t)wait_s * 1000;
	enum err e = layout_complete(&u->run->paths) ? settle(u, until_ms, &rep) : ERR_NOT_INITIALISED;
	if (e != ERR_OK)
		return ctl_fail(u->run, e, "upgrade", NULL);
	snprintf(u->from, sizeof u->from, "%s", rep.version);
	u->pid = monitor_pid(&rep);
	u->sealed = rep.state == PAGE_SEALED;
	u->test = rep.test;
	u->same_schemas = mark_same(u->run->paths.state);
	if (!is_new(u, &rep))
		return nothing_to_do(u);
	if (geteuid() != 0)
		return ctl_fail(u->run, ERR_PERMISSION, "upgrade", "only root may restart the service");
	if (!u->run->json)
		printf("%s runs — %s is installed\n", u->from, strcmp(u->from, VERSION) == 0 ? "another build of it" : VERSION);
	check_all(u);
	if (u->against || ctl_flag(u->run, "--dry-run"))
		return only_checked(u);
	if (!u->run->json)
		puts("restarting it through systemd; payments in flight are finished or taken up again");
	fflush(stdout);
	e = switch_over(u, until_ms, &rep, &times);
	return tell_end(u, e, &rep, &times);
}

static int
act_upgrade(struct run *r)
{
	struct upgrade u = {.run = r};
	uint64_t wait_s = WAIT_S;
	const char *wait = ctl_flag(r, "--wait");
	if (r->paths.dir[0])
		return ctl_usage(r, "an appliance under --dir is not run by systemd: stop its sallyportd and start it again");
	if (wait && (str_decimal(wait, 3600, &wait_s) != ERR_OK || wait_s == 0))
		return ctl_usage(r, "--wait takes 1 to 3600 seconds");
	u.checks = json_array();
	int status = upgrade(&u, wait_s);
	json_decref(u.checks);
	return status;
}

static const struct flag flags[] = {{"--dry-run", NULL, "only check; nothing is changed"},
									{"--wait", "SECONDS", "how long it may take until the new version serves (120)"},
									{NULL, NULL, NULL}};

const struct command cmd_upgrade = {
	.words = "upgrade",
	.args = "",
	.summary = "Change from the version that runs to the one that is installed",
	.about =
		"Installing a package never stops what runs: the old version goes on serving, and `status` says that a new one "
		"waits. This checks first that the programs are whole, that they take the configuration and the stores, that "
		"the "
		"vault can unseal after a restart, and that the disk has room; a check that fails changes nothing (exit 9). "
		"Then "
		"the service is restarted. Stores are brought to the new version by the first start; there is no way back.",
	.example = "sallyport upgrade --dry-run",
	.exits = "0 1 2 5 6 7 9 130",
	.schema = "upgrade",
	.flags = flags,
	.act = act_upgrade,
};
