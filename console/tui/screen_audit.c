/* Audit — the newest leaves of both logs, live; Enter shows one in full. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/tui/app.h"
#include "daemon/wire/client.h"

#define ROWS 64
#define FAR  (UINT64_MAX >> 1) /* no leaf is there: only the log's size comes back */

static sp_vault_audit_read_rep vault;
static sp_ledger_audit_read_rep ledger;
static enum err vault_read, ledger_read;
static bool of_ledger;

/* The leaf that is open: it stays as it is when it leaves the newest ROWS. */
static struct {
	char bytes[4096]; /* the longest leaf */
	size_t n;
} opened;

/* The newest leaves: first where the log ends, then the ROWS before that. */
static void
fetch(struct app *a)
{
	sp_vault_audit_read_req from_vault = {.from = FAR, .latest = true};
	sp_ledger_audit_read_req from_ledger = {.from = FAR, .latest = true};

	vault_read = app_ask(a, MSG_vault_audit_read, &from_vault, &vault);
	ledger_read = app_ask(a, MSG_ledger_audit_read, &from_ledger, &ledger);
	from_vault.limit = from_ledger.limit = ROWS;
	from_vault.from = vault.size > ROWS ? vault.size - ROWS : 0;
	from_ledger.from = ledger.size > ROWS ? ledger.size - ROWS : 0;
	if (vault_read == ERR_OK)
		vault_read = app_ask(a, MSG_vault_audit_read, &from_vault, &vault);
	if (ledger_read == ERR_OK)
		ledger_read = app_ask(a, MSG_ledger_audit_read, &from_ledger, &ledger);
}

/* The value of "name":"…" or "name":123 in a record: records are ours, one encoder, fixed order. */
static void
pick(const char *record, size_t n, const char *name, char *out, size_t size)
{
	char pattern[32];
	int k = snprintf(pattern, sizeof pattern, "\"%s\":", name);
	const char *p = memmem(record, n, pattern, (size_t)k);

	out[0] = 0;
	if (!p)
		return;
	p += k;
	size_t left = n - (size_t)(p - record), at = 0;
	bool quoted = left && *p == '"';
	for (p += quoted, left -= quoted; left && at + 1 < size && *p != '"' && (quoted || (*p != ',' && *p != '}'));
		 p++, left--)
		out[at++] = *p;
	out[at] = 0;
}

/* A record over several lines, so that nothing is cut. */
static void
draw_full(struct view *v, const char *record, size_t n)
{
	size_t width = (size_t)(v->columns > 8 ? v->columns - 4 : 4);
	view_add(v, LOOK_TITLE, " The leaf, byte for byte (Esc closes)");
	for (size_t at = 0; at < n; at += width)
		view_add(v, LOOK_PLAIN, "  %.*s", (int)(n - at < width ? n - at : width), record + at);
}

static void
draw_row(struct app *a, struct view *v, const char *record, size_t n, bool selected)
{
	static const struct column columns[] = {{"SEQ", 9, 2},      {"TIME", -12, 1},   {"EVENT", -22, 0},
											{"OUTCOME", -7, 0}, {"OBJECT", -31, 3}, {"ACTOR", -16, 4}};
	char seq[24], ts[32], ev[48], outcome[16], object[48] = "", actor[48] = "";
	const char *obj = memmem(record, n, "\"obj\":", 6), *act = memmem(record, n, "\"actor\":", 8);

	(void)a;
	pick(record, n, "seq", seq, sizeof seq);
	pick(record, n, "ts", ts, sizeof ts);
	pick(record, n, "ev", ev, sizeof ev);
	pick(record, n, "outcome", outcome, sizeof outcome);
	if (obj)
		pick(obj, n - (size_t)(obj - record), "id", object, sizeof object);
	if (act)
		pick(act, n - (size_t)(act - record), "id", actor, sizeof actor);
	/* the time of day to the millisecond; the day is in the leaf in full */
	memmove(ts, strlen(ts) > 11 ? ts + 11 : ts, strlen(strlen(ts) > 11 ? ts + 11 : ts) + 1);
	ts[12] = 0;
	const char *cells[] = {seq, ts, ev, outcome, object, actor};
	view_row(v, selected ? LOOK_SELECTED : strcmp(outcome, "ok") == 0 ? LOOK_PLAIN : LOOK_WARN, columns, 6, cells);
}

static void
draw(struct app *a, struct view *v)
{
	const uint8_t *bytes = of_ledger ? ledger.records.bytes : vault.records.bytes;
	size_t size = of_ledger ? ledger.records.size : vault.records.size;
	const char *at[256], *shown[256];
	size_t lengths[256], shown_n[256];
	uint64_t names[256] = {0};
	int n = 0, rows = 0;

	if ((of_ledger ? ledger_read : vault_read) != ERR_OK) {
		view_add(v, LOOK_BAD, " The log can't be read: %s", err_title(of_ledger ? ledger_read : vault_read));
		a->rows = 0;
		return;
	}
	for (size_t i = 0; i + 4 <= size && n < 256;) {
		size_t len = (size_t)bytes[i] << 24 | (size_t)bytes[i + 1] << 16 | (size_t)bytes[i + 2] << 8 | bytes[i + 3];
		if (len > size - i - 4)
			break;
		at[n] = (const char *)bytes + i + 4;
		lengths[n++] = len;
		i += 4 + len;
	}
	view_add(v, LOOK_TITLE, " The %s's log, newest first: %llu leaves   (t: the other log)",
			 of_ledger ? "ledger" : "vault", (unsigned long long)(of_ledger ? ledger.size : vault.size));
	for (int i = n - 1; i >= 0; i--) {
		char seq[24];
		if (a->filter[0] && !memmem(at[i], lengths[i], a->filter, strlen(a->filter)))
			continue;
		pick(at[i], lengths[i], "seq", seq, sizeof seq);
		names[rows] = strtoull(seq, NULL, 10) + 1;
		shown[rows] = at[i];
		shown_n[rows++] = lengths[i];
	}
	a->rows = rows;
	bool there = app_follow(a, names, rows);
	if (!a->open) {
		for (int i = 0; i < rows; i++)
			draw_row(a, v, shown[i], shown_n[i], i == a->selected);
		return;
	}
	if (there && rows > 0 && shown_n[a->selected] <= sizeof opened.bytes) {
		opened.n = shown_n[a->selected];
		memcpy(opened.bytes, shown[a->selected], opened.n);
	}
	draw_full(v, opened.bytes, opened.n);
}

static void
act_other(struct app *a)
{
	of_ledger = !of_ledger;
	a->selected = 0;
	a->followed = 0;
	a->open = false;
}

static const struct binding bindings[] = {{'t', "t", "other-log", "the vault's log or the ledger's", act_other},
										  {0, NULL, NULL, NULL, NULL}};

const struct screen screen_audit = {.title = "Audit", .fetch = fetch, .draw = draw, .bindings = bindings};
