/* Keys — every key, its generation, its state, and its age against its cryptoperiod. */
#include <stdio.h>
#include <string.h>

#include "console/tui/app.h"
#include "daemon/base/clock.h"
#include "daemon/wire/client.h"

static sp_key_list_rep list;
static enum err listed;

static void
fetch(struct app *a)
{
	static const sp_key_list_req req;
	listed = app_ask(a, MSG_key_list, &req, &list);
}

static void
day(int64_t ms, char out[CLOCK_TEXT_BYTES])
{
	if (ms)
		clock_text(ms, out), out[10] = 0;
	else
		snprintf(out, CLOCK_TEXT_BYTES, "–");
}

static void
draw_one(struct app *a, struct view *v, const sp_key_view *k)
{
	char made[CLOCK_TEXT_BYTES], since[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES];
	(void)a;
	day(k->created_at_ms, made);
	day(k->activated_at_ms, since);
	day(k->rotate_by_ms, until);
	view_add(v, LOOK_TITLE, " %s generation %u", k->key, (unsigned)k->generation);
	view_add(v, LOOK_PLAIN, "   state       %s", k->state);
	view_add(v, LOOK_PLAIN, "   algorithm   %s", k->algorithm);
	view_add(v, LOOK_PLAIN, "   kept        %s", k->where);
	view_add(v, LOOK_PLAIN, "   made        %s   activated %s   rotate by %s", made, since, until);
	view_add(v, LOOK_PLAIN, "   uses        %llu   rows under it %llu", (unsigned long long)k->uses,
			 (unsigned long long)k->rows);
	view_add(v, LOOK_DIM, "   Rotation is proposed with an officer's log-in, which this release does not have yet.");
}

static void
draw(struct app *a, struct view *v)
{
	static const struct column columns[] = {{"KEY", -10, 0},       {"GEN", 3, 0},         {"STATE", -12, 0},
											{"ACTIVATED", -10, 3}, {"ROTATE BY", -10, 2}, {"ROWS", 10, 1},
											{"WHERE", -24, 4}};
	if (listed != ERR_OK) {
		view_add(v, LOOK_BAD, " The vault does not answer: %s", err_title(listed));
		a->rows = 0;
		return;
	}
	int shown = 0;
	if (!a->open)
		view_row(v, LOOK_TITLE, columns, 7, NULL);
	for (pb_size_t i = 0; i < list.keys_count; i++) {
		const sp_key_view *k = &list.keys[i];
		char generation[12], since[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES], rows[24];
		if (!app_shows(a, k->key) && !app_shows(a, k->state))
			continue;
		bool selected = shown++ == a->selected;
		if (a->open && selected)
			draw_one(a, v, k);
		if (a->open)
			continue;
		snprintf(generation, sizeof generation, "%u", (unsigned)k->generation);
		snprintf(rows, sizeof rows, "%llu", (unsigned long long)k->rows);
		day(k->activated_at_ms, since);
		day(k->rotate_by_ms, until);
		const char *cells[] = {k->key, generation, k->state, since, until, rows, k->where};
		view_row(v, selected ? LOOK_SELECTED : LOOK_PLAIN, columns, 7, cells);
	}
	a->rows = shown;
}

const struct screen screen_keys = {.title = "Keys", .fetch = fetch, .draw = draw};
