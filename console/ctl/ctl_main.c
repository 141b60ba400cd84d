/*
 * sallyport — everything an officer, an operator or a script does from a shell.
 * Holds nothing: it speaks to desk over DIR/run/desk.sock and, for init and client add, uses the small-site CA's key
 * file. Exit status: console/ctl/exit_codes.def.
 */
#include "console/ctl/ctl.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "console/ctl/commands.h"
#include "console/ctl/help.h"
#include "console/ctl/interrupt.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

static const struct flag common_flags[] = {{"--dir", "DIR", NULL},     {"--json", NULL, NULL},
										   {"--no-color", NULL, NULL}, {"--no-input", NULL, NULL},
										   {"--yes", NULL, NULL},      {NULL, NULL, NULL}};

const char *
ctl_flag(const struct run *r, const char *name)
{
	for (unsigned i = 0; i < r->values_n; i++)
		if (strcmp(r->values[i].name, name) == 0)
			return r->values[i].value ? r->values[i].value : "";
	return NULL;
}

const char *
ctl_flag_nth(const struct run *r, const char *name, unsigned n)
{
	for (unsigned i = 0; i < r->values_n; i++)
		if (strcmp(r->values[i].name, name) == 0 && n-- == 0)
			return r->values[i].value ? r->values[i].value : "";
	return NULL;
}

static const struct flag *
find_flag(const struct flag *flags, const char *name)
{
	for (; flags && flags->name; flags++)
		if (strcmp(flags->name, name) == 0)
			return flags;
	return NULL;
}

/* Does argv begin with the words of c? Returns how many words, 0 when not. */
static int
words_match(const struct command *c, int argc, char **argv)
{
	char words[64];
	int n = 0;
	char *save = NULL;

	snprintf(words, sizeof words, "%s", c->words);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save), n++)
		if (n >= argc || strcmp(argv[n], w) != 0)
			return 0;
	return n;
}

static const struct command *
find_command(int argc, char **argv, int *words_out)
{
	for (const struct command *const *c = commands_all(); *c; c++) {
		int n = words_match(*c, argc, argv);
		if (n > 0 && n >= *words_out) {
			*words_out = n;
			return *c;
		}
	}
	return NULL;
}

static int
unknown_command(const struct run *r, int argc, char **argv)
{
	char typed[64], problem[160];
	const char *near = NULL;
	unsigned least = 3;

	snprintf(typed, sizeof typed, "%s%s%s", argv[0], argc > 1 && argv[1][0] != '-' ? " " : "",
			 argc > 1 && argv[1][0] != '-' ? argv[1] : "");
	for (const struct command *const *c = commands_all(); *c; c++) {
		unsigned d = str_distance(typed, (*c)->words, 2), first = str_distance(argv[0], (*c)->words, 2);
		if (first < d)
			d = first;
		if (d < least)
			least = d, near = (*c)->words;
	}
	if (near)
		snprintf(problem, sizeof problem, "no such command; did you mean: sallyport %s", near);
	else
		snprintf(problem, sizeof problem, "no such command; see: sallyport help");
	return ctl_usage(r, problem);
}

static int
unknown_flag(const struct run *r, const char *typed)
{
	const char *names[RUN_FLAGS_MAX + 8];
	char problem[160];
	unsigned n = 0;

	for (const struct flag *f = common_flags; f->name; f++)
		names[n++] = f->name;
	for (const struct flag *f = r->command->flags; f && f->name && n < RUN_FLAGS_MAX; f++)
		names[n++] = f->name;
	names[n] = NULL;
	const char *near = str_nearest(typed, names);
	if (near)
		snprintf(problem, sizeof problem, "no such flag; did you mean: %s", near);
	else
		snprintf(problem, sizeof problem, "no such flag for this command");
	return ctl_usage(r, problem);
}

