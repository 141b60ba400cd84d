#include "daemon/ledger/lsk.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/str.h"

#define LSK_BYTES 32

static struct secret *lsk;

struct part {
	const void *bytes;
	size_t n;
};

enum err
lsk_set(const uint8_t *secret, size_t bytes)
{
	if (bytes != LSK_BYTES)
		return ERR_CRYPTO;
	lsk_clear();
	return secret_copy(secret, bytes, &lsk);
}

void
lsk_clear(void)
{
	secret_free(lsk);
	lsk = NULL;
}

static void
derive(const char *label, const struct part *parts, size_t n, uint8_t out[32])
{
	crypto_auth_hmacsha256_state h;
	assert(lsk);
	crypto_auth_hmacsha256_init(&h, lsk->bytes, lsk->len);
	crypto_auth_hmacsha256_update(&h, (const uint8_t *)label, strlen(label) + 1);
	for (size_t i = 0; i < n; i++) {
		const uint8_t length[4] = {(uint8_t)(parts[i].n >> 24), (uint8_t)(parts[i].n >> 16), (uint8_t)(parts[i].n >> 8),
								   (uint8_t)parts[i].n};
		crypto_auth_hmacsha256_update(&h, length, sizeof length);
		if (parts[i].n)
			crypto_auth_hmacsha256_update(&h, parts[i].bytes, parts[i].n);
	}
	crypto_auth_hmacsha256_final(&h, out);
	mem_wipe(&h, sizeof h);
}

void
lsk_key(const char *scope, const char *key, uint8_t out[IDEMPOTENCY_HASH_BYTES])
{
	uint8_t all[32];
	derive("idempotency/key/1", (struct part[]){{scope, strlen(scope)}, {key, strlen(key)}}, 2, all);
	memcpy(out, all, IDEMPOTENCY_HASH_BYTES);
}

void
lsk_fingerprint(const char *route, const uint8_t body_sha256[32], const uint8_t *card_digest, size_t digest_bytes,
				uint8_t out[IDEMPOTENCY_HASH_BYTES])
{
	uint8_t all[32];
	derive("idempotency/body/1",
		   (struct part[]){{route, strlen(route)}, {body_sha256, 32}, {card_digest, digest_bytes}}, 3, all);
	memcpy(out, all, IDEMPOTENCY_HASH_BYTES);
}

void
lsk_derive(const char *payment, const char *operation, const char *account, char out[LSK_DERIVED_BYTES])
{
	uint8_t all[32];
	/* the authorization has the payment's id in the API and "" in the store: one key for both spellings */
	const char *op = strcmp(operation, payment) ? operation : "";
	derive("processor/1", (struct part[]){{payment, strlen(payment)}, {op, strlen(op)}, {account, strlen(account)}}, 3,
		   all);
	str_hex(all, sizeof all, out);
}
