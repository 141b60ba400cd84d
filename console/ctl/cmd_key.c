/* sallyport key list — every key, its state and its age against its cryptoperiod. */
#include <stdio.h>

#include "console/ctl/ctl.h"
#include "daemon/base/clock.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"

static void
day_text(int64_t ms, char out[CLOCK_TEXT_BYTES])
{
	if (ms)
		clock_text(ms, out), out[10] = 0;
	else
		snprintf(out, CLOCK_TEXT_BYTES, "-");
}

static json_t *
key_json(const sp_key_view *k)
{
	return json_pack("{ss si ss ss ss sI sI sI sI sI}", "key", k->key, "generation", (int)k->generation, "state",
					 k->state, "where", k->where, "algorithm", k->algorithm, "created_at_ms",
					 (json_int_t)k->created_at_ms, "activated_at_ms", (json_int_t)k->activated_at_ms, "rotate_by_ms",
					 (json_int_t)k->rotate_by_ms, "uses", (json_int_t)k->uses, "rows", (json_int_t)k->rows);
}

static int
act_list(struct run *r)
{
	static sp_key_list_req req;
	static sp_key_list_rep rep;
	int status;
	struct client *c = ctl_connect(r, &status);

	if (!c)
		return status;
	enum err e = ctl_ask(c, MSG_key_list, &req, &rep);
	client_close(c);
	if (e != ERR_OK)
		return ctl_fail(r, e, "key list", NULL);
	if (r->json) {
		json_t *all = json_array();
		for (pb_size_t i = 0; i < rep.keys_count; i++)
			json_array_append_new(all, key_json(&rep.keys[i]));
		return ctl_print_json(json_pack("{so}", "keys", all));
	}
	printf("%-12s %3s  %-12s %-12s %-12s %12s  %s\n", "KEY", "GEN", "STATE", "ACTIVATED", "ROTATE BY", "ROWS", "WHERE");
	for (pb_size_t i = 0; i < rep.keys_count; i++) {
		const sp_key_view *k = &rep.keys[i];
		char since[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES];
		day_text(k->activated_at_ms, since);
		day_text(k->rotate_by_ms, until);
		printf("%-12s %3u  %-12s %-12s %-12s %12llu  %s\n", k->key, (unsigned)k->generation, k->state, since, until,
			   (unsigned long long)k->rows, k->where);
	}
	return EXIT_CODE_DONE;
}

const struct command cmd_key_list = {
	.words = "key list",
	.args = "",
	.summary = "List the keys, their states and when they must be rotated",
	.about = "",
	.example = "sallyport --dir /srv/sallyport key list",
	.exits = "0 1 2 3 5 6 7 130",
	.schema = "key-list",
	.act = act_list,
};
