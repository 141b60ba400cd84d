/*
 * desk — the counter of officers' programs: looks at the peer's uid and carries requests to vault and ledger.
 * Holds alone:  the listening Unix socket run/desk.sock.
 * Answers:      status, from the shared pages. Relays: every other row that an officer may send. Tells: vault_note.
 * Jail:         policy/jail_desk.def. Files: reads /etc/group and /etc/passwd at start and on a reload.
 * Signals:      none; reload and stop come over the control socket. Exit status: as proc_run.
 */
#include "daemon/base/log.h"
#include "daemon/desk/desk.h"
#include "daemon/desk/desk_status.h"
#include "daemon/desk/members.h"
#include "daemon/desk/relay.h"
#include "daemon/wire/proc.h"
#include "policy/schema/wire.pb.h"

#define ROWS_MAX 64

static struct members members;

uint32_t
desk_owner(void)
{
	return members.owner;
}

static void
read_members(void)
{
	enum err e = members_read(&members, "/etc/group", "/etc/passwd", conf_text(proc_conf(), CONF_OFFICERS));
	if (e != ERR_OK)
		log_warn("the officers' group was not read whole", LOG_E("error", e), LOG_I("members", members.count));
}

static bool
allow(uint32_t uid)
{
	bool may = members_has(&members, uid);
	if (!may)
		relay_deny(uid, ERR_PERMISSION, "connect");
	return may;
}

static enum err
before_jail(void)
{
	members.owner = proc_owner();
	return ERR_OK;
}

static enum err
after_jail(void)
{
	read_members();
	int fd = proc_gift(sp_GIFT_LISTEN, "desk");
	if (fd < 0)
		return ERR_IO;
	enum err e = proc_listen(fd, allow);
	if (e == ERR_OK)
		proc_state(PAGE_SERVING, ERR_OK);
	return e;
}

int
main(int argc, char **argv)
{
	static struct answer answers[ROWS_MAX] = {{MSG_status, desk_status_answer}};
	static const struct proc_spec spec = {
		.self = PROCESS_DESK,
		.answers = answers,
		.before_jail = before_jail,
		.after_jail = after_jail,
		.on_reload = read_members,
	};
	/* the table is policy's own, so no row can be forgotten here; the last one stays {MSG_NONE, NULL} */
	relay_rows(answers + 1, ROWS_MAX - 2);
	return proc_run(&spec, argc, argv);
}
