#include "vault/hsm/wrap.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "vault/hsm/ckr.h"
#include "vault/hsm/hsmkey.h"
#include "vault/hsm/probe.h"

#define BLOB_VERSION 1
#define HEAD_BYTES   6
#define IV_BYTES     12
#define TAG_BYTES    16
#define BIND_BYTES   16

/* One wrap or unwrap; key and blob are the caller's. */
struct work {
	uint32_t kek;
	const uint8_t *ad;
	size_t ad_bytes;
	uint8_t *key;
	size_t key_bytes;
	uint8_t *blob;
	size_t blob_bytes;
	uint8_t iv[IV_BYTES];
};

static void
put_head(uint8_t head[HEAD_BYTES], enum p11_wrap how, uint32_t kek)
{
	head[0] = BLOB_VERSION;
	head[1] = (uint8_t)how;
	for (int i = 0; i < 4; i++)
		head[2 + i] = (uint8_t)(kek >> (24 - 8 * i));
}

/* What a wrapped key is bound to: its own head first, so that a blob can't be passed off as another kind. */
struct bound {
	uint8_t bytes[HEAD_BYTES + WRAP_AD_MAX];
	size_t len;
};

static void
bind(struct bound *b, const uint8_t head[HEAD_BYTES], const struct work *w)
{
	memcpy(b->bytes, head, HEAD_BYTES);
	if (w->ad_bytes)
		memcpy(b->bytes + HEAD_BYTES, w->ad, w->ad_bytes);
	b->len = HEAD_BYTES + w->ad_bytes;
}

/* ── AES-GCM by C_Encrypt and C_Decrypt ── */

static CK_RV
seal_gcm(struct p11 *p, CK_OBJECT_HANDLE kek, struct work *w)
{
	uint8_t *iv = w->blob + HEAD_BYTES, *sealed = iv + IV_BYTES;
	CK_ULONG n = WRAP_BLOB_MAX - HEAD_BYTES - IV_BYTES;
	struct bound b;
	bind(&b, w->blob, w);
	memcpy(iv, w->iv, IV_BYTES);
	CK_GCM_PARAMS params = probe_gcm(iv, b.bytes, b.len);
	CK_MECHANISM gcm = {CKM_AES_GCM, &params, sizeof params};
	CK_RV rv = p->f->C_EncryptInit(p->session, &gcm, kek);
	if (rv == CKR_OK)
		rv = p->f->C_Encrypt(p->session, w->key, w->key_bytes, sealed, &n);
	if (rv == CKR_OK && n != w->key_bytes + TAG_BYTES)
		rv = CKR_OUR_BAD_ANSWER;
	w->blob_bytes = HEAD_BYTES + IV_BYTES + n;
	return rv;
}

static CK_RV
open_gcm(struct p11 *p, CK_OBJECT_HANDLE kek, struct work *w)
{
	const size_t around = HEAD_BYTES + IV_BYTES + TAG_BYTES;
	/* a module may write as much as it was given, tag and all, before it finds the tag wrong */
	uint8_t opened[WRAP_BLOB_MAX];
	CK_ULONG n = sizeof opened;
	struct bound b;
	if (w->blob_bytes <= around || w->blob_bytes - around > WRAP_KEY_MAX)
		return CKR_OUR_CORRUPT;
	bind(&b, w->blob, w);
	CK_GCM_PARAMS params = probe_gcm(w->blob + HEAD_BYTES, b.bytes, b.len);
	CK_MECHANISM gcm = {CKM_AES_GCM, &params, sizeof params};
	CK_RV rv = p->f->C_DecryptInit(p->session, &gcm, kek);
	if (rv == CKR_OK)
		rv = p->f->C_Decrypt(p->session, w->blob + HEAD_BYTES + IV_BYTES, w->blob_bytes - HEAD_BYTES - IV_BYTES, opened,
							 &n);
	if (rv == CKR_OK && n != w->blob_bytes - around)
		rv = CKR_OUR_BAD_ANSWER;
	if (rv == CKR_OK) {
		memcpy(w->key, opened, n);
		w->key_bytes = n;
	}
	mem_wipe(opened, sizeof opened);
	return rv;
}

/* ── AES key wrap: no associated data there, so its digest is wrapped with the key ── */

static CK_RV
make_loose(struct p11 *p, uint8_t *bytes, CK_ULONG n, CK_OBJECT_HANDLE *out)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE with[] = {
		{CKA_CLASS, &class, sizeof class},   {CKA_KEY_TYPE, &type, sizeof type},
		{CKA_TOKEN, &no, sizeof no},         {CKA_VALUE, bytes, n},
		{CKA_EXTRACTABLE, &yes, sizeof yes},
	};
	return p->f->C_CreateObject(p->session, with, sizeof with / sizeof *with, out);
}

