#include "vault/cardrow.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/id.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "vault/cardseal.h"
#include "vault/cvc.h"

#define SURROGATE_TRIES 64

#define ROW_COLUMNS                                                                                            \
	"id, token, merchant, format, fingerprint, brand, bin, last4, dek, pan, epk, person, version, cvc, uses, " \
	"max_uses,"                                                                                                \
	" created_at_ms, expires_at_ms, single_use, customer"

/* ── new tokens ── */

static void
random_digits(uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = (uint8_t)('0' + randombytes_uniform(10));
}

/* BIN and last four as they are, the middle random, and never a number that a card could have. */
static void
make_bin6_last4(const struct card *c, char *out)
{
	uint8_t *at = (uint8_t *)out;
	memcpy(at, c->pan, c->pan_len);
	do
		random_digits(at + 6, c->pan_len - 10);
	while (pan_luhn(at, c->pan_len));
	out[c->pan_len] = '\0';
}

/* Passes Luhn for software that insists on it; 9 as first digit is kept for national use and no network's. */
static void
make_luhn(char *out)
{
	uint8_t *at = (uint8_t *)out;
	at[0] = '9';
	random_digits(at + 1, 14);
	at[15] = pan_luhn_digit(at, 15);
	out[16] = '\0';
}

static void
make_token(const struct cardrow_new *n, char *out)
{
	struct id id;
	switch (n->format) {
	case sp_token_format_FORMAT_BIN6_LAST4:
		make_bin6_last4(n->card, out);
		break;
	case sp_token_format_FORMAT_LUHN:
		make_luhn(out);
		break;
	default:
		id_random("tok", &id);
		memcpy(out, id.text, CARDROW_TEXT_BYTES);
	}
}

static enum err
is_taken(struct vault *v, const char *token, bool *taken_out)
{
	struct stmt *s = db_stmt(v->db, "SELECT 1 FROM token WHERE token = ?1");
	stmt_text(s, 1, token);
	enum err e = stmt_row(s, taken_out);
	stmt_done(s);
	return e;
}

static enum err
draw_token(struct vault *v, const struct cardrow_new *n, char *out)
{
	/* Thirteen digits leave 1000 surrogates for one BIN and ending: then this format is full and says so. */
	if (n->format == sp_token_format_FORMAT_BIN6_LAST4 && n->card->pan_len < 13)
		return ERR_NOT_SUPPORTED;
	for (unsigned i = 0; i < SURROGATE_TRIES; i++) {
		bool taken = false;
		make_token(n, out);
		enum err e = is_taken(v, out, &taken);
		if (e != ERR_OK || !taken)
			return e;
	}
	return ERR_LIMIT;
}

static void
bind_masked(struct stmt *s, const struct cardrow_new *n)
{
	char bin[9] = "", last4[5] = "";
	/* Eight digits of the BIN where the number is long enough that eight and four do not show most of it (PCI SSC FAQ
	 * 1091). */
	memcpy(bin, n->card->pan, n->card->pan_len >= 16 ? 8 : 6);
	memcpy(last4, n->card->pan + n->card->pan_len - 4, 4);
	stmt_text(s, 7, bin);
	stmt_text(s, 8, last4);
}

