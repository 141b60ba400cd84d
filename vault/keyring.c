#include "vault/keyring.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/ask.h"
#include "vault/hkdf.h"

#define KEY_BYTES 32
#define STEPS_MAX (2 * BOOT_KEYS_MAX)
#define HELD_MAX  (BOOT_KEYS_MAX + 2)

/* A key in memory. */
struct held {
	enum key_purpose purpose;
	uint32_t generation;
	struct secret *key;
	struct xaes *xaes; /* of those that encrypt records */
};

struct step;
/* Asks one question of the HSM; the answer goes to `take`. */
typedef enum err (*step_ask_fn)(struct keyring *k, const struct step *s);
typedef enum err (*step_take_fn)(struct keyring *k, const struct step *s, const void *rep);
struct step {
	const struct step_kind {
		step_ask_fn ask;
		step_take_fn take;
	} * kind;
	enum key_purpose purpose;
	uint32_t generation;
};

struct keyring {
	struct boot *boot;
	struct held held[HELD_MAX];
	size_t held_n;
	bool ready;
	/* a run */
	struct step steps[STEPS_MAX];
	size_t steps_n, at;
	size_t keys_before; /* rows of boot to go back to */
	bool running, making;
	struct peer *hsm;
	uint32_t deadline_ms;
	keyring_done_fn done;
	void *arg;
};

/* ── keys from what the HSM unwraps ── */

struct info {
	char bytes[96];
	size_t len;
};

/* "sallyport/1/" ‖ purpose ‖ BE64(generation) */
static struct info
info_of(const char *head, enum key_purpose p, uint32_t generation)
{
	struct info i;
	int n = snprintf(i.bytes, sizeof i.bytes - 8, "sallyport/1/%s%s", head, keylife_purpose_name(p));
	memset(i.bytes + n, 0, 8);
	for (int b = 0; b < 4; b++)
		i.bytes[n + 4 + b] = (char)(generation >> (24 - 8 * b));
	i.len = (size_t)n + 8;
	return i;
}

static void
derive(const struct keyring *k, const char *head, enum key_purpose p, uint32_t generation, const uint8_t *root,
	   uint8_t *out, size_t out_bytes)
{
	struct info i = info_of(head, p, generation);
	const char *install = k->boot->install;
	hkdf_sha256((struct hkdf_text){root, KEY_BYTES}, (struct hkdf_text){install, strlen(install)},
				(struct hkdf_text){i.bytes, i.len}, out, out_bytes);
}

static void
commit(const struct keyring *k, enum key_purpose p, uint32_t generation, const uint8_t *root,
	   uint8_t out[BOOT_COMMITMENT_BYTES])
{
	derive(k, "commit/", p, generation, root, out, BOOT_COMMITMENT_BYTES);
}

static bool
encrypts_records(enum key_purpose p)
{
	return p == KEY_DEK || p == KEY_EPK || p == KEY_SADK;
}

/* Takes key over, also when it fails. */
static enum err
hold(struct keyring *k, enum key_purpose p, uint32_t generation, struct secret *key)
{
	struct held h = {p, generation, key, NULL};
	enum err e = k->held_n < HELD_MAX ? ERR_OK : ERR_LIMIT;
	if (e == ERR_OK && encrypts_records(p))
		e = xaes_new(key, &h.xaes);
	if (e != ERR_OK)
		secret_free(key);
	else
		k->held[k->held_n++] = h;
	return e;
}

/* The key itself, from the 32 bytes that the HSM gave. */
static enum err
hold_derived(struct keyring *k, enum key_purpose p, uint32_t generation, const uint8_t *root)
{
	struct secret *key;
	enum err e = secret_new(KEY_BYTES, &key);
	if (e != ERR_OK)
		return e;
	derive(k, "", p, generation, root, key->bytes, KEY_BYTES);
	return hold(k, p, generation, key);
}

static void
drop_all(struct keyring *k)
{
	for (size_t i = 0; i < k->held_n; i++) {
		xaes_free(k->held[i].xaes);
		secret_free(k->held[i].key);
	}
	k->held_n = 0;
}

/* CVVs are under a key that nobody ever wraps: with the process they are gone. */
static enum err
draw_sadk(struct keyring *k)
{
	struct secret *key;
	enum err e = secret_new(KEY_BYTES, &key);
	if (e != ERR_OK)
		return e;
	randombytes_buf(key->bytes, KEY_BYTES);
	return hold(k, KEY_SADK, 1, key);
}

