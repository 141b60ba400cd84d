#include "console/ctl/config_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/ctl/layout.h"
#include "daemon/base/mem.h"

#define MAIN_FILE      "sallyport.conf"
#define FILE_BYTES_MAX ((size_t)1 << 17)
#define ALLOWED        "; allowed: "

static struct finding *
add(struct config_check *c, enum finding_kind kind)
{
	if (c->n == CONFIG_FINDINGS_MAX)
		return NULL;
	struct finding *f = &c->findings[c->n++];
	f->kind = kind;
	c->problems += kind == FINDING_PROBLEM;
	c->unchecked += kind == FINDING_UNCHECKED;
	return f;
}

/* ── form: the lines of conf_load, taken apart ── */

/* "file:line: key: problem; allowed: …"; some end in "; did you mean …?" instead. */
static void
take_line(struct config_check *c, const char *line, size_t n)
{
	char text[DOCTOR_TEXT_BYTES];
	struct finding *f = add(c, FINDING_PROBLEM);
	if (!f)
		return;
	snprintf(text, sizeof text, "%.*s", (int)n, line);
	char *key = strstr(text, ": "), *problem = key ? strstr(key + 2, ": ") : NULL;
	char *number = NULL;
	if (problem) {
		*key = *problem = 0;
		number = strrchr(text, ':');
	}
	if (!number) { /* not of this form: told whole */
		snprintf(f->file, sizeof f->file, MAIN_FILE);
		snprintf(f->problem, sizeof f->problem, "%s", text);
		return;
	}
	*number++ = 0;
	problem += 2;
	char *allowed = strstr(problem, ALLOWED), *hint = strstr(problem, "; did you mean ");
	if (allowed)
		snprintf(f->allowed, sizeof f->allowed, "%s", allowed + strlen(ALLOWED));
	else if (hint)
		snprintf(f->allowed, sizeof f->allowed, "%s", hint + 2);
	if (allowed || hint)
		*(allowed ? allowed : hint) = 0;
	f->line = (unsigned)strtoul(number, NULL, 10);
	snprintf(f->file, sizeof f->file, "%s", text);
	snprintf(f->key, sizeof f->key, "%s", key + 2);
	snprintf(f->problem, sizeof f->problem, "%s", problem);
}

static void
take_form(struct config_check *c, const struct buf *problems)
{
	for (size_t at = 0; at < problems->len;) {
		const char *line = (const char *)buf_at(problems) + at, *end = memchr(line, '\n', problems->len - at);
		size_t n = end ? (size_t)(end - line) : problems->len - at;
		take_line(c, line, n);
		at += n + 1;
	}
}

/* ── where a value stands ── */

static bool
shows(const char *line, size_t n, const char *name)
{
	size_t len = strlen(name);
	return n > len + 3 && line[0] == '#' && memcmp(line + 1, name, len) == 0 && memcmp(line + 1 + len, " = ", 3) == 0;
}

/* A preset stands where init wrote it as a comment; else where a line for it would be written: at the end. */
static void
place_of_preset(const struct doctor *d, const char *file, const char *name, struct finding *f)
{
	char path[PATH_BYTES], *text = NULL;
	size_t n;
	snprintf(f->file, sizeof f->file, "%s", file ? file : MAIN_FILE);
	f->line = 1;
	enum err e = file ? ERR_OK : ctl_path(path, d->run->paths.etc, MAIN_FILE);
	if (e != ERR_OK || ctl_read_file(file ? file : path, FILE_BYTES_MAX, &text, &n) != ERR_OK)
		return;
	for (const char *p = text, *end; *p; p = end + (*end == '\n')) {
		end = p + strcspn(p, "\n");
		if (shows(p, (size_t)(end - p), name))
			break;
		f->line += *end == '\n';
	}
	mem_free(text);
}