static void
digest_bound(const struct work *w, uint8_t out[BIND_BYTES])
{
	struct bound b;
	uint8_t hash[crypto_hash_sha256_BYTES];
	bind(&b, w->blob, w);
	crypto_hash_sha256(hash, b.bytes, b.len);
	memcpy(out, hash, BIND_BYTES);
}

static CK_MECHANISM
wrap_mechanism(enum p11_wrap how)
{
	return (CK_MECHANISM){how == P11_WRAP_KW ? CKM_AES_KEY_WRAP : CKM_AES_KEY_WRAP_PAD, NULL, 0};
}

static CK_RV
seal_wrap(struct p11 *p, CK_OBJECT_HANDLE kek, struct work *w)
{
	uint8_t plain[WRAP_KEY_MAX + BIND_BYTES];
	CK_OBJECT_HANDLE loose;
	CK_ULONG n = WRAP_BLOB_MAX - HEAD_BYTES;
	CK_MECHANISM m = wrap_mechanism(w->blob[1]);
	memcpy(plain, w->key, w->key_bytes);
	digest_bound(w, plain + w->key_bytes);
	CK_RV rv = make_loose(p, plain, w->key_bytes + BIND_BYTES, &loose);
	mem_wipe(plain, sizeof plain);
	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_WrapKey(p->session, &m, kek, loose, w->blob + HEAD_BYTES, &n);
	(void)p->f->C_DestroyObject(p->session, loose);
	w->blob_bytes = HEAD_BYTES + n;
	return rv;
}

static CK_RV
open_wrap(struct p11 *p, CK_OBJECT_HANDLE kek, struct work *w)
{
	uint8_t plain[WRAP_BLOB_MAX], bound[BIND_BYTES];
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ATTRIBUTE with[] = {
		{CKA_CLASS, &class, sizeof class}, {CKA_KEY_TYPE, &type, sizeof type},  {CKA_TOKEN, &no, sizeof no},
		{CKA_SENSITIVE, &no, sizeof no},   {CKA_EXTRACTABLE, &yes, sizeof yes},
	};
	CK_ATTRIBUTE value = {CKA_VALUE, plain, sizeof plain};
	CK_MECHANISM m = wrap_mechanism(w->blob[1]);
	CK_OBJECT_HANDLE loose;
	CK_RV rv = p->f->C_UnwrapKey(p->session, &m, kek, w->blob + HEAD_BYTES, w->blob_bytes - HEAD_BYTES, with,
								 sizeof with / sizeof *with, &loose);
	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_GetAttributeValue(p->session, loose, &value, 1);
	(void)p->f->C_DestroyObject(p->session, loose);
	if (rv == CKR_OK && (value.ulValueLen <= BIND_BYTES || value.ulValueLen > WRAP_KEY_MAX + BIND_BYTES))
		rv = CKR_OUR_CORRUPT;
	digest_bound(w, bound);
	if (rv == CKR_OK && sodium_memcmp(plain + value.ulValueLen - BIND_BYTES, bound, BIND_BYTES) != 0)
		rv = CKR_OUR_CORRUPT;
	if (rv == CKR_OK) {
		w->key_bytes = value.ulValueLen - BIND_BYTES;
		memcpy(w->key, plain, w->key_bytes);
	}
	mem_wipe(plain, sizeof plain);
	return rv;
}

/* ── the two verbs ── */

typedef CK_RV (*way_fn)(struct p11 *p, CK_OBJECT_HANDLE kek, struct work *w);
static const struct way {
	way_fn seal, open;
} ways[] = {[P11_WRAP_GCM] = {seal_gcm, open_gcm},
			[P11_WRAP_KWP] = {seal_wrap, open_wrap},
			[P11_WRAP_KW] = {seal_wrap, open_wrap}};

static CK_RV
do_seal(struct p11 *p, void *arg)
{
	struct work *w = arg;
	CK_OBJECT_HANDLE kek;
	enum p11_wrap how;
	CK_RV rv = hsmkey_kek(p, w->kek, &kek, &how);
	if (rv != CKR_OK)
		return rv;
	put_head(w->blob, how, w->kek);
	return ways[how].seal(p, kek, w);
}

/*
 * Modules answer a wrong tag with anything, a plain CKR_GENERAL_ERROR too, and so does a device that has just died. If
 * the same key still wraps something new, the device works and the blob is to blame.
 */