static void
take_common(struct run *r, const char *name, const char *value)
{
	if (strcmp(name, "--json") == 0)
		r->json = true;
	else if (strcmp(name, "--no-color") == 0)
		r->color = false;
	else if (strcmp(name, "--no-input") == 0)
		r->no_input = true;
	else if (strcmp(name, "--yes") == 0)
		r->yes = true;
	else if (strcmp(name, "--dir") == 0)
		snprintf(r->paths.dir, sizeof r->paths.dir, "%s", value);
}

/* Reads flags and arguments after the command's words; returns -1 when all is well. */
static int
read_rest(struct run *r, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		char name[64];
		const char *value = NULL, *equals;
		if (argv[i][0] != '-' || argv[i][1] == 0) {
			if (r->args_n >= RUN_ARGS_MAX || r->args_n >= r->command->args_max)
				return ctl_usage(r, "too many arguments");
			r->args[r->args_n++] = argv[i];
			continue;
		}
		equals = strchr(argv[i], '=');
		snprintf(name, sizeof name, "%.*s", (int)(equals ? equals - argv[i] : (long)strlen(argv[i])), argv[i]);
		const struct flag *common = find_flag(common_flags, name),
						  *f = common ? common : find_flag(r->command->flags, name);
		if (!f)
			return unknown_flag(r, name);
		if (f->value) {
			value = equals ? equals + 1 : ++i < argc ? argv[i] : NULL;
			if (!value)
				return ctl_usage(r, "a flag lacks its value");
		} else if (equals) {
			return ctl_usage(r, "a flag that takes no value was given one");
		}
		if (common) {
			take_common(r, f->name, value);
		} else {
			if (r->values_n >= RUN_FLAGS_MAX)
				return ctl_usage(r, "too many flags");
			r->values[r->values_n].name = f->name;
			r->values[r->values_n++].value = value;
		}
	}
	return r->args_n < r->command->args_min ? ctl_usage(r, "an argument is missing") : -1;
}

/* --answers FILE: "flag = value" lines stand for flags, so that a lab install needs no terminal and no long line. */
static int
take_answers(struct run *r)
{
	const char *file = ctl_flag(r, "--answers");
	static char *text;
	char *save = NULL;
	size_t n;

	if (!file || !*file)
		return -1;
	enum err e = ctl_read_file(file, 16384, &text, &n);
	if (e != ERR_OK)
		return ctl_fail(r, e, "answers", NULL);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char name[64], value[256] = "";
		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		if (sscanf(line, "%61[a-z-] = %255[^\r]", name + 2, value) < 1)
			return ctl_usage(r, "a line of the answers is not `name = value`");
		for (size_t end = strlen(value); end > 0 && (value[end - 1] == ' ' || value[end - 1] == '\t'); end--)
			value[end - 1] = 0;
		memcpy(name, "--", 2);
		const struct flag *common = find_flag(common_flags, name),
						  *f = common ? common : find_flag(r->command->flags, name);
		if (!f)
			return unknown_flag(r, name);
		char *kept = mem_strdup(value);
		if (!kept || r->values_n >= RUN_FLAGS_MAX)
			return ctl_usage(r, "too many answers");
		if (!f->value && strcmp(value, "yes") != 0) {
			mem_free(kept);
			continue; /* "software-hsm = no" is as if it was not given */
		}
		if (common) {
			take_common(r, f->name, kept);
		} else {
			r->values[r->values_n].name = f->name;
			r->values[r->values_n++].value = f->value ? kept : NULL;
		}
	}
	return -1;
}

