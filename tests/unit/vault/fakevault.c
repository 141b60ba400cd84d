#include "tests/unit/vault/fakevault.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/wire/peer.h"
#include "vault/cvc.h"
#include "vault/grant.h"
#include "vault/refusals.h"

static struct {
	struct vault v;
	char dir[128], path[160];
	struct secret *key[KEY_PURPOSE_MAX];
	struct xaes *xaes[KEY_PURPOSE_MAX];
	uint8_t ask_secret[64];
	uint8_t rep[sizeof(sp_vault_audit_read_rep) + sizeof(sp_tokenize_rep)];
	size_t rep_bytes;
	unsigned answers;
	enum err last, written;
} fake;

/* ── a keyring without an HSM ── */

enum err
keyring_get(const struct keyring *k, enum key_purpose p, uint32_t generation, enum key_operation op,
			const struct secret **out)
{
	(void)k;
	(void)op;
	*out = fake.key[p];
	return generation == 1 ? ERR_OK : ERR_HSM_KEY;
}

enum err
keyring_xaes(const struct keyring *k, enum key_purpose p, uint32_t generation, enum key_operation op,
			 const struct xaes **out)
{
	(void)k;
	(void)op;
	*out = fake.xaes[p];
	return generation == 1 ? ERR_OK : ERR_HSM_KEY;
}

enum err
keyring_active(const struct keyring *k, enum key_purpose p, uint32_t *generation_out)
{
	(void)k;
	(void)p;
	*generation_out = 1;
	return ERR_OK;
}

size_t
keyring_list(const struct keyring *k, sp_key_view *out, size_t max)
{
	(void)k;
	(void)out;
	(void)max;
	return 0;
}

/* ── an HSM that signs when it is told to ── */

static struct {
	peer_done_fn done;
	void *arg;
	sp_hsm_sign_req req;
} asked[8];
static unsigned asked_n;

enum err
peer_ask(struct peer *p, enum msg number, const void *req, uint32_t deadline_ms, peer_done_fn done, void *arg)
{
	(void)p;
	(void)deadline_ms;
	assert_true(asked_n < 8);
	asked[asked_n].done = done;
	asked[asked_n].arg = arg;
	if (number == MSG_hsm_sign)
		asked[asked_n].req = *(const sp_hsm_sign_req *)req;
	asked_n++;
	return ERR_OK;
}

unsigned
fake_hsm_answers(enum err e)
{
	unsigned n = 0;
	while (asked_n > 0) {
		sp_hsm_sign_rep rep = sp_hsm_sign_rep_init_zero;
		sp_hsm_sign_req req = asked[0].req;
		peer_done_fn done = asked[0].done;
		void *arg = asked[0].arg;
		memmove(asked, asked + 1, sizeof asked - sizeof asked[0]);
		asked_n--;
		n++;
		rep.signature.size = 64;
		crypto_sign_detached(rep.signature.bytes, NULL, req.data.bytes, req.data.size, fake.ask_secret);
		done(arg, e, e == ERR_OK ? &rep : NULL);
	}
	return n;
}

/* ── replies ── */

static void
take(enum err e, const void *rep)
{
	fake.answers++;
	fake.last = e;
	if (rep)
		memcpy(fake.rep, rep, fake.rep_bytes);
}

void
call_reply(struct call *call, enum err e, const void *rep)
{
	assert_non_null(call);
	take(e, rep);
}

static void
reply(struct call *call, enum err e, const void *rep)
{
	call_reply(call, e, rep);
}

static void
written(struct vault *v, enum err e, size_t members, int64_t took_us)
{
	(void)v;
	(void)members;
	(void)took_us;
	fake.written = e;
}

/* ── life ── */

static void
open_stores(void)
{
	static const struct group_hooks hooks = {reply, written};
	struct vault *v = &fake.v;
	OK(db_open(fake.path, fake.key[KEY_PGK_VAULT]->bytes, NULL, &v->db));
	OK(db_migrate(v->db, vault_migrations(), VAULT_MIGRATIONS));
	OK(logbook_open(v->db, v->origin, v->boot.install, "vault", &v->log));
	OK(group_new(&hooks, &v->group));
	OK(cvc_new(&v->cvc));
	OK(grant_new(&v->grants));
	OK(refusals_new(&v->refusals));
}

