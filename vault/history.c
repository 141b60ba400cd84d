#include "vault/history.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/ask.h"
#include "vault/refusals.h"

/* ── what was signed ── */

enum err
history_last(struct vault *v, const char *origin, uint64_t *size_out, uint8_t root_out[HASH_BYTES])
{
	bool row;
	size_t bytes = 0;
	static const struct tree empty;
	struct stmt *s = db_stmt(v->db, "SELECT size, root FROM signed WHERE origin = ?1");
	stmt_text(s, 1, origin);
	enum err e = stmt_row(s, &row);
	*size_out = 0;
	tree_root(&empty, root_out);
	if (e != ERR_OK || !row)
		return e;
	const void *root = col_blob(s, 1, &bytes);
	if (bytes == HASH_BYTES) {
		*size_out = (uint64_t)col_int(s, 0);
		memcpy(root_out, root, HASH_BYTES);
	} else {
		e = ERR_CRYPTO;
	}
	stmt_done(s);
	return e;
}

static enum err
keep(struct vault *v, const sp_log_position *p)
{
	struct stmt *s = db_stmt(v->db, "INSERT INTO signed(origin, size, root, at_ms) VALUES (?1, ?2, ?3, ?4)"
									" ON CONFLICT (origin) DO UPDATE SET size = ?2, root = ?3, at_ms = ?4");
	stmt_text(s, 1, p->origin);
	stmt_int(s, 2, (int64_t)p->size);
	stmt_blob(s, 3, p->root, HASH_BYTES);
	stmt_int(s, 4, clock_wall_ms());
	return stmt_run(s);
}

/* ── the rule ── */

static enum err
check_proof(const sp_sign_checkpoint_req *r, uint64_t old_size, const uint8_t old_root[HASH_BYTES])
{
	uint8_t proof[PROOF_MAX][HASH_BYTES];
	if (r->proof_count > PROOF_MAX)
		return ERR_CRYPTO;
	for (pb_size_t i = 0; i < r->proof_count; i++) {
		if (r->proof[i].size != HASH_BYTES)
			return ERR_CRYPTO;
		memcpy(proof[i], r->proof[i].bytes, HASH_BYTES);
	}
	return tree_check_consistency(old_size, old_root, r->position.size, r->position.root,
								  (const uint8_t(*)[HASH_BYTES])proof, r->proof_count) == ERR_OK
			   ? ERR_OK
			   : ERR_CRYPTO;
}

static enum err
check_and_keep(struct vault *v, const sp_sign_checkpoint_req *r, const char *origin, uint64_t *signed_size_out)
{
	uint8_t root[HASH_BYTES];
	uint64_t size = 0;
	if (!r->has_position || strcmp(r->position.origin, origin) != 0 || r->position.size == 0 ||
		r->position.size > INT64_MAX)
		return ERR_CRYPTO;
	enum err e = history_last(v, origin, &size, root);
	if (e != ERR_OK)
		return e;
	*signed_size_out = size;
	if (r->position.size < size)
		return ERR_CRYPTO;
	if (r->position.size == size)
		return sodium_memcmp(root, r->position.root, HASH_BYTES) == 0 ? ERR_OK : ERR_CRYPTO;
	if (r->old_size != size)
		return ERR_VERSION_CONFLICT;
	e = check_proof(r, size, root);
	return e == ERR_OK ? keep(v, &r->position) : e;
}

/* ── the HSM's part ── */

/* Between COMMIT and the HSM's answer. */
struct signing {
	struct vault *v;
	struct call *call; /* of the ledger; NULL: our own log */
	struct checkpoint position;
	sp_sign_checkpoint_rep rep;
	void (*done)(void *arg, enum err e);
	void *arg;
};

static bool running; /* our own */

bool
history_running(void)
{
	return running;
}

