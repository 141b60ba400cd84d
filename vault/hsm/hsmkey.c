#include "vault/hsm/hsmkey.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "vault/hsm/ckr.h"
#include "vault/hsm/probe.h"

enum kind { KIND_KEK, KIND_PAIR, KIND_MAC };

static const struct purpose {
	const char *name;
	enum kind kind;
} purposes[] = {{"kek", KIND_KEK}, {"ask", KIND_PAIR}, {"xsk", KIND_PAIR}, {"ahk", KIND_MAC}};

/* What one call is about; `label` is "<purpose>-<generation>". */
struct ask {
	const struct purpose *purpose;
	char label[P11_LABEL_BYTES];
	uint32_t generation;
	const uint8_t *data;
	size_t bytes;
	uint8_t *out;
	bool existed;
};

static enum err
begin(struct ask *a, const char *purpose, uint32_t generation)
{
	a->purpose = NULL;
	for (size_t i = 0; i < sizeof purposes / sizeof *purposes; i++)
		if (strcmp(purposes[i].name, purpose) == 0)
			a->purpose = &purposes[i];
	if (!a->purpose || generation == 0)
		return ERR_NOT_FOUND;
	a->generation = generation;
	(void)snprintf(a->label, sizeof a->label, "%s-%u", purpose, generation);
	return ERR_OK;
}

/*
 * The id says for whom a key was made: a token that bears our labels with other ids is another installation's. A few
 * bytes, since some modules have no room for more.
 */
void
hsmkey_id(const struct p11 *p, const char *label, uint8_t out[HSMKEY_ID_BYTES])
{
	crypto_generichash_state h;
	uint8_t hash[16];
	crypto_generichash_init(&h, NULL, 0, sizeof hash);
	crypto_generichash_update(&h, (const uint8_t *)p->install, strlen(p->install) + 1);
	crypto_generichash_update(&h, (const uint8_t *)label, strlen(label));
	crypto_generichash_final(&h, hash, sizeof hash);
	memcpy(out, hash, HSMKEY_ID_BYTES);
}

bool
hsmkey_is_label(const char *label)
{
	for (size_t i = 0; i < sizeof purposes / sizeof *purposes; i++) {
		size_t n = strlen(purposes[i].name);
		if (strncmp(label, purposes[i].name, n) == 0 && label[n] == '-' && label[n + 1] &&
			strspn(label + n + 1, "0123456789") == strlen(label + n + 1))
			return true;
	}
	return false;
}

/* ── what a key must be ── */

struct flag {
	CK_ATTRIBUTE_TYPE type;
	CK_BBOOL want;
};

/* Any of these different, and somebody else made the key, or made it weaker. */
static const struct flag never_out[] = {{CKA_TOKEN, CK_TRUE},
										{CKA_PRIVATE, CK_TRUE},
										{CKA_SENSITIVE, CK_TRUE},
										{CKA_EXTRACTABLE, CK_FALSE},
										{CKA_LOCAL, CK_TRUE}};

static CK_RV
read_flag(struct p11 *p, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type, CK_BBOOL *out)
{
	CK_ATTRIBUTE a = {type, out, sizeof *out};
	*out = CK_FALSE;
	CK_RV rv = p->f->C_GetAttributeValue(p->session, key, &a, 1);
	/* an attribute that this kind of key can't have is as good as FALSE */
	return rv == CKR_ATTRIBUTE_TYPE_INVALID ? CKR_OK : rv;
}

static CK_RV
check_flags(struct p11 *p, CK_OBJECT_HANDLE key, const struct flag *flags, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		CK_BBOOL is;
		CK_RV rv = read_flag(p, key, flags[i].type, &is);
		if (rv != CKR_OK)
			return rv;
		if (is != flags[i].want)
			return CKR_OUR_KEY_EXPOSED;
	}
	return CKR_OK;
}

/* Finds a key of ours and checks it the first time that this session sees it. */
static CK_RV
find_checked(struct p11 *p, CK_OBJECT_CLASS class, const char *label, CK_OBJECT_HANDLE *out)
{
	size_t known = p->handles_n;
	CK_RV rv = p11_find(p, class, label, out);
	if (rv != CKR_OK || p->handles_n == known)
		return rv;
	rv = check_flags(p, *out, never_out, sizeof never_out / sizeof *never_out);
	if (rv != CKR_OK)
		p11_forget(p);
	return rv;
}

