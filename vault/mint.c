#include "vault/mint.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "policy/schema/wire.pb.h"
#include "vault/cvc.h"
#include "vault/refusals.h"
#include "vault/cardrow.h"

#define WHO_BYTES     16
#define PRUNE_AT_ONCE 250

/* What is known of a request once its card is good. */
struct minting {
	const sp_tokenize_req *req;
	struct card card;
	sp_brand brand;
	uint8_t digest[CARD_DIGEST_BYTES];
	uint8_t who[WHO_BYTES], body[FINGERPRINT_BYTES];
};

/* ── the request ── */

static enum err
check_request(struct vault *v, const sp_tokenize_req *r, struct minting *m)
{
	struct pan_rules rules = {
		.test = v->boot.test, .published_only = v->limits.published_only, .wall_ms = clock_wall_ms()};
	*m = (struct minting){.req = r,
						  .card = {.pan = r->pan.bytes,
								   .pan_len = r->pan.size,
								   .cvc = r->cvc.bytes,
								   .cvc_len = r->cvc.size,
								   .holder = r->holder.bytes,
								   .holder_len = r->holder.size,
								   .exp_month = r->exp_month,
								   .exp_year = r->exp_year}};
	if (r->client[0] == '\0' || r->merchant[0] == '\0')
		return ERR_MISSING_MEMBER;
	if (r->idempotency_key[0] == '\0')
		return ERR_IDEMPOTENCY_MISSING;
	enum err e = pan_check(&m->card, &rules, &m->brand);
	if (e == ERR_OK && str_holds_pan((const char *)r->metadata.bytes, r->metadata.size))
		e = ERR_PAN_IN_METADATA;
	return e;
}

static enum err
make_digests(struct vault *v, struct minting *m)
{
	uint32_t generation = 0;
	const struct secret *fpk = NULL;
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state s;
	enum err e = keyring_active(v->keys, KEY_FPK, &generation);
	if (e == ERR_OK)
		e = keyring_get(v->keys, KEY_FPK, generation, KEY_PROTECT, &fpk);
	if (e != ERR_OK)
		return e;
	fingerprint_card(fpk, &m->card, m->digest);
	fingerprint_request(fpk, m->req->body_sha256, m->digest, m->body);
	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, (const uint8_t *)m->req->client, strlen(m->req->client) + 1);
	crypto_hash_sha256_update(&s, (const uint8_t *)m->req->idempotency_key, strlen(m->req->idempotency_key));
	crypto_hash_sha256_final(&s, hash);
	memcpy(m->who, hash, WHO_BYTES);
	return ERR_OK;
}

/* ── the idempotency row ── */

/* ERR_OK with a token: replay it. ERR_NOT_FOUND: a new key. ERR_IDEMPOTENCY_REUSED. */
static enum err
find_minted(struct vault *v, const struct minting *m, char *token_out)
{
	bool row;
	size_t bytes = 0;
	struct stmt *s = db_stmt(v->db, "SELECT body, token FROM minted WHERE who = ?1");
	stmt_blob(s, 1, m->who, sizeof m->who);
	enum err e = stmt_row(s, &row);
	if (e != ERR_OK || !row)
		return e == ERR_OK ? ERR_NOT_FOUND : e;
	const void *body = col_blob(s, 0, &bytes);
	if (bytes != sizeof m->body || sodium_memcmp(body, m->body, sizeof m->body) != 0)
		e = ERR_IDEMPOTENCY_REUSED;
	else
		e = str_set(token_out, CARDROW_TEXT_BYTES, col_text(s, 1));
	stmt_done(s);
	return e;
}

static enum err
keep_minted(struct vault *v, const struct minting *m, const char *token)
{
	struct stmt *s = db_stmt(v->db, "INSERT INTO minted(who, body, token, at_ms) VALUES (?1, ?2, ?3, ?4)");
	stmt_blob(s, 1, m->who, sizeof m->who);
	stmt_blob(s, 2, m->body, sizeof m->body);
	stmt_text(s, 3, token);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_run(s);
}

/* ── storing ── */

static bool
may_be_shared(const sp_tokenize_req *r)
{
	return r->dedupe && !r->single_use && r->ttl_ms == 0 && r->max_uses == 0;
}

