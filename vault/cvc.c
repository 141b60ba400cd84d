#include "vault/cvc.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#define BUCKETS      16384
#define SEALED_BYTES (XAES_NONCE_BYTES + CVC_DIGITS_MAX + XAES_TAG_BYTES)

struct held {
	struct held *next;          /* in its bucket */
	struct held *older, *newer; /* in the order of coming, which is the order of ending */
	struct secret *sealed;
	int64_t until_mono_ms, since_wall_ms;
	uint8_t n;
	char token[32];
	char opened_for[32]; /* the payment that it was opened for last */
};

struct cvc_store {
	struct held *bucket[BUCKETS];
	struct held *oldest, *newest;
	size_t n;
	uint8_t hash_key[crypto_shorthash_KEYBYTES];
};

enum err
cvc_new(struct cvc_store **out)
{
	*out = mem_new(1, sizeof **out);
	if (!*out)
		return ERR_MEMORY;
	crypto_shorthash_keygen((*out)->hash_key);
	return ERR_OK;
}

static struct held **
find(const struct cvc_store *c, const char *token)
{
	uint8_t h[crypto_shorthash_BYTES];
	crypto_shorthash(h, (const uint8_t *)token, strlen(token), c->hash_key);
	struct held **at = (struct held **)&c->bucket[(h[0] | (size_t)h[1] << 8) % BUCKETS];
	while (*at && strcmp((*at)->token, token) != 0)
		at = &(*at)->next;
	return at;
}

static void
drop(struct cvc_store *c, struct held **at)
{
	struct held *h = *at;
	*at = h->next;
	*(h->older ? &h->older->newer : &c->oldest) = h->newer;
	*(h->newer ? &h->newer->older : &c->newest) = h->older;
	c->n--;
	secret_free(h->sealed);
	mem_free(h);
}

void
cvc_free(struct cvc_store *c)
{
	if (!c)
		return;
	while (c->oldest)
		drop(c, find(c, c->oldest->token));
	mem_free(c);
}

enum err
cvc_hold(struct cvc_store *c, const struct keyring *keys, const char *token, const uint8_t *digits, size_t n,
		 int64_t until_mono_ms)
{
	const struct xaes *x = NULL;
	uint8_t plain[CVC_DIGITS_MAX] = {0};
	struct held *h = NULL;
	if (n == 0 || n > CVC_DIGITS_MAX)
		return ERR_CARD_CVC;
	(void)cvc_wipe(c, token);
	if (c->n >= CVC_HELD_MAX)
		return ERR_CVC_ROOM;
	enum err e = keyring_xaes(keys, KEY_SADK, 1, KEY_PROTECT, &x);
	if (e != ERR_OK)
		return e;
	if (!(h = mem_new(1, sizeof *h)))
		return ERR_MEMORY;
	e = str_set(h->token, sizeof h->token, token);
	if (e == ERR_OK)
		e = secret_new(SEALED_BYTES, &h->sealed);
	if (e == ERR_OK) {
		memcpy(plain, digits, n);
		randombytes_buf(h->sealed->bytes, XAES_NONCE_BYTES);
		e = xaes_seal(x, h->sealed->bytes, token, strlen(token), plain, sizeof plain,
					  h->sealed->bytes + XAES_NONCE_BYTES);
		mem_wipe(plain, sizeof plain);
	}
	if (e != ERR_OK) {
		secret_free(h->sealed);
		mem_free(h);
		return e;
	}
	h->n = (uint8_t)n;
	h->until_mono_ms = until_mono_ms;
	h->since_wall_ms = clock_wall_ms();
	h->older = c->newest;
	*(c->newest ? &c->newest->newer : &c->oldest) = h;
	c->newest = h;
	*find(c, token) = h; /* the end of its bucket: it is not in it */
	c->n++;
	return ERR_OK;
}

bool
cvc_held(const struct cvc_store *c, const char *token)
{
	return *find(c, token) != NULL;
}

bool
cvc_of_payment(const struct cvc_store *c, const char *token, const char *payment, int64_t began_wall_ms)
{
	const struct held *h = *find(c, token);
	return h && (h->since_wall_ms <= began_wall_ms || (*payment && strcmp(h->opened_for, payment) == 0));
}

enum err
cvc_read(struct cvc_store *c, const struct keyring *keys, const char *token, const char *payment, int64_t mono_ms,
		 uint8_t digits_out[CVC_DIGITS_MAX], size_t *n_out)
{
	struct held *h = *find(c, token);
	const struct xaes *x = NULL;
	*n_out = 0;
	if (!h || mono_ms >= h->until_mono_ms)
		return ERR_OK;
	enum err e = keyring_xaes(keys, KEY_SADK, 1, KEY_PROCESS, &x);
	if (e == ERR_OK)
		e = xaes_open(x, h->sealed->bytes, token, strlen(token), h->sealed->bytes + XAES_NONCE_BYTES,
					  SEALED_BYTES - XAES_NONCE_BYTES, digits_out);
	if (e == ERR_OK)
		e = str_set(h->opened_for, sizeof h->opened_for, payment);
	if (e == ERR_OK)
		*n_out = h->n;
	return e;
}

bool
cvc_wipe(struct cvc_store *c, const char *token)
{
	struct held **at = find(c, token);
	if (!*at)
		return false;
	drop(c, at);
	return true;
}

bool
cvc_overdue(const struct cvc_store *c, int64_t mono_ms, char token_out[32])
{
	if (!c->oldest || mono_ms < c->oldest->until_mono_ms)
		return false;
	memcpy(token_out, c->oldest->token, 32);
	return true;
}

size_t
cvc_count(const struct cvc_store *c)
{
	return c->n;
}