CK_RV
hsmkey_kek(struct p11 *p, uint32_t generation, CK_OBJECT_HANDLE *out, enum p11_wrap *how)
{
	char label[P11_LABEL_BYTES];
	CK_BBOOL wraps, decrypts;
	(void)snprintf(label, sizeof label, "kek-%u", generation);
	CK_RV rv = find_checked(p, CKO_SECRET_KEY, label, out);
	if (rv == CKR_OK)
		rv = read_flag(p, *out, CKA_WRAP, &wraps);
	if (rv == CKR_OK)
		rv = read_flag(p, *out, CKA_DECRYPT, &decrypts);
	if (rv != CKR_OK)
		return rv;
	/* one that does both would decrypt what it wrapped: whoever has the PIN has the keys */
	if (wraps == decrypts)
		return CKR_OUR_KEY_EXPOSED;
	if (decrypts)
		*how = P11_WRAP_GCM;
	else
		*how = p->power.wrap == P11_WRAP_KW ? P11_WRAP_KW : P11_WRAP_KWP;
	return CKR_OK;
}

/* ── making ── */

static CK_RV
make_secret(struct p11 *p, struct ask *a)
{
	bool kek = a->purpose->kind == KIND_KEK, gcm = p->power.wrap == P11_WRAP_GCM;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE, crypt = kek && gcm, wrap = kek && !gcm, mac = !kek;
	CK_ULONG bytes = 32;
	CK_BYTE id[HSMKEY_ID_BYTES];
	CK_MECHANISM make = {kek ? CKM_AES_KEY_GEN : CKM_GENERIC_SECRET_KEY_GEN, NULL, 0};
	CK_ATTRIBUTE with[] = {
		{CKA_LABEL, a->label, strlen(a->label)},
		{CKA_ID, id, sizeof id},
		{CKA_VALUE_LEN, &bytes, sizeof bytes},
		{CKA_TOKEN, &yes, sizeof yes},
		{CKA_PRIVATE, &yes, sizeof yes},
		{CKA_SENSITIVE, &yes, sizeof yes},
		{CKA_EXTRACTABLE, &no, sizeof no},
		{CKA_ENCRYPT, &crypt, sizeof crypt},
		{CKA_DECRYPT, &crypt, sizeof crypt},
		{CKA_WRAP, &wrap, sizeof wrap},
		{CKA_UNWRAP, &wrap, sizeof wrap},
		{CKA_SIGN, &mac, sizeof mac},
		{CKA_VERIFY, &no, sizeof no},
	};
	CK_OBJECT_HANDLE key;
	hsmkey_id(p, a->label, id);
	return p->f->C_GenerateKey(p->session, &make, with, sizeof with / sizeof *with, &key);
}

static CK_RV
make_pair(struct p11 *p, struct ask *a)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_RV rv = CKR_OUR_NO_MECHANISM;
	CK_MECHANISM make = {CKM_EC_EDWARDS_KEY_PAIR_GEN, NULL, 0};
	CK_BYTE id[HSMKEY_ID_BYTES];
	if (!p->power.ed25519)
		return rv;
	hsmkey_id(p, a->label, id);
	for (size_t i = 0; i < PROBE_CURVES && rv != CKR_OK; i++) {
		struct probe_curve curve = probe_curves[i];
		CK_ATTRIBUTE pub[] = {
			{CKA_LABEL, a->label, strlen(a->label)}, {CKA_ID, id, sizeof id},
			{CKA_EC_PARAMS, curve.bytes, curve.len}, {CKA_TOKEN, &yes, sizeof yes},
			{CKA_PRIVATE, &no, sizeof no},           {CKA_VERIFY, &yes, sizeof yes},
			{CKA_ENCRYPT, &no, sizeof no},           {CKA_WRAP, &no, sizeof no},
			{CKA_VERIFY_RECOVER, &no, sizeof no},
		};
		CK_ATTRIBUTE prv[] = {
			{CKA_LABEL, a->label, strlen(a->label)},
			{CKA_ID, id, sizeof id},
			{CKA_TOKEN, &yes, sizeof yes},
			{CKA_PRIVATE, &yes, sizeof yes},
			{CKA_SENSITIVE, &yes, sizeof yes},
			{CKA_EXTRACTABLE, &no, sizeof no},
			{CKA_SIGN, &yes, sizeof yes},
			{CKA_DECRYPT, &no, sizeof no},
			{CKA_UNWRAP, &no, sizeof no},
			{CKA_SIGN_RECOVER, &no, sizeof no}, /* newer modules give it where nobody says no */
		};
		CK_OBJECT_HANDLE a_pub, a_prv;
		rv = p->f->C_GenerateKeyPair(p->session, &make, pub, sizeof pub / sizeof *pub, prv, sizeof prv / sizeof *prv,
									 &a_pub, &a_prv);
	}
	return rv;
}

