#include "daemon/wire/jails.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "daemon/base/log.h"

#define CALLS_MAX 192
#define PATHS_MAX 32

/* A process's rows as they are read. */
struct rows {
	struct jail_call calls[CALLS_MAX];
	struct jail_path paths[PATHS_MAX];
	struct jail_spec spec;
	int dir_fd;
	bool full;
};

static void
add_call(struct rows *r, int number, const char *reason, int arg, unsigned long mask, unsigned long want)
{
	if (r->spec.calls_n < CALLS_MAX)
		r->calls[r->spec.calls_n++] = (struct jail_call){number, reason, arg, mask, want};
	else
		r->full = true;
}

static void
refuse_call(struct rows *r, int number, const char *reason, int with)
{
	size_t n = r->spec.calls_n;
	add_call(r, number, reason, -1, 0, 0);
	if (r->spec.calls_n > n)
		r->calls[n].refuse = with;
}

static void
add_path(struct rows *r, bool write, const char *where, const char *reason)
{
	bool own = strcmp(where, "@dir") == 0;
	if (own && r->dir_fd < 0)
		return;
	if (r->spec.paths_n < PATHS_MAX)
		r->paths[r->spec.paths_n++] = (struct jail_path){own ? r->dir_fd : -1, own ? NULL : where, write, reason};
	else
		r->full = true;
}

/* The rows of policy/jail_*.def are statements of one function per process. */
#define RO                                     false
#define RW                                     true
#define CALL(name, reason)                     add_call(r, SCMP_SYS(name), reason, -1, 0, 0);
#define CALL_IF(name, arg, mask, want, reason) add_call(r, SCMP_SYS(name), reason, arg, mask, want);
#define REFUSE(name, with, reason)             refuse_call(r, SCMP_SYS(name), reason, with);
#define PATH(access, where, reason)            add_path(r, access, where, reason);
#define THREADS(reason)                        r->spec.threads_later = true;
#define TCP_CONNECT(reason)                    r->spec.tcp_connect = true;

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

enum err
jails_enter(enum process self, int dir_fd, bool trap, struct jail *out)
{
	static void (*const readers[PROCESS_MAX])(struct rows *) = {
		[PROCESS_HSM] = read_hsm,         [PROCESS_VAULT] = read_vault,   [PROCESS_LEDGER] = read_ledger,
		[PROCESS_COURIER] = read_courier, [PROCESS_HERALD] = read_herald, [PROCESS_GATE] = read_gate,
		[PROCESS_DESK] = read_desk,
	};
	static struct rows rows;
	rows = (struct rows){.dir_fd = dir_fd, .spec = {.calls = rows.calls, .paths = rows.paths, .trap = trap}};
	if ((unsigned)self >= PROCESS_MAX || !readers[self])
		return ERR_JAIL;
	read_common(&rows);
	readers[self](&rows);
	if (rows.full) {
		log_fatal("more jail rows than there is room for", LOG_S("process", process_name(self)));
		return ERR_JAIL;
	}
	enum err e = jail_paths(&rows.spec, out);
	return e == ERR_OK ? jail_calls(&rows.spec, out) : e;
}
