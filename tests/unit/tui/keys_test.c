/*
 * Help lists exactly the keys that work: on every screen, in every state, each of 512 key codes changes something if
 * and only if it is listed; an entry that help runs does what its key does; each name works after ':'; the man page has
 * all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "console/tui/app.h"
#include "daemon/base/mem.h"

/* last: it defines ERR, which the error table uses as its row */
#include <ncurses.h>

static const struct {
	const char *what;
	int rows, selected, beyond, scroll;
	bool open;
	const char *filter;
} states[] = {
	{"empty", 0, 0, 0, 0, false, ""},
	{"the first row", 3, 0, 0, 0, false, ""},
	{"a row in the middle", 3, 1, 0, 0, false, ""},
	{"the last row", 3, 2, 0, 0, false, ""},
	{"the only row", 1, 0, 0, 0, false, ""},
	{"a row in full", 3, 1, 0, 0, true, ""},
	{"a row in full, longer than the window", 3, 1, 9, 4, true, ""},
	{"a long body, at its top", 0, 0, 9, 0, false, ""},
	{"a long body, at its end", 0, 0, 9, 9, false, ""},
	{"a filter", 3, 0, 0, 0, false, "x"},
	{"a filter that nothing passes", 0, 0, 0, 0, false, "x"},
};
#define STATES (sizeof states / sizeof *states)

static void
set(struct app *a, int screen, size_t state)
{
	memset(a, 0, sizeof *a);
	a->screen = screen;
	a->rows = states[state].rows;
	a->selected = states[state].selected;
	a->beyond = states[state].beyond;
	a->scroll = states[state].scroll;
	a->open = states[state].open;
	snprintf(a->filter, sizeof a->filter, "%s", states[state].filter);
	a->room = 10;
	a->fetched_mono_ms = 1;
}

/* What a person can see or the loop acts on; a screen's own state shows in what it draws. */
static void
look(const struct app *a, struct app *kept, struct view *drawn)
{
	struct app copy;

	memcpy(&copy, a, sizeof copy);
	copy.help_selected = 0;
	copy.typed[0] = 0;
	memcpy(kept, &copy, sizeof copy);
	memset(drawn, 0, sizeof *drawn);
	view_clear(drawn, 100, 40, false);
	if (copy.mode == MODE_SCREEN)
		app_draw(&copy, drawn);
}

static bool
same(const struct app *a, const struct app *b)
{
	static struct app kept[2];
	static struct view drawn[2];

	look(a, &kept[0], &drawn[0]);
	look(b, &kept[1], &drawn[1]);
	return memcmp(&kept[0], &kept[1], sizeof kept[0]) == 0 && memcmp(&drawn[0], &drawn[1], sizeof drawn[0]) == 0;
}

/* Keys that stand for another: the arrows, page keys and the other Enters. */
static int
meant(int key)
{
	static const struct {
		int key, as;
	} aliases[] = {{KEY_DOWN, 'j'}, {KEY_UP, 'k'}, {KEY_NPAGE, ' '}, {KEY_PPAGE, 'b'}, {'\r', '\n'}, {KEY_ENTER, '\n'}};
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
		if (aliases[i].key == key)
			return aliases[i].as;
	return key;
}

static int
screens(void)
{
	int n = 0;
	while (app_screens()[n])
		n++;
	return n;
}

static void
a_key_works_if_and_only_if_help_lists_it(void **state)
{
	static struct app before, after, undo;

	(void)state;
	for (int s = 0; s < screens(); s++)
		for (size_t i = 0; i < STATES; i++)
			for (int key = 1; key < 512; key++) {
				const struct binding *all[64];
				bool listed = false;

				set(&before, s, i);
				int n = app_bindings(&before, all, 64);
				for (int k = 0; k < n; k++)
					listed = listed || all[k]->key == meant(key);
				set(&after, s, i);
				static struct app kept;
				static struct view drawn, drawn_after;
				look(&before, &kept, &drawn);
				app_key(&after, key);
				struct app *changed = &after;
				look(changed, &undo, &drawn_after);
				bool works = memcmp(&kept, &undo, sizeof kept) != 0 || memcmp(&drawn, &drawn_after, sizeof drawn) != 0;
				if (works != listed)
					fail_msg("%s, %s: key %d %s", app_screens()[s]->title, states[i].what, key,
							 works ? "works and is not listed" : "is listed and does nothing");
				/* what a screen keeps for itself is put back by the same key */
				if (works && app_screens()[s]->bindings && key == app_screens()[s]->bindings[0].key)
					app_key(&after, key);
			}
}

