#include "console/ctl/told.h"

#include "daemon/wire/client.h"

enum err
told_ask(const struct run *r, int open_ms, int ask_ms, sp_status_rep *out)
{
	static const sp_status_req req;
	struct client *c = NULL;
	char path[PATH_BYTES];
	enum err e = ctl_path(path, r->paths.run, "desk.sock");

	if (e == ERR_OK)
		e = client_open(path, open_ms, &c);
	if (e == ERR_OK)
		e = client_ask(c, MSG_status, &req, out, ask_ms);
	client_close(c);
	return e;
}

enum err
told_look(const struct run *r, int open_ms, int ask_ms, sp_status_rep *out)
{
	enum err e = told_ask(r, open_ms, ask_ms, out);
	return e == ERR_DEADLINE || e == ERR_PEER_AWAY ? ERR_NOT_RUNNING : e;
}