static enum err
take_signature(struct signing *s, const sp_hsm_sign_rep *rep)
{
	char text[NOTE_BYTES_MAX];
	size_t bytes = 0;
	const struct boot_key *ask = boot_active(&s->v->boot, KEY_ASK);
	enum err e = note_text(&s->position, text, &bytes);
	if (e != ERR_OK)
		return e;
	if (!rep || rep->signature.size != 64 || !ask ||
		crypto_sign_verify_detached(rep->signature.bytes, (const uint8_t *)text, bytes, ask->public_key) != 0)
		return ERR_CRYPTO;
	s->rep.signature.size = 64;
	memcpy(s->rep.signature.bytes, rep->signature.bytes, 64);
	s->rep.key_hash = note_key_hash(s->v->ask_name, ask->public_key);
	s->rep.at_ms = (uint64_t)clock_wall_ms();
	s->rep.signed_size = s->position.size;
	return str_set(s->rep.key_name, sizeof s->rep.key_name, s->v->ask_name);
}

static enum err
store_own(struct signing *s)
{
	char note[NOTE_BYTES_MAX];
	size_t bytes = 0;
	enum err e = note_text(&s->position, note, &bytes);
	if (e == ERR_OK)
		e = note_add_signature(note, &bytes, s->rep.key_name, s->rep.key_hash, s->rep.signature.bytes);
	/* The vault may have been sealed or closed meanwhile. */
	if (e == ERR_OK && !s->v->db)
		e = ERR_VAULT_SEALED;
	if (e == ERR_OK)
		e = logbook_checkpoint_set(s->v->log, note, bytes, s->position.size);
	if (e == ERR_OK)
		s->v->checkpoint_at_ms = (int64_t)s->rep.at_ms;
	return e;
}

static void
finish(struct signing *s, enum err e)
{
	if (s->call) {
		call_reply(s->call, e, e == ERR_OK ? &s->rep : NULL);
	} else {
		running = false;
		if (e != ERR_OK)
			log_warn("own checkpoint not signed", LOG_E("cause", e), LOG_I("size", s->position.size));
		if (s->done)
			s->done(s->arg, e);
	}
	mem_free(s);
}

static void
signed_by_hsm(void *arg, enum err e, const void *rep)
{
	struct signing *s = arg;
	if (e == ERR_OK)
		e = take_signature(s, rep);
	if (e == ERR_OK && !s->call)
		e = store_own(s);
	finish(s, e);
}

static enum err
ask_signature(struct signing *s)
{
	char text[NOTE_BYTES_MAX];
	size_t bytes = 0;
	sp_hsm_sign_req req = sp_hsm_sign_req_init_zero;
	const struct boot_key *ask = boot_active(&s->v->boot, KEY_ASK);
	enum err e = note_text(&s->position, text, &bytes);
	if (e != ERR_OK)
		return e;
	if (!ask)
		return ERR_HSM_KEY;
	memcpy(req.key, "ask", 4);
	req.generation = ask->generation;
	req.data.size = (pb_size_t)bytes;
	memcpy(req.data.bytes, text, bytes);
	return ask_hsm_sign(s->v->hsm, &req, s->v->limits.hsm_deadline_ms, signed_by_hsm, s);
}

/* ── the commands ── */

static void
after_commit(struct vault *v, struct member *m)
{
	struct signing *s = m->state;
	if (!s)
		return;
	m->state = NULL;
	/* A refusal is answered by the batch, with signed_size in its body; ours has nobody to answer. */
	if (m->e != ERR_OK && m->call) {
		mem_free(s);
		return;
	}
	s->call = m->call;
	m->call = NULL;
	enum err e = m->e;
	if (e == ERR_OK)
		e = v->hsm_in ? ask_signature(s) : ERR_HSM_AWAY;
	if (e != ERR_OK)
		finish(s, e);
}

static enum err
prepare(struct vault *v, const sp_sign_checkpoint_req *r, const char *origin, struct signing **out)
{
	struct signing *s = mem_new(1, sizeof *s);
	*out = s;
	if (!s)
		return ERR_MEMORY;
	s->v = v;
	s->position.size = r->position.size;
	memcpy(s->position.root, r->position.root, HASH_BYTES);
	return str_set(s->position.origin, sizeof s->position.origin, origin);
}