enum err
cardrow_insert(struct vault *v, const struct cardrow_new *n, char *token_out)
{
	uint8_t pan[CARDROW_PAN_BYTES + RECORD_EXTRA_BYTES], person[CARDROW_PERSON_MAX + RECORD_EXTRA_BYTES];
	uint8_t fingerprint[FINGERPRINT_BYTES];
	size_t person_bytes = 0;
	uint32_t dek = 0, epk = 0, fpk = 0;
	const struct secret *key = NULL;
	enum err e = draw_token(v, n, token_out);
	if (e == ERR_OK)
		e = cardseal_pan(v, n, token_out, &dek, pan);
	if (e == ERR_OK)
		e = cardseal_person(v, n, token_out, &epk, person, &person_bytes);
	if (e == ERR_OK)
		e = keyring_active(v->keys, KEY_FPK, &fpk);
	if (e == ERR_OK)
		e = keyring_get(v->keys, KEY_FPK, fpk, KEY_PROTECT, &key);
	if (e != ERR_OK)
		return e;
	fingerprint_pan(key, n->card, fingerprint);
	struct stmt *s =
		db_stmt(v->db, "INSERT INTO token(token, merchant, format, fingerprint, card, brand, bin, last4, dek,"
					   " pan, epk, person, version, cvc, uses, max_uses, created_at_ms, expires_at_ms,"
					   " single_use, customer, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
					   " ?12, 1, 0, 0, ?13, ?14, ?15, ?16, ?17, ?18)");
	stmt_text(s, 1, token_out);
	stmt_text(s, 2, n->merchant);
	stmt_int(s, 3, n->format);
	stmt_blob(s, 4, fingerprint, sizeof fingerprint);
	stmt_blob(s, 5, n->card_digest, FINGERPRINT_BYTES);
	stmt_int(s, 6, n->brand);
	bind_masked(s, n);
	stmt_int(s, 9, dek);
	stmt_blob(s, 10, pan, sizeof pan);
	stmt_int(s, 11, epk);
	stmt_blob(s, 12, person, person_bytes);
	stmt_int(s, 13, n->max_uses);
	stmt_int(s, 14, clock_wall_ms());
	stmt_int(s, 15, n->expires_at_ms);
	stmt_int(s, 16, n->single_use);
	stmt_text(s, 17, n->customer[0] ? n->customer : NULL);
	if (n->metadata_bytes > 0)
		stmt_blob(s, 18, n->metadata, n->metadata_bytes);
	return stmt_run(s);
}

/* ── finding ── */

static bool
take_blob(struct stmt *s, int at, uint8_t *out, size_t room, size_t *bytes_out)
{
	const void *bytes = col_blob(s, at, bytes_out);
	if (*bytes_out > room)
		return false;
	if (*bytes_out > 0)
		memcpy(out, bytes, *bytes_out);
	return true;
}

static enum err
take_row(struct stmt *s, struct cardrow *r)
{
	size_t fingerprint = 0, pan = 0;
	bool fits = str_set(r->token, sizeof r->token, col_text(s, 1)) == ERR_OK &&
				str_set(r->merchant, sizeof r->merchant, col_text(s, 2)) == ERR_OK &&
				str_set(r->bin, sizeof r->bin, col_text(s, 6)) == ERR_OK &&
				str_set(r->last4, sizeof r->last4, col_text(s, 7)) == ERR_OK &&
				str_set(r->customer, sizeof r->customer, col_text(s, 19)) == ERR_OK &&
				take_blob(s, 4, r->fingerprint, sizeof r->fingerprint, &fingerprint) &&
				take_blob(s, 9, r->pan, sizeof r->pan, &pan) &&
				take_blob(s, 11, r->person, sizeof r->person, &r->person_bytes);
	r->id = col_int(s, 0);
	r->format = (sp_token_format)col_int(s, 3);
	r->brand = (sp_brand)col_int(s, 5);
	r->dek = (uint32_t)col_int(s, 8);
	r->epk = (uint32_t)col_int(s, 10);
	r->version = (uint32_t)col_int(s, 12);
	r->cvc = (sp_cvc_state)col_int(s, 13);
	r->uses = (uint32_t)col_int(s, 14);
	r->max_uses = (uint32_t)col_int(s, 15);
	r->created_at_ms = col_int(s, 16);
	r->expires_at_ms = col_int(s, 17);
	r->single_use = col_int(s, 18) != 0;
	return fits && fingerprint == sizeof r->fingerprint && pan == sizeof r->pan ? ERR_OK : ERR_RECORD_CORRUPT;
}

