/* sallyport ledger rebuild — makes the read models anew from the events, in memory, and compares. */
#include <stdio.h>

#include "console/ctl/ctl.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"

static int
act_rebuild(struct run *r)
{
	static sp_ledger_rebuild_req req;
	static sp_ledger_rebuild_rep rep;
	int status;
	struct client *c = ctl_connect(r, &status);

	if (!c)
		return status;
	enum err e = client_ask(c, MSG_ledger_rebuild, &req, &rep, 600000);
	client_close(c);
	if (e != ERR_OK)
		return ctl_fail(r, e, "ledger rebuild", NULL);
	status = rep.differences ? EXIT_CODE_FOUND : EXIT_CODE_DONE;
	if (r->json) {
		ctl_print_json(json_pack("{sI sI sI ss}", "events", (json_int_t)rep.events, "objects", (json_int_t)rep.objects,
								 "differences", (json_int_t)rep.differences, "first_difference", rep.first_difference));
		return status;
	}
	printf("%llu events make %llu objects; %llu differ from the read models\n", (unsigned long long)rep.events,
		   (unsigned long long)rep.objects, (unsigned long long)rep.differences);
	if (rep.differences)
		fprintf(stderr,
				"sallyport: ledger rebuild: first difference: %s\nnext: keep a copy of ledger.db and report it\n",
				rep.first_difference);
	return status;
}

const struct command cmd_ledger_rebuild = {
	.words = "ledger rebuild",
	.args = "",
	.summary = "Make the read models anew from the events and compare",
	.about = "Nothing is changed: the comparison runs in memory.",
	.example = "sallyport --dir /srv/sallyport ledger rebuild",
	.exits = "0 1 2 3 5 6 7 9 130",
	.schema = "ledger-rebuild",
	.act = act_rebuild,
};
