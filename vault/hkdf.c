#include "vault/hkdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "daemon/base/mem.h"

#define HASH crypto_auth_hmacsha256_BYTES

static void
extract(struct hkdf_text key, struct hkdf_text salt, uint8_t out[HASH])
{
	static const uint8_t no_salt[HASH];
	crypto_auth_hmacsha256_state s;
	crypto_auth_hmacsha256_init(&s, salt.len ? salt.bytes : no_salt, salt.len ? salt.len : sizeof no_salt);
	crypto_auth_hmacsha256_update(&s, key.bytes, key.len);
	crypto_auth_hmacsha256_final(&s, out);
	mem_wipe(&s, sizeof s);
}

void
hkdf_sha256(struct hkdf_text key, struct hkdf_text salt, struct hkdf_text info, uint8_t *out, size_t out_bytes)
{
	uint8_t prk[HASH], block[HASH];
	size_t made = 0;
	assert(out_bytes <= HKDF_BYTES_MAX);
	extract(key, salt, prk);
	for (uint8_t i = 1; made < out_bytes; i++) {
		crypto_auth_hmacsha256_state s;
		size_t n = out_bytes - made < HASH ? out_bytes - made : HASH;
		crypto_auth_hmacsha256_init(&s, prk, sizeof prk);
		if (i > 1)
			crypto_auth_hmacsha256_update(&s, block, sizeof block);
		if (info.len)
			crypto_auth_hmacsha256_update(&s, info.bytes, info.len);
		crypto_auth_hmacsha256_update(&s, &i, 1);
		crypto_auth_hmacsha256_final(&s, block);
		mem_wipe(&s, sizeof s);
		memcpy(out + made, block, n);
		made += n;
	}
	mem_wipe(prk, sizeof prk);
	mem_wipe(block, sizeof block);
}