static enum err
act_ledger(struct vault *v, const void *req, struct member *m)
{
	struct signing *s = NULL;
	sp_sign_checkpoint_rep *rep = m->rep;
	enum err e = prepare(v, req, v->ledger_origin, &s);
	m->state = s;
	m->after = after_commit;
	if (e != ERR_OK)
		return e;
	/* Before anything is promised: what would not be signed need not be kept. */
	return v->hsm_in ? check_and_keep(v, req, v->ledger_origin, &rep->signed_size) : ERR_HSM_AWAY;
}

struct own_request {
	sp_sign_checkpoint_req req;
	struct signing *s;
};

static enum err
act_own(struct vault *v, const void *req, struct member *m)
{
	const struct own_request *o = req;
	uint64_t signed_size = 0;
	m->state = o->s;
	m->after = after_commit;
	return check_and_keep(v, &o->req, v->origin, &signed_size);
}

static void
deny(struct vault *v, const void *req, enum err why)
{
	const sp_sign_checkpoint_req *r = req; /* the first member of own_request too */
	struct leaf l = {.event = EVENT_CHECKPOINT_REFUSED,
					 .actor = ACTOR_PROCESS,
					 .actor_id = "ledger",
					 .outcome = LEAF_DENY,
					 .code = why,
					 .count = r->position.size < INT64_MAX ? (int64_t)r->position.size : 0};
	if (why != ERR_CRYPTO)
		return;
	l.object_id = strcmp(r->position.origin, v->origin) == 0 ? v->origin : v->ledger_origin;
	refusals_leave(v, &l);
}

const struct group_command history_ledger_command = {
	.rep_bytes = sizeof(sp_sign_checkpoint_rep), .refusal_body = true, .act = act_ledger, .deny = deny};
static const struct group_command own_command = {.act = act_own, .deny = deny};

static enum err
fill_own(struct vault *v, sp_sign_checkpoint_req *r, bool *needed_out)
{
	uint8_t root[HASH_BYTES], proof[PROOF_MAX][HASH_BYTES];
	struct checkpoint now;
	size_t n = 0;
	logbook_position(v->log, &now);
	enum err e = history_last(v, v->origin, &r->old_size, root);
	if (e != ERR_OK)
		return e;
	uint64_t stored = 0;
	char note[NOTE_BYTES_MAX];
	e = logbook_checkpoint_get(v->log, note, &n, &stored);
	/* Also when the last one was kept but its signature never came. */
	*needed_out = e == ERR_OK && now.size > 0 && (now.size > r->old_size || stored < r->old_size);
	if (!*needed_out)
		return e;
	if (now.size > r->old_size)
		e = logbook_consistency(v->log, r->old_size, now.size, proof, &n);
	else
		n = 0;
	if (e != ERR_OK)
		return e == ERR_OUT_OF_RANGE ? ERR_CRYPTO : e;
	r->has_position = true;
	memcpy(r->position.origin, now.origin, sizeof r->position.origin);
	r->position.size = now.size;
	memcpy(r->position.root, now.root, HASH_BYTES);
	r->proof_count = (pb_size_t)n;
	for (size_t i = 0; i < n; i++) {
		r->proof[i].size = HASH_BYTES;
		memcpy(r->proof[i].bytes, proof[i], HASH_BYTES);
	}
	return ERR_OK;
}

void
history_own(struct vault *v, void (*done)(void *arg, enum err e), void *arg)
{
	struct own_request o = {.s = NULL};
	bool needed = false;
	assert(!running);
	enum err e = v->hsm_in ? fill_own(v, &o.req, &needed) : ERR_HSM_AWAY;
	if (e == ERR_OK && needed)
		e = prepare(v, &o.req, v->origin, &o.s);
	if (e == ERR_OK && needed) {
		o.s->done = done;
		o.s->arg = arg;
		running = true;
		group_run(v, NULL, &own_command, &o);
		(void)group_commit(v);
		return;
	}
	mem_free(o.s);
	if (done)
		done(arg, e);
}
