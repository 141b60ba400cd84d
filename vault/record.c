#include "vault/record.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/mem.h"

struct writer {
	uint8_t *at;
	size_t left;
	bool full;
};

static void
put(struct writer *w, const void *bytes, size_t n)
{
	if (n > UINT16_MAX || w->left < n + 2) {
		w->full = true;
		return;
	}
	w->at[0] = (uint8_t)(n >> 8);
	w->at[1] = (uint8_t)n;
	memcpy(w->at + 2, bytes, n);
	w->at += n + 2;
	w->left -= n + 2;
}

static void
put_number(struct writer *w, uint64_t n)
{
	uint8_t be[8];
	for (unsigned i = 0; i < 8; i++)
		be[i] = (uint8_t)(n >> (56 - 8 * i));
	put(w, be, sizeof be);
}

enum err
record_ad(const struct record_place *p, uint8_t out[RECORD_AD_MAX], size_t *bytes_out)
{
	struct writer w = {out, RECORD_AD_MAX, false};
	const char *const texts[] = {"sp1", p->install, p->table, p->kind, p->column, p->token, p->merchant};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		put(&w, texts[i], strlen(texts[i]));
	put_number(&w, p->key_generation);
	put_number(&w, p->version);
	*bytes_out = RECORD_AD_MAX - w.left;
	return w.full ? ERR_OUT_OF_RANGE : ERR_OK;
}

enum err
record_seal(const struct xaes *x, const struct record_place *p, const void *plain, size_t bytes, uint8_t *out)
{
	uint8_t ad[RECORD_AD_MAX];
	size_t ad_bytes = 0;
	enum err e = record_ad(p, ad, &ad_bytes);
	if (e == ERR_OK) {
		randombytes_buf(out, XAES_NONCE_BYTES);
		e = xaes_seal(x, out, ad, ad_bytes, plain, bytes, out + XAES_NONCE_BYTES);
	}
	if (e != ERR_OK)
		mem_wipe(out, bytes + RECORD_EXTRA_BYTES);
	return e;
}

enum err
record_open(const struct xaes *x, const struct record_place *p, const uint8_t *record, size_t record_bytes,
			uint8_t *out)
{
	uint8_t ad[RECORD_AD_MAX];
	size_t ad_bytes = 0;
	if (record_bytes < RECORD_EXTRA_BYTES)
		return ERR_RECORD_CORRUPT;
	enum err e = record_ad(p, ad, &ad_bytes);
	if (e == ERR_OK)
		e = xaes_open(x, record, ad, ad_bytes, record + XAES_NONCE_BYTES, record_bytes - XAES_NONCE_BYTES, out);
	if (e != ERR_OK)
		mem_wipe(out, record_bytes - RECORD_EXTRA_BYTES);
	return e;
}
