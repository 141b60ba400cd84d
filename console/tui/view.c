#include "console/tui/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void
view_clear(struct view *v, int columns, int rows, bool ascii)
{
	v->columns = columns;
	v->rows = rows;
	v->ascii = ascii;
	v->lines = 0;
}

/*
 * One character: its bytes, and its columns in *width_out. Our lines are UTF-8 whatever the locale is, so the bytes are
 * counted here and not by mbrtowc; bytes that are no UTF-8 count as one of one column.
 */
static size_t
step(const char *p, int *width_out)
{
	unsigned char c = (unsigned char)*p;
	size_t n = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : (c & 0xf8) == 0xf0 ? 4 : 1;
	wchar_t w = n == 1 ? c : c & (0xff >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)p[i] & 0xc0) != 0x80) {
			*width_out = 1;
			return 1;
		}
		w = (wchar_t)(w << 6 | ((unsigned char)p[i] & 0x3f));
	}
	int columns = wcwidth(w);
	*width_out = columns >= 0 ? columns : 1;
	return n;
}

int
view_width(const char *text)
{
	int sum = 0, w;
	for (const char *p = text; *p; p += step(p, &w), sum += w)
		w = 0;
	return sum;
}

void
view_cut(char *text, size_t size, int columns, bool ascii)
{
	const char *mark = ascii ? "..." : "…";
	int keep = columns - (ascii ? 3 : 1), sum = 0, w;
	char *cut = text;

	if (view_width(text) <= columns)
		return;
	for (char *p = text; *p;) {
		size_t n = step(p, &w);
		if (sum + w > keep)
			break;
		sum += w;
		p += n;
		cut = p;
	}
	if ((size_t)(cut - text) + strlen(mark) + 1 > size || keep < 0)
		*cut = 0;
	else
		memcpy(cut, mark, strlen(mark) + 1);
}

void
view_to_ascii(char *text, size_t size)
{
	static const struct {
		const char *from, *to;
	} map[] = {{"●", "*"},   {"○", "o"},  {"◐", "~"}, {"─", "-"},  {"│", "|"}, {"▸", ">"},  {"█", "#"}, {"░", "."},
			   {"…", "..."}, {"—", "--"}, {"–", "-"}, {"✓", "ok"}, {"✗", "x"}, {"→", "->"}, {"·", "."}, {"±", "+-"},
			   {"▁", "_"},   {"▂", "_"},  {"▃", "-"}, {"▄", "-"},  {"▅", "="}, {"▆", "="},  {"▇", "#"}};
	char out[VIEW_LINE_BYTES];
	size_t n = 0;

	for (const char *p = text; *p && n + 4 < sizeof out;) {
		if ((unsigned char)*p <= 0x7e) {
			out[n++] = *p++;
			continue;
		}
		const char *to = "?";
		int w;
		size_t bytes = step(p, &w);
		for (size_t i = 0; i < sizeof map / sizeof *map; i++)
			if (strncmp(p, map[i].from, strlen(map[i].from)) == 0)
				to = map[i].to;
		memcpy(out + n, to, strlen(to));
		n += strlen(to);
		p += bytes;
	}
	out[n] = 0;
	snprintf(text, size, "%s", out);
}

void
view_add(struct view *v, enum look look, const char *fmt, ...)
{
	va_list ap;

	if (v->lines >= VIEW_LINES_MAX)
		return;
	char *text = v->line[v->lines].text;
	va_start(ap, fmt);
	vsnprintf(text, VIEW_LINE_BYTES, fmt, ap);
	va_end(ap);
	/* what came from a log or a client must not move the cursor */
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	if (v->ascii)
		view_to_ascii(text, VIEW_LINE_BYTES);
	view_cut(text, VIEW_LINE_BYTES, v->columns, v->ascii);
	v->line[v->lines++].look = look;
}

/* Which columns fit: drops the highest `drop` until the rest does. */
static unsigned
fitting(const struct column *c, int n, int columns)
{
	unsigned shown = (1u << n) - 1;
	for (;;) {
		int width = 0, worst = -1;
		for (int i = 0; i < n; i++) {
			if (!(shown >> i & 1))
				continue;
			width += abs(c[i].width) + 2;
			if (c[i].drop > 0 && (worst < 0 || c[i].drop > c[worst].drop))
				worst = i;
		}
		if (width <= columns || worst < 0)
			return shown;
		shown &= ~(1u << worst);
	}
}

/* How much is too wide when every column that may go has gone: the first one, a name, is cut by that. */
static int
too_wide(const struct column *c, int n, unsigned shown, int columns)
{
	int width = 0;
	for (int i = 0; i < n; i++)
		width += shown >> i & 1 ? abs(c[i].width) + 2 : 0;
	return width > columns ? width - columns : 0;
}

void
view_row(struct view *v, enum look look, const struct column *c, int n, const char *const *cells)
{
	char out[VIEW_LINE_BYTES] = "";
	unsigned shown = fitting(c, n, v->columns);
	int cut = too_wide(c, n, shown, v->columns);
	size_t at = 0;

	for (int i = 0; i < n; i++) {
		char cell[256];
		if (!(shown >> i & 1))
			continue;
		int width = abs(c[i].width) - (i == 0 ? cut : 0);
		if (width < 1)
			width = 1;
		snprintf(cell, sizeof cell, "%s", cells ? cells[i] : c[i].title);
		if (v->ascii)
			view_to_ascii(cell, sizeof cell);
		view_cut(cell, sizeof cell, width, v->ascii);
		int pad = width - view_width(cell);
		at += (size_t)snprintf(out + at, sizeof out - at, "  %*s%s%*s", c[i].width > 0 ? pad : 0, "", cell,
							   c[i].width < 0 ? pad : 0, "");
	}
	view_add(v, look, "%s", out);
}
