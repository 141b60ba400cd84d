#include "daemon/wire/jails.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "daemon/base/log.h"

#define CALLS_MAX 192
#define PATHS_MAX 64
/* two keys of paths */
#define NAMED_BYTES 1024

/* A process's rows as they are read. */
struct rows {
	struct jail_call calls[CALLS_MAX];
	struct jail_path paths[PATHS_MAX];
	struct jail_spec spec;
	char named[NAMED_BYTES]; /* paths of the configuration, each with its NUL */
	size_t named_bytes;
	const struct conf *conf;
	int dir_fd;
	bool declared; /* to be shown, not entered */
	bool full;
};

static void
add_call(struct rows *r, struct jail_call row)
{
	if (r->spec.calls_n < CALLS_MAX)
		r->calls[r->spec.calls_n++] = row;
	else
		r->full = true;
}

static void add_path(struct rows *r, bool write, const char *where, const char *reason);

/* A key of the configuration with paths in it; only absolute ones mean the same to everybody. */
static void
add_named(struct rows *r, bool write, const char *key, const char *reason)
{
	char *save = NULL;

	for (unsigned k = 0; r->conf && k < CONF_MAX; k++) {
		if (strcmp(conf_name((enum conf_key)k), key) != 0)
			continue;
		const char *text = conf_text(r->conf, (enum conf_key)k);
		size_t n = strlen(text) + 1;
		if (r->named_bytes + n > sizeof r->named) {
			r->full = true;
			return;
		}
		char *copy = memcpy(r->named + r->named_bytes, text, n);
		r->named_bytes += n;
		for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
			if (*w == '/')
				add_path(r, write, w, reason);
	}
}

static void
add_path(struct rows *r, bool write, const char *where, const char *reason)
{
	bool own = strcmp(where, "@dir") == 0 && !r->declared;
	if (*where == '@' && !own && !r->declared) {
		add_named(r, write, where + 1, reason);
		return;
	}
	if (own && r->dir_fd < 0)
		return;
	if (r->spec.paths_n < PATHS_MAX)
		r->paths[r->spec.paths_n++] = (struct jail_path){own ? r->dir_fd : -1, own ? NULL : where, write, reason};
	else
		r->full = true;
}

/* The rows of policy/jail_*.def are statements of one function per process. */
#define RO                 false
#define RW                 true
#define CALL(call, reason) add_call(r, (struct jail_call){SCMP_SYS(call), reason, -1, .name = #call});
#define CALL_IF(call, arg, mask, want, reason) \
	add_call(r, (struct jail_call){SCMP_SYS(call), reason, arg, mask, want, 0, #call, #mask, #want});
#define REFUSE(call, with, reason) \
	add_call(r, (struct jail_call){SCMP_SYS(call), reason, -1, .refuse = (with), .name = #call, .want_word = #with});
#define PATH(access, where, reason) add_path(r, access, where, reason);
#define THREADS(reason)           \
	r->spec.threads_later = true; \
	r->spec.threads_reason = (reason);
#define TCP_CONNECT(reason)     \
	r->spec.tcp_connect = true; \
	r->spec.tcp_reason = (reason);

static void
read_common(struct rows *r)
{
#include "policy/jail_common.def"
}

static void
read_hsm(struct rows *r)
{
#include "policy/jail_hsm.def"
}

static void
read_vault(struct rows *r)
{
#include "policy/jail_vault.def"
}

static void
read_ledger(struct rows *r)
{
#include "policy/jail_ledger.def"
}

static void
read_courier(struct rows *r)
{
#include "policy/jail_courier.def"
}

static void
read_herald(struct rows *r)
{
#include "policy/jail_herald.def"
}

static void
read_gate(struct rows *r)
{
#include "policy/jail_gate.def"
}

static void
read_desk(struct rows *r)
{
#include "policy/jail_desk.def"
}

static void (*const readers[PROCESS_MAX])(struct rows *) = {
	[PROCESS_HSM] = read_hsm,         [PROCESS_VAULT] = read_vault,   [PROCESS_LEDGER] = read_ledger,
	[PROCESS_COURIER] = read_courier, [PROCESS_HERALD] = read_herald, [PROCESS_GATE] = read_gate,
	[PROCESS_DESK] = read_desk,
};

/* NULL: there are none. One at a time: a process has one jail, and a table is printed row by row. */
static struct rows *
read_rows(enum process p, int dir_fd, const struct conf *conf, bool declared)
{
	static struct rows rows;
	if ((unsigned)p >= PROCESS_MAX || !readers[p])
		return NULL;
	rows.spec = (struct jail_spec){.calls = rows.calls, .paths = rows.paths};
	rows.dir_fd = dir_fd;
	rows.conf = conf;
	rows.named_bytes = 0;
	rows.declared = declared;
	rows.full = false;
	read_common(&rows);
	readers[p](&rows);
	return &rows;
}

enum err
jails_enter(enum process self, int dir_fd, const struct conf *conf, bool trap, struct jail *out)
{
	struct rows *rows = read_rows(self, dir_fd, conf, false);
	if (!rows)
		return ERR_JAIL;
	rows->spec.trap = trap;
	if (rows->full) {
		log_fatal("more jail rows than there is room for", LOG_S("process", process_name(self)));
		return ERR_JAIL;
	}
	enum err e = jail_paths(&rows->spec, out);
	return e == ERR_OK ? jail_calls(&rows->spec, out) : e;
}

const struct jail_spec *
jails_declared(enum process p)
{
	const struct rows *rows = read_rows(p, -1, NULL, true);
	return rows ? &rows->spec : NULL;
}