enum err
keyring_new(struct boot *b, struct keyring **out)
{
	*out = NULL;
	struct keyring *k = mem_new(1, sizeof *k);
	if (!k)
		return ERR_MEMORY;
	k->boot = b;
	enum err e = draw_sadk(k);
	if (e != ERR_OK) {
		mem_free(k);
		return e;
	}
	*out = k;
	return ERR_OK;
}

void
keyring_free(struct keyring *k)
{
	if (!k)
		return;
	assert(!k->running);
	drop_all(k);
	mem_free(k);
}

bool
keyring_ready(const struct keyring *k)
{
	return k->ready;
}

/* ── a run: one question after another ── */

static void on_answer(void *arg, enum err e, const void *rep);

static void
finish(struct keyring *k, enum err e)
{
	k->running = false;
	k->ready = e == ERR_OK;
	if (e != ERR_OK) {
		/* all of what came from the HSM goes; SADK, which never was there, stays the first of the row */
		for (size_t i = 1; i < k->held_n; i++) {
			xaes_free(k->held[i].xaes);
			secret_free(k->held[i].key);
		}
		k->held_n = 1;
		k->boot->keys_n = k->keys_before;
	}
	k->done(k->arg, e);
}

static enum err
ask_next(struct keyring *k)
{
	const struct step *s = &k->steps[k->at];
	return s->kind->ask(k, s);
}

static void
on_answer(void *arg, enum err e, const void *rep)
{
	struct keyring *k = arg;
	const struct step *s = &k->steps[k->at];
	if (e == ERR_OK && !rep)
		e = ERR_PROTOCOL;
	if (e == ERR_OK)
		e = s->kind->take(k, s, rep);
	if (e == ERR_OK && ++k->at < k->steps_n)
		e = ask_next(k);
	else if (e == ERR_OK) {
		finish(k, ERR_OK);
		return;
	}
	if (e != ERR_OK)
		finish(k, e);
}

static enum err
add_row(struct keyring *k, const struct step *s, struct boot_key row)
{
	row.purpose = s->purpose;
	row.generation = s->generation;
	row.state = KEY_ACTIVE;
	row.created_at_ms = clock_wall_ms();
	row.activated_at_ms = row.created_at_ms;
	return boot_add_key(k->boot, &row);
}

static void
put_name(char *out, size_t size, enum key_purpose p)
{
	(void)snprintf(out, size, "%s", keylife_purpose_name(p));
}

/* What a wrapped key is bound to in the HSM: its own name, so that two rows can't be exchanged. */
static size_t
put_ad(const struct keyring *k, const struct step *s, uint8_t *out, size_t size)
{
	struct info i = info_of("wrap/", s->purpose, s->generation);
	size_t n = strlen(k->boot->install);
	assert(i.len + n <= size);
	memcpy(out, i.bytes, i.len);
	memcpy(out + i.len, k->boot->install, n);
	return i.len + n;
}

/* ── step: make a key in the HSM ── */

static enum err
ask_make(struct keyring *k, const struct step *s)
{
	sp_hsm_make_key_req q = {.generation = s->generation};
	put_name(q.key, sizeof q.key, s->purpose);
	return ask_hsm_make_key(k->hsm, &q, k->deadline_ms, on_answer, k);
}

static enum err
check_public(const struct boot_key *row, const uint8_t *bytes, size_t n)
{
	if (!row->has_public)
		return n == 0 ? ERR_OK : ERR_HSM_KEY;
	return n == 32 && memcmp(row->public_key, bytes, 32) == 0 ? ERR_OK : ERR_HSM_KEY;
}

static enum err
take_make(struct keyring *k, const struct step *s, const void *rep)
{
	const sp_hsm_make_key_rep *a = rep;
	const struct boot_key *row = boot_key_of(k->boot, s->purpose, s->generation);
	struct boot_key fresh = {.has_public = a->public_key.size == 32};
	bool pair = s->purpose == KEY_ASK || s->purpose == KEY_XSK;
	if (pair != fresh.has_public)
		return ERR_PROTOCOL;
	if (row)
		return check_public(row, a->public_key.bytes, a->public_key.size);
	if (pair)
		memcpy(fresh.public_key, a->public_key.bytes, 32);
	return add_row(k, s, fresh);
}

static const struct step_kind making = {ask_make, take_make};

/* ── step: draw and wrap a new key ── */