/* ── using ── */

static CK_RV
sign_once(struct p11 *p, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type, const struct ask *a, CK_BYTE *out, CK_ULONG want)
{
	CK_MECHANISM m = {type, NULL, 0};
	CK_ULONG n = want;
	CK_RV rv = p->f->C_SignInit(p->session, &m, key);
	if (rv == CKR_OK)
		rv = p->f->C_Sign(p->session, (CK_BYTE *)(uintptr_t)a->data, a->bytes, out, &n);
	return rv == CKR_OK && n != want ? CKR_OUR_BAD_ANSWER : rv;
}

/*
 * Sign, and see that the public half takes it: a wrong signature, once published, looks like tampering for ever; a
 * right one costs this to see.
 */
static CK_RV
sign_and_see(struct p11 *p, const struct ask *a, uint8_t signature[64], uint8_t point[32])
{
	CK_OBJECT_HANDLE private_key, public_key;
	CK_RV rv = find_checked(p, CKO_PRIVATE_KEY, a->label, &private_key);
	if (rv == CKR_OK)
		rv = p11_find(p, CKO_PUBLIC_KEY, a->label, &public_key);
	if (rv == CKR_OK)
		rv = probe_point(p, public_key, point);
	if (rv == CKR_OK)
		rv = sign_once(p, private_key, CKM_EDDSA, a, signature, 64);
	if (rv == CKR_OK && crypto_sign_verify_detached(signature, a->data, a->bytes, point) != 0)
		rv = CKR_OUR_BAD_ANSWER;
	return rv;
}

static CK_RV
sign(struct p11 *p, void *arg)
{
	struct ask *a = arg;
	uint8_t point[32];
	return sign_and_see(p, a, a->out, point);
}

static CK_RV
mac(struct p11 *p, void *arg)
{
	struct ask *a = arg;
	uint8_t again[32];
	CK_OBJECT_HANDLE key;
	CK_RV rv = find_checked(p, CKO_SECRET_KEY, a->label, &key);
	if (rv == CKR_OK)
		rv = sign_once(p, key, CKM_SHA256_HMAC, a, a->out, 32);
	if (rv == CKR_OK)
		rv = sign_once(p, key, CKM_SHA256_HMAC, a, again, 32);
	if (rv == CKR_OK && sodium_memcmp(a->out, again, 32) != 0)
		rv = CKR_OUR_BAD_ANSWER;
	mem_wipe(again, sizeof again);
	return rv;
}

/*
 * A public key that was read wrongly would be trusted for ever (the boot file and auditors keep it): let the private
 * half prove that it is its own. The statement is of a form that nothing else is.
 */
static CK_RV
read_public(struct p11 *p, void *arg)
{
	static const char statement[] = "sallyport-possession/1\n";
	struct ask *a = arg, proof = *a;
	uint8_t signature[64], point[32];
	proof.data = (const uint8_t *)statement;
	proof.bytes = sizeof statement - 1;
	CK_RV rv = sign_and_see(p, &proof, signature, point);
	if (rv == CKR_OK)
		memcpy(a->out, point, sizeof point);
	return rv;
}

/* The common way of sign and mac: bounds, run, and nothing left in out when it failed. */
static enum err
use(struct p11 *p, struct ask *a, const char *purpose, uint32_t generation, enum kind kind, p11_fn fn, size_t out_bytes)
{
	memset(a->out, 0, out_bytes);
	enum err e = begin(a, purpose, generation);
	if (e != ERR_OK)
		return e;
	if (a->purpose->kind != kind)
		return ERR_NOT_FOUND;
	if (a->bytes == 0 || a->bytes > HSMKEY_DATA_MAX)
		return ERR_OUT_OF_RANGE;
	e = p11_run(p, fn, a);
	if (e != ERR_OK)
		mem_wipe(a->out, out_bytes);
	return e;
}

enum err
hsmkey_sign(struct p11 *p, const char *purpose, uint32_t generation, const uint8_t *data, size_t bytes, uint8_t out[64])
{
	return use(p, &(struct ask){.data = data, .bytes = bytes, .out = out}, purpose, generation, KIND_PAIR, sign, 64);
}

enum err
hsmkey_mac(struct p11 *p, const char *purpose, uint32_t generation, const uint8_t *data, size_t bytes, uint8_t out[32])
{
	return use(p, &(struct ask){.data = data, .bytes = bytes, .out = out}, purpose, generation, KIND_MAC, mac, 32);
}

