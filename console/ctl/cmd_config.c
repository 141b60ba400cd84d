/* sallyport config check|show — the configuration before it is in force. */
#include <stdio.h>
#include <string.h>

#include "console/ctl/config_check.h"
#include "console/ctl/ctl.h"
#include "daemon/base/conf.h"
#include "daemon/base/mem.h"

/* ── check ── */

static const char *const kinds[] = {
	[FINDING_PROBLEM] = "problems", [FINDING_WARNING] = "warnings", [FINDING_UNCHECKED] = "not_checked"};

static json_t *
findings_json(const struct config_check *c, enum finding_kind kind)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < c->n; i++) {
		const struct finding *f = &c->findings[i];
		if (f->kind == kind)
			json_array_append_new(list, json_pack("{ss si ss ss ss}", "file", f->file, "line", (int)f->line, "key",
												  f->key, "problem", f->problem, "allowed", f->allowed));
	}
	return list;
}

static int
print_check_json(const struct config_check *c)
{
	json_t *doc = c->e == ERR_OK
					  ? json_pack("{sb}", "valid", 1)
					  : ctl_problem_json(c->e, "config check", NULL, "mend what problems names and run it again");
	for (int k = c->e == ERR_OK ? FINDING_WARNING : FINDING_PROBLEM; k <= FINDING_UNCHECKED; k++)
		json_object_set_new(doc, kinds[k], findings_json(c, (enum finding_kind)k));
	json_object_set_new(doc, "checks", json_integer(c->checks));
	int put = ctl_print_json(doc);
	return c->e == ERR_OK ? put : ctl_exit_of(c->e);
}

/* One line each, in the form that editors jump to. */
static void
print_findings(const struct config_check *c, enum finding_kind kind, FILE *to)
{
	static const char *const before[] = {
		[FINDING_PROBLEM] = "", [FINDING_WARNING] = "warning: ", [FINDING_UNCHECKED] = "  "};
	char line[3 * DOCTOR_TEXT_BYTES];
	for (unsigned i = 0; i < c->n; i++)
		if (c->findings[i].kind == kind) {
			config_check_text(&c->findings[i], line, sizeof line);
			fprintf(to, "%s%s\n", before[kind], line);
		}
}

static int
print_check(const struct config_check *c)
{
	if (c->e != ERR_OK) {
		print_findings(c, FINDING_PROBLEM, stderr);
		print_findings(c, FINDING_WARNING, stderr);
		print_findings(c, FINDING_UNCHECKED, stderr);
		fprintf(stderr, "sallyport: config check: %s\nnext: mend the lines above and run it again\n", err_title(c->e));
		return ctl_exit_of(c->e);
	}
	if (c->unchecked)
		printf("no error found — but %u of %u things could not be looked at:\n", c->unchecked, c->checks);
	else
		printf("the configuration is valid — by form, and %u checks of what it means\n", c->checks);
	print_findings(c, FINDING_UNCHECKED, stdout);
	print_findings(c, FINDING_WARNING, stdout);
	return EXIT_CODE_DONE;
}

static int
act_check(struct run *r)
{
	const char *file = r->args_n ? r->args[0] : NULL;
	struct config_check *c = config_check_make(r, file);
	enum err e = c ? c->e : ERR_MEMORY;
	int status;
	if (e == ERR_FILE_MISSING && !file)
		e = ERR_NOT_INITIALISED;
	if (e != ERR_OK && e != ERR_CONFIG)
		status = ctl_fail(r, e, "config check", c && c->cause[0] ? c->cause : NULL);
	else
		status = r->json ? print_check_json(c) : print_check(c);
	mem_free(c);
	return status;
}

/* ── show ── */

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
	const char *text = problems.len ? (const char *)buf_at(&problems) : "";
	char first[400];
	snprintf(first, sizeof first, "%.*s", (int)(problems.len ? strcspn(text, "\n") : 0), text);
	int status = e != ERR_OK ? ctl_fail(r, e, "config show", first[0] ? first : NULL)
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
	.args = "[FILE]",
	.args_max = 1,
	.summary = "Check the configuration by form and by meaning; all problems at once, with file and line",
	.about =
		"Beside each value by itself: do numbers contradict each other, does the certificate fit its key and is it "
		"valid, can the CA of clients be read, is the address free (or ours), is the HSM's module there, is it a "
		"PKCS#11 module with our token (without a log-in), do users and directories exist with the right owner and "
		"mode. It needs no running daemon. What this user may not look at is told as that; as root nothing is left "
		"out. With FILE that file is checked as if it were sallyport.conf.",
	.example = "sallyport --dir /srv/sallyport config check",
	.exits = "0 1 2 6 7 9",
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
	.exits = "0 1 2 6 7 9",
	.schema = "config-show",
	.flags = show_flags,
	.act = act_show,
};