static enum err
ask_wrap(struct keyring *k, const struct step *s)
{
	sp_hsm_wrap_new_req q = {.bytes = KEY_BYTES};
	const struct boot_key *kek = boot_active(k->boot, KEY_KEK);
	if (!kek)
		return ERR_HSM_KEY;
	q.kek = kek->generation;
	q.ad.size = (pb_size_t)put_ad(k, s, q.ad.bytes, sizeof q.ad.bytes);
	return ask_hsm_wrap_new(k->hsm, &q, k->deadline_ms, on_answer, k);
}

static enum err
take_wrap(struct keyring *k, const struct step *s, const void *rep)
{
	const sp_hsm_wrap_new_rep *a = rep;
	struct boot_key row = {.wrapped_bytes = a->wrapped.size};
	if (a->key.size != KEY_BYTES || a->wrapped.size == 0 || a->wrapped.size > sizeof row.wrapped)
		return ERR_PROTOCOL;
	/* a kek that became active since the question is not the one that wrapped: there is none, runs are alone */
	row.kek = boot_active(k->boot, KEY_KEK)->generation;
	memcpy(row.wrapped, a->wrapped.bytes, a->wrapped.size);
	commit(k, s->purpose, s->generation, a->key.bytes, row.commitment);
	enum err e = add_row(k, s, row);
	return e == ERR_OK ? hold_derived(k, s->purpose, s->generation, a->key.bytes) : e;
}

static const struct step_kind wrapping = {ask_wrap, take_wrap};

/* ── step: unwrap a key that has a row ── */

static enum err
ask_unwrap(struct keyring *k, const struct step *s)
{
	const struct boot_key *row = boot_key_of(k->boot, s->purpose, s->generation);
	sp_hsm_unwrap_req q = {.kek = row->kek};
	q.wrapped.size = (pb_size_t)row->wrapped_bytes;
	memcpy(q.wrapped.bytes, row->wrapped, row->wrapped_bytes);
	q.ad.size = (pb_size_t)put_ad(k, s, q.ad.bytes, sizeof q.ad.bytes);
	return ask_hsm_unwrap(k->hsm, &q, k->deadline_ms, on_answer, k);
}

static enum err
take_unwrap(struct keyring *k, const struct step *s, const void *rep)
{
	const sp_hsm_unwrap_rep *a = rep;
	const struct boot_key *row = boot_key_of(k->boot, s->purpose, s->generation);
	uint8_t seen[BOOT_COMMITMENT_BYTES];
	if (a->key.size != KEY_BYTES)
		return ERR_HSM_CORRUPT;
	commit(k, s->purpose, s->generation, a->key.bytes, seen);
	if (sodium_memcmp(seen, row->commitment, sizeof seen) != 0)
		return ERR_HSM_CORRUPT;
	return hold_derived(k, s->purpose, s->generation, a->key.bytes);
}

static const struct step_kind unwrapping = {ask_unwrap, take_unwrap};

/* ── step: is it the token that the boot file knows? ── */

static enum err
ask_public(struct keyring *k, const struct step *s)
{
	sp_hsm_public_req q = {.generation = s->generation};
	put_name(q.key, sizeof q.key, s->purpose);
	return ask_hsm_public(k->hsm, &q, k->deadline_ms, on_answer, k);
}

static enum err
take_public(struct keyring *k, const struct step *s, const void *rep)
{
	const sp_hsm_public_rep *a = rep;
	return check_public(boot_key_of(k->boot, s->purpose, s->generation), a->public_key.bytes, a->public_key.size);
}

static const struct step_kind comparing = {ask_public, take_public};

/* ── step: the ledger's secret, made by the HSM and committed to in ahk's row ── */

static enum err
ask_lsk(struct keyring *k, const struct step *s)
{
	sp_hsm_mac_req q = {.generation = s->generation};
	size_t n = strlen(k->boot->install);
	static const char head[] = "ledger/1";
	put_name(q.key, sizeof q.key, KEY_AHK);
	memcpy(q.data.bytes, head, sizeof head - 1);
	memcpy(q.data.bytes + sizeof head - 1, k->boot->install, n);
	n += sizeof head - 1;
	memset(q.data.bytes + n, 0, 8);
	for (int b = 0; b < 4; b++)
		q.data.bytes[n + 4 + (size_t)b] = (uint8_t)(s->generation >> (24 - 8 * b));
	q.data.size = (pb_size_t)(n + 8);
	return ask_hsm_mac(k->hsm, &q, k->deadline_ms, on_answer, k);
}