static void
help_runs_what_the_key_does(void **state)
{
	static struct app by_key, by_help, by_name;

	(void)state;
	for (int s = 0; s < screens(); s++)
		for (size_t i = 0; i < STATES; i++) {
			const struct binding *all[64];

			set(&by_key, s, i);
			int n = app_bindings(&by_key, all, 64);
			assert_in_range(n, 8, 63);
			for (int k = 0; k < n; k++) {
				bool own = app_screens()[s]->bindings && all[k] == app_screens()[s]->bindings;
				set(&by_key, s, i);
				app_key(&by_key, all[k]->key);
				if (own) /* each press is the other log: three presses are one */
					app_key(&by_key, all[k]->key);
				set(&by_help, s, i);
				app_key(&by_help, '?');
				assert_int_equal(by_help.mode, MODE_HELP);
				for (int down = 0; down < k; down++)
					app_key(&by_help, KEY_DOWN);
				app_key(&by_help, '\n');
				if (own)
					app_key(&by_help, all[k]->key);
				if (!same(&by_key, &by_help))
					fail_msg("%s, %s: help's %s is not its key", app_screens()[s]->title, states[i].what, all[k]->name);
				set(&by_name, s, i);
				assert_true(app_command(&by_name, all[k]->name));
				if (own)
					app_key(&by_name, all[k]->key);
				if (!same(&by_key, &by_name))
					fail_msg("%s: :%s is not its key", app_screens()[s]->title, all[k]->name);
			}
		}
}

static unsigned
lines_with(const struct view *v, const char *text)
{
	unsigned n = 0;
	for (int i = 0; i < v->lines; i++)
		n += strstr(v->line[i].text, text) != NULL;
	return n;
}

static void
help_shows_them_and_filters_as_one_types(void **state)
{
	static struct app a;
	static struct view v;
	const struct binding *all[64];

	(void)state;
	for (int s = 0; s < screens(); s++) {
		set(&a, s, 2);
		int n = app_bindings(&a, all, 64);
		app_key(&a, '?');
		view_clear(&v, 100, 60, false);
		app_draw(&a, &v);
		assert_int_equal(v.lines, n + 1);
		for (int k = 0; k < n; k++)
			assert_int_not_equal(lines_with(&v, all[k]->what), 0);
		for (const char *p = "quit"; *p; p++)
			app_key(&a, *p);
		view_clear(&v, 100, 60, false);
		app_draw(&a, &v);
		assert_int_equal(v.lines, 2);
		assert_int_equal(lines_with(&v, "leave the console"), 1);
		app_key(&a, '\n');
		assert_true(a.quit);
		/* by key: only that one */
		set(&a, s, 2);
		app_key(&a, '?');
		app_key(&a, '/');
		view_clear(&v, 100, 60, false);
		app_draw(&a, &v);
		assert_int_equal(lines_with(&v, "show only rows with a text"), 1);
		assert_int_equal(v.lines, 2);
		/* nothing of that name: Enter runs nothing */
		for (const char *p = "zzz"; *p; p++)
			app_key(&a, *p);
		app_key(&a, '\n');
		assert_int_equal(a.mode, MODE_HELP);
	}
}

static void
the_man_page_has_every_key(void **state)
{
	char page[16384], row[200];
	static struct app a;
	FILE *f = fopen(MAN_PAGE, "r");

	(void)state;
	assert_non_null(f);
	size_t n = fread(page, 1, sizeof page - 1, f);
	fclose(f);
	page[n] = 0;
	for (int s = 0; s < screens(); s++)
		for (size_t i = 0; i < STATES; i++) {
			const struct binding *all[64];
			set(&a, s, i);
			int many = app_bindings(&a, all, 64);
			for (int k = 0; k < many; k++) {
				snprintf(row, sizeof row, ".B %s\n(\\fB:%s\\fR) %s\n", all[k]->show, all[k]->name, all[k]->what);
				for (char *p; (p = strchr(row, '-'));) /* groff's minus */
					*p = '\1';
				char escaped[240];
				size_t at = 0;
				for (const char *p = row; *p; p++)
					at += (size_t)snprintf(escaped + at, sizeof escaped - at, *p == '\1' ? "\\-" : "%c", *p);
				if (!strstr(page, escaped))
					fail_msg("sallyport-console(1) lacks this:\n.TP\n%s", escaped);
			}
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_works_if_and_only_if_help_lists_it),
		cmocka_unit_test(help_runs_what_the_key_does),
		cmocka_unit_test(help_shows_them_and_filters_as_one_types),
		cmocka_unit_test(the_man_page_has_every_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