static void
close_stores(void)
{
	struct vault *v = &fake.v;
	refusals_free(v->refusals);
	grant_free(v->grants);
	cvc_free(v->cvc);
	group_free(v->group);
	logbook_close(v->log);
	db_close(v->db);
}

static void
make_keys(void)
{
	static bool arena;
	if (!arena)
		OK(secret_open(1 << 20));
	arena = true;
	for (int p = 0; p < KEY_PURPOSE_MAX; p++) {
		OK(secret_new(32, &fake.key[p]));
		randombytes_buf(fake.key[p]->bytes, 32);
		OK(xaes_new(fake.key[p], &fake.xaes[p]));
	}
}

struct vault *
fake_open(const char *in)
{
	struct vault *v = &fake.v;
	struct boot_key ask = {.purpose = KEY_ASK, .generation = 1, .state = KEY_ACTIVE, .has_public = true};
	memset(&fake, 0, sizeof fake);
	assert_true(sodium_init() >= 0);
	snprintf(fake.dir, sizeof fake.dir, "%s/sallyport-vault-XXXXXX", in);
	assert_non_null(mkdtemp(fake.dir));
	snprintf(fake.path, sizeof fake.path, "%s/vault.db", fake.dir);
	OK(db_warm());
	make_keys();
	OK(boot_init(&v->boot, "t1", "a", true));
	crypto_sign_keypair(ask.public_key, fake.ask_secret);
	OK(boot_add_key(&v->boot, &ask));
	OK(vault_name(v));
	v->hsm_in = true;
	v->limits = (struct vault_limits){
		.cvc_ttl_ms = 3600000, .idempotency_ttl_ms = 86400000, .redeem_per_minute = 100000, .hsm_deadline_ms = 1000};
	open_stores();
	return v;
}

void
fake_restart(void)
{
	close_stores();
	open_stores();
}

void
fake_close(void)
{
	char cmd[160];
	close_stores();
	for (int p = 0; p < KEY_PURPOSE_MAX; p++) {
		xaes_free(fake.xaes[p]);
		secret_free(fake.key[p]);
	}
	asked_n = 0;
	snprintf(cmd, sizeof cmd, "rm -r %s", fake.dir);
	assert_int_equal(system(cmd), 0);
}

const char *
fake_dir(void)
{
	return fake.dir;
}

void
fake_add(const struct group_command *c, const void *req)
{
	static int a_call;
	fake.rep_bytes = c->rep_bytes;
	group_run(&fake.v, (struct call *)(void *)&a_call, c, req);
}

enum err
fake_commit(void)
{
	return group_commit(&fake.v);
}

enum err
fake_run(const struct group_command *c, const void *req, void *rep)
{
	fake.answers = 0;
	memset(fake.rep, 0, sizeof fake.rep);
	fake_add(c, req);
	(void)fake_commit();
	if (fake.answers == 0)
		(void)fake_hsm_answers(ERR_OK);
	assert_int_equal(fake.answers, 1);
	if (rep)
		memcpy(rep, fake.rep, c->rep_bytes);
	return fake.last;
}

unsigned
fake_answers(enum err *last_out)
{
	unsigned n = fake.answers;
	fake.answers = 0;
	*last_out = fake.last;
	return n;
}

enum err
fake_written(void)
{
	return fake.written;
}

unsigned
fake_leaves(const char *text)
{
	unsigned found = 0;
	struct stmt *s = db_stmt(fake.v.db, "SELECT count(*) FROM leaf WHERE instr(record, CAST(?1 AS BLOB)) > 0");
	bool row;
	stmt_text(s, 1, text);
	OK(stmt_row(s, &row));
	found = (unsigned)col_int(s, 0);
	stmt_done(s);
	return found;
}

sp_tokenize_req
fake_card(const char *number, const char *key)
{
	sp_tokenize_req r = sp_tokenize_req_init_zero;
	time_t now = time(NULL);
	strcpy(r.client, "demo");
	strcpy(r.merchant, "demo");
	strcpy(r.idempotency_key, key);
	r.pan.size = (pb_size_t)strlen(number);
	memcpy(r.pan.bytes, number, strlen(number));
	r.exp_month = 12;
	r.exp_year = (uint32_t)(1970 + now / 31556952 + 2);
	r.dedupe = true;
	return r;
}