static enum err
take_lsk(struct keyring *k, const struct step *s, const void *rep)
{
	const sp_hsm_mac_rep *a = rep;
	struct boot_key *row = boot_key_of(k->boot, KEY_AHK, s->generation);
	uint8_t seen[BOOT_COMMITMENT_BYTES];
	struct secret *key;
	if (a->mac.size != KEY_BYTES)
		return ERR_PROTOCOL;
	commit(k, KEY_LSK, s->generation, a->mac.bytes, seen);
	if (k->making && sodium_is_zero(row->commitment, sizeof row->commitment))
		memcpy(row->commitment, seen, sizeof seen);
	/* another secret would make every retry of an old request look new: better no ledger than that */
	if (sodium_memcmp(seen, row->commitment, sizeof seen) != 0)
		return ERR_HSM_CORRUPT;
	enum err e = secret_copy(a->mac.bytes, KEY_BYTES, &key);
	return e == ERR_OK ? hold(k, KEY_LSK, s->generation, key) : e;
}

static const struct step_kind deriving = {ask_lsk, take_lsk};

/* ── plans ── */

static void
plan(struct keyring *k, const struct step_kind *kind, enum key_purpose p, uint32_t generation)
{
	assert(k->steps_n < STEPS_MAX);
	k->steps[k->steps_n++] = (struct step){kind, p, generation};
}

/* Every row that can still be of use. A key that is gone in the HSM or in its row can't be asked for. */
static void
plan_rows(struct keyring *k)
{
	for (size_t i = 0; i < k->boot->keys_n; i++) {
		const struct boot_key *row = &k->boot->keys[i];
		if (row->state == KEY_DESTROYED)
			continue;
		if (row->wrapped_bytes)
			plan(k, &unwrapping, row->purpose, row->generation);
		else if (row->has_public)
			plan(k, &comparing, row->purpose, row->generation);
	}
}

static const enum key_purpose in_hsm[] = {KEY_KEK, KEY_ASK, KEY_XSK, KEY_AHK};
static const enum key_purpose wrapped[] = {KEY_DEK, KEY_EPK, KEY_FPK, KEY_PGK_VAULT, KEY_PGK_LEDGER};
#define N(array) (sizeof(array) / sizeof *(array))

static enum err
begin(struct keyring *k, struct peer *hsm, uint32_t deadline_ms, keyring_done_fn done, void *arg)
{
	k->at = 0;
	k->keys_before = k->boot->keys_n;
	k->hsm = hsm;
	k->deadline_ms = deadline_ms;
	k->done = done;
	k->arg = arg;
	enum err e = ask_next(k);
	k->running = e == ERR_OK;
	return e;
}

enum err
keyring_make_all(struct keyring *k, struct peer *hsm, uint32_t deadline_ms, keyring_done_fn done, void *arg)
{
	if (k->running || k->ready)
		return ERR_EXISTS;
	k->steps_n = 0;
	k->making = true;
	for (size_t i = 0; i < N(in_hsm); i++) {
		const struct boot_key *row = boot_active(k->boot, in_hsm[i]);
		plan(k, &making, in_hsm[i], row ? row->generation : 1);
	}
	plan_rows(k);
	for (size_t i = 0; i < N(wrapped); i++)
		if (!boot_active(k->boot, wrapped[i]))
			plan(k, &wrapping, wrapped[i], 1);
	plan(k, &deriving, KEY_LSK, boot_active(k->boot, KEY_AHK) ? boot_active(k->boot, KEY_AHK)->generation : 1);
	return begin(k, hsm, deadline_ms, done, arg);
}

enum err
keyring_unwrap_all(struct keyring *k, struct peer *hsm, uint32_t deadline_ms, keyring_done_fn done, void *arg)
{
	if (k->running || k->ready)
		return ERR_EXISTS;
	k->steps_n = 0;
	k->making = false;
	for (size_t i = 0; i < N(in_hsm); i++)
		if (!boot_active(k->boot, in_hsm[i]))
			return ERR_HSM_KEY;
	for (size_t i = 0; i < N(wrapped); i++)
		if (!boot_active(k->boot, wrapped[i]))
			return ERR_HSM_KEY;
	plan_rows(k);
	plan(k, &deriving, KEY_LSK, boot_active(k->boot, KEY_AHK)->generation);
	return begin(k, hsm, deadline_ms, done, arg);
}

/* ── using them ── */

