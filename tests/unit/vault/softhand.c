#include "tests/unit/vault/softhand.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "policy/schema/wire.pb.h"

struct softhand softhand;

static struct {
	uint8_t kek[32], ahk[32], ask[64], xsk[64], ask_public[32], xsk_public[32];
	/* the open question */
	enum msg number;
	union {
		sp_hsm_make_key_req make;
		sp_hsm_wrap_new_req wrap;
		sp_hsm_unwrap_req unwrap;
		sp_hsm_public_req public;
		sp_hsm_mac_req mac;
		sp_hsm_sign_req sign;
	} q;
	peer_done_fn done;
	void *arg;
} hsm;

void
softhand_reset(void)
{
	memset(&softhand, 0, sizeof softhand);
	memset(&hsm, 0, sizeof hsm);
	randombytes_buf(hsm.kek, sizeof hsm.kek);
	randombytes_buf(hsm.ahk, sizeof hsm.ahk);
	crypto_sign_keypair(hsm.ask_public, hsm.ask);
	crypto_sign_keypair(hsm.xsk_public, hsm.xsk);
}

enum err
peer_ask(struct peer *p, enum msg number, const void *req, uint32_t deadline_ms, peer_done_fn done, void *arg)
{
	(void)p, (void)deadline_ms;
	assert(!softhand.busy);
	softhand.asked++;
	if (softhand.refuse && softhand.asked == softhand.fail_at)
		return softhand.fail_with;
	hsm.number = number;
	memcpy(&hsm.q, req, msg_row_of(number)->request_bytes);
	hsm.done = done;
	hsm.arg = arg;
	softhand.busy = true;
	return ERR_OK;
}

/* Nonce ‖ secretbox over (SHA-256 of the associated data ‖ key): as bound as the real one. */
static void
wrap(const uint8_t *ad, size_t ad_bytes, const uint8_t key[32], sp_hsm_wrap_new_rep *a)
{
	uint8_t plain[64];
	crypto_hash_sha256(plain, ad, ad_bytes);
	memcpy(plain + 32, key, 32);
	randombytes_buf(a->wrapped.bytes, 24);
	crypto_secretbox_easy(a->wrapped.bytes + 24, plain, 64, a->wrapped.bytes, hsm.kek);
	a->wrapped.size = 24 + 64 + 16;
}

static enum err
unwrap(const sp_hsm_unwrap_req *q, sp_hsm_unwrap_rep *a)
{
	uint8_t plain[64], bound[32];
	crypto_hash_sha256(bound, q->ad.bytes, q->ad.size);
	if (q->wrapped.size != 104 ||
		crypto_secretbox_open_easy(plain, q->wrapped.bytes + 24, 80, q->wrapped.bytes, hsm.kek) != 0 ||
		memcmp(plain, bound, 32) != 0)
		return ERR_HSM_CORRUPT;
	memcpy(a->key.bytes, plain + 32, 32);
	a->key.size = 32;
	return ERR_OK;
}

static bool
give_public(const char *key, uint8_t out[32])
{
	const uint8_t *from = strcmp(key, "ask") == 0 ? hsm.ask_public : strcmp(key, "xsk") == 0 ? hsm.xsk_public : NULL;
	if (from)
		memcpy(out, from, 32);
	return from != NULL;
}

static void
note_ad(const uint8_t *ad, size_t n)
{
	memcpy(softhand.ad, ad, n);
	softhand.ad_bytes = n;
}

static void
answer_one(void)
{
	union {
		sp_hsm_make_key_rep make;
		sp_hsm_wrap_new_rep wrap;
		sp_hsm_unwrap_rep unwrap;
		sp_hsm_public_rep public;
		sp_hsm_mac_rep mac;
		sp_hsm_sign_rep sign;
	} a;
	uint8_t *first = NULL;
	enum err e = ERR_OK;
	memset(&a, 0, sizeof a);
	switch ((int)hsm.number) {
	case MSG_hsm_make_key:
		a.make.public_key.size = give_public(hsm.q.make.key, a.make.public_key.bytes) ? 32 : 0;
		first = a.make.public_key.bytes;
		break;
	case MSG_hsm_wrap_new:
		note_ad(hsm.q.wrap.ad.bytes, hsm.q.wrap.ad.size);
		randombytes_buf(a.wrap.key.bytes, 32);
		a.wrap.key.size = 32;
		wrap(hsm.q.wrap.ad.bytes, hsm.q.wrap.ad.size, a.wrap.key.bytes, &a.wrap);
		first = a.wrap.key.bytes;
		break;
	case MSG_hsm_unwrap:
		note_ad(hsm.q.unwrap.ad.bytes, hsm.q.unwrap.ad.size);
		e = unwrap(&hsm.q.unwrap, &a.unwrap);
		first = a.unwrap.key.bytes;
		break;
	case MSG_hsm_public:
		a.public.public_key.size = give_public(hsm.q.public.key, a.public.public_key.bytes) ? 32 : 0;
		first = a.public.public_key.bytes;
		break;
	case MSG_hsm_mac:
		crypto_auth_hmacsha256(a.mac.mac.bytes, hsm.q.mac.data.bytes, hsm.q.mac.data.size, hsm.ahk);
		a.mac.mac.size = 32;
		first = a.mac.mac.bytes;
		break;
	case MSG_hsm_sign:
		crypto_sign_detached(a.sign.signature.bytes, NULL, hsm.q.sign.data.bytes, hsm.q.sign.data.size, hsm.ask);
		a.sign.signature.size = 64;
		first = a.sign.signature.bytes;
		break;
	default:
		assert(0);
	}
	softhand.busy = false;
	if (softhand.asked == softhand.fail_at && softhand.lie)
		*first ^= 1;
	else if (softhand.asked == softhand.fail_at)
		e = softhand.fail_with;
	hsm.done(hsm.arg, e, e == ERR_OK ? &a : NULL);
}

void
softhand_run(void)
{
	while (softhand.busy)
		answer_one();
}
