#include "vault/hsm/probe.h"

#include <sodium.h>
#include <string.h>

#include "vault/hsm/ckr.h"

const struct probe_curve probe_curves[PROBE_CURVES] = {
	{{0x06, 0x03, 0x2b, 0x65, 0x70}, 5}, /* OBJECT IDENTIFIER 1.3.101.112 (RFC 8410) */
	{{0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9'},
	 14}, /* PrintableString (PKCS #11 v3.0) */
};

static const CK_BYTE sample[32] = "a probe and not a secret of ours";

CK_GCM_PARAMS
probe_gcm(CK_BYTE iv[12], const CK_BYTE *ad, CK_ULONG ad_bytes)
{
	return (CK_GCM_PARAMS){.pIv = iv,
						   .ulIvLen = 12,
						   .ulIvBits = 96,
						   .pAAD = (CK_BYTE *)(uintptr_t)ad,
						   .ulAADLen = ad_bytes,
						   .ulTagBits = 128};
}

/* Does the module say that it has the mechanism, with these uses? */
static bool
claims(struct p11 *p, CK_MECHANISM_TYPE type, CK_FLAGS uses)
{
	CK_MECHANISM_INFO info;
	return p->f->C_GetMechanismInfo(p->slot, type, &info) == CKR_OK && (info.flags & uses) == uses;
}

/* A session key of `bytes` with one pair of uses. */
static CK_RV
make_session_key(struct p11 *p, CK_MECHANISM_TYPE type, CK_ATTRIBUTE_TYPE use, CK_ATTRIBUTE_TYPE use_back,
				 CK_OBJECT_HANDLE *out)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bytes = 32;
	CK_MECHANISM make = {type, NULL, 0};
	CK_ATTRIBUTE with[] = {
		{CKA_TOKEN, &no, sizeof no},           {CKA_SENSITIVE, &yes, sizeof yes}, {CKA_EXTRACTABLE, &no, sizeof no},
		{CKA_VALUE_LEN, &bytes, sizeof bytes}, {use, &yes, sizeof yes},           {use_back, &yes, sizeof yes},
	};
	return p->f->C_GenerateKey(p->session, &make, with, sizeof with / sizeof *with, out);
}

/* Seals a sample, opens it, and sees that a changed one does not open. */
static CK_RV
try_gcm_with(struct p11 *p, CK_OBJECT_HANDLE key)
{
	CK_BYTE iv[12] = {1, 2, 3}, sealed[64], opened[64];
	CK_ULONG n = sizeof sealed, m = sizeof opened;
	CK_GCM_PARAMS params = probe_gcm(iv, sample, 7);
	CK_MECHANISM gcm = {CKM_AES_GCM, &params, sizeof params};
	CK_RV rv = p->f->C_EncryptInit(p->session, &gcm, key);
	if (rv == CKR_OK)
		rv = p->f->C_Encrypt(p->session, (CK_BYTE *)(uintptr_t)sample, sizeof sample, sealed, &n);
	if (rv == CKR_OK && n != sizeof sample + 16)
		return CKR_OUR_NO_MECHANISM;
	if (rv == CKR_OK)
		rv = p->f->C_DecryptInit(p->session, &gcm, key);
	if (rv == CKR_OK)
		rv = p->f->C_Decrypt(p->session, sealed, n, opened, &m);
	if (rv != CKR_OK)
		return rv;
	if (m != sizeof sample || memcmp(opened, sample, m) != 0)
		return CKR_OUR_NO_MECHANISM;
	sealed[3] ^= 1;
	m = sizeof opened;
	rv = p->f->C_DecryptInit(p->session, &gcm, key);
	if (rv == CKR_OK && p->f->C_Decrypt(p->session, sealed, n, opened, &m) == CKR_OK)
		return CKR_OUR_NO_MECHANISM;
	return rv;
}

static CK_RV
try_gcm(struct p11 *p)
{
	CK_OBJECT_HANDLE key;
	if (!claims(p, CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT))
		return CKR_MECHANISM_INVALID;
	CK_RV rv = make_session_key(p, CKM_AES_KEY_GEN, CKA_ENCRYPT, CKA_DECRYPT, &key);
	if (rv != CKR_OK)
		return rv;
	rv = try_gcm_with(p, key);
	(void)p->f->C_DestroyObject(p->session, key);
	return rv;
}

static CK_RV
try_hmac(struct p11 *p)
{
	CK_OBJECT_HANDLE key;
	CK_BYTE mac[32];
	CK_ULONG n = sizeof mac;
	CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0};
	if (!claims(p, CKM_SHA256_HMAC, CKF_SIGN))
		return CKR_MECHANISM_INVALID;
	CK_RV rv = make_session_key(p, CKM_GENERIC_SECRET_KEY_GEN, CKA_SIGN, CKA_VERIFY, &key);
	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_SignInit(p->session, &hmac, key);
	if (rv == CKR_OK)
		rv = p->f->C_Sign(p->session, (CK_BYTE *)(uintptr_t)sample, sizeof sample, mac, &n);
	(void)p->f->C_DestroyObject(p->session, key);
	return rv == CKR_OK && n != sizeof mac ? CKR_OUR_NO_MECHANISM : rv;
}

