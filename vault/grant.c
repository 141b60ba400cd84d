#include "vault/grant.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "vault/cvc.h"
#include "vault/refusals.h"
#include "vault/cardrow.h"

#define BUCKETS          16384
#define CEILING_ALARM_MS 60000

struct grant {
	struct grant *next;          /* in its bucket */
	struct grant *older, *newer; /* in the order of lodging */
	int64_t until_mono_ms;
	sp_lodge_req is;
};

struct grants {
	struct grant *bucket[BUCKETS];
	struct grant *oldest, *newest;
	size_t n;
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
	/* The ceiling: a bucket of so many openings that fills again evenly over a minute. */
	double left;
	int64_t left_mono_ms, alarm_mono_ms;
	bool alarm;
};

enum err
grant_new(struct grants **out)
{
	*out = mem_new(1, sizeof **out);
	if (!*out)
		return ERR_MEMORY;
	crypto_shorthash_keygen((*out)->hash_key);
	(*out)->left = -1;
	return ERR_OK;
}

static struct grant **
find(struct grants *g, const char *attempt)
{
	uint8_t h[crypto_shorthash_BYTES];
	crypto_shorthash(h, (const uint8_t *)attempt, strlen(attempt), g->hash_key);
	struct grant **at = &g->bucket[(h[0] | (size_t)h[1] << 8) % BUCKETS];
	while (*at && strcmp((*at)->is.attempt, attempt) != 0)
		at = &(*at)->next;
	return at;
}

static void
drop(struct grants *g, struct grant **at)
{
	struct grant *x = *at;
	*at = x->next;
	*(x->older ? &x->older->newer : &g->oldest) = x->newer;
	*(x->newer ? &x->newer->older : &g->newest) = x->older;
	g->n--;
	mem_free(x);
}

void
grant_free(struct grants *g)
{
	if (!g)
		return;
	while (g->oldest)
		drop(g, find(g, g->oldest->is.attempt));
	mem_free(g);
}

size_t
grant_count(const struct grants *g)
{
	return g->n;
}

void
grant_sweep(struct grants *g, int64_t mono_ms)
{
	while (g->oldest && mono_ms >= g->oldest->until_mono_ms)
		drop(g, find(g, g->oldest->is.attempt));
}

/* ── lodging ── */

enum err
grant_lodge(struct vault *v, const sp_lodge_req *req)
{
	struct grants *g = v->grants;
	struct cardrow row;
	struct grant *x;
	if (!req->attempt[0] || !req->payment[0] || !req->account[0] || !req->token[0])
		return ERR_MISSING_MEMBER;
	enum err e = vault_effects(v);
	if (e == ERR_OK)
		e = cardrow_find(v, req->token, req->merchant, &row);
	/* A further attempt of a payment that the token was counted for needs no further use: redeem decides. */
	if (e == ERR_OK && row.expires_at_ms > 0 && clock_wall_ms() >= row.expires_at_ms)
		e = ERR_TOKEN_EXPIRED;
	if (e != ERR_OK)
		return e;
	if (*find(g, req->attempt))
		drop(g, find(g, req->attempt));
	if (g->n >= GRANTS_MAX)
		return ERR_LIMIT;
	if (!(x = mem_new(1, sizeof *x)))
		return ERR_MEMORY;
	x->is = *req;
	x->until_mono_ms = clock_mono_ms() + GRANT_LIFE_MS;
	x->older = g->newest;
	*(g->newest ? &g->newest->newer : &g->oldest) = x;
	g->newest = x;
	*find(g, req->attempt) = x;
	g->n++;
	return ERR_OK;
}

/* ── redeeming ── */

static enum err
match_grant(struct vault *v, const sp_redeem_req *r)
{
	const struct grant *x = *find(v->grants, r->attempt);
	bool same = x && clock_mono_ms() < x->until_mono_ms && strcmp(x->is.payment, r->payment) == 0 &&
				strcmp(x->is.account, r->account) == 0 && strcmp(x->is.token, r->token) == 0 &&
				strcmp(x->is.merchant, r->merchant) == 0;
	return same ? ERR_OK : ERR_GRANT_UNKNOWN;
}

static enum err
below_ceiling(struct vault *v)
{
	struct grants *g = v->grants;
	int64_t now = clock_mono_ms();
	double most = (double)v->limits.redeem_per_minute;
	if (g->left < 0)
		g->left = most;
	else
		g->left += most * (double)(now - g->left_mono_ms) / 60000;
	g->left_mono_ms = now;
	if (g->left > most)
		g->left = most;
	if (g->left < 1) {
		g->alarm = g->alarm_mono_ms == 0 || now - g->alarm_mono_ms >= CEILING_ALARM_MS;
		return ERR_REDEEM_CEILING;
	}
	g->left -= 1;
	return ERR_OK;
}

static enum err
has_row(struct stmt *s, bool *row_out)
{
	enum err e = stmt_row(s, row_out);
	stmt_done(s);
	return e;
}

