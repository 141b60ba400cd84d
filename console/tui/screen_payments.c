/* Payments — newest first; Enter shows one with its timeline. Cards are masked. */
#include <pb_decode.h>
#include <stdio.h>
#include <string.h>

#include "console/tui/app.h"
#include "daemon/base/clock.h"
#include "daemon/base/money.h"
#include "daemon/wire/client.h"

#define ROWS 50

static struct row {
	char id[32], order_id[128], merchant[64], last4[5];
	sp_payment_status status;
	int64_t amount_minor, created_at_ms;
	uint32_t currency;
} rows[ROWS];
static int rows_n;
static enum err found;
static sp_payment_show_rep shown;
static char shown_id[32];

static const char *
status_word(sp_payment_status s)
{
	static const char *const words[] = {"none",        "created",
										"processing",  "requires action",
										"authorized",  "partially captured",
										"captured",    "partially refunded",
										"refunded",    "settled",
										"voided",      "expired",
										"declined",    "failed",
										"unknown",     "reversed",
										"needs review"};
	return (unsigned)s < sizeof words / sizeof *words ? words[s] : "?";
}

static void
fetch(struct app *a)
{
	static sp_payment_search_req req;
	static sp_payment_search_rep rep;
	static sp_payment_view p;

	req.has_query = true;
	req.query.limit = ROWS;
	if ((found = app_ask(a, MSG_payment_search, &req, &rep)) != ERR_OK)
		return;
	pb_istream_t in = pb_istream_from_buffer(rep.data.bytes, rep.data.size);
	rows_n = 0;
	while (in.bytes_left > 0 && rows_n < ROWS && pb_decode_ex(&in, sp_payment_view_fields, &p, PB_DECODE_DELIMITED)) {
		struct row *r = &rows[rows_n++];
		memcpy(r->id, p.id, sizeof r->id);
		memcpy(r->order_id, p.order_id, sizeof r->order_id);
		memcpy(r->merchant, p.merchant, sizeof r->merchant);
		memcpy(r->last4, p.card.last4, sizeof r->last4);
		r->status = p.status;
		r->amount_minor = p.amount_minor;
		r->created_at_ms = p.created_at_ms;
		r->currency = p.currency;
	}
	if (a->open && shown_id[0]) {
		static sp_payment_show_req show;
		memcpy(show.id, shown_id, sizeof show.id);
		if (app_ask(a, MSG_payment_show, &show, &shown) != ERR_OK)
			shown.payment.id[0] = 0;
	}
}

static void
money(int64_t minor, uint32_t currency, char out[MONEY_TEXT_BYTES])
{
	money_text((struct money){minor, (uint16_t)currency}, out);
}

static void
draw_one(struct app *a, struct view *v, const char id[32])
{
	static sp_timeline_view t;
	char amount[MONEY_TEXT_BYTES], captured[MONEY_TEXT_BYTES], refunded[MONEY_TEXT_BYTES], at[CLOCK_TEXT_BYTES];

	if (strcmp(shown_id, id) != 0) {
		memcpy(shown_id, id, sizeof shown_id);
		fetch(a);
	}
	const sp_payment_view *p = &shown.payment;
	money(p->amount_minor, p->currency, amount);
	money(p->amount_captured_minor, p->currency, captured);
	money(p->amount_refunded_minor, p->currency, refunded);
	view_add(v, LOOK_TITLE, " %s   %s   %s   (Esc closes)", p->id, status_word(p->status), amount);
	view_add(v, LOOK_PLAIN, "   merchant %s   order %s   card %s…%s", p->merchant, p->order_id[0] ? p->order_id : "–",
			 p->card.bin, p->card.last4);
	view_add(v, LOOK_PLAIN, "   captured %s   refunded %s   processor %s %s", captured, refunded, p->processor,
			 p->processor_reference);
	view_add(v, LOOK_TITLE, " Timeline");
	pb_istream_t in = pb_istream_from_buffer(shown.timeline.bytes, shown.timeline.size);
	while (in.bytes_left > 0 && pb_decode_ex(&in, sp_timeline_view_fields, &t, PB_DECODE_DELIMITED)) {
		clock_text(t.at_ms, at);
		view_add(v, LOOK_PLAIN, "   %.12s  %-32s %s %s", at + 11, t.type, t.actor, t.code);
	}
}

/* The end of an id is 40 random bits: enough to tell a screenful apart. */
static uint64_t
name_of(const struct row *r)
{
	size_t n = strlen(r->id);
	uint64_t name = 1;
	if (n >= sizeof name)
		memcpy(&name, r->id + n - sizeof name, sizeof name);
	return name;
}

static void
draw(struct app *a, struct view *v)
{
	static const struct column columns[] = {{"PAYMENT", -30, 0}, {"STATUS", -18, 0},   {"AMOUNT", 16, 1},
											{"CREATED", -20, 2}, {"MERCHANT", -14, 4}, {"ORDER", -20, 3},
											{"CARD", -5, 5}};
	const struct row *shown_rows[ROWS];
	uint64_t names[ROWS] = {0};
	int n = 0;

	if (found != ERR_OK) {
		view_add(v, LOOK_BAD, " The ledger does not answer: %s", err_title(found));
		a->rows = 0;
		return;
	}
	for (int i = 0; i < rows_n; i++)
		if (app_shows(a, rows[i].id) || app_shows(a, rows[i].order_id) || app_shows(a, status_word(rows[i].status))) {
			names[n] = name_of(&rows[i]);
			shown_rows[n++] = &rows[i];
		}
	a->rows = n;
	bool there = app_follow(a, names, n);
	if (a->open) {
		if (n > 0)
			draw_one(a, v, there ? shown_rows[a->selected]->id : shown_id);
		return;
	}
	view_row(v, LOOK_TITLE, columns, 7, NULL);
	for (int i = 0; i < n; i++) {
		const struct row *r = shown_rows[i];
		char amount[MONEY_TEXT_BYTES], at[CLOCK_TEXT_BYTES], card[12];
		money(r->amount_minor, r->currency, amount);
		clock_text(r->created_at_ms, at);
		at[19] = 0;
		at[10] = ' ';
		snprintf(card, sizeof card, "…%s", r->last4);
		const char *cells[] = {r->id, status_word(r->status), amount, at, r->merchant, r->order_id, card};
		view_row(v, i == a->selected ? LOOK_SELECTED : LOOK_PLAIN, columns, 7, cells);
	}
	if (n == 0)
		view_add(v, LOOK_DIM, "   no payments%s", a->filter[0] ? " pass the filter (Esc clears it)" : " yet");
}

const struct screen screen_payments = {.title = "Payments", .fetch = fetch, .draw = draw};