static void
place_of_key(const struct doctor *d, const char *file, const char *name, struct finding *f)
{
	unsigned k = 0;
	while (k < CONF_MAX && strcmp(conf_name((enum conf_key)k), name) != 0)
		k++;
	const char *from = k < CONF_MAX ? conf_origin(d->conf, (enum conf_key)k) : CONF_PRESET, *colon = strrchr(from, ':');
	snprintf(f->key, sizeof f->key, "%s", name);
	if (!colon) {
		place_of_preset(d, file, name, f);
		return;
	}
	snprintf(f->file, sizeof f->file, "%.*s", (int)(colon - from), from);
	f->line = (unsigned)strtoul(colon + 1, NULL, 10);
}

/* "=listen", or "tls/server.key key". */
static void
place(const struct doctor *d, const char *file, const char *about, struct finding *f)
{
	const char *space = strchr(about, ' ');
	if (about[0] == '=') {
		place_of_key(d, file, about + 1, f);
		return;
	}
	snprintf(f->file, sizeof f->file, "%.*s", space ? (int)(space - about) : (int)strlen(about), about);
	snprintf(f->key, sizeof f->key, "%s", space ? space + 1 : "file");
	f->line = 1;
}

/* ── meaning: what doctor's table knows about it ── */

/* Its value was refused, so that its preset stands in: nothing can be said of what was meant. */
static bool
is_refused(const struct config_check *c, unsigned form, const char *about)
{
	for (unsigned i = 0; about[0] == '=' && i < form; i++)
		if (strcmp(c->findings[i].key, about + 1) == 0)
			return true;
	return false;
}

static void
take_meaning(struct config_check *c, const struct doctor *d, const char *file)
{
	unsigned form = c->n;
	const struct doctor_check *row;
	bool whole = layout_complete(&d->run->paths);
	for (size_t i = 0; (row = doctor_check_at(i)); i++) {
		static struct verdict v; /* large */
		if (!row->about[0] || is_refused(c, form, row->about))
			continue;
		c->checks++;
		doctor_look_at(d, row, &v);
		/* what init will make can't be there yet */
		if (!whole && v.result == DOCTOR_FAIL && (row->about[0] != '=' || row->look == doctor_hsm_token))
			doctor_blocked(&v, "install.whole");
		if (v.result == DOCTOR_OK)
			continue;
		struct finding *f = add(c, v.result == DOCTOR_FAIL ? FINDING_PROBLEM
								   : v.unchecked           ? FINDING_UNCHECKED
														   : FINDING_WARNING);
		if (!f)
			return;
		place(d, file, row->about, f);
		snprintf(f->problem, sizeof f->problem, "%s", v.cause);
		if (!v.unchecked)
			snprintf(f->allowed, sizeof f->allowed, "%s (%s)", row->what, v.next);
	}
}

struct config_check *
config_check_make(const struct run *r, const char *file)
{
	struct config_check *c = mem_new(1, sizeof *c);
	struct doctor *d = mem_new(1, sizeof *d);
	if (!c || !d) {
		mem_free(c);
		mem_free(d);
		return NULL;
	}
	c->e = doctor_open(r, file, d);
	if (c->e == ERR_OK)
		c->e = d->conf_error;
	if (c->e == ERR_OK || c->e == ERR_CONFIG) {
		take_form(c, &d->conf_problems);
		take_meaning(c, d, file);
		c->e = c->problems ? ERR_CONFIG : ERR_OK;
	} else if (d->conf_problems.len) { /* the last is why it ended */
		const char *text = (const char *)buf_at(&d->conf_problems);
		snprintf(c->cause, sizeof c->cause, "%.*s", (int)strcspn(text, "\n"), text);
	}
	doctor_close(d);
	mem_free(d);
	return c;
}

void
config_check_text(const struct finding *f, char *out, size_t size)
{
	snprintf(out, size, "%s:%u: %s: %s%s%s", f->file, f->line, f->key, f->problem,
			 !f->allowed[0]                                  ? ""
			 : strncmp(f->allowed, "did you mean ", 13) == 0 ? "; "
															 : ALLOWED,
			 f->allowed);
}

void
config_check_first(const struct config_check *c, char *out, size_t size)
{
	out[0] = 0;
	for (unsigned i = 0; i < c->n && !out[0]; i++)
		if (c->findings[i].kind == FINDING_PROBLEM)
			config_check_text(&c->findings[i], out, size);
}