static enum err
store_card(struct vault *v, const struct minting *m, char *token_out)
{
	const sp_tokenize_req *r = m->req;
	int64_t now = clock_wall_ms();
	struct cardrow_new n = {.merchant = r->merchant,
							.customer = r->customer,
							.card = &m->card,
							.brand = m->brand,
							.format = r->format,
							.metadata = r->metadata.bytes,
							.metadata_bytes = r->metadata.size,
							.max_uses = r->single_use ? 1 : r->max_uses,
							.single_use = r->single_use,
							.card_digest = m->digest};
	if (r->single_use)
		n.expires_at_ms = now + MINT_SINGLE_USE_TTL_MS;
	else if (r->ttl_ms > (uint64_t)(INT64_MAX - now))
		return ERR_OUT_OF_RANGE;
	else if (r->ttl_ms > 0)
		n.expires_at_ms = now + (int64_t)r->ttl_ms;
	return cardrow_insert(v, &n, token_out);
}

static enum err
leave_leaf(struct vault *v, const sp_tokenize_req *r, const char *token, bool existed)
{
	uint32_t dek = 0;
	enum err e = keyring_active(v->keys, KEY_DEK, &dek);
	if (e != ERR_OK)
		return e;
	struct leaf l = {.event = EVENT_TOKENIZE,
					 .actor = ACTOR_CLIENT,
					 .actor_id = r->client,
					 .cert_sha256 = r->has_caller ? r->caller.cert_sha256 : NULL,
					 .ip = r->caller.ip,
					 .request = r->caller.request_id,
					 .object_id = token,
					 .merchant = r->merchant,
					 .reason = existed         ? "found"
							   : r->single_use ? "single_use"
											   : "stored",
					 .key_id = "dek",
					 .key_generation = dek};
	return vault_leaf(v, &l);
}

/* ── the command ── */

/* A code on its way into the arena: it is held after COMMIT, sealed as soon as that. */
struct pending {
	bool stored, existed;
	uint8_t cvc[CVC_DIGITS_MAX];
	size_t cvc_len;
};

static void
after_commit(struct vault *v, struct member *m)
{
	struct pending *p = m->state;
	sp_tokenize_rep *rep = m->rep;
	if (!p || m->e != ERR_OK)
		return;
	v->cards += p->stored;
	v->tokenized += p->stored;
	if (p->cvc_len == 0)
		return;
	/* The card is kept either way; the caller learns that its code is not. */
	m->e = cvc_hold(v->cvc, v->keys, rep->token.id, p->cvc, p->cvc_len, clock_mono_ms() + v->limits.cvc_ttl_ms);
	rep->token.cvc_state = m->e == ERR_OK ? sp_cvc_state_CVC_HELD : sp_cvc_state_CVC_NONE;
}

static enum err
find_or_store(struct vault *v, const struct minting *m, sp_tokenize_rep *rep, struct pending *p, char *token)
{
	enum err e = find_minted(v, m, token);
	rep->replayed = e == ERR_OK;
	if (e != ERR_NOT_FOUND)
		return e;
	e = may_be_shared(m->req) ? cardrow_find_card(v, m->req->merchant, m->digest, m->req->format, token)
							  : ERR_TOKEN_NOT_FOUND;
	rep->existed = e == ERR_OK;
	if (e == ERR_TOKEN_NOT_FOUND) {
		e = store_card(v, m, token);
		p->stored = e == ERR_OK;
	}
	if (e == ERR_OK)
		e = keep_minted(v, m, token);
	if (e == ERR_OK)
		e = leave_leaf(v, m->req, token, rep->existed);
	return e;
}

/*
 * The card of a payment whose authorization is over is erased. Its client may still repeat the request that it got no
 * answer to: the same token and digest then lead the ledger to that payment.
 */
static enum err
show_erased(const struct minting *m, const char *token, sp_tokenize_rep *rep)
{
	enum err e = str_set(rep->token.id, sizeof rep->token.id, token);
	if (e == ERR_OK)
		e = str_set(rep->token.merchant, sizeof rep->token.merchant, m->req->merchant);
	rep->has_token = e == ERR_OK;
	rep->card_digest.size = CARD_DIGEST_BYTES;
	memcpy(rep->card_digest.bytes, m->digest, CARD_DIGEST_BYTES);
	return e;
}

