#include "vault/signing.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/audit/manifest.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/ask.h"

#define TAR_HASH_BYTES 64

/* From COMMIT to the last signature. */
struct export
{
	struct vault *v;
	struct call *call;
	bool tar; /* second question: three signatures */
	unsigned signed_n;
	sp_sign_export_req req;
	sp_sign_export_rep rep;
};

static void
finish(struct export *x, enum err e)
{
	call_reply(x->call, e, e == ERR_OK ? &x->rep : NULL);
	mem_free(x);
}

/* What the n-th signature is over, and where it goes. */
static size_t
part_of(struct export *x, unsigned n, uint8_t *data, uint8_t **signature_out)
{
	size_t comment = strlen(x->req.trusted_comment);
	switch (n) {
	case 0:
		*signature_out = x->rep.manifest_signature.bytes;
		memcpy(data, x->req.manifest.bytes, x->req.manifest.size);
		return x->req.manifest.size;
	case 1:
		*signature_out = x->rep.tar_signature.bytes;
		memcpy(data, x->req.tar_blake2b.bytes, TAR_HASH_BYTES);
		return TAR_HASH_BYTES;
	default:
		*signature_out = x->rep.global_signature.bytes;
		memcpy(data, x->rep.tar_signature.bytes, 64);
		memcpy(data + 64, x->req.trusted_comment, comment);
		return 64 + comment;
	}
}

static enum err ask_next(struct export *x);

static void
part_signed(void *arg, enum err e, const void *answer)
{
	struct export *x = arg;
	const sp_hsm_sign_rep *rep = answer;
	uint8_t data[MANIFEST_BYTES_MAX], *to = NULL;
	const struct boot_key *xsk = boot_active(&x->v->boot, KEY_XSK);
	size_t bytes = part_of(x, x->signed_n, data, &to);
	if (e == ERR_OK && (!rep || rep->signature.size != 64 || !xsk ||
						crypto_sign_verify_detached(rep->signature.bytes, data, bytes, xsk->public_key) != 0))
		e = ERR_CRYPTO;
	if (e == ERR_OK) {
		memcpy(to, rep->signature.bytes, 64);
		x->signed_n++;
		if (x->signed_n < (x->tar ? 3u : 1u)) {
			e = ask_next(x);
			if (e == ERR_OK)
				return;
		}
	}
	finish(x, e);
}

static enum err
ask_next(struct export *x)
{
	sp_hsm_sign_req req = sp_hsm_sign_req_init_zero;
	const struct boot_key *xsk = boot_active(&x->v->boot, KEY_XSK);
	uint8_t *to;
	if (!xsk)
		return ERR_HSM_KEY;
	memcpy(req.key, "xsk", 4);
	req.generation = xsk->generation;
	static_assert(sizeof req.data.bytes >= MANIFEST_BYTES_MAX, "a manifest fits one question");
	req.data.size = (pb_size_t)part_of(x, x->signed_n, req.data.bytes, &to);
	return ask_hsm_sign(x->v->hsm, &req, x->v->limits.hsm_deadline_ms, part_signed, x);
}

static void
after_commit(struct vault *v, struct member *m)
{
	struct export *x = m->state;
	if (!x || m->e != ERR_OK)
		return;
	m->state = NULL;
	x->call = m->call;
	m->call = NULL;
	enum err e = v->hsm_in ? ask_next(x) : ERR_HSM_AWAY;
	if (e != ERR_OK)
		finish(x, e);
}

/* Was this note signed by this vault, for this log? */
static enum err
check_note(struct vault *v, const uint8_t *note, size_t bytes, const char *origin)
{
	struct checkpoint c;
	const struct boot_key *ask = boot_active(&v->boot, KEY_ASK);
	if (!ask)
		return ERR_HSM_KEY;
	enum err e = note_open((const char *)note, bytes, v->ask_name, ask->public_key, &c);
	return e == ERR_OK && strcmp(c.origin, origin) != 0 ? ERR_VERIFY_FAILED : e;
}

static enum err
check(struct vault *v, const sp_sign_export_req *r)
{
	bool ledger = r->ledger_checkpoint.size > 0;
	if (r->tar_blake2b.size != 0 && r->tar_blake2b.size != TAR_HASH_BYTES)
		return ERR_OUT_OF_RANGE;
	size_t comment = strlen(r->trusted_comment);
	if (r->tar_blake2b.size > 0 &&
		(comment == 0 || comment > 255 || !str_utf8((const uint8_t *)r->trusted_comment, comment)))
		return ERR_CHARACTERS;
	for (size_t i = 0; i < comment; i++)
		if (r->trusted_comment[i] < 0x20 || r->trusted_comment[i] > 0x7e)
			return ERR_CHARACTERS;
	enum err e = check_note(v, r->vault_checkpoint.bytes, r->vault_checkpoint.size, v->origin);
	if (e == ERR_OK && ledger)
		e = check_note(v, r->ledger_checkpoint.bytes, r->ledger_checkpoint.size, v->ledger_origin);
	if (e == ERR_OK)
		e = manifest_check((const char *)r->manifest.bytes, r->manifest.size, (const char *)r->vault_checkpoint.bytes,
						   r->vault_checkpoint.size, (const char *)r->ledger_checkpoint.bytes,
						   r->ledger_checkpoint.size);
	return e;
}

static enum err
act(struct vault *v, const void *req, struct member *m)
{
	const sp_sign_export_req *r = req;
	const struct boot_key *xsk = boot_active(&v->boot, KEY_XSK);
	uint8_t hash[crypto_hash_sha256_BYTES];
	char object[33], uid[16];
	enum err e = v->hsm_in ? check(v, r) : ERR_HSM_AWAY;
	if (e == ERR_OK && !xsk)
		e = ERR_HSM_KEY;
	if (e != ERR_OK)
		return e;
	struct export *x = mem_new(1, sizeof *x);
	if (!x)
		return ERR_MEMORY;
	m->state = x;
	m->after = after_commit;
	x->v = v;
	x->tar = r->tar_blake2b.size > 0;
	x->req = *r;
	x->rep.manifest_signature.size = 64;
	x->rep.tar_signature.size = x->rep.global_signature.size = x->tar ? 64 : 0;
	x->rep.public_key.size = 32;
	memcpy(x->rep.public_key.bytes, xsk->public_key, 32);
	crypto_hash_sha256(hash, xsk->public_key, 32);
	x->rep.key_id.size = 8;
	memcpy(x->rep.key_id.bytes, hash, 8);
	crypto_hash_sha256(hash, r->manifest.bytes, r->manifest.size);
	str_hex(hash, 16, object);
	snprintf(uid, sizeof uid, "%u", (unsigned)r->uid);
	struct leaf l = {.event = EVENT_AUDIT_EXPORT,
					 .actor = ACTOR_UID,
					 .actor_id = uid,
					 .object_id = object,
					 .reason = x->tar ? "tar" : "manifest"};
	return vault_leaf(v, &l);
}

const struct group_command signing_export_command = {.act = act};
