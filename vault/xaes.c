#include "vault/xaes.h"

#include <assert.h>
#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <string.h>

#include "daemon/base/mem.h"

#define BLOCK 16

/* Lies in the arena: mbedTLS keeps round keys inside its context, at an offset and not behind a pointer. */
struct ready {
	mbedtls_aes_context aes;
	uint8_t k1[BLOCK]; /* CMAC's subkey for a whole last block */
};

struct xaes {
	struct secret *at; /* struct ready */
};

static struct ready *
ready_of(const struct xaes *x)
{
	return (struct ready *)(void *)x->at->bytes;
}

/* K1 = L doubled in GF(2¹²⁸), L = AES(0) (NIST SP 800-38B, 6.1); without a branch on the key's bit. */
static int
derive_k1(struct ready *r)
{
	uint8_t zero[BLOCK] = {0}, l[BLOCK];
	if (mbedtls_aes_crypt_ecb(&r->aes, MBEDTLS_AES_ENCRYPT, zero, l) != 0)
		return -1;
	for (int i = 0; i < BLOCK - 1; i++)
		r->k1[i] = (uint8_t)(l[i] << 1 | l[i + 1] >> 7);
	r->k1[BLOCK - 1] = (uint8_t)(l[BLOCK - 1] << 1 ^ (0x87 & -(l[0] >> 7)));
	mem_wipe(l, sizeof l);
	return 0;
}

enum err
xaes_new(const struct secret *key, struct xaes **out)
{
	assert(key->len == XAES_KEY_BYTES);
	*out = NULL;
	struct xaes *x = mem_new(1, sizeof *x);
	if (!x)
		return ERR_MEMORY;
	enum err e = secret_new(sizeof(struct ready), &x->at);
	if (e != ERR_OK)
		goto out;
	struct ready *r = ready_of(x);
	mbedtls_aes_init(&r->aes);
	if (mbedtls_aes_setkey_enc(&r->aes, key->bytes, 8 * XAES_KEY_BYTES) != 0 || derive_k1(r) != 0) {
		e = ERR_CRYPTO;
		goto out;
	}
	*out = x;
	x = NULL;
out:
	xaes_free(x);
	return e;
}

void
xaes_free(struct xaes *x)
{
	if (!x)
		return;
	secret_free(x->at);
	mem_free(x);
}

/* The key of this nonce: CMAC in counter mode over one block each, so CMAC is one AES of the block and K1. */
static int
derive_key(const struct xaes *x, const uint8_t nonce[XAES_NONCE_BYTES], uint8_t out[XAES_KEY_BYTES])
{
	struct ready *r = ready_of(x);
	for (uint8_t half = 0; half < 2; half++) {
		uint8_t m[BLOCK] = {0, (uint8_t)(half + 1), 'X', 0};
		memcpy(m + 4, nonce, 12);
		for (int i = 0; i < BLOCK; i++)
			m[i] ^= r->k1[i];
		int bad = mbedtls_aes_crypt_ecb(&r->aes, MBEDTLS_AES_ENCRYPT, m, out + half * BLOCK);
		mem_wipe(m, sizeof m);
		if (bad)
			return -1;
	}
	return 0;
}

static enum err
open_gcm(const struct xaes *x, const uint8_t nonce[XAES_NONCE_BYTES], mbedtls_gcm_context *gcm)
{
	uint8_t key[XAES_KEY_BYTES];
	enum err e = ERR_OK;
	mbedtls_gcm_init(gcm);
	if (derive_key(x, nonce, key) != 0)
		e = ERR_CRYPTO;
	/* the only thing that can fail here is an allocation */
	else if (mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * XAES_KEY_BYTES) != 0)
		e = ERR_MEMORY;
	mem_wipe(key, sizeof key);
	return e;
}

enum err
xaes_seal(const struct xaes *x, const uint8_t nonce[XAES_NONCE_BYTES], const void *ad, size_t ad_bytes,
		  const void *plain, size_t bytes, uint8_t *out)
{
	mbedtls_gcm_context gcm;
	enum err e = open_gcm(x, nonce, &gcm);
	if (e == ERR_OK && mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, bytes, nonce + 12, 12, ad, ad_bytes, plain,
												 out, XAES_TAG_BYTES, out + bytes) != 0)
		e = ERR_CRYPTO;
	mbedtls_gcm_free(&gcm);
	if (e != ERR_OK)
		mem_wipe(out, bytes + XAES_TAG_BYTES);
	return e;
}

enum err
xaes_open(const struct xaes *x, const uint8_t nonce[XAES_NONCE_BYTES], const void *ad, size_t ad_bytes,
		  const uint8_t *sealed, size_t sealed_bytes, uint8_t *out)
{
	mbedtls_gcm_context gcm;
	if (sealed_bytes < XAES_TAG_BYTES)
		return ERR_RECORD_CORRUPT;
	size_t bytes = sealed_bytes - XAES_TAG_BYTES;
	enum err e = open_gcm(x, nonce, &gcm);
	if (e == ERR_OK && mbedtls_gcm_auth_decrypt(&gcm, bytes, nonce + 12, 12, ad, ad_bytes, sealed + bytes,
												XAES_TAG_BYTES, sealed, out) != 0)
		e = ERR_RECORD_CORRUPT;
	mbedtls_gcm_free(&gcm);
	if (e != ERR_OK)
		mem_wipe(out, bytes);
	return e;
}
