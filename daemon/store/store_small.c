#include <assert.h>
#include <pb_decode.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/str.h"
#include "daemon/store/store_impl.h"

static struct store_blob
text_key(const char *text)
{
	return store_blob_of(text, strlen(text));
}

static bool
decode(struct store_blob value, const pb_msgdesc_t *fields, void *out)
{
	pb_istream_t from = pb_istream_from_buffer(value.bytes, value.n);
	return pb_decode(&from, fields, out);
}

/* ── attempts without a result ── */

static enum err
attempt_key(const char *id, uint8_t key[STORE_ID_BYTES])
{
	return id_pack("att", id, key) == ERR_OK ? ERR_OK : ERR_NOT_FOUND;
}

static void
attempt_from(const uint8_t key[STORE_ID_BYTES], const sp_attempt_row *r, struct attempt *out)
{
	*out = (struct attempt){.kind = (sp_job_kind)r->kind,
							.state = (enum attempt_state)r->state,
							.tries = r->tries,
							.created_at_ms = r->created_at_ms,
							.next_try_ms = r->next_try_ms,
							.maybe_charged = r->maybe_charged};
	id_unpack("att", key, &out->id);
	memcpy(out->payment.text, r->payment, sizeof out->payment.text);
	memcpy(out->operation.text, r->operation, sizeof out->operation.text);
	memcpy(out->account, r->account, sizeof out->account);
	memcpy(out->derived_key, r->derived_key, sizeof out->derived_key);
}

enum err
store_attempt_put(struct store *s, const struct attempt *a)
{
	sp_attempt_row r = {.kind = (uint32_t)a->kind,
						.state = (uint32_t)a->state,
						.tries = a->tries,
						.created_at_ms = a->created_at_ms,
						.next_try_ms = a->next_try_ms,
						.maybe_charged = a->maybe_charged};
	uint8_t key[STORE_ID_BYTES];

	assert(s->in_batch);
	memcpy(r.payment, a->payment.text, sizeof r.payment);
	memcpy(r.operation, a->operation.text, sizeof r.operation);
	memcpy(r.account, a->account, sizeof r.account);
	memcpy(r.derived_key, a->derived_key, sizeof r.derived_key);
	enum err e = id_pack("att", a->id.text, key);
	return e == ERR_OK ? store_item_put_message(s, STORE_ITEM_ATTEMPT, store_blob_of(key, sizeof key),
												sp_attempt_row_fields, &r)
					   : e;
}

enum err
store_attempt_get(struct store *s, const char *id, struct attempt *out)
{
	sp_attempt_row r = sp_attempt_row_init_zero;
	uint8_t key[STORE_ID_BYTES];
	enum err e = attempt_key(id, key);

	if (e == ERR_OK)
		e = store_item_get_message(s, STORE_ITEM_ATTEMPT, store_blob_of(key, sizeof key), sp_attempt_row_fields, &r,
								   NULL);
	if (e == ERR_OK)
		attempt_from(key, &r, out);
	return e;
}

enum err
store_attempt_finish(struct store *s, const char *id)
{
	uint8_t key[STORE_ID_BYTES];
	bool was = false;
	enum err e = attempt_key(id, key);

	assert(s->in_batch);
	if (e == ERR_OK)
		e = s->ops->item_drop(s->kind, STORE_ITEM_ATTEMPT, store_blob_of(key, sizeof key), &was);
	return e != ERR_OK ? e : was ? ERR_OK : ERR_NOT_FOUND;
}

struct attempt_visit {
	store_attempt_fn visit;
	void *arg;
};

static enum err
visit_attempt(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	const struct attempt_visit *v = arg;
	sp_attempt_row r = sp_attempt_row_init_zero;
	struct attempt a;

	(void)stop_out;
	if (key.n != STORE_ID_BYTES || !decode(value, sp_attempt_row_fields, &r))
		return ERR_RECORD_CORRUPT;
	attempt_from(key.bytes, &r, &a);
	return v->visit(v->arg, &a);
}

enum err
store_attempt_list(struct store *s, store_attempt_fn visit, void *arg)
{
	struct attempt_visit v = {visit, arg};
	/* ULIDs: the order of keys is that of time */
	return s->ops->item_scan(s->kind, STORE_ITEM_ATTEMPT, store_blob_of("", 0), false, visit_attempt, &v);
}

/* ── clients ── */

