/* sallyport explain — what a code, a state, a cause or an exit status means and what to do; from the tables, offline.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "console/ctl/commands.h"
#include "console/ctl/ctl.h"
#include "console/ctl/paragraph.h"
#include "daemon/base/str.h"

#define WORD_BYTES 64

static const struct state {
	const char *word, *line;
	int exit;
	const char *what, *clients, *next;
} states[] = {
#define STATE(word, line, exit, what, clients, next) {#word, line, EXIT_CODE_##exit, what, clients, next},
#include "console/ctl/states.def"
#undef STATE
};
#define STATES (sizeof states / sizeof *states)

static const struct exit_row {
	int number;
	const char *text, *what;
} exits[] = {
#define EXIT_CODE(ID, number, what) {number, #number, what},
#include "console/ctl/exit_codes.def"
#undef EXIT_CODE
};
#define EXITS (sizeof exits / sizeof *exits)

static const struct {
	enum err e;
	const char *page;
} runbooks[] = {
#define RUNBOOK(id, page) {ERR_##id, #page},
#include "policy/runbook.def"
#undef RUNBOOK
};

/* ── looking up ── */

/* One word of what was typed: "HSM unavailable", "hsm_unavailable", "/problems/hsm_unavailable". */
static enum err
take_word(const struct run *r, char out[WORD_BYTES])
{
	static const char where[] = "/problems/";
	size_t n = 0;
	for (unsigned i = 0; i < r->args_n; i++) {
		const char *p = r->args[i];
		if (i == 0 && strncmp(p, where, sizeof where - 1) == 0)
			p += sizeof where - 1;
		for (; *p && n < WORD_BYTES - 1; p++)
			out[n++] = (char)(*p == ' ' || *p == '-' ? '_' : *p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
		if (*p || n >= WORD_BYTES - 1)
			return ERR_OUT_OF_RANGE;
		out[n++] = i + 1 < r->args_n ? '_' : 0;
	}
	return ERR_OK;
}

/* The one cause that the line of status tells by a name: "processor simulator does not answer". */
static bool
is_outage(const char *word)
{
	static const char begins[] = "processor_", ends[] = "_not_answer";
	size_t n = strlen(word);
	return strncmp(word, begins, sizeof begins - 1) == 0 && n > sizeof begins + sizeof ends &&
		   strcmp(word + n - (sizeof ends - 1), ends) == 0;
}

/* ERR_MAX: there is none. Not ERR_OK: that is no problem. */
static enum err
find_error(const char *word)
{
	for (int e = 1; e < ERR_MAX; e++)
		if (strcmp(err_code((enum err)e), word) == 0)
			return (enum err)e;
	return is_outage(word) ? ERR_PROCESSOR_OUT : ERR_MAX;
}

static const struct state *
find_state(const char *word)
{
	for (size_t i = 0; i < STATES; i++)
		if (strcmp(states[i].word, word) == 0 ||
			(strcmp(states[i].word, "refusing") == 0 && strcmp(word, "refusing_effects") == 0))
			return &states[i];
	return NULL;
}

static const struct exit_row *
find_exit(const char *word)
{
	for (size_t i = 0; i < EXITS; i++)
		if (strcmp(exits[i].text, word) == 0)
			return &exits[i];
	return NULL;
}

static const char *
exit_what(int number)
{
	for (size_t i = 0; i < EXITS; i++)
		if (exits[i].number == number)
			return exits[i].what;
	return "";
}

/* Where the page lies; "" when there is none for this cause. */
static const char *
runbook_of(enum err e, char out[PATH_BYTES])
{
	out[0] = 0;
	for (size_t i = 0; i < sizeof runbooks / sizeof *runbooks; i++) {
		if (runbooks[i].e != e)
			continue;
		snprintf(out, PATH_BYTES, DOCDIR "/runbooks/%s.md", runbooks[i].page);
		if (access(out, R_OK) != 0) /* not installed: where the sources have it */
			snprintf(out, PATH_BYTES, "docs/runbooks/%s.md", runbooks[i].page);
		break;
	}
	return out;
}

/* As the line of status has a cause. */
static const char *
cause_words(enum err e, char out[WORD_BYTES])
{
	snprintf(out, WORD_BYTES, "%s", err_code(e));
	for (char *p = out; *p; p++)
		if (*p == '_')
			*p = ' ';
	return out;
}

static bool
gives(const struct command *c, int number)
{
	for (const char *p = c->exits; *p; p += strcspn(p, " "), p += strspn(p, " "))
		if (atoi(p) == number)
			return true;
	return false;
}

/* ── for people ── */

#define LABEL  "  %-13s "
#define INDENT 16

__attribute__((format(printf, 2, 3))) static void
line(const char *label, const char *fmt, ...)
{
	char first[INDENT + 8], text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	snprintf(first, sizeof first, LABEL, label);
	paragraph_print(first, INDENT, text);
}

static void
print_error(enum err e)
{
	char words[WORD_BYTES], page[PATH_BYTES];
	int status = ctl_exit_of(e);
	printf("%s — %s\n\n", err_code(e), err_title(e));
	line("what to do", "%s", err_next(e));
	line("again?", "%s",
		 err_retryable(e) ? "the same request may succeed later, unchanged"
						  : "not as it is: something must change first");
	line("HTTP", "%d, of the kind %s; GET /problems/%s tells the same", err_http(e), err_category(e), err_code(e));
	line("exit status", "%d: %s", status, exit_what(status));
	line("in status", "as the cause \"%s\"", cause_words(e, words));
	if (runbook_of(e, page)[0])
		line("runbook", "man %s, or %s", err_runbook(e), page);
}

static void
print_state(const struct state *s)
{
	printf("%s — a state of the appliance\n\n", s->line);
	line("it means", "%s.", s->what);
	line("clients see", "%s.", s->clients);
	line("what to do", "%s", s->next);
	line("exit status", "%d of sallyport status: %s", s->exit, exit_what(s->exit));
}

static void
print_exit(const struct exit_row *x)
{
	char given[512] = "no command yet";
	size_t n = 0;
	printf("%d — %s: an exit status, the same in every command\n\n", x->number, x->what);
	for (const struct command *const *c = commands_all(); *c && n < sizeof given; c++)
		if (gives(*c, x->number))
			n += (size_t)snprintf(given + n, sizeof given - n, "%s%s", n ? ", " : "", (*c)->words);
	line("given by", "%s", given);
	for (int e = 1; e < ERR_MAX && x->number != EXIT_CODE_FAILED; e++)
		if (ctl_exit_of((enum err)e) == x->number)
			line("for", "%s: %s", err_code((enum err)e), err_title((enum err)e));
	if (x->number == EXIT_CODE_FAILED)
		line("for", "every code that has no exit status of its own");
}

static int
print_all(void)
{
	char words[WORD_BYTES];
	puts("sallyport explain WORD tells what one of these means and what to do.\n\nStates of the appliance");
	for (size_t i = 0; i < STATES; i++)
		printf("  %s\n", states[i].line);
	puts("\nCauses that have a runbook");
	for (size_t i = 0; i < sizeof runbooks / sizeof *runbooks; i++)
		printf("  %-28s docs/runbooks/%s.md\n", cause_words(runbooks[i].e, words), runbooks[i].page);
	puts("\nExit status of commands");
	for (size_t i = 0; i < EXITS; i++)
		printf("  %-4d %s\n", exits[i].number, exits[i].what);
	puts("\nCodes of the API and of commands; with spaces, causes in status");
	for (int e = 1; e < ERR_MAX; e++)
		printf("  %-28s %s\n", err_code((enum err)e), err_title((enum err)e));
	return EXIT_CODE_DONE;
}

/* ── for programs ── */

/* The members of /problems/{code}, and what only commands know. */
static json_t *
error_json(enum err e)
{
	char words[WORD_BYTES], page[PATH_BYTES];
	return json_pack("{ss ss ss si ss sb ss ss si ss}", "object", "problem_type", "code", err_code(e), "title",
					 err_title(e), "status", err_http(e), "category", err_category(e), "retryable",
					 (int)err_retryable(e), "next", err_next(e), "cause", cause_words(e, words), "exit_code",
					 ctl_exit_of(e), "runbook", runbook_of(e, page));
}

static json_t *
state_json(const struct state *s)
{
	return json_pack("{ss ss ss ss ss ss si}", "object", "state", "state", s->word, "line", s->line, "meaning", s->what,
					 "clients_see", s->clients, "next", s->next, "exit_code", s->exit);
}

static json_t *
exit_json(const struct exit_row *x)
{
	json_t *commands = json_array(), *codes = json_array();
	for (const struct command *const *c = commands_all(); *c; c++)
		if (gives(*c, x->number))
			json_array_append_new(commands, json_string((*c)->words));
	for (int e = 1; e < ERR_MAX; e++)
		if (ctl_exit_of((enum err)e) == x->number)
			json_array_append_new(codes, json_string(err_code((enum err)e)));
	return json_pack("{ss si ss so so}", "object", "exit_code", "exit_code", x->number, "meaning", x->what, "commands",
					 commands, "codes", codes);
}

static json_t *
all_json(void)
{
	json_t *s = json_array(), *x = json_array(), *codes = json_array();
	for (size_t i = 0; i < STATES; i++)
		json_array_append_new(s, json_string(states[i].word));
	for (size_t i = 0; i < EXITS; i++)
		json_array_append_new(x, json_integer(exits[i].number));
	for (int e = 1; e < ERR_MAX; e++)
		json_array_append_new(codes, json_string(err_code((enum err)e)));
	return json_pack("{so so so}", "states", s, "exit_codes", x, "codes", codes);
}

/* ── the command ── */

static int
not_found(const struct run *r, const char *word)
{
	static const char *names[ERR_MAX + STATES + EXITS + 1];
	char problem[160];
	size_t n = 0;
	for (size_t i = 0; i < STATES; i++)
		names[n++] = states[i].word;
	for (int e = 1; e < ERR_MAX; e++)
		names[n++] = err_code((enum err)e);
	names[n] = NULL;
	const char *near = str_nearest(word, names);
	if (near)
		snprintf(problem, sizeof problem, "nothing has this name; did you mean: sallyport explain %s", near);
	else
		snprintf(problem, sizeof problem, "nothing has this name; sallyport explain lists what can be explained");
	return ctl_usage(r, problem);
}

static int
act_explain(struct run *r)
{
	char word[WORD_BYTES] = "";
	if (!r->args_n)
		return r->json ? ctl_print_json(all_json()) : print_all();
	if (take_word(r, word) != ERR_OK)
		return not_found(r, "");
	const struct state *s = find_state(word);
	const struct exit_row *x = find_exit(word);
	enum err e = find_error(word);
	if (!s && !x && e == ERR_MAX)
		return not_found(r, word);
	if (r->json) {
		json_t *pages = json_array();
		if (s)
			json_array_append_new(pages, state_json(s));
		if (e != ERR_MAX)
			json_array_append_new(pages, error_json(e));
		if (x)
			json_array_append_new(pages, exit_json(x));
		return ctl_print_json(json_pack("{ss so}", "word", word, "pages", pages));
	}
	if (s)
		print_state(s);
	if (s && e != ERR_MAX)
		putchar('\n');
	if (e != ERR_MAX)
		print_error(e);
	if (x)
		print_exit(x);
	return EXIT_CODE_DONE;
}

const struct command cmd_explain = {
	.words = "explain",
	.args = "[CODE | STATE | CAUSE | EXIT STATUS]",
	.summary = "Explain a code, a state, a cause or an exit status, and say what to do",
	.about =
		"It needs no appliance and no network. A code of the API or of a command is explained as GET "
		"/problems/{code} does; a cause may be typed as the line of status has it (hsm unavailable). A cause that has "
		"a runbook names its page. Without an argument it lists all that it can explain.",
	.example = "sallyport explain hsm unavailable",
	.exits = "0 2",
	.schema = "explain",
	.args_max = 8,
	.act = act_explain,
};
