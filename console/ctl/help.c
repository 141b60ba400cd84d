#include "console/ctl/help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/ctl/commands.h"
#include "console/ctl/completion.h"
#include "console/ctl/manual.h"

static const struct {
	int number;
	const char *what;
} codes[] = {
#define EXIT_CODE(ID, number, what) {number, what},
#include "console/ctl/exit_codes.def"
#undef EXIT_CODE
};

static const struct flag common[] = {
	{"--dir", "DIR", "the appliance under DIR instead of the installed one (or SALLYPORT_DIR)"},
	{"--json", NULL, "exactly one JSON document on stdout, on failure too"},
	{"--no-color", NULL, "no colour (also with NO_COLOR, TERM=dumb or a pipe)"},
	{"--no-input", NULL, "never ask; fail with what is missing"},
	{NULL, NULL, NULL},
};

static json_t *
flags_json(const struct flag *f)
{
	json_t *list = json_array();
	for (; f && f->name; f++)
		json_array_append_new(
			list, json_pack("{ss ss ss}", "flag", f->name, "value", f->value ? f->value : "", "about", f->what));
	return list;
}

static json_t *
command_json(const struct command *c)
{
	char text[64], *save = NULL;
	json_t *exits = json_array();

	snprintf(text, sizeof text, "%s", c->exits);
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
		json_array_append_new(exits, json_integer(atoi(w)));
	return json_pack("{ss ss ss ss ss ss so so}", "command", c->words, "arguments", c->args, "summary", c->summary,
					 "about", c->about, "example", c->example, "schema", c->schema, "exits", exits, "flags",
					 flags_json(c->flags));
}

static json_t *
codes_json(void)
{
	json_t *list = json_array();
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		json_array_append_new(list, json_pack("{si ss}", "code", codes[i].number, "meaning", codes[i].what));
	return list;
}

static json_t *
all_json(void)
{
	json_t *list = json_array();
	for (const struct command *const *c = commands_all(); *c; c++)
		json_array_append_new(list, command_json(*c));
	return json_pack("{ss so so so}", "version", VERSION, "exit_codes", codes_json(), "flags", flags_json(common),
					 "commands", list);
}

int
help_version(const struct run *r)
{
	if (r->json)
		return ctl_print_json(json_pack("{ss}", "version", VERSION));
	puts("sallyport " VERSION);
	return EXIT_CODE_DONE;
}

int
help_all(const struct run *r)
{
	if (r->json)
		return ctl_print_json(all_json());
	puts("sallyport — card vault and payment-authorization appliance\n\n"
		 "  $ sallyport --dir DIR status\n\n"
		 "Commands:");
	for (const struct command *const *c = commands_all(); *c; c++)
		printf("  %-16s %s\n", (*c)->words, (*c)->summary);
	puts("\nsallyport COMMAND --help tells more about one; sallyport help exit-codes lists what exit codes mean.\n"
		 "The console: sallyport-console. The offline verifier: sallyport-verify.");
	return EXIT_CODE_DONE;
}

static void
print_flags(const struct flag *f)
{
	for (; f && f->name; f++) {
		char left[48];
		snprintf(left, sizeof left, "%s%s%s", f->name, f->value ? " " : "", f->value ? f->value : "");
		printf("  %-24s %s\n", left, f->what);
	}
}

static void
print_exits(const char *list)
{
	char text[64], *save = NULL;
	snprintf(text, sizeof text, "%s", list);
	for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
		for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
			if (codes[i].number == atoi(w))
				printf("  %-4d %s\n", codes[i].number, codes[i].what);
}

int
help_command(const struct run *r, const struct command *c)
{
	if (r->json)
		return ctl_print_json(command_json(c));
	printf("  $ %s\n\n%s.\n", c->example, c->summary);
	if (c->about[0])
		printf("\n%s\n", c->about);
	printf("\nusage: sallyport %s%s%s [flags]\n", c->words, c->args[0] ? " " : "", c->args);
	if (c->flags && c->flags->name)
		puts("\nFlags:");
	print_flags(c->flags);
	puts("\nCommon flags:");
	print_flags(common);
	puts("\nExit status:");
	print_exits(c->exits);
	return EXIT_CODE_DONE;
}

int
help_exit_codes(const struct run *r)
{
	if (r->json)
		return ctl_print_json(json_pack("{so}", "exit_codes", codes_json()));
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		printf("%4d  %s\n", codes[i].number, codes[i].what);
	return EXIT_CODE_DONE;
}

static int
act_help(struct run *r)
{
	if (r->args_n == 1 && strcmp(r->args[0], "exit-codes") == 0)
		return help_exit_codes(r);
	if (r->json && r->args_n == 1 && strncmp(r->args[0], "man", 3) == 0)
		return ctl_usage(r, "a man page is no JSON document: leave out --json");
	if (r->args_n == 1 && strcmp(r->args[0], "man") == 0)
		return manual_commands();
	if (r->args_n == 1 && strcmp(r->args[0], "man-conf") == 0)
		return manual_configuration();
	if (r->args_n == 2 && strcmp(r->args[0], "completion") == 0) {
		int status = completion_print(r->args[1]);
		return status < 0 ? ctl_usage(r, "completion is for bash, zsh or fish") : status;
	}
	char words[64] = "";
	for (unsigned i = 0; i < r->args_n; i++)
		snprintf(words + strlen(words), sizeof words - strlen(words), "%s%s", i ? " " : "", r->args[i]);
	for (const struct command *const *c = commands_all(); words[0] && *c; c++)
		if (strcmp((*c)->words, words) == 0)
			return help_command(r, *c);
	return words[0] ? ctl_usage(r, "no such topic") : help_all(r);
}

const struct command cmd_help = {
	.words = "help",
	.args = "[COMMAND | exit-codes]",
	.summary = "Show help",
	.about = "The topics man and man-conf print the man pages sallyport(1) and sallyport.conf(5); completion bash, "
			 "completion zsh "
			 "and completion fish print what these shells read to complete command lines.",
	.example = "sallyport help exit-codes",
	.exits = "0 2",
	.schema = "help",
	.args_max = 3,
	.act = act_help,
};