static CK_RV
judge(struct p11 *p, const struct work *w, CK_OBJECT_HANDLE kek, const struct way *way, CK_RV rv)
{
	uint8_t key[16] = {0}, blob[WRAP_BLOB_MAX];
	struct work trial = {.kek = w->kek, .key = key, .key_bytes = sizeof key, .blob = blob};
	if (!ckr_vague(rv))
		return rv;
	randombytes_buf(trial.iv, sizeof trial.iv);
	put_head(blob, w->blob[1], w->kek);
	CK_RV works = way->seal(p, kek, &trial);
	return works == CKR_OK ? CKR_OUR_CORRUPT : works;
}

static CK_RV
do_open(struct p11 *p, void *arg)
{
	struct work *w = arg;
	CK_OBJECT_HANDLE kek;
	enum p11_wrap how;
	CK_RV rv = hsmkey_kek(p, w->kek, &kek, &how);
	if (rv != CKR_OK)
		return rv;
	/* a KEK that wraps may have done so by either kind of wrap; one that encrypts never has */
	if ((how == P11_WRAP_GCM) != (w->blob[1] == P11_WRAP_GCM))
		return CKR_OUR_CORRUPT;
	how = w->blob[1];
	rv = ways[how].open(p, kek, w);
	if (rv == CKR_OK)
		return rv;
	rv = judge(p, w, kek, &ways[how], rv);
	/* whatever is left that is not the device's or the session's fault is the blob's */
	return ckr_session_lost(rv) || ckr_device(rv) ? rv : CKR_OUR_CORRUPT;
}

enum err
wrap_open(struct p11 *p, uint32_t kek, const uint8_t *ad, size_t ad_bytes, const uint8_t *blob, size_t blob_bytes,
		  uint8_t key_out[WRAP_KEY_MAX], size_t *key_bytes_out)
{
	uint8_t head[HEAD_BYTES], copy[WRAP_BLOB_MAX];
	struct work w = {
		.kek = kek, .ad = ad, .ad_bytes = ad_bytes, .key = key_out, .blob = copy, .blob_bytes = blob_bytes};
	*key_bytes_out = 0;
	memset(key_out, 0, WRAP_KEY_MAX);
	if (blob_bytes < HEAD_BYTES || blob_bytes > WRAP_BLOB_MAX || ad_bytes > WRAP_AD_MAX)
		return ERR_HSM_CORRUPT;
	put_head(head, blob[1], kek);
	if (memcmp(head, blob, HEAD_BYTES) != 0 || blob[1] < P11_WRAP_GCM || blob[1] > P11_WRAP_KW)
		return ERR_HSM_CORRUPT;
	memcpy(copy, blob, blob_bytes);
	enum err e = p11_run(p, do_open, &w);
	if (e == ERR_OK)
		*key_bytes_out = w.key_bytes;
	else
		mem_wipe(key_out, WRAP_KEY_MAX);
	return e;
}

enum err
wrap_seal(struct p11 *p, uint32_t kek, const uint8_t *ad, size_t ad_bytes, const uint8_t *key, size_t key_bytes,
		  struct wrap_blob *out)
{
	uint8_t copy[WRAP_KEY_MAX], again[WRAP_KEY_MAX];
	size_t again_bytes;
	struct work w = {
		.kek = kek, .ad = ad, .ad_bytes = ad_bytes, .key = copy, .key_bytes = key_bytes, .blob = out->bytes};
	out->len = 0;
	if (key_bytes < 16 || key_bytes > WRAP_KEY_MAX || key_bytes % 8 != 0 || ad_bytes > WRAP_AD_MAX)
		return ERR_OUT_OF_RANGE;
	memcpy(copy, key, key_bytes);
	enum err e = p11_random(p, w.iv, sizeof w.iv);
	if (e == ERR_OK)
		e = p11_run(p, do_seal, &w);
	/* a key that can't be read back is lost with all that it protects: see it now */
	if (e == ERR_OK)
		e = wrap_open(p, kek, ad, ad_bytes, w.blob, w.blob_bytes, again, &again_bytes);
	if (e == ERR_OK && (again_bytes != key_bytes || sodium_memcmp(again, key, key_bytes) != 0))
		e = ERR_CRYPTO;
	if (e == ERR_HSM_CORRUPT)
		e = ERR_CRYPTO;
	mem_wipe(copy, sizeof copy);
	mem_wipe(again, sizeof again);
	if (e == ERR_OK)
		out->len = w.blob_bytes;
	return e;
}