static enum err
act(struct vault *v, const void *req, struct member *member)
{
	struct minting m;
	struct cardrow row;
	char token[CARDROW_TEXT_BYTES];
	sp_tokenize_rep *rep = member->rep;
	struct pending *p = NULL;
	enum err e = vault_effects(v);
	if (e == ERR_OK)
		e = check_request(v, req, &m);
	if (e == ERR_OK)
		e = make_digests(v, &m);
	if (e == ERR_OK && !(p = mem_new(1, sizeof *p)))
		e = ERR_MEMORY;
	if (e != ERR_OK)
		return e;
	member->state = p;
	member->after = after_commit;
	e = find_or_store(v, &m, rep, p, token);
	if (e == ERR_OK)
		e = cardrow_find(v, token, m.req->merchant, &row);
	if (e == ERR_TOKEN_NOT_FOUND && rep->replayed && m.req->single_use) {
		e = show_erased(&m, token, rep);
	} else if (e == ERR_OK && (e = cardrow_view(v, &row, &rep->token)) == ERR_OK) {
		rep->has_token = true;
		rep->card_digest.size = CARD_DIGEST_BYTES;
		memcpy(rep->card_digest.bytes, m.digest, CARD_DIGEST_BYTES);
		/* A new request's code replaces an older one. A replay brings back a code that a restart has lost, but none
		 * that was used, and none over a newer one. */
		bool lost = row.cvc == sp_cvc_state_CVC_NONE && !cvc_held(v->cvc, token);
		if (m.card.cvc_len > 0 && (!rep->replayed || lost)) {
			memcpy(p->cvc, m.card.cvc, m.card.cvc_len);
			p->cvc_len = m.card.cvc_len;
		}
	}
	mem_wipe(&m, sizeof m);
	return e;
}

static void
deny(struct vault *v, const void *req, enum err why)
{
	const sp_tokenize_req *r = req;
	/* Retries of a good request are no refusals of a card. */
	if (err_http(why) < 500 && why != ERR_IDEMPOTENCY_REUSED)
		refusals_count(v->refusals, EVENT_TOKEN_REFUSED, r->client, why);
}

const struct group_command mint_command = {.rep_bytes = sizeof(sp_tokenize_rep), .act = act, .deny = deny};

/* ── pruning ── */

enum err
mint_prune(struct vault *v, int64_t wall_ms, bool *done_out)
{
	struct stmt *s =
		db_stmt(v->db, "DELETE FROM minted WHERE id IN (SELECT id FROM (SELECT id, at_ms FROM minted ORDER BY id"
					   " LIMIT ?2) WHERE at_ms < ?1)");
	stmt_int(s, 1, wall_ms - v->limits.idempotency_ttl_ms);
	stmt_int(s, 2, PRUNE_AT_ONCE);
	enum err e = stmt_run(s);
	uint64_t keys = e == ERR_OK ? db_changes(v->db) : 0;
	if (e != ERR_OK)
		return e;
	/* An hour after its end a token can't be asked for any more: its card goes. */
	s = db_stmt(v->db,
				"DELETE FROM token WHERE id IN (SELECT id FROM token WHERE expires_at_ms > 0 AND expires_at_ms < ?1"
				" LIMIT ?2)");
	stmt_int(s, 1, wall_ms - MINT_SINGLE_USE_TTL_MS);
	stmt_int(s, 2, PRUNE_AT_ONCE);
	e = stmt_run(s);
	uint64_t tokens = e == ERR_OK ? db_changes(v->db) : 0;
	*done_out = keys < PRUNE_AT_ONCE && tokens < PRUNE_AT_ONCE;
	if (e != ERR_OK || tokens == 0)
		return e;
	v->cards -= tokens < v->cards ? tokens : v->cards;
	struct leaf l = {.event = EVENT_TOKEN_DELETE,
					 .actor = ACTOR_PROCESS,
					 .actor_id = "vault",
					 .reason = "expired",
					 .count = (int64_t)tokens};
	return vault_leaf(v, &l);
}
