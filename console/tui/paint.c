#include "console/tui/paint.h"

#include <stdio.h>
#include <string.h>

/* last: it defines ERR, which the error table uses as its row */
#include <ncurses.h>

static int looks[LOOK_MAX];

static void
set_looks(bool color)
{
	static const struct {
		enum look look;
		short pair, foreground;
		int attribute;
	} rows[] = {
		{LOOK_TITLE, 1, COLOR_CYAN, A_BOLD}, {LOOK_HEAD, 2, COLOR_BLUE, A_NORMAL}, {LOOK_DIM, 3, -1, A_DIM},
		{LOOK_GOOD, 4, COLOR_GREEN, A_BOLD}, {LOOK_WARN, 5, COLOR_YELLOW, A_BOLD}, {LOOK_BAD, 6, COLOR_RED, A_BOLD},
		{LOOK_SELECTED, 7, -1, A_REVERSE},   {LOOK_BAR, 8, -1, A_REVERSE},
	};
	bool have = color && has_colors() && start_color() == OK && use_default_colors() == OK;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		looks[rows[i].look] = rows[i].attribute;
		if (have && init_pair(rows[i].pair, rows[i].foreground, -1) == OK)
			looks[rows[i].look] |= COLOR_PAIR(rows[i].pair);
	}
}

static void
paint_line(int y, const struct view *v, int i, int columns)
{
	attrset((attr_t)looks[v->line[i].look]);
	mvaddstr(y, 0, v->line[i].text);
	if (v->line[i].look == LOOK_BAR || v->line[i].look == LOOK_SELECTED)
		for (int x = view_width(v->line[i].text); x < columns; x++)
			addch(' ');
	attrset(A_NORMAL);
}

/* The selected row stays in sight; where there is none the keys scroll. */
static int
first_line(struct app *a, const struct view *body, int room)
{
	int at = -1, beyond = body->lines > room ? body->lines - room : 0;
	for (int i = 0; i < body->lines; i++)
		if (body->line[i].look == LOOK_SELECTED)
			at = i;
	if (a->mode == MODE_HELP) /* its own list over the screen, whose place is kept */
		return at >= room ? at - room + 1 : 0;
	a->beyond = beyond;
	a->room = room;
	if (at >= 0 && at < a->scroll)
		a->scroll = at;
	if (at >= a->scroll + room)
		a->scroll = at - room + 1;
	if (a->scroll > beyond)
		a->scroll = beyond;
	/* with the first row come the titles above it */
	if (at >= 0 && a->selected == 0 && at < room)
		a->scroll = 0;
	return a->scroll;
}

static void
paint(struct app *a)
{
	static struct view head, body, foot;
	int rows, columns;

	getmaxyx(stdscr, rows, columns);
	view_clear(&head, columns, rows, a->ascii);
	view_clear(&body, columns, rows - 3, a->ascii);
	view_clear(&foot, columns, 1, a->ascii);
	app_header(a, &head);
	erase();
	for (int i = 0; i < head.lines && i < rows; i++)
		paint_line(i, &head, i, columns);
	if (head.lines > 1) {
		app_draw(a, &body);
		app_footer(a, &foot);
		int room = rows - head.lines - 1, first = first_line(a, &body, room);
		for (int i = 0; i < room && first + i < body.lines; i++)
			paint_line(head.lines + i, &body, first + i, columns);
		paint_line(rows - 1, &foot, 0, columns);
	}
	refresh();
}

int
paint_run(struct app *a, const volatile sig_atomic_t *told)
{
	bool mouse = false;

	if (!initscr())
		return 1;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	timeout(250);
	set_looks(a->color);
	while (!a->quit && !*told) {
		app_fetch(a);
		paint(a);
		int key = getch();
		if (key == KEY_RESIZE)
			clear(); /* what a smaller window pushed around is drawn anew */
		else if (key != -1)
			app_key(a, key);
		if (a->mouse != mouse)
			mouse = a->mouse, mousemask(mouse ? BUTTON1_CLICKED : 0, NULL);
		if (key == KEY_MOUSE) {
			MEVENT m;
			if (getmouse(&m) == OK && m.y >= 3 && m.y - 3 < a->rows)
				a->selected = m.y - 3 + a->scroll;
		}
	}
	endwin();
	return 0;
}
