/*
 * doctor — one table of checks over the host, the installation and what runs; each says ok, warn or fail, why, and what
 * to do. Invariants: nothing is changed, nobody is asked to log in, no secret is read but the server's key (to see that
 *   it fits its certificate); a fault fails the check that bears its name and no other: what could not be looked at
 *   because of it says so as a warning. Facts of the host that the appliance can live with are warnings.
 *   Adding a check is a row in doctor_checks.def and a function in the file of its group.
 */
#ifndef CONSOLE_CTL_DOCTOR_H
#define CONSOLE_CTL_DOCTOR_H

#include <sys/stat.h>

#include "console/ctl/ctl.h"
#include "daemon/base/buf.h"
#include "daemon/base/conf.h"
#include "policy/schema/wire.pb.h"

enum doctor_result { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_RESULTS };

#define DOCTOR_TEXT_BYTES (PATH_BYTES + 256)
struct verdict {
	enum doctor_result result;
	bool unchecked; /* a warning that says no more than that */
	char cause[DOCTOR_TEXT_BYTES];
	char next[DOCTOR_TEXT_BYTES]; /* "" when ok */
};

/* What the checks share; looked up once. */
struct doctor {
	const struct run *run;
	struct conf *conf; /* presets where the files are wrong or missing */
	enum err conf_error;
	struct buf conf_problems;
	uid_t owner;          /* of the configuration's directory; 0: each process has a user of its own */
	bool test;            /* as the configuration says */
	enum err desk;        /* what asking the desk gave */
	sp_status_rep status; /* when desk is ERR_OK */
};

typedef void doctor_look(const struct doctor *d, const char *arg, struct verdict *v);

/*
 * A row of doctor_checks.def. about: which key of the configuration ("=listen") or file below its directory
 * ("tls/server.key key") is wrong when it fails; "": it is not about the configuration.
 */
struct doctor_check {
	const char *group, *name, *about;
	doctor_look *look;
	const char *arg, *what;
};
/* The row with this number from 0; NULL: there are no more. */
const struct doctor_check *doctor_check_at(size_t i);
/*
 * doctor_open(r, file, d): what the checks share. file: takes the place of sallyport.conf (NULL: it does not).
 * ERR_MEMORY; d is to be closed in any case.
 */
enum err doctor_open(const struct run *r, const char *file, struct doctor *d) MUST;
void doctor_close(struct doctor *d);
/* One check; what can't be there before init has come to its end is told as not checked. */
void doctor_look_at(const struct doctor *d, const struct doctor_check *c, struct verdict *v);

/* ── what checks say; each fills in the whole verdict ── */
void doctor_ok(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The next step first, then the cause with its values. */
void doctor_warn(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_fail(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void doctor_next(struct verdict *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A warning: this could not be looked at, because that check failed. */
void doctor_blocked(struct verdict *v, const char *check);

/* ── what several groups need ── */
/* stat(2); when it fails the verdict is filled in (missing: a failure; not permitted: a warning) and false returned. */
bool doctor_stat(const char *path, struct stat *st, struct verdict *v);
/* A text of at most max bytes, NUL added, to be freed with mem_free; NULL: the verdict is filled in. */
char *doctor_read(const char *path, size_t max, size_t *n_out, struct verdict *v);
/* The first line of a file of /proc or /sys; false: there is none. */
bool doctor_kernel(const char *path, char out[128]);
/* The number of the monitor that runs; 0: none. */
uint32_t doctor_monitor(const struct doctor *d);

/* Random numbers as mbedTLS asks for them. */
int doctor_draw(void *arg, unsigned char *out, size_t n);

/* ── for support (doctor_bundle.c) ── */
struct doctor_seen {
	const char *check;
	enum doctor_result result;
	bool unchecked;
};
/* Lists what the bundle will hold, writes it to path (which must not exist), and returns the exit status. */
int doctor_bundle(const struct doctor *d, const char *path, const struct doctor_seen *seen, size_t n);

/* ── the checks ── */
doctor_look doctor_host_clock, doctor_host_swap, doctor_host_core, doctor_host_kernel, doctor_host_landlock,
	doctor_host_seccomp, doctor_host_mdwe, doctor_host_memfd, doctor_host_memlock, doctor_host_ptrace, doctor_host_disk,
	doctor_host_fs, doctor_host_files, doctor_host_sysctl, doctor_host_mac;
doctor_look doctor_install_whole, doctor_install_conf, doctor_install_users, doctor_install_group,
	doctor_install_parents, doctor_install_dir, doctor_install_pin, doctor_install_pin_mode, doctor_install_unit,
	doctor_install_version;
doctor_look doctor_tls_parses, doctor_tls_key, doctor_tls_key_mode, doctor_tls_expiry;
doctor_look doctor_hsm_loads, doctor_hsm_token;
doctor_look doctor_stores_module, doctor_stores_tokens, doctor_stores_software, doctor_stores_version,
	doctor_stores_boot, doctor_stores_db, doctor_stores_reserve;
doctor_look doctor_run_desk, doctor_run_state, doctor_run_processes, doctor_run_restarts, doctor_run_jails,
	doctor_run_processors, doctor_run_address, doctor_run_port, doctor_run_tls;

#endif
