#include "vault/anchor.h"

#include <string.h>

#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/ask.h"
#include "vault/history.h"

static void
put_be64(uint8_t *out, uint64_t n)
{
	for (unsigned i = 0; i < 8; i++)
		out[i] = (uint8_t)(n >> (56 - 8 * i));
}

static uint64_t
get_be64(const uint8_t *in)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < 8; i++)
		n = n << 8 | in[i];
	return n;
}

void
anchor_encode(const struct anchor *a, uint8_t out[ANCHOR_BYTES])
{
	memcpy(out, "spa1", 4);
	put_be64(out + 4, a->vault_size);
	memcpy(out + 12, a->vault_root, HASH_BYTES);
	put_be64(out + 44, a->ledger_size);
	memcpy(out + 52, a->ledger_root, HASH_BYTES);
}

enum err
anchor_decode(const uint8_t *bytes, size_t n, struct anchor *out)
{
	if (n != ANCHOR_BYTES || memcmp(bytes, "spa1", 4) != 0)
		return ERR_FILE_FORM;
	out->vault_size = get_be64(bytes + 4);
	memcpy(out->vault_root, bytes + 12, HASH_BYTES);
	out->ledger_size = get_be64(bytes + 44);
	memcpy(out->ledger_root, bytes + 52, HASH_BYTES);
	return ERR_OK;
}

enum err
anchor_now(struct vault *v, struct anchor *out)
{
	struct checkpoint c;
	logbook_position(v->log, &c);
	out->vault_size = c.size;
	memcpy(out->vault_root, c.root, HASH_BYTES);
	return history_last(v, v->ledger_origin, &out->ledger_size, out->ledger_root);
}

enum err
anchor_check(struct vault *v, const struct anchor *a)
{
	struct anchor now;
	uint8_t root[HASH_BYTES];
	enum err e = anchor_now(v, &now);
	if (e != ERR_OK)
		return e;
	if (now.vault_size < a->vault_size || now.ledger_size < a->ledger_size)
		return ERR_ROLLBACK;
	e = logbook_root(v->log, a->vault_size, root);
	if (e != ERR_OK)
		return e == ERR_IO || e == ERR_DB ? e : ERR_ROLLBACK;
	if (memcmp(root, a->vault_root, HASH_BYTES) != 0)
		return ERR_ROLLBACK;
	/* Of the ledger's log only the newest position is known here; older ones were proved to be its past when it was
	 * signed. */
	if (now.ledger_size == a->ledger_size && memcmp(now.ledger_root, a->ledger_root, HASH_BYTES) != 0)
		return ERR_ROLLBACK;
	return ERR_OK;
}

struct setting {
	struct vault *v;
	struct anchor now;
	void (*done)(void *arg, enum err e);
	void *arg;
};

static void
was_set(void *arg, enum err e, const void *rep)
{
	struct setting *s = arg;
	(void)rep;
	if (e == ERR_OK)
		s->v->anchored_size = s->now.vault_size + s->now.ledger_size;
	else
		log_warn("anchor not written", LOG_E("cause", e));
	if (s->done)
		s->done(s->arg, e);
	mem_free(s);
}

void
anchor_set(struct vault *v, void (*done)(void *arg, enum err e), void *arg)
{
	sp_hsm_anchor_set_req req = sp_hsm_anchor_set_req_init_zero;
	struct setting *s = mem_new(1, sizeof *s);
	enum err e = s ? ERR_OK : ERR_MEMORY;
	if (e == ERR_OK)
		e = v->hsm_in ? anchor_now(v, &s->now) : ERR_HSM_AWAY;
	if (e == ERR_OK && s->now.vault_size + s->now.ledger_size != v->anchored_size) {
		*s = (struct setting){.v = v, .now = s->now, .done = done, .arg = arg};
		req.anchor.size = ANCHOR_BYTES;
		anchor_encode(&s->now, req.anchor.bytes);
		e = str_set(req.node, sizeof req.node, v->boot.node);
		if (e == ERR_OK)
			e = ask_hsm_anchor_set(v->hsm, &req, v->limits.hsm_deadline_ms, was_set, s);
		if (e == ERR_OK)
			return;
	}
	mem_free(s);
	if (done)
		done(arg, e);
}