/* The attempt's row, unique; and the token's use, once per payment however many attempts it takes. */
static enum err
write_rows(struct vault *v, const sp_redeem_req *r, const struct cardrow *row)
{
	bool counted = false;
	struct stmt *s = db_stmt(v->db, "SELECT 1 FROM redeemed WHERE payment = ?1 AND token = ?2");
	stmt_text(s, 1, r->payment);
	stmt_text(s, 2, r->token);
	enum err e = has_row(s, &counted);
	if (e == ERR_OK && !counted)
		e = cardrow_use(v, row);
	if (e != ERR_OK)
		return e;
	s = db_stmt(v->db, "INSERT INTO redeemed(attempt, payment, token, at_ms) VALUES (?1, ?2, ?3, ?4)");
	stmt_text(s, 1, r->attempt);
	stmt_text(s, 2, r->payment);
	stmt_text(s, 3, r->token);
	stmt_int(s, 4, clock_wall_ms());
	e = stmt_run(s);
	return e == ERR_DB_CONFLICT ? ERR_GRANT_USED : e;
}

static enum err
was_redeemed(struct vault *v, const char *attempt, bool *was_out)
{
	struct stmt *s = db_stmt(v->db, "SELECT 1 FROM redeemed WHERE attempt = ?1");
	stmt_text(s, 1, attempt);
	return has_row(s, was_out);
}

static struct leaf
leaf_of(const sp_redeem_req *r)
{
	return (struct leaf){.event = EVENT_REDEEM,
						 .actor = ACTOR_PROCESS,
						 .actor_id = "courier",
						 .object_id = r->token,
						 .merchant = r->merchant,
						 .request = r->attempt,
						 .session = r->payment,
						 .reason = r->account};
}

static enum err
give_card(struct vault *v, const struct cardrow *row, const char *payment, sp_redeem_rep *rep)
{
	struct cardrow_clear card;
	uint8_t cvc[CVC_DIGITS_MAX];
	size_t cvc_len = 0;
	enum err e = cardrow_open(v, row, &card);
	if (e == ERR_OK)
		e = cvc_read(v->cvc, v->keys, row->token, payment, clock_mono_ms(), cvc, &cvc_len);
	if (e == ERR_OK) {
		rep->pan.size = (pb_size_t)card.pan_len;
		memcpy(rep->pan.bytes, card.pan, card.pan_len);
		rep->exp_month = card.exp_month;
		rep->exp_year = card.exp_year;
		rep->holder.size = (pb_size_t)card.holder_len;
		memcpy(rep->holder.bytes, card.holder, card.holder_len);
		rep->cvc.size = (pb_size_t)cvc_len;
		memcpy(rep->cvc.bytes, cvc, cvc_len);
		rep->first = true;
	}
	mem_wipe(&card, sizeof card);
	mem_wipe(cvc, sizeof cvc);
	return e;
}

/* What is committed is the row's to remember: kept for its whole minute, a thousand grants a second would fill the
 * room. */
static void
spent(struct vault *v, struct member *m)
{
	const char *attempt = m->state;
	struct grant **at = find(v->grants, attempt);
	if (m->e != ERR_OK)
		return;
	v->redeemed++;
	if (*at)
		drop(v->grants, at);
}

static enum err
redeem(struct vault *v, const void *req, struct member *m)
{
	const sp_redeem_req *r = req;
	struct cardrow row;
	bool used = false;
	/* Used comes before unknown: after a restart of the vault there are no grants, but what was opened was opened. */
	enum err e = was_redeemed(v, r->attempt, &used);
	if (e == ERR_OK && used)
		e = ERR_GRANT_USED;
	if (e == ERR_OK)
		e = vault_effects(v);
	if (e == ERR_OK)
		e = match_grant(v, r);
	if (e == ERR_OK)
		e = below_ceiling(v);
	if (e == ERR_OK)
		e = cardrow_find(v, r->token, r->merchant, &row);
	if (e == ERR_OK && row.expires_at_ms > 0 && clock_wall_ms() >= row.expires_at_ms)
		e = ERR_TOKEN_EXPIRED;
	if (e == ERR_OK)
		e = give_card(v, &row, r->payment, m->rep);
	if (e == ERR_OK) {
		struct leaf l = leaf_of(r);
		l.key_id = "dek";
		l.key_generation = row.dek;
		e = vault_leaf(v, &l);
	}
	if (e == ERR_OK)
		e = write_rows(v, r, &row);
	if (e == ERR_OK && (m->state = mem_strdup(r->attempt)) != NULL)
		m->after = spent;
	return e;
}

static void
deny(struct vault *v, const void *req, enum err why)
{
	struct grants *g = v->grants;
	struct leaf l = leaf_of(req);
	l.event = EVENT_REDEEM_REFUSED;
	l.outcome = LEAF_DENY;
	l.code = why;
	if (why == ERR_REDEEM_CEILING) {
		/* At a flood one alarm a minute says more than a leaf each. */
		if (!g->alarm)
			return;
		g->alarm = false;
		g->alarm_mono_ms = clock_mono_ms();
		l = (struct leaf){.event = EVENT_CEILING,
						  .actor = ACTOR_PROCESS,
						  .actor_id = "courier",
						  .object_id = "vault",
						  .outcome = LEAF_DENY,
						  .code = why,
						  .count = (int64_t)v->limits.redeem_per_minute};
	}
	refusals_leave(v, &l);
}

const struct group_command grant_redeem_command = {.rep_bytes = sizeof(sp_redeem_rep), .act = redeem, .deny = deny};

enum err
grant_redeemed(struct vault *v, const sp_redeemed_req *req, sp_redeemed_rep *rep)
{
	enum err e = ERR_OK;
	rep->redeemed_count = req->attempts_count;
	for (pb_size_t i = 0; e == ERR_OK && i < req->attempts_count; i++)
		e = was_redeemed(v, req->attempts[i], &rep->redeemed[i]);
	return e;
}
