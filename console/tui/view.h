/*
 * view — one screenful as lines of text with a look each; painted by curses or printed plainly.
 * Invariants: a line never exceeds the view's width in columns; states stand as words, colour only repeats them; in
 * ASCII mode no byte above 0x7e leaves.
 */
#ifndef CONSOLE_TUI_VIEW_H
#define CONSOLE_TUI_VIEW_H

#include <stdbool.h>
#include <stddef.h>

enum look {
	LOOK_PLAIN,
	LOOK_TITLE,
	LOOK_HEAD,
	LOOK_DIM,
	LOOK_GOOD,
	LOOK_WARN,
	LOOK_BAD,
	LOOK_SELECTED,
	LOOK_BAR,
	LOOK_MAX
};

#define VIEW_LINES_MAX  256
#define VIEW_LINE_BYTES 768

struct view {
	int columns, rows; /* of the area that may be filled */
	bool ascii;
	int lines;
	struct {
		enum look look;
		char text[VIEW_LINE_BYTES];
	} line[VIEW_LINES_MAX];
};

void view_clear(struct view *v, int columns, int rows, bool ascii);
/* Appends one line, cut at the width (with "…" or "..."); lines past VIEW_LINES_MAX are dropped. */
void view_add(struct view *v, enum look look, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Display width of UTF-8 text in columns; control characters count nothing. */
int view_width(const char *text);
/* Cuts text in place to so many columns. */
void view_cut(char *text, size_t size, int columns, bool ascii);
/* Replaces what ASCII can't show: ● → *, ─ → -, █ → #, … → ..., others → ?. */
void view_to_ascii(char *text, size_t size);

/* A column of a table; those with the highest `drop` go first when the width does not do. drop 0 never goes. */
struct column {
	const char *title;
	int width; /* < 0: left-aligned, as in printf's "%-*s" */
	int drop;
};
#define COLUMNS_MAX 12
/* view_row: cells in the order of columns; titles when cells is NULL. n ≤ COLUMNS_MAX. */
void view_row(struct view *v, enum look look, const struct column *columns, int n, const char *const *cells);

#endif