/* The fixed tokens of a test installation: nothing is stored for them. */
static struct card
test_card(const char *number)
{
	return (struct card){.pan = (const uint8_t *)number,
						 .pan_len = strlen(number),
						 .exp_month = CARDROW_TEST_MONTH,
						 .exp_year = CARDROW_TEST_YEAR};
}

static enum err
find_test(struct vault *v, const char *token, const char *merchant, struct cardrow *r)
{
	const char *number = v->boot.test ? pan_test_number(token) : NULL;
	const struct secret *key = NULL;
	uint32_t fpk = 0;
	if (!number || !merchant)
		return ERR_TOKEN_NOT_FOUND;
	struct card c = test_card(number);
	enum err e = keyring_active(v->keys, KEY_FPK, &fpk);
	if (e == ERR_OK)
		e = keyring_get(v->keys, KEY_FPK, fpk, KEY_PROTECT, &key);
	if (e == ERR_OK)
		e = str_set(r->token, sizeof r->token, token);
	if (e == ERR_OK)
		e = str_set(r->merchant, sizeof r->merchant, merchant);
	if (e != ERR_OK)
		return e;
	fingerprint_pan(key, &c, r->fingerprint);
	r->brand = pan_brand(c.pan, c.pan_len);
	memcpy(r->bin, number, c.pan_len >= 16 ? 8 : 6);
	memcpy(r->last4, number + c.pan_len - 4, 4);
	r->dek = 1;
	return ERR_OK;
}

enum err
cardrow_find(struct vault *v, const char *token, const char *merchant, struct cardrow *out)
{
	bool row;
	memset(out, 0, sizeof *out);
	struct stmt *s = db_stmt(v->db, "SELECT " ROW_COLUMNS " FROM token WHERE token = ?1");
	stmt_text(s, 1, token);
	enum err e = stmt_row(s, &row);
	if (e == ERR_OK && !row)
		return find_test(v, token, merchant, out);
	if (e != ERR_OK)
		return e;
	e = take_row(s, out);
	stmt_done(s);
	if (e == ERR_OK && merchant && strcmp(merchant, out->merchant) != 0)
		e = ERR_TOKEN_NOT_FOUND;
	return e;
}

enum err
cardrow_find_card(struct vault *v, const char *merchant, const uint8_t card_digest[CARD_DIGEST_BYTES],
				  sp_token_format format, char *token_out)
{
	bool row;
	struct stmt *s = db_stmt(v->db, "SELECT token FROM token WHERE merchant = ?1 AND card = ?2 AND max_uses = 0 AND"
									" expires_at_ms = 0 AND format = ?3 ORDER BY id DESC LIMIT 1");
	stmt_text(s, 1, merchant);
	stmt_blob(s, 2, card_digest, FINGERPRINT_BYTES);
	stmt_int(s, 3, format);
	enum err e = stmt_row(s, &row);
	if (e == ERR_OK)
		e = row ? str_set(token_out, CARDROW_TEXT_BYTES, col_text(s, 0)) : ERR_TOKEN_NOT_FOUND;
	stmt_done(s);
	return e;
}

enum err
cardrow_usable(const struct cardrow *r, int64_t wall_ms)
{
	if (r->expires_at_ms > 0 && wall_ms >= r->expires_at_ms)
		return ERR_TOKEN_EXPIRED;
	return r->max_uses > 0 && r->uses >= r->max_uses ? ERR_TOKEN_USED_UP : ERR_OK;
}

/* ── opening and showing ── */

enum err
cardrow_open(struct vault *v, const struct cardrow *r, struct cardrow_clear *out)
{
	memset(out, 0, sizeof *out);
	enum err e = cardseal_open_pan(v, r, out);
	if (e == ERR_OK)
		e = cardseal_open_person(v, r, out);
	if (e != ERR_OK)
		mem_wipe(out, sizeof *out);
	return e;
}

