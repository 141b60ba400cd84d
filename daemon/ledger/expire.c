#include "daemon/ledger/expire.h"

#include <pb_decode.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/ledger/batch.h"
#include "daemon/ledger/ledger.h"

/*
 * Payments are looked through in the order in which they were made, from where the last round ended: no index has to be
 * kept for the few that are never captured. An authorization that came late (an inquiry) is covered by the overlap.
 */
#define ROUND_MS   10000
#define OVERLAP_MS (24 * 3600 * INT64_C(1000))
#define PAGE       50
#define SETTING    "expired_to_ms"

static int64_t from_ms = -1, to_ms, next_round_ms;
static char cursor[64];
static bool in_round;

struct expiry {
	struct id payment;
};

static enum err
act(void *arg)
{
	const struct expiry *x = arg;
	static struct payment_event events[PAYMENT_EVENTS_MAX];
	unsigned n = 0;
	enum err e = store_payment_load(ledger.store, x->payment.text, ledger.state);
	if (e)
		return e;
	const struct payment_command cmd = {
		.kind = PAYMENT_EXPIRE, .at_ms = clock_wall_ms(), .actor = "timer", .payment = x->payment.text};
	if ((e = payment_decide(ledger.state, &cmd, events, &n)) || !n)
		return e;
	return store_payment_append(ledger.store, x->payment.text, ledger.state, events, n);
}

static void
done(void *arg, enum err e)
{
	struct expiry *x = arg;
	/* an operation in flight or a state that changed meanwhile: the overlap looks again */
	if (e && e != ERR_INVALID_STATE && e != ERR_OPERATION_IN_FLIGHT)
		log_warn("an authorization could not expire", LOG_S("payment", x->payment.text), LOG_E("cause", e));
	mem_free(x);
}

static const struct batch_row row = {act, NULL, done};

static void
consider(const sp_payment_view *p)
{
	struct expiry *x;
	bool may = p->status == sp_STATUS_AUTHORIZED || p->status == sp_STATUS_PARTIALLY_CAPTURED;
	if (!may || !p->authorization_expires_at_ms || p->authorization_expires_at_ms > clock_wall_ms())
		return;
	if (!(x = mem_new(1, sizeof *x)))
		return;
	memcpy(x->payment.text, p->id, sizeof x->payment.text);
	batch_run(&row, x, 512);
}

static enum err
save_act(void *arg)
{
	char text[24];
	(void)arg;
	snprintf(text, sizeof text, "%lld", (long long)to_ms);
	return store_setting_put(ledger.store, SETTING, text);
}

static void
save_done(void *arg, enum err e)
{
	(void)arg;
	if (!e)
		from_ms = to_ms;
}

static const struct batch_row save_row = {save_act, NULL, save_done};

static void
read_from(void)
{
	char text[24];
	uint64_t v = 0;
	from_ms = 0;
	if (store_setting_get(ledger.store, SETTING, text, sizeof text) == ERR_OK &&
		str_decimal(text, INT64_MAX, &v) == ERR_OK)
		from_ms = (int64_t)v;
}

static void
begin_round(void)
{
	if (from_ms < 0)
		read_from();
	to_ms = clock_wall_ms() - conf_int(proc_conf(), CONF_AUTH_TTL);
	cursor[0] = 0;
	in_round = true;
}

static void
page_through(struct buf *data)
{
	static sp_payment_view view;
	pb_istream_t in = pb_istream_from_buffer(data->len ? buf_at(data) : NULL, data->len);
	while (in.bytes_left && pb_decode_delimited(&in, sp_payment_view_fields, &view))
		consider(&view);
}

void
expire_tick(void)
{
	static sp_list_query q;
	struct buf data;
	struct store_page page = {.data = &data, .bytes_max = 1u << 20};
	if (!in_round && clock_mono_ms() < next_round_ms)
		return;
	if (store_in_batch(ledger.store))
		return;
	if (!in_round)
		begin_round();
	q = (sp_list_query){.limit = PAGE,
						.created_gte_ms = from_ms > OVERLAP_MS ? from_ms - OVERLAP_MS : 1,
						.created_lt_ms = to_ms > 1 ? to_ms : 1};
	memcpy(q.cursor, cursor, sizeof cursor);
	buf_init(&data, 1u << 20);
	enum err e = store_payment_list(ledger.store, &q, NULL, 0, &page);
	if (!e) {
		page_through(&data);
		memcpy(cursor, page.next_cursor, sizeof cursor);
	}
	buf_clear(&data);
	if (!e && page.has_more)
		return;
	in_round = false;
	next_round_ms = clock_mono_ms() + ROUND_MS;
	/* a round that found nothing new is not worth a commit every ten seconds */
	if (!e && to_ms - from_ms > OVERLAP_MS / 24)
		batch_run(&save_row, NULL, 256);
}
