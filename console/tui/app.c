#include "console/tui/app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/str.h"
#include "daemon/wire/client.h"
#include "daemon/wire/page.h"

/* last: it defines ERR, which the error table uses as its row */
#include <ncurses.h>

#define SCREEN(id, key, title) extern const struct screen screen_##id;
#include "console/tui/screens.def"
#undef SCREEN

static const struct screen *const screens[] = {
#define SCREEN(id, key, title) &screen_##id,
#include "console/tui/screens.def"
#undef SCREEN
	NULL};
#define SCREENS ((int)(sizeof screens / sizeof *screens) - 1)

/* Windows draw these over whatever stands there. */
#define COLUMNS_LEAST 40
#define ROWS_LEAST    12

static void
go(struct app *a, int screen)
{
	a->screen = screen;
	a->selected = a->scroll = 0;
	a->followed = 0;
	a->open = false;
	a->fetched_mono_ms = 0;
	a->note[0] = 0;
}

#define SCREEN(id, key, title)              \
	static void go_##id(struct app *a)      \
	{                                       \
		for (int i = 0; i < SCREENS; i++)   \
			if (screens[i] == &screen_##id) \
				go(a, i);                   \
	}
#include "console/tui/screens.def"
#undef SCREEN

/* Rows are selected; a body without them, or one row in full that is longer than the window, is scrolled. */
static bool
scrolls(const struct app *a)
{
	return a->rows == 0 || (a->open && a->beyond > 0);
}

static int
clamp(int value, int most)
{
	return value < 0 || most < 0 ? 0 : value > most ? most : value;
}

static void
go_by(struct app *a, int by)
{
	if (scrolls(a))
		a->scroll = clamp(a->scroll + by, a->beyond);
	else
		a->selected = clamp(a->selected + by, a->rows - 1);
}

static bool
can_go_down(const struct app *a)
{
	return scrolls(a) ? a->scroll < a->beyond : a->selected + 1 < a->rows;
}
static bool
can_go_up(const struct app *a)
{
	return scrolls(a) ? a->scroll > 0 : a->selected > 0;
}
static bool
can_open(const struct app *a)
{
	return a->rows > 0 && !a->open;
}
static bool
can_go_back(const struct app *a)
{
	return a->open || a->filter[0];
}

static void
act_next(struct app *a)
{
	go(a, (a->screen + 1) % SCREENS);
}
static void
act_down(struct app *a)
{
	go_by(a, 1);
}
static void
act_up(struct app *a)
{
	go_by(a, -1);
}
static void
act_page_down(struct app *a)
{
	go_by(a, a->room > 1 ? a->room - 1 : 1);
}
static void
act_page_up(struct app *a)
{
	go_by(a, a->room > 1 ? 1 - a->room : -1);
}
static void
act_open(struct app *a)
{
	a->open = true;
	a->scroll = 0;
}
static void
act_back(struct app *a)
{
	if (!a->open)
		a->filter[0] = 0;
	a->open = false;
	a->scroll = 0;
}
static void
act_filter(struct app *a)
{
	a->mode = MODE_FILTER;
	a->typed[0] = 0;
}
static void
act_command(struct app *a)
{
	a->mode = MODE_COMMAND;
	a->typed[0] = 0;
}
static void
act_help(struct app *a)
{
	a->mode = MODE_HELP;
	a->typed[0] = 0;
	a->help_selected = 0;
}
static void
act_mouse(struct app *a)
{
	a->mouse = !a->mouse;
	snprintf(a->note, sizeof a->note, "mouse %s",
			 a->mouse ? "on: clicks select; the terminal's own selection is off" : "off");
}
static void
act_refresh(struct app *a)
{
	a->fetched_mono_ms = 0;
}
static void
act_quit(struct app *a)
{
	a->quit = true;
}

static const struct binding global[] = {
#define SCREEN(id, key, title) {key, (const char[]){key, 0}, #id, "go to " title, go_##id},
#include "console/tui/screens.def"
#undef SCREEN
	{'\t', "Tab", "next", "the next screen", act_next},
	{'j', "j", "down", "one row down (also the arrow)", act_down, can_go_down},
	{'k', "k", "up", "one row up (also the arrow)", act_up, can_go_up},
	{' ', "Space", "page-down", "a page down (also PgDn)", act_page_down, can_go_down},
	{'b', "b", "page-up", "a page up (also PgUp)", act_page_up, can_go_up},
	{'\n', "Enter", "open", "the selected row in full", act_open, can_open},
	{27, "Esc", "back", "back; again: no filter", act_back, can_go_back},
	{'/', "/", "filter", "show only rows with a text", act_filter},
	{':', ":", "command", "run an action by its name", act_command},
	{'r', "r", "refresh", "ask again now", act_refresh},
	{'m', "m", "mouse", "mouse reporting on or off", act_mouse},
	{'?', "?", "help", "the keys that work now", act_help},
	{'q', "q", "quit", "leave the console", act_quit},
	{0, NULL, NULL, NULL, NULL, NULL},
};

const struct screen *const *
app_screens(void)
{
	return screens;
}

int
app_bindings(const struct app *a, const struct binding *out[], int max)
{
	int n = 0;
	const struct binding *own = screens[a->screen]->bindings;
	for (const struct binding *b = own; b && b->name && n < max; b++)
		if (!b->works || b->works(a))
			out[n++] = b;
	for (const struct binding *b = global; b->name && n < max; b++)
		if (!b->works || b->works(a))
			out[n++] = b;
	return n;
}

/* Help shows the entries whose key or name holds what was typed. */
static int
help_entries(const struct app *a, const struct binding *out[], int max)
{
	const struct binding *all[64];
	int n = app_bindings(a, all, 64), kept = 0;
	for (int i = 0; i < n && kept < max; i++)
		if (!a->typed[0] || strstr(all[i]->name, a->typed) || strcmp(all[i]->show, a->typed) == 0)
			out[kept++] = all[i];
	return kept;
}

bool
app_command(struct app *a, const char *name)
{
	const struct binding *all[64];
	int n = app_bindings(a, all, 64);
	for (int i = 0; i < n; i++)
		if (strcmp(all[i]->name, name) == 0) {
			all[i]->act(a);
			return true;
		}
	const char *names[65];
	for (int i = 0; i < n; i++)
		names[i] = all[i]->name;
	names[n] = NULL;
	const char *near = str_nearest(name, names);
	snprintf(a->note, sizeof a->note, near ? "no such action; did you mean :%s" : "no such action; ? lists them", near);
	return false;
}

static void
type(char *text, size_t size, int key)
{
	size_t n = strlen(text);
	if ((key == KEY_BACKSPACE || key == 127 || key == 8) && n > 0)
		text[n - 1] = 0;
	else if (key >= 0x20 && key < 0x7f && n + 1 < size)
		text[n] = (char)key, text[n + 1] = 0;
}

static void
key_in_help(struct app *a, int key)
{
	const struct binding *shown[64];
	int n = help_entries(a, shown, 64);

	if (key == 27 || (key == '?' && !a->typed[0])) {
		a->mode = MODE_SCREEN;
	} else if (key == KEY_DOWN) {
		a->help_selected = clamp(a->help_selected + 1, n - 1);
	} else if (key == KEY_UP) {
		a->help_selected = clamp(a->help_selected - 1, n - 1);
	} else if (key == '\n' && n > 0) {
		const struct binding *b = shown[clamp(a->help_selected, n - 1)];
		a->mode = MODE_SCREEN;
		b->act(a);
	} else {
		type(a->typed, sizeof a->typed, key);
		a->help_selected = 0;
	}
}

static void
key_in_line(struct app *a, int key)
{
	if (key == 27) {
		a->mode = MODE_SCREEN;
	} else if (key == '\n') {
		bool filter = a->mode == MODE_FILTER;
		a->mode = MODE_SCREEN;
		if (filter)
			memcpy(a->filter, a->typed, sizeof a->filter), a->selected = 0;
		else if (a->typed[0])
			app_command(a, a->typed);
	} else {
		type(a->typed, sizeof a->typed, key);
	}
}

void
app_key(struct app *a, int key)
{
	const struct binding *all[64];
	int n = app_bindings(a, all, 64);

	if (key == '\r' || key == KEY_ENTER)
		key = '\n';
	if (a->mode == MODE_HELP) {
		key_in_help(a, key);
		return;
	}
	if (a->mode != MODE_SCREEN) {
		key_in_line(a, key);
		return;
	}
	a->note[0] = 0;
	key = key == KEY_DOWN ? 'j' : key == KEY_UP ? 'k' : key == KEY_NPAGE ? ' ' : key == KEY_PPAGE ? 'b' : key;
	for (int i = 0; i < n; i++)
		if (all[i]->key == key) {
			all[i]->act(a);
			return;
		}
}

bool
app_shows(const struct app *a, const char *text)
{
	return !a->filter[0] || strcasestr(text, a->filter) != NULL;
}

bool
app_follow(struct app *a, const uint64_t *names, int n)
{
	bool stays = a->followed && a->selected == a->followed_at && (a->open || a->selected > 0);
	int at = 0;

	while (stays && at < n && names[at] != a->followed)
		at++;
	if (stays && at == n && a->open)
		return false;
	if (stays && at < n)
		a->selected = at;
	a->selected = clamp(a->selected, n - 1);
	a->followed = n > 0 ? names[a->selected] : 0;
	a->followed_at = a->selected;
	return true;
}

enum err
app_ask(struct app *a, int msg, const void *req, void *rep)
{
	enum err e = ERR_OK;
	if (!a->client)
		e = client_open(a->socket, 200, &a->client);
	if (e == ERR_OK)
		e = client_ask(a->client, (enum msg)msg, req, rep, 800);
	if (e == ERR_PEER_AWAY || e == ERR_DEADLINE || e == ERR_PROTOCOL) {
		client_close(a->client);
		a->client = NULL;
		e = ERR_NOT_RUNNING;
	}
	return e;
}

uint64_t
app_metric(const struct app *a, const char *name)
{
	for (pb_size_t i = 0; i < a->status.metrics_count; i++)
		if (strcmp(a->status.metrics[i].name, name) == 0)
			return a->status.metrics[i].value;
	return 0;
}

/* Per-second rates of the last SPARKS seconds. */
static void
sparks(struct app *a, int64_t now)
{
	uint64_t auth = app_metric(a, "payments_authorized_total") + app_metric(a, "payments_declined_total");
	uint64_t tokens = app_metric(a, "tokens_created_total");
	int64_t ms = now - a->last_mono_ms;

	if (a->last_mono_ms && ms > 0) {
		memmove(a->spark_auth, a->spark_auth + 1, sizeof a->spark_auth - sizeof *a->spark_auth);
		memmove(a->spark_tokens, a->spark_tokens + 1, sizeof a->spark_tokens - sizeof *a->spark_tokens);
		/* counters begin anew when a process does */
		a->spark_auth[SPARKS - 1] = auth < a->last_auth ? 0 : (uint32_t)((auth - a->last_auth) * 1000 / (uint64_t)ms);
		a->spark_tokens[SPARKS - 1] =
			tokens < a->last_tokens ? 0 : (uint32_t)((tokens - a->last_tokens) * 1000 / (uint64_t)ms);
	}
	a->last_auth = auth;
	a->last_tokens = tokens;
	a->last_mono_ms = now;
}

void
app_fetch(struct app *a)
{
	static const sp_status_req req;
	int64_t now = clock_mono_ms();

	if (a->fetched_mono_ms && now - a->fetched_mono_ms < 1000)
		return;
	a->fetched_mono_ms = now;
	a->at_ms = clock_wall_ms();
	a->reached = app_ask(a, MSG_status, &req, &a->status);
	if (a->reached != ERR_OK)
		return;
	sparks(a, now);
	for (pb_size_t i = 0; i < a->status.histograms_count; i++)
		if (strcmp(a->status.histograms[i].name, "auth_request_seconds") == 0)
			latency_sample(&a->auth_latency, a->status.histograms[i].bucket, a->status.histograms[i].bucket_count);
	screens[a->screen]->fetch(a);
}

static void
state_line(const struct app *a, char *out, unsigned size)
{
	if (a->reached == ERR_OK) {
		/* in the words of the version that runs */
		snprintf(out, size, "%s", a->status.line);
	} else if (a->reached == ERR_NOT_INITIALISED) {
		snprintf(out, size, "not initialised — no appliance here; sallyport init");
	} else {
		snprintf(out, size, "not running — nobody answers; start sallyportd");
	}
}

static enum look
state_look(const struct app *a)
{
	return a->reached == ERR_OK && a->status.state == PAGE_SERVING ? a->status.cause == ERR_OK ? LOOK_GOOD : LOOK_WARN
																   : LOOK_BAD;
}

/* The screens and where we are; titles of the others go first where it is narrow. */
static void
tabs_text(const struct app *a, char *out, size_t size, bool titles)
{
	static const char keys[] = {
#define SCREEN(id, key, title) key,
#include "console/tui/screens.def"
#undef SCREEN
	};
	size_t n = 0;

	out[0] = 0;
	for (int i = 0; i < SCREENS && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, i == a->screen ? "─[%c%s%s]" : "─%c%s%s─", keys[i],
							  i == a->screen || titles ? " " : "", i == a->screen || titles ? screens[i]->title : "");
}

void
app_header(struct app *a, struct view *v)
{
	char at[CLOCK_TEXT_BYTES], line[sizeof a->status.line], tabs[VIEW_LINE_BYTES];

	state_line(a, line, sizeof line);
	if (v->columns < COLUMNS_LEAST || v->rows < ROWS_LEAST) {
		view_add(v, LOOK_BAD, "%.24s needs %d×%d", line, COLUMNS_LEAST, ROWS_LEAST);
		return;
	}
	clock_text(a->at_ms, at);
	int room = v->columns - 12;
	view_cut(line, sizeof line, room, v->ascii);
	if (v->ascii)
		view_to_ascii(line, sizeof line);
	view_add(v, state_look(a), " %s%*s %.8sZ", line, room - view_width(line) > 0 ? room - view_width(line) : 0, "",
			 at + 11);
	tabs_text(a, tabs, sizeof tabs, true);
	if (view_width(tabs) > v->columns)
		tabs_text(a, tabs, sizeof tabs, false);
	for (size_t n = strlen(tabs); view_width(tabs) < v->columns && n + 4 < sizeof tabs; n = strlen(tabs))
		memcpy(tabs + n, "─", sizeof "─");
	view_add(v, LOOK_HEAD, "%s", tabs);
}

void
app_footer(struct app *a, struct view *v)
{
	if (a->mode == MODE_FILTER)
		view_add(v, LOOK_BAR, "/%s_", a->typed);
	else if (a->mode == MODE_COMMAND)
		view_add(v, LOOK_BAR, ":%s_", a->typed);
	else if (a->mode == MODE_HELP)
		view_add(v, LOOK_BAR, " type to filter: %s_   Enter run   Esc close", a->typed);
	else if (a->note[0])
		view_add(v, LOOK_WARN, " %s", a->note);
	else
		view_add(v, LOOK_BAR, " ? help  / filter  : command  Tab next  q quit   read-only%s%s",
				 a->filter[0] ? "   filter: " : "", a->filter);
}

static void
draw_help(struct app *a, struct view *v)
{
	const struct binding *shown[64];
	int n = help_entries(a, shown, 64);

	view_add(v, LOOK_TITLE, " Keys that work now");
	for (int i = 0; i < n; i++)
		view_add(v, i == a->help_selected ? LOOK_SELECTED : LOOK_PLAIN, " %s %-6s %-10s %s",
				 i == a->help_selected ? "▸" : " ", shown[i]->show, shown[i]->name, shown[i]->what);
	if (n == 0)
		view_add(v, LOOK_DIM, "   nothing has that name");
}

void
app_draw(struct app *a, struct view *v)
{
	if (v->columns < COLUMNS_LEAST)
		return;
	if (a->mode == MODE_HELP)
		draw_help(a, v);
	else if (a->reached != ERR_OK)
		view_add(v, LOOK_DIM, " Nothing to show: %s.", err_title(a->reached));
	else
		screens[a->screen]->draw(a, v);
	if (a->mode == MODE_SCREEN && a->selected >= a->rows && a->rows > 0)
		a->selected = a->rows - 1;
}