static enum err
read_metadata(struct vault *v, const struct cardrow *r, sp_token_view *out)
{
	bool row;
	size_t bytes = 0;
	struct stmt *s = db_stmt(v->db, "SELECT metadata FROM token WHERE id = ?1");
	stmt_int(s, 1, r->id);
	enum err e = stmt_row(s, &row);
	if (e == ERR_OK && row && !take_blob(s, 0, out->metadata.bytes, sizeof out->metadata.bytes, &bytes))
		e = ERR_RECORD_CORRUPT;
	out->metadata.size = (pb_size_t)bytes;
	stmt_done(s);
	return e;
}

/* A held code lives in memory only: what the row says of it may be of an earlier life of the process. */
static sp_cvc_state
cvc_state(struct vault *v, const struct cardrow *r)
{
	if (cvc_held(v->cvc, r->token))
		return sp_cvc_state_CVC_HELD;
	return r->cvc == sp_cvc_state_CVC_HELD ? sp_cvc_state_CVC_NONE : r->cvc;
}

enum err
cardrow_view(struct vault *v, const struct cardrow *r, sp_token_view *out)
{
	struct cardrow_clear card = {0};
	*out = (sp_token_view)sp_token_view_init_zero;
	enum err e = cardseal_open_person(v, r, &card);
	if (e == ERR_OK && r->id != 0)
		e = read_metadata(v, r, out);
	if (e != ERR_OK)
		return e;
	memcpy(out->id, r->token, sizeof out->id);
	memcpy(out->merchant, r->merchant, sizeof out->merchant);
	memcpy(out->customer, r->customer, sizeof out->customer);
	fingerprint_text(r->fingerprint, out->fingerprint);
	out->has_card = true;
	out->card.brand = r->brand;
	memcpy(out->card.bin, r->bin, sizeof out->card.bin);
	memcpy(out->card.last4, r->last4, sizeof out->card.last4);
	out->card.exp_month = card.exp_month;
	out->card.exp_year = card.exp_year;
	out->cvc_state = cvc_state(v, r);
	out->key_version = r->dek;
	out->created_at_ms = r->created_at_ms;
	out->expires_at_ms = r->expires_at_ms;
	out->format = r->format;
	out->max_uses = r->max_uses;
	out->uses = r->uses;
	out->livemode = !v->boot.test;
	mem_wipe(&card, sizeof card);
	return ERR_OK;
}

/* ── changing ── */

enum err
cardrow_erase(struct vault *v, const struct cardrow *r)
{
	struct stmt *s = db_stmt(v->db, "DELETE FROM token WHERE id = ?1");
	stmt_int(s, 1, r->id);
	enum err e = stmt_run(s);
	return e == ERR_OK && db_changes(v->db) != 1 ? ERR_TOKEN_NOT_FOUND : e;
}

enum err
cardrow_use(struct vault *v, const struct cardrow *r)
{
	if (r->id == 0)
		return ERR_OK;
	struct stmt *s =
		db_stmt(v->db, "UPDATE token SET uses = uses + 1 WHERE id = ?1 AND (max_uses = 0 OR uses < max_uses)");
	stmt_int(s, 1, r->id);
	enum err e = stmt_run(s);
	return e == ERR_OK && db_changes(v->db) != 1 ? ERR_TOKEN_USED_UP : e;
}

enum err
cardrow_set_cvc(struct vault *v, const char *token, sp_cvc_state state)
{
	struct stmt *s = db_stmt(v->db, "UPDATE token SET cvc = ?2 WHERE token = ?1");
	stmt_text(s, 1, token);
	stmt_int(s, 2, state);
	return stmt_run(s);
}

enum err
cardrow_count(struct vault *v, uint64_t *out)
{
	bool row;
	struct stmt *s = db_stmt(v->db, "SELECT count(*) FROM token");
	enum err e = stmt_row(s, &row);
	*out = e == ERR_OK && row ? (uint64_t)col_int(s, 0) : 0;
	stmt_done(s);
	return e;
}
