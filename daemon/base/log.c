#include "daemon/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"

static char tag[24] = "sallyport";
static bool journal;
static enum severity least_shown = SEVERITY_INFO;

void
log_open(const char *name)
{
	snprintf(tag, sizeof tag, "%s", name);
	journal = getenv("JOURNAL_STREAM") != NULL;
}

void
log_level(enum severity least)
{
	least_shown = least;
}

struct line {
	char text[1024];
	size_t len;
};

static void
put(struct line *l, const char *s)
{
	size_t n = strlen(s);
	/* two bytes are kept for "}\n" */
	if (n > sizeof l->text - 3 - l->len)
		n = sizeof l->text - 3 - l->len;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void
put_text(struct line *l, const char *s)
{
	char one[8];
	unsigned shown = 0;

	put(l, "\"");
	for (; *s && shown < 200; s++, shown++) {
		unsigned char c = (unsigned char)*s;
		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			snprintf(one, sizeof one, "\\u%04x", c);
		else
			snprintf(one, sizeof one, "%c", c);
		put(l, one);
	}
	put(l, "\"");
}

static void
put_field(struct line *l, const struct log_field *f)
{
	char number[24];

	put(l, ",");
	put_text(l, f->key);
	put(l, ":");
	switch (f->kind) {
	case LOG_TEXT:
		put_text(l, f->text ? f->text : "");
		break;
	case LOG_INT:
		snprintf(number, sizeof number, "%lld", (long long)f->number);
		put(l, number);
		break;
	case LOG_ERR:
		put_text(l, err_code((enum err)f->number));
		break;
	case LOG_END:
		break;
	}
}

void
log_write(enum severity s, const char *what, const struct log_field *f)
{
	static const char *const words[] = {"info", "warn", "fatal", "panic"};
	static const char *const levels[] = {"<6>", "<4>", "<2>", "<0>"};
	struct line l = {.len = 0};
	char at[CLOCK_TEXT_BYTES];

	if (s < least_shown)
		return;
	clock_text(clock_wall_ms(), at);
	if (journal)
		put(&l, levels[s]);
	put(&l, "{\"ts\":");
	put_text(&l, at);
	put(&l, ",\"level\":");
	put_text(&l, words[s]);
	put(&l, ",\"proc\":");
	put_text(&l, tag);
	put(&l, ",\"what\":");
	put_text(&l, what);
	for (; f->kind != LOG_END; f++)
		put_field(&l, f);
	l.text[l.len++] = '}';
	l.text[l.len++] = '\n';
	/* a lost line must not stop a payment: the result is of no use to us */
	if (write(STDERR_FILENO, l.text, l.len) < 0)
		return;
}
