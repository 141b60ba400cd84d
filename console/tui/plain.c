#include "console/tui/plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
print_all(struct app *a)
{
	static struct view v;
	view_clear(&v, 120, 1000, a->ascii);
	app_header(a, &v);
	app_draw(a, &v);
	if (a->note[0])
		view_add(&v, LOOK_WARN, " %s", a->note);
	for (int i = 0; i < v.lines; i++) {
		/* selection is a mark, not a colour */
		printf("%s%s\n", v.line[i].look == LOOK_SELECTED ? ">" : " ", v.line[i].text);
	}
	fflush(stdout);
}

static void
take_line(struct app *a, char *line)
{
	line[strcspn(line, "\r\n")] = 0;
	if (strncmp(line, "filter", 6) == 0 && (line[6] == ' ' || !line[6]))
		snprintf(a->filter, sizeof a->filter, "%.63s", line[6] ? line + 7 : "");
	else if (line[0] && line[1])
		app_command(a, line);
	else if (line[0])
		app_key(a, line[0]);
}

int
plain_run(struct app *a, bool once, const volatile sig_atomic_t *told)
{
	char line[128];

	do {
		a->fetched_mono_ms = 0;
		app_fetch(a);
		print_all(a);
		if (once)
			return a->reached == ERR_OK                ? 0
				   : a->reached == ERR_NOT_INITIALISED ? 6
				   : a->reached == ERR_PERMISSION      ? 7
													   : 5;
		fputs("action (name or key; help, quit): ", stdout);
		fflush(stdout);
		if (!fgets(line, sizeof line, stdin))
			break;
		/* help was told: the next line is an action again, not what help filters by */
		a->mode = MODE_SCREEN;
		take_line(a, line);
	} while (!a->quit && !*told);
	return 0;
}
