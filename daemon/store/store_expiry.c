/*
 * Authorizations that run out, in the order in which they do: an item each, whose key is the time and the payment. Only
 * those that can still be captured have one, so a look at what is due costs what is due, however much is stored.
 */
#include <assert.h>
#include <string.h>

#include "daemon/store/store_impl.h"

#define KEY_BYTES (8 + STORE_ID_BYTES)
/* Payments looked at in one scan, and rows in one commit, when the index is made. */
#define MADE_AT_ONCE 512

static const char made[] = "expiry_index";

static void
key_of(int64_t at_ms, const uint8_t payment[STORE_ID_BYTES], uint8_t key[KEY_BYTES])
{
	for (unsigned i = 0; i < 8; i++)
		key[i] = (uint8_t)((uint64_t)at_ms >> (56 - 8 * i));
	memcpy(key + 8, payment, STORE_ID_BYTES);
}

static int64_t
time_of(const uint8_t key[KEY_BYTES])
{
	uint64_t v = 0;
	for (unsigned i = 0; i < 8; i++)
		v = v << 8 | key[i];
	return (int64_t)v;
}

int64_t
store_expiry_of(const sp_payment_state *state)
{
	sp_payment_status status = payment_status(state);
	bool may = status == sp_STATUS_AUTHORIZED || status == sp_STATUS_PARTIALLY_CAPTURED;
	return may && state->expires_at_ms > 0 ? state->expires_at_ms : 0;
}

enum err
store_expiry_move(struct store *s, const uint8_t payment[STORE_ID_BYTES], int64_t from_ms, int64_t to_ms)
{
	uint8_t key[KEY_BYTES];
	bool was;
	enum err e = ERR_OK;

	if (from_ms == to_ms)
		return ERR_OK;
	if (from_ms) {
		key_of(from_ms, payment, key);
		e = s->ops->item_drop(s->kind, STORE_ITEM_EXPIRY, store_blob_of(key, sizeof key), &was);
	}
	if (e != ERR_OK || !to_ms)
		return e;
	key_of(to_ms, payment, key);
	return s->ops->item_put(s->kind, STORE_ITEM_EXPIRY, store_blob_of(key, sizeof key), store_blob_of("", 0));
}

enum err
store_expiry_has(struct store *s, const uint8_t payment[STORE_ID_BYTES], int64_t at_ms, bool *found_out)
{
	struct store_blob value;
	uint8_t key[KEY_BYTES];

	key_of(at_ms, payment, key);
	return s->ops->item_get(s->kind, STORE_ITEM_EXPIRY, store_blob_of(key, sizeof key), &value, found_out);
}

/* ── what is due ── */

struct due {
	int64_t now_ms;
	unsigned most;
	struct store_due *out;
};

static enum err
take_due(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	struct due *d = arg;
	struct store_due *out = d->out;

	(void)value;
	if (key.n != KEY_BYTES)
		return ERR_RECORD_CORRUPT;
	*stop_out = time_of(key.bytes) > d->now_ms;
	if (*stop_out)
		return ERR_OK;
	memcpy(out->cursor, key.bytes, KEY_BYTES);
	out->cursor_bytes = KEY_BYTES;
	id_unpack("pay", key.bytes + 8, &out->payments[out->n++]);
	*stop_out = out->n == d->most;
	out->more = *stop_out;
	return ERR_OK;
}

enum err
store_due_list(struct store *s, int64_t now_ms, struct store_due *io)
{
	struct due d = {now_ms, STORE_DUE_MAX, io};
	uint8_t after[KEY_BYTES];
	size_t n = io->cursor_bytes;

	_Static_assert(sizeof io->cursor == KEY_BYTES, "a cursor is a key");
	memcpy(after, io->cursor, sizeof after);
	io->n = 0;
	io->more = false;
	return s->ops->item_scan(s->kind, STORE_ITEM_EXPIRY, store_blob_of(after, n), false, take_due, &d);
}

/* ── a store from before there was the index: once, from its payments ── */

struct making {
	struct store *s;
	unsigned looked, n;
	struct {
		uint8_t payment[STORE_ID_BYTES];
		int64_t at_ms;
	} rows[MADE_AT_ONCE];
	uint8_t below[STORE_ID_BYTES]; /* the last one looked at */
};

static enum err
look(void *arg, const struct store_payment_row *row, bool *stop_out)
{
	struct making *m = arg;
	enum err e = event_codec_get_state("", row->state.bytes, row->state.n, m->s->state);

	if (e != ERR_OK)
		return e;
	memcpy(m->below, row->id, STORE_ID_BYTES);
	int64_t at_ms = store_expiry_of(m->s->state);
	if (at_ms) {
		memcpy(m->rows[m->n].payment, row->id, STORE_ID_BYTES);
		m->rows[m->n++].at_ms = at_ms;
	}
	*stop_out = ++m->looked == MADE_AT_ONCE;
	return ERR_OK;
}

static enum err
put_rows(struct making *m, bool last)
{
	enum err e = store_begin(m->s);

	if (e != ERR_OK)
		return e;
	for (unsigned i = 0; i < m->n && e == ERR_OK; i++)
		e = store_expiry_move(m->s, m->rows[i].payment, 0, m->rows[i].at_ms);
	if (e == ERR_OK && last)
		e = store_setting_put(m->s, made, "1");
	if (e == ERR_OK)
		return store_commit(m->s);
	store_rollback(m->s);
	return e;
}

enum err
store_expiry_open(struct store *s)
{
	static struct making m;
	struct store_payment_range range = {0};
	char done[8];
	enum err e = store_setting_get(s, made, done, sizeof done);

	if (e != ERR_NOT_FOUND)
		return e;
	memset(m.below, 0xff, sizeof m.below);
	m.s = s;
	do {
		m.looked = m.n = 0;
		memcpy(range.below, m.below, sizeof range.below);
		e = s->ops->payment_scan(s->kind, &range, look, &m);
		if (e == ERR_OK)
			e = put_rows(&m, m.looked < MADE_AT_ONCE);
	} while (e == ERR_OK && m.looked == MADE_AT_ONCE);
	return e;
}
