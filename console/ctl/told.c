#include "console/ctl/told.h"

#include <string.h>

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
told_clients(struct client *c, void (*each)(const sp_client_view *, void *), void *arg)
{
	static sp_client_list_req req;
	static sp_client_list_rep rep; /* large */
	enum err e;

	memset(&req, 0, sizeof req);
	req.limit = 8;
	do {
		if ((e = ctl_ask(c, MSG_client_list, &req, &rep)) != ERR_OK)
			return e;
		for (pb_size_t i = 0; i < rep.clients_count; i++) {
			each(&rep.clients[i], arg);
			memcpy(req.after, rep.clients[i].name, sizeof req.after);
		}
	} while (rep.has_more && rep.clients_count > 0);
	return ERR_OK;
}

enum err
told_look(const struct run *r, int open_ms, int ask_ms, sp_status_rep *out)
{
	enum err e = told_ask(r, open_ms, ask_ms, out);
	return e == ERR_DEADLINE || e == ERR_PEER_AWAY ? ERR_NOT_RUNNING : e;
}
