#include "console/ctl/completion.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "console/ctl/commands.h"
#include "console/ctl/ctl.h"

#define COMMON "--dir --json --no-color --no-input --yes --help"

/* ── the table, as shells ask for it ── */

/* The length of the first word of a command. */
static size_t
first_of(const char *words)
{
	return strcspn(words, " ");
}

/* Is this the first row with this first word? */
static bool
opens_group(const struct command *const *c)
{
	for (const struct command *const *b = commands_all(); b < c; b++)
		if (first_of((*b)->words) == first_of((*c)->words) &&
			memcmp((*b)->words, (*c)->words, first_of((*c)->words)) == 0)
			return false;
	return true;
}

static bool
in_group(const struct command *c, const char *words, size_t n)
{
	return first_of(c->words) == n && memcmp(c->words, words, n) == 0;
}

static bool
is_file(const struct flag *f)
{
	return f->value && (strcmp(f->value, "FILE") == 0 || strcmp(f->value, "DIR") == 0);
}

/* All flags of all commands that take a file (or those that take something else), separated by |. */
static void
print_value_flags(bool files)
{
	fputs(files ? "--dir" : "--nothing", stdout);
	for (const struct command *const *c = commands_all(); *c; c++)
		for (const struct flag *f = (*c)->flags; f && f->name; f++)
			if (f->value && is_file(f) == files)
				printf("|%s", f->name);
}

static void
print_flags(const struct command *c)
{
	for (const struct flag *f = c->flags; f && f->name; f++)
		printf("%s ", f->name);
}

/* Text in single quotes of all three shells. */
static void
put_quoted(const char *s)
{
	for (; *s; s++)
		if (*s == '\'')
			fputs("’", stdout);
		else if (*s == ':')
			fputs(";", stdout);
		else
			putchar(*s);
}

/* ── bash and zsh: one case for each place on the line ── */

static void
print_cases(void)
{
	fputs("\t\"\") offer=\"", stdout);
	for (const struct command *const *c = commands_all(); *c; c++)
		if (opens_group(c))
			printf("%.*s ", (int)first_of((*c)->words), (*c)->words);
	fputs("\" ;;\n", stdout);
	for (const struct command *const *c = commands_all(); *c; c++) {
		if (!opens_group(c) || !strchr((*c)->words, ' '))
			continue;
		size_t n = first_of((*c)->words);
		printf("\t\"%.*s\") offer=\"", (int)n, (*c)->words);
		for (const struct command *const *d = c; *d; d++)
			if (in_group(*d, (*c)->words, n) && (*d)->words[n])
				printf("%s ", (*d)->words + n + 1);
		fputs("\" ;;\n", stdout);
	}
	for (const struct command *const *c = commands_all(); *c; c++) {
		printf("\t\"%s\"*) offer=\"", (*c)->words);
		print_flags(*c);
		fputs("\" ;;\n", stdout);
	}
}

static void
print_bash(void)
{
	fputs("# bash completion of sallyport, made from its table of commands.\n_sallyport() {\n"
		  "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} typed= offer= i\n"
		  "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n\t\tcase ${COMP_WORDS[i]} in\n\t\t",
		  stdout);
	print_value_flags(true);
	putchar('|');
	print_value_flags(false);
	fputs(") ((i++)) ;;\n\t\t-*) ;;\n\t\t*) typed+=\"${typed:+ }${COMP_WORDS[i]}\" ;;\n\t\tesac\n\tdone\n"
		  "\tCOMPREPLY=()\n\tcase $prev in\n\t",
		  stdout);
	print_value_flags(true);
	fputs(") mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n\t", stdout);
	print_value_flags(false);
	fputs(") return ;;\n\tesac\n\tcase $typed in\n", stdout);
	print_cases();
	fputs("\tesac\n\tmapfile -t COMPREPLY < <(compgen -W \"$offer " COMMON
		  "\" -- \"$cur\")\n}\ncomplete -o filenames -F _sallyport sallyport\n",
		  stdout);
}

static void
print_zsh(void)
{
	fputs("#compdef sallyport\n# zsh completion of sallyport, made from its table of commands.\n_sallyport() {\n"
		  "\tlocal typed= offer= prev=${words[CURRENT-1]} i\n\tfor ((i = 2; i < CURRENT; i++)); do\n"
		  "\t\tcase ${words[i]} in\n\t\t",
		  stdout);
	print_value_flags(true);
	putchar('|');
	print_value_flags(false);
	fputs(
		") ((i++)) ;;\n\t\t-*) ;;\n\t\t*) typed+=\"${typed:+ }${words[i]}\" ;;\n\t\tesac\n\tdone\n\tcase $prev in\n\t",
		stdout);
	print_value_flags(true);
	fputs(") _files; return ;;\n\t", stdout);
	print_value_flags(false);
	fputs(") return ;;\n\tesac\n\tcase $typed in\n", stdout);
	print_cases();
	fputs("\tesac\n\tcompadd -- ${=offer} " COMMON "\n}\n_sallyport \"$@\"\n", stdout);
}

/* ── fish: one line for each offer ── */

static void
print_fish_words(const struct command *const *c)
{
	size_t n = first_of((*c)->words);
	if (opens_group(c)) {
		printf("complete -c sallyport -f -n 'test (__sallyport_typed) = \"\"' -a '%.*s' -d '", (int)n, (*c)->words);
		put_quoted((*c)->words[n] ? "a group of commands" : (*c)->summary);
		puts("'");
	}
	if ((*c)->words[n]) {
		printf("complete -c sallyport -f -n 'test (__sallyport_typed) = \"%.*s\"' -a '%s' -d '", (int)n, (*c)->words,
			   (*c)->words + n + 1);
		put_quoted((*c)->summary);
		puts("'");
	}
}

static void
print_fish(void)
{
	fputs("# fish completion of sallyport, made from its table of commands.\nfunction __sallyport_typed\n"
		  "\tset -l typed\n\tset -l skip 0\n\tfor word in (commandline -opc)[2..-1]\n\t\tif test $skip = 1\n\t\t\tset "
		  "skip "
		  "0\n\t\telse if string match -qr '^(",
		  stdout);
	print_value_flags(true);
	putchar('|');
	print_value_flags(false);
	fputs(")$' -- $word\n\t\t\tset skip 1\n\t\telse if not string match -q -- '-*' $word\n\t\t\tset -a typed "
		  "$word\n\t\tend\n"
		  "\tend\n\techo \"$typed\"\nend\n",
		  stdout);
	for (const struct command *const *c = commands_all(); *c; c++) {
		print_fish_words(c);
		for (const struct flag *f = (*c)->flags; f && f->name; f++) {
			printf("complete -c sallyport -n 'string match -q -- \"%s*\" (__sallyport_typed)' -l '%s'%s -d '",
				   (*c)->words, f->name + 2,
				   is_file(f) ? " -r -F"
				   : f->value ? " -x"
							  : " -f");
			put_quoted(f->what ? f->what : "");
			puts("'");
		}
	}
	puts("complete -c sallyport -l dir -r -F -d 'the appliance under this directory'\n"
		 "complete -c sallyport -l json -d 'exactly one JSON document'\ncomplete -c sallyport -l no-color\n"
		 "complete -c sallyport -l no-input\ncomplete -c sallyport -l yes\ncomplete -c sallyport -l help");
}

int
completion_print(const char *shell)
{
	static const struct {
		const char *shell;
		void (*print)(void);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
		if (strcmp(shells[i].shell, shell) == 0) {
			shells[i].print();
			return EXIT_CODE_DONE;
		}
	return -1;
}