static int
set_paths(struct run *r)
{
	struct paths *p = &r->paths;
	const char *env = getenv("SALLYPORT_DIR");

	if (!p->dir[0] && env && str_set(p->dir, sizeof p->dir, env) != ERR_OK)
		return ctl_usage(r, "SALLYPORT_DIR is too long");
	if (!p->dir[0]) {
		snprintf(p->etc, sizeof p->etc, "%s", SYSCONFDIR);
		snprintf(p->state, sizeof p->state, "%s", STATEDIR);
		snprintf(p->run, sizeof p->run, "%s", RUNDIR);
		return -1;
	}
	if (p->dir[0] != '/') {
		char here[PATH_BYTES], whole[PATH_BYTES];
		if (!getcwd(here, sizeof here) || ctl_path(whole, here, p->dir) != ERR_OK)
			return ctl_usage(r, "the directory's path is too long");
		memcpy(p->dir, whole, sizeof whole);
	}
	memcpy(p->etc, p->dir, sizeof p->etc);
	memcpy(p->state, p->dir, sizeof p->state);
	if (ctl_path(p->run, p->dir, "run") != ERR_OK || strlen(p->run) > 90)
		return ctl_usage(r, "the directory's path is too long (90 characters at most: it holds a socket)");
	return -1;
}

/* A card number on a command line would stand in ps and in the shell's history. */
static bool
holds_card(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (str_holds_pan(argv[i], strlen(argv[i])))
			return true;
	return false;
}

/* Every path may come to stand in a JSON document. */
static bool
all_utf8(int argc, char **argv)
{
	const char *dir = getenv("SALLYPORT_DIR");
	for (int i = 1; i < argc; i++)
		if (!str_utf8((const uint8_t *)argv[i], strlen(argv[i])))
			return false;
	return !dir || str_utf8((const uint8_t *)dir, strlen(dir));
}

/* init and client add hold the CA's key and officers' keys: no core file, no debugger of the same user. */
static bool
keep_keys_in(void)
{
	const struct rlimit none = {0, 0};
#ifndef SANITIZERS
	/* the leak sanitizer attaches to us */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return false;
#endif
	return setrlimit(RLIMIT_CORE, &none) == 0;
}

int
main(int argc, char **argv)
{
	struct run r = {.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"), .terminal = isatty(STDOUT_FILENO)};
	const char *term = getenv("TERM");
	int first = 1, words = 0, status;

	if (!term || strcmp(term, "dumb") == 0)
		r.color = r.terminal = false;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--json") == 0)
			r.json = true;
	json_set_alloc_funcs(mem_alloc, mem_free);
	if (!keep_keys_in())
		return ctl_fail(&r, ERR_JAIL, "start", NULL);
	if (sodium_init() < 0)
		return ctl_fail(&r, ERR_RANDOM, "start", NULL);
	if (holds_card(argc, argv))
		return ctl_usage(&r, "an argument looks like a card number; card data is never taken on a command line");
	if (!all_utf8(argc, argv))
		return ctl_usage(&r, "an argument, or SALLYPORT_DIR, is not UTF-8 text");
	/* common flags may also stand before the command */
	while (first < argc && argv[first][0] == '-') {
		if (strcmp(argv[first], "-h") == 0 || strcmp(argv[first], "--help") == 0)
			return help_all(&r);
		if (strcmp(argv[first], "--version") == 0) {
			return help_version(&r);
		}
		const struct flag *f = find_flag(common_flags, argv[first]);
		if (!f)
			return ctl_usage(&r, "no such flag; see: sallyport help");
		if (f->value && first + 1 >= argc)
			return ctl_usage(&r, "a flag lacks its value");
		take_common(&r, f->name, f->value ? argv[first + 1] : NULL);
		first += f->value ? 2 : 1;
	}
	if (first >= argc)
		return help_all(&r);
	r.command = find_command(argc - first, argv + first, &words);
	for (int i = first; i < argc; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			return r.command ? help_command(&r, r.command) : help_all(&r);
	if (!r.command)
		return unknown_command(&r, argc - first, argv + first);
	if ((status = read_rest(&r, argc - first - words, argv + first + words)) >= 0)
		return status;
	if ((status = take_answers(&r)) >= 0 || (status = set_paths(&r)) >= 0)
		return status;
	if (!r.color)
		r.terminal = r.terminal && term && strcmp(term, "dumb") != 0;
	interrupt_watch(&r);
	return r.command->act(&r);
}