enum err
store_client_put(struct store *s, const sp_client_view *c)
{
	struct store_blob cert = store_blob_of(c->cert_sha256, sizeof c->cert_sha256), owner;
	sp_client_view old;
	bool found = false;

	assert(s->in_batch);
	enum err e = s->ops->item_get(s->kind, STORE_ITEM_CERTIFICATE, cert, &owner, &found);
	if (e == ERR_OK && found && (owner.n != strlen(c->name) || memcmp(owner.bytes, c->name, owner.n) != 0))
		e = ERR_CLIENT_EXISTS;
	if (e == ERR_OK) {
		e = store_client_by_name(s, c->name, &old);
		/* a client that gets a new certificate is no longer known by its old one */
		if (e == ERR_OK && memcmp(old.cert_sha256, c->cert_sha256, sizeof old.cert_sha256) != 0)
			e = s->ops->item_drop(s->kind, STORE_ITEM_CERTIFICATE,
								  store_blob_of(old.cert_sha256, sizeof old.cert_sha256), &found);
		else if (e == ERR_CLIENT_UNKNOWN)
			e = ERR_OK;
	}
	if (e == ERR_OK)
		e = s->ops->item_put(s->kind, STORE_ITEM_CERTIFICATE, cert, text_key(c->name));
	if (e == ERR_OK)
		e = store_item_put_message(s, STORE_ITEM_CLIENT, text_key(c->name), sp_client_view_fields, c);
	if (e == ERR_OK)
		s->now.position.clients_epoch++;
	return e;
}

enum err
store_client_by_name(struct store *s, const char *name, sp_client_view *out)
{
	bool found = false;

	*out = (sp_client_view)sp_client_view_init_zero;
	enum err e = store_item_get_message(s, STORE_ITEM_CLIENT, text_key(name), sp_client_view_fields, out, &found);
	return e != ERR_OK ? e : found ? ERR_OK : ERR_CLIENT_UNKNOWN;
}

enum err
store_client_by_cert(struct store *s, const uint8_t cert_sha256[32], sp_client_view *out)
{
	struct store_blob owner;
	bool found = false;
	char name[64];

	enum err e = s->ops->item_get(s->kind, STORE_ITEM_CERTIFICATE, store_blob_of(cert_sha256, 32), &owner, &found);
	if (e != ERR_OK)
		return e;
	if (!found || owner.n >= sizeof name)
		return ERR_CLIENT_UNKNOWN;
	memcpy(name, owner.bytes, owner.n);
	name[owner.n] = 0;
	return store_client_by_name(s, name, out);
}

struct client_visit {
	store_client_fn visit;
	void *arg;
	uint32_t left;
	bool more;
};

static enum err
visit_client(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	struct client_visit *v = arg;
	sp_client_view c = sp_client_view_init_zero;

	(void)key;
	v->more = *stop_out = v->left == 0;
	if (v->more)
		return ERR_OK;
	v->left--;
	return decode(value, sp_client_view_fields, &c) ? v->visit(v->arg, &c) : ERR_RECORD_CORRUPT;
}

enum err
store_client_list(struct store *s, const char *after, uint32_t limit, store_client_fn visit, void *arg,
				  bool *has_more_out)
{
	struct client_visit v = {.visit = visit, .arg = arg, .left = limit};
	enum err e = s->ops->item_scan(s->kind, STORE_ITEM_CLIENT, text_key(after), false, visit_client, &v);
	*has_more_out = v.more;
	return e;
}

uint64_t
store_clients_epoch(struct store *s)
{
	return s->now.position.clients_epoch;
}

/* ── merchants, accounts, settings ── */

enum err
store_merchant_put(struct store *s, const struct merchant *m)
{
	sp_merchant_row r = {.livemode = m->livemode, .created_at_ms = m->created_at_ms};

	assert(s->in_batch);
	s->kept_changed = true;
	s->merchant_kept = false;
	memcpy(r.account, m->account, sizeof r.account);
	return store_item_put_message(s, STORE_ITEM_MERCHANT, text_key(m->id), sp_merchant_row_fields, &r);
}

enum err
store_merchant_get(struct store *s, const char *id, struct merchant *out)
{
	sp_merchant_row r = sp_merchant_row_init_zero;
	if (s->merchant_kept && strcmp(s->merchant.id, id) == 0) {
		*out = s->merchant;
		return ERR_OK;
	}
	enum err e = store_item_get_message(s, STORE_ITEM_MERCHANT, text_key(id), sp_merchant_row_fields, &r, NULL);
	if (e != ERR_OK)
		return e;
	*out = (struct merchant){.livemode = r.livemode, .created_at_ms = r.created_at_ms};
	memcpy(out->account, r.account, sizeof out->account);
	e = str_set(out->id, sizeof out->id, id);
	s->merchant = *out;
	s->merchant_kept = e == ERR_OK;
	return e;
}