/* ── is it whole? ── */

/* Asked of the key itself: whether it encrypts. One that wraps is known by its attributes only. */
static CK_RV
try_kek(struct p11 *p, void *arg)
{
	struct ask *a = arg;
	CK_BYTE iv[12] = {0}, sample[16] = {0}, sealed[32];
	CK_ULONG n = sizeof sealed;
	CK_GCM_PARAMS params = probe_gcm(iv, NULL, 0);
	CK_MECHANISM gcm = {CKM_AES_GCM, &params, sizeof params};
	CK_OBJECT_HANDLE key;
	enum p11_wrap how;
	CK_RV rv = hsmkey_kek(p, a->generation, &key, &how);
	if (rv != CKR_OK || how != P11_WRAP_GCM)
		return rv;
	/* random, like those of the blobs; what it encrypts is thrown away */
	randombytes_buf(iv, sizeof iv);
	rv = p->f->C_EncryptInit(p->session, &gcm, key);
	return rv == CKR_OK ? p->f->C_Encrypt(p->session, sample, sizeof sample, sealed, &n) : rv;
}

static CK_RV
prove(struct p11 *p, struct ask *a)
{
	static const p11_fn ways[] = {[KIND_KEK] = try_kek, [KIND_PAIR] = read_public, [KIND_MAC] = mac};
	static const uint8_t sample[] = "is it whole?";
	uint8_t out[64];
	struct ask trial = *a;
	trial.out = out;
	trial.data = sample;
	trial.bytes = sizeof sample;
	CK_RV rv = ways[a->purpose->kind](p, &trial);
	mem_wipe(out, sizeof out);
	return rv;
}

/* The device's or the session's fault, and not the key's. */
static bool
is_fault(struct p11 *p, CK_RV rv)
{
	CK_BYTE drawn[16];
	if (ckr_vague(rv))
		return p->f->C_GenerateRandom(p->session, drawn, sizeof drawn) != CKR_OK;
	return ckr_device(rv) || ckr_err(rv) == ERR_HSM_MECHANISM;
}

/*
 * All that bears the label. Only while a key is being made, and only what was found not to work: half of a key, or of a
 * pair, that a kill left behind before anything was done with it; or something that somebody put there.
 */
static CK_RV
clear(struct p11 *p, const char *label)
{
	CK_ATTRIBUTE wanted[] = {{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)}};
	CK_OBJECT_HANDLE found[16];
	CK_ULONG n = 0;
	p11_forget(p);
	CK_RV rv = p->f->C_FindObjectsInit(p->session, wanted, 1);
	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_FindObjects(p->session, found, sizeof found / sizeof *found, &n);
	(void)p->f->C_FindObjectsFinal(p->session);
	for (CK_ULONG i = 0; i < n && rv == CKR_OK; i++)
		rv = p->f->C_DestroyObject(p->session, found[i]);
	return rv;
}

static CK_RV
make_key(struct p11 *p, void *arg)
{
	struct ask *a = arg;
	CK_RV rv = prove(p, a);
	a->existed = rv == CKR_OK;
	if (rv == CKR_OK || is_fault(p, rv))
		return rv;
	rv = clear(p, a->label);
	if (rv == CKR_OK)
		rv = a->purpose->kind == KIND_PAIR ? make_pair(p, a) : make_secret(p, a);
	return rv == CKR_OK ? prove(p, a) : rv;
}

/* ── making and reading ── */

enum err
hsmkey_make(struct p11 *p, const char *purpose, uint32_t generation, uint8_t public_out[32], bool *existed_out)
{
	struct ask a = {.out = public_out};
	memset(public_out, 0, 32);
	*existed_out = false;
	enum err e = begin(&a, purpose, generation);
	if (e != ERR_OK)
		return e;
	e = p11_run(p, make_key, &a);
	if (e == ERR_OK && a.purpose->kind == KIND_PAIR)
		e = p11_run(p, read_public, &a);
	*existed_out = a.existed;
	return e;
}

enum err
hsmkey_public(struct p11 *p, const char *purpose, uint32_t generation, uint8_t public_out[32])
{
	struct ask a = {.out = public_out};
	memset(public_out, 0, 32);
	enum err e = begin(&a, purpose, generation);
	if (e != ERR_OK)
		return e;
	return a.purpose->kind == KIND_PAIR ? p11_run(p, read_public, &a) : ERR_NOT_FOUND;
}
