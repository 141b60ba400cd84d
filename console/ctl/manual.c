#include "console/ctl/manual.h"

#include <stdio.h>
#include <string.h>

#include "console/ctl/commands.h"

/* Text for roff: a backslash, a dash of a flag and a leading dot would be commands. */
static void
put(const char *s)
{
	for (const char *p = s; *p; p++) {
		if ((p == s || p[-1] == '\n') && (*p == '.' || *p == '\''))
			fputs("\\&", stdout);
		if (*p == '\\')
			fputs("\\e", stdout);
		else if (*p == '-')
			fputs("\\-", stdout);
		else
			putchar(*p);
	}
}

static void
put_flags(const struct flag *f)
{
	for (; f && f->name; f++) {
		fputs(".TP\n.B ", stdout);
		put(f->name);
		if (f->value)
			printf(" \\fI%s\\fR", f->value);
		putchar('\n');
		put(f->what);
		putchar('\n');
	}
}

int
manual_commands(void)
{
	fputs(".TH SALLYPORT 1 \"\" \"sallyport " VERSION "\" \"Sallyport\"\n.SH NAME\nsallyport \\- card vault and "
		  "payment\\-authorization appliance: commands\n.SH SYNOPSIS\n.B sallyport\n[\\fB\\-\\-dir\\fR \\fIDIR\\fR] "
		  "[\\fB\\-\\-json\\fR] \\fICOMMAND\\fR [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\nEvery command speaks to the "
		  "running "
		  "appliance through its desk socket, takes no secret and no card number as an argument, and on failure prints "
		  "what "
		  "failed, why, and the next step.\n.SH COMMANDS\n",
		  stdout);
	for (const struct command *const *c = commands_all(); *c; c++) {
		printf(".SS \"sallyport ");
		put((*c)->words);
		if ((*c)->args[0])
			putchar(' '), put((*c)->args);
		puts("\"");
		put((*c)->summary);
		puts(".");
		if ((*c)->about[0]) {
			puts(".PP");
			put((*c)->about);
			putchar('\n');
		}
		put_flags((*c)->flags);
		fputs(".PP\nExample: \\fB", stdout);
		put((*c)->example);
		printf("\\fR\n.PP\nWith \\-\\-json: schemas/%s.json. Exit status: %s.\n", (*c)->schema, (*c)->exits);
	}
	puts(".SH \"EXIT STATUS\"");
#define EXIT_CODE(ID, number, what) puts(".TP\n.B " #number "\n" what);
#include "console/ctl/exit_codes.def"
#undef EXIT_CODE
	puts(".SH ENVIRONMENT\n.TP\n.B SALLYPORT_DIR\nstands for \\-\\-dir.\n.TP\n.B NO_COLOR\nno colour.\n"
		 ".SH \"SEE ALSO\"\n.BR sallyportd (8),\n.BR sallyport\\-console (1),\n.BR sallyport\\-verify (1),\n.BR "
		 "sallyport.conf (5)");
	return EXIT_CODE_DONE;
}

int
manual_configuration(void)
{
	fputs(".TH SALLYPORT.CONF 5 \"\" \"sallyport " VERSION
		  "\" \"Sallyport\"\n.SH NAME\nsallyport.conf \\- configuration of a "
		  "Sallyport appliance\n.SH DESCRIPTION\nLines of \\fIname\\fR = \\fIvalue\\fR; # begins a comment. Files in "
		  "sallyport.conf.d are read after it, in the order of their names. No secret ever stands here. \\fBsallyport "
		  "config "
		  "check\\fR shows all problems at once; a reload with a problem keeps the old configuration.\n.SH KEYS\n",
		  stdout);
#define ENUM(choices) choices
#define KEY(ID, name, type, preset, least, most, unit, reload, what) \
	fputs(".TP\n.B ", stdout);                                       \
	put(name);                                                       \
	fputs(" = ", stdout);                                            \
	put(preset);                                                     \
	putchar('\n');                                                   \
	put(what);                                                       \
	puts(strcmp(#reload, "LIVE") == 0 ? ". A reload changes it." : ". Needs a restart.");
#include "policy/config.def"
#undef KEY
#undef ENUM
	puts(".SH FILES\n/etc/sallyport/sallyport.conf, /etc/sallyport/sallyport.conf.d/*.conf\n.SH \"SEE ALSO\"\n.BR "
		 "sallyport (1)");
	return EXIT_CODE_DONE;
}