/* The row whose state speaks for a key: ahk's for what is derived from it. */
static enum err
state_of(const struct keyring *k, enum key_purpose p, uint32_t generation, enum key_state *out)
{
	*out = KEY_ACTIVE;
	if (p == KEY_SADK)
		return generation == 1 ? ERR_OK : ERR_HSM_KEY;
	const struct boot_key *row = boot_key_of(k->boot, p == KEY_LSK ? KEY_AHK : p, generation);
	if (!row)
		return ERR_HSM_KEY;
	*out = row->state;
	return ERR_OK;
}

static enum err
find(const struct keyring *k, enum key_purpose p, uint32_t generation, enum key_operation op, const struct held **out)
{
	enum key_state state;
	enum err e = state_of(k, p, generation, &state);
	if (e == ERR_OK)
		e = keylife_may(state, op);
	if (e != ERR_OK)
		return e;
	for (size_t i = 0; i < k->held_n; i++) {
		if (k->held[i].purpose == p && k->held[i].generation == generation) {
			*out = &k->held[i];
			return ERR_OK;
		}
	}
	return ERR_HSM_KEY;
}

enum err
keyring_get(const struct keyring *k, enum key_purpose p, uint32_t generation, enum key_operation op,
			const struct secret **out)
{
	const struct held *h;
	*out = NULL;
	enum err e = find(k, p, generation, op, &h);
	if (e == ERR_OK)
		*out = h->key;
	return e;
}

enum err
keyring_xaes(const struct keyring *k, enum key_purpose p, uint32_t generation, enum key_operation op,
			 const struct xaes **out)
{
	const struct held *h;
	*out = NULL;
	enum err e = find(k, p, generation, op, &h);
	if (e == ERR_OK && !h->xaes)
		e = ERR_HSM_KEY;
	if (e == ERR_OK)
		*out = h->xaes;
	return e;
}

enum err
keyring_active(const struct keyring *k, enum key_purpose p, uint32_t *generation_out)
{
	*generation_out = 1;
	if (p == KEY_SADK)
		return ERR_OK;
	const struct boot_key *row = boot_active(k->boot, p == KEY_LSK ? KEY_AHK : p);
	if (row) {
		*generation_out = row->generation;
		return ERR_OK;
	}
	*generation_out = 0;
	return boot_key_of(k->boot, p, 1) ? ERR_KEY_RETIRED : ERR_HSM_KEY;
}

/* ── showing them ── */

static void
view_of(sp_key_view *v, enum key_purpose p, uint32_t generation, const struct boot_key *row)
{
	static const char *const where[] = {"HSM", "vault", "ledger"};
	int64_t period_ms = keylife_period_ms(p);
	*v = (sp_key_view)sp_key_view_init_zero;
	put_name(v->key, sizeof v->key, p);
	v->generation = generation;
	(void)snprintf(v->state, sizeof v->state, "%s", keylife_state_name(row ? row->state : KEY_ACTIVE));
	(void)snprintf(v->algorithm, sizeof v->algorithm, "%s", keylife_algorithm(p));
	if (row && row->wrapped_bytes)
		(void)snprintf(v->where, sizeof v->where, "%s, wrapped by kek-%u", where[keylife_where(p)], row->kek);
	else
		(void)snprintf(v->where, sizeof v->where, "%s%s", where[keylife_where(p)],
					   p == KEY_LSK    ? ", derived from ahk"
					   : p == KEY_SADK ? ", memory only"
									   : ", not extractable");
	if (!row)
		return;
	v->created_at_ms = row->created_at_ms;
	v->activated_at_ms = row->activated_at_ms;
	if (period_ms && row->activated_at_ms)
		v->rotate_by_ms = row->activated_at_ms + period_ms;
}

size_t
keyring_list(const struct keyring *k, sp_key_view *out, size_t max)
{
	size_t n = 0;
	for (size_t i = 0; i < k->boot->keys_n && n < max; i++)
		view_of(&out[n++], k->boot->keys[i].purpose, k->boot->keys[i].generation, &k->boot->keys[i]);
	for (size_t i = 0; i < k->held_n && n < max; i++) {
		const struct held *h = &k->held[i];
		if (h->purpose == KEY_LSK)
			view_of(&out[n++], h->purpose, h->generation, boot_key_of(k->boot, KEY_AHK, h->generation));
		else if (h->purpose == KEY_SADK)
			view_of(&out[n++], h->purpose, h->generation, NULL);
	}
	return n;
}