enum err
store_account_put(struct store *s, const struct routing_account *a)
{
	sp_account_row r = {.livemode = a->livemode};

	assert(s->in_batch);
	s->kept_changed = true;
	s->accounts_kept = false;
	memcpy(r.connector, a->connector, sizeof r.connector);
	memcpy(r.merchant, a->merchant, sizeof r.merchant);
	return store_item_put_message(s, STORE_ITEM_ACCOUNT, text_key(a->id), sp_account_row_fields, &r);
}

static enum err
add_account(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	struct store *s = arg;
	sp_account_row r = sp_account_row_init_zero;

	*stop_out = s->n_accounts == STORE_ACCOUNTS_KEPT;
	if (*stop_out)
		return ERR_OK;
	struct routing_account *a = &s->accounts[s->n_accounts++];
	if (key.n >= sizeof a->id || !decode(value, sp_account_row_fields, &r))
		return ERR_RECORD_CORRUPT;
	*a = (struct routing_account){.livemode = r.livemode};
	memcpy(a->id, key.bytes, key.n);
	memcpy(a->connector, r.connector, sizeof a->connector);
	memcpy(a->merchant, r.merchant, sizeof a->merchant);
	return ERR_OK;
}

enum err
store_account_list(struct store *s, struct routing_account *out, unsigned max, unsigned *n_out)
{
	enum err e = ERR_OK;

	if (!s->accounts_kept) {
		s->n_accounts = 0;
		e = s->ops->item_scan(s->kind, STORE_ITEM_ACCOUNT, store_blob_of("", 0), false, add_account, s);
		s->accounts_kept = e == ERR_OK;
	}
	*n_out = e != ERR_OK ? 0 : s->n_accounts < max ? s->n_accounts : max;
	memcpy(out, s->accounts, *n_out * sizeof *out);
	return e;
}

enum err
store_setting_put(struct store *s, const char *name, const char *value)
{
	assert(s->in_batch);
	if (strlen(name) > 63 || strlen(value) > 255)
		return ERR_OUT_OF_RANGE;
	return s->ops->item_put(s->kind, STORE_ITEM_SETTING, text_key(name), text_key(value));
}

enum err
store_setting_get(struct store *s, const char *name, char *out, size_t out_bytes)
{
	struct store_blob value;
	bool found = false;
	enum err e = s->ops->item_get(s->kind, STORE_ITEM_SETTING, text_key(name), &value, &found);

	if (e != ERR_OK)
		return e;
	if (!found)
		return ERR_NOT_FOUND;
	if (value.n >= out_bytes)
		return ERR_OUT_OF_RANGE;
	memcpy(out, value.bytes, value.n);
	out[value.n] = 0;
	return ERR_OK;
}

/* ── facts ── */

static enum err
count_attempt(void *arg, const struct attempt *a)
{
	sp_ledger_facts_rep *out = arg;

	if (a->state == ATTEMPT_INQUIRING)
		out->unknown++;
	else
		out->in_flight++;
	return ERR_OK;
}

static enum err
count_item(void *arg, struct store_blob key, struct store_blob value, bool *stop_out)
{
	(void)key, (void)value, (void)stop_out;
	++*(uint64_t *)arg;
	return ERR_OK;
}

struct oldest {
	const struct store *s;
	uint64_t at_ms;
};

static enum err
take_time(void *arg, const struct store_event_row *row, bool *stop_out)
{
	struct oldest *o = arg;
	o->at_ms = (uint64_t)row->at_ms;
	*stop_out = true;
	return ERR_OK;
}

enum err
store_facts(struct store *s, sp_ledger_facts_rep *out)
{
	struct oldest oldest = {.s = s};
	char note[NOTE_BYTES_MAX];
	struct checkpoint log;
	size_t bytes;

	out->payments = s->now.position.payments;
	out->events = s->now.seq;
	out->outbox = s->now.seq - s->now.position.published;
	for (size_t i = 0; i < sizeof s->outbox.told; i++)
		out->outbox -= (uint64_t)__builtin_popcount(s->outbox.told[i]);
	store_log_position(s, &log);
	out->leaves = log.size;
	out->db_bytes = s->ops->bytes(s->kind);
	out->in_flight = out->unknown = out->clients = 0;
	enum err e = store_attempt_list(s, count_attempt, out);
	if (e == ERR_OK)
		e = s->ops->item_scan(s->kind, STORE_ITEM_CLIENT, store_blob_of("", 0), false, count_item, &out->clients);
	if (e == ERR_OK && out->outbox > 0)
		e = s->ops->event_scan(s->kind, s->now.position.published, take_time, &oldest);
	out->outbox_oldest_ms = oldest.at_ms;
	if (e == ERR_OK)
		e = store_log_note_get(s, note, &bytes, &out->checkpoint_size);
	return e;
}