CK_RV
probe_point(struct p11 *p, CK_OBJECT_HANDLE public_key, CK_BYTE out[32])
{
	CK_BYTE point[64];
	CK_ATTRIBUTE a = {CKA_EC_POINT, point, sizeof point};
	CK_RV rv = p->f->C_GetAttributeValue(p->session, public_key, &a, 1);
	if (rv != CKR_OK)
		return rv;
	if (a.ulValueLen == 34 && point[0] == 0x04 && point[1] == 32)
		memcpy(out, point + 2, 32);
	else if (a.ulValueLen == 32)
		memcpy(out, point, 32);
	else
		return CKR_OUR_BAD_ANSWER;
	return CKR_OK;
}

/* Signs a sample with a fresh session pair; the signature must verify outside. */
static CK_RV
try_ed25519_with(struct p11 *p, CK_OBJECT_HANDLE public_key, CK_OBJECT_HANDLE private_key)
{
	CK_BYTE point[32], signature[64];
	CK_ULONG n = sizeof signature;
	CK_MECHANISM eddsa = {CKM_EDDSA, NULL, 0};
	CK_RV rv = probe_point(p, public_key, point);
	if (rv == CKR_OK)
		rv = p->f->C_SignInit(p->session, &eddsa, private_key);
	if (rv == CKR_OK)
		rv = p->f->C_Sign(p->session, (CK_BYTE *)(uintptr_t)sample, sizeof sample, signature, &n);
	if (rv == CKR_OK &&
		(n != sizeof signature || crypto_sign_verify_detached(signature, sample, sizeof sample, point) != 0))
		rv = CKR_OUR_NO_MECHANISM;
	return rv;
}

static CK_RV
try_ed25519(struct p11 *p)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_RV rv = CKR_MECHANISM_INVALID;
	if (!claims(p, CKM_EDDSA, CKF_SIGN))
		return rv;
	for (size_t i = 0; i < PROBE_CURVES && rv != CKR_OK; i++) {
		struct probe_curve curve = probe_curves[i];
		CK_MECHANISM make = {CKM_EC_EDWARDS_KEY_PAIR_GEN, NULL, 0};
		CK_ATTRIBUTE pub[] = {
			{CKA_TOKEN, &no, sizeof no}, {CKA_EC_PARAMS, curve.bytes, curve.len}, {CKA_VERIFY, &yes, sizeof yes}};
		CK_ATTRIBUTE prv[] = {{CKA_TOKEN, &no, sizeof no},
							  {CKA_SENSITIVE, &yes, sizeof yes},
							  {CKA_EXTRACTABLE, &no, sizeof no},
							  {CKA_SIGN, &yes, sizeof yes}};
		CK_OBJECT_HANDLE a, b;
		rv = p->f->C_GenerateKeyPair(p->session, &make, pub, 3, prv, 4, &a, &b);
		if (rv != CKR_OK)
			continue;
		rv = try_ed25519_with(p, a, b);
		(void)p->f->C_DestroyObject(p->session, a);
		(void)p->f->C_DestroyObject(p->session, b);
	}
	return rv;
}

/* 64 bytes that are neither left as they were nor twice the same. */
static CK_RV
try_random(struct p11 *p)
{
	CK_BYTE a[32] = {0}, b[32] = {0}, none[32] = {0};
	CK_RV rv = p->f->C_GenerateRandom(p->session, a, sizeof a);
	if (rv == CKR_OK)
		rv = p->f->C_GenerateRandom(p->session, b, sizeof b);
	if (rv == CKR_OK && (memcmp(a, b, 32) == 0 || memcmp(a, none, 32) == 0))
		rv = CKR_OUR_NO_MECHANISM;
	return rv;
}

/* A mechanism that is refused is missing; a device that goes away in the middle is something else. */
static bool
has(CK_RV rv, CK_RV *fault)
{
	if (rv != CKR_OK && ckr_device(rv) && ckr_err(rv) != ERR_MEMORY && !ckr_vague(rv))
		*fault = rv;
	return rv == CKR_OK;
}

CK_RV
probe_run(struct p11 *p, struct p11_power *out)
{
	CK_RV fault = CKR_OK;
	*out = (struct p11_power){
		.random = has(try_random(p), &fault), .hmac = has(try_hmac(p), &fault), .ed25519 = has(try_ed25519(p), &fault)};
	if (has(try_gcm(p), &fault))
		out->wrap = P11_WRAP_GCM;
	else if (claims(p, CKM_AES_KEY_WRAP_PAD, CKF_WRAP | CKF_UNWRAP))
		out->wrap = P11_WRAP_KWP;
	else if (claims(p, CKM_AES_KEY_WRAP, CKF_WRAP | CKF_UNWRAP))
		out->wrap = P11_WRAP_KW;
	if (fault != CKR_OK)
		return fault;
	return out->random && out->hmac && out->wrap != P11_WRAP_NONE ? CKR_OK : CKR_OUR_NO_MECHANISM;
}
