/* sallyport config check|show — the configuration before it is in force. */
#include <stdio.h>
#include <string.h>

#include "console/ctl/ctl.h"
#include "daemon/base/conf.h"

static int
act_check(struct run *r)
{
	struct conf *c = conf_new();
	struct buf problems;
	int status = EXIT_CODE_DONE;

	buf_init(&problems, 65536);
	enum err e = c ? conf_load(c, r->paths.etc, &problems) : ERR_MEMORY;
	if (e == ERR_FILE_MISSING)
		e = ERR_NOT_INITIALISED;
	if (e == ERR_CONFIG && r->json) {
		json_t *list = json_array();
		for (size_t at = 0; at < problems.len;) {
			const char *line = (const char *)buf_at(&problems) + at, *end = memchr(line, '\n', problems.len - at);
			size_t n = end ? (size_t)(end - line) : problems.len - at;
			json_array_append_new(list, json_stringn(line, n));
			at += n + 1;
		}
		json_t *doc = ctl_problem_json(e, "config check", NULL, "mend what problems names and run it again");
		json_object_set_new(doc, "problems", list);
		ctl_print_json(doc);
		status = ctl_exit_of(e);
	} else if (e == ERR_CONFIG) {
		fwrite(buf_at(&problems), 1, problems.len, stderr);
		fprintf(stderr, "sallyport: config check: %s\nnext: mend the lines above and run it again\n", err_title(e));
		status = ctl_exit_of(e);
	} else if (e != ERR_OK) {
		status = ctl_fail(r, e, "config check", NULL);
	} else if (r->json) {
		status = ctl_print_json(json_pack("{sb}", "valid", 1));
	} else {
		puts("the configuration is valid");
	}
	buf_clear(&problems);
	conf_free(c);
	return status;
}

static const char *
value_text(const struct buf *dump, const char *name, char *out, size_t size)
{
	const char *p = (const char *)buf_at(dump), *end = p + dump->len;
	size_t n = strlen(name);
	out[0] = 0;
	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = stop ? (size_t)(stop - p) : (size_t)(end - p);
		if (len > n + 3 && memcmp(p, name, n) == 0 && memcmp(p + n, " = ", 3) == 0)
			snprintf(out, size, "%.*s", (int)(len - n - 3), p + n + 3);
		p += len + 1;
	}
	return out;
}

static int
act_show(struct run *r)
{
	struct conf *c = conf_new();
	struct buf problems, dump;
	bool origin = ctl_flag(r, "--origin") != NULL;

	buf_init(&problems, 65536);
	buf_init(&dump, 65536);
	enum err e = c ? conf_load(c, r->paths.etc, &problems) : ERR_MEMORY;
	if (e == ERR_FILE_MISSING)
		e = ERR_NOT_INITIALISED;
	if (e == ERR_OK)
		e = conf_dump(c, &dump);
	json_t *doc = json_object();
	for (int k = 0; e == ERR_OK && k < CONF_MAX; k++) {
		char value[256];
		const char *name = conf_name((enum conf_key)k), *from = conf_origin(c, (enum conf_key)k);
		value_text(&dump, name, value, sizeof value);
		if (r->json)
			json_object_set_new(doc, name, json_pack("{ss ss}", "value", value, "origin", from));
		else if (origin)
			printf("%-28s %-34s # %s\n", name, value, from);
		else
			printf("%s = %s\n", name, value);
	}
	int status = e != ERR_OK ? ctl_fail(r, e, "config show", NULL)
				 : r->json   ? ctl_print_json(json_incref(doc))
							 : EXIT_CODE_DONE;
	json_decref(doc);
	buf_clear(&problems);
	buf_clear(&dump);
	conf_free(c);
	return status;
}

const struct command cmd_config_check = {
	.words = "config check",
	.args = "",
	.summary = "Check the configuration files; all problems at once, with file and line",
	.about = "",
	.example = "sallyport --dir /srv/sallyport config check",
	.exits = "0 1 2 6 9",
	.schema = "config-check",
	.act = act_check,
};

static const struct flag show_flags[] = {{"--origin", NULL, "with each value, the file and line that it comes from"},
										 {NULL, NULL, NULL}};

const struct command cmd_config_show = {
	.words = "config show",
	.args = "",
	.summary = "Show every key of the configuration with its value",
	.about = "",
	.example = "sallyport --dir /srv/sallyport config show --origin",
	.exits = "0 1 2 6 9",
	.schema = "config-show",
	.flags = show_flags,
	.act = act_show,
};
