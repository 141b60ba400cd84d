#include "vault/cardseal.h"

#include <string.h>

#include "daemon/base/mem.h"
#include "vault/record.h"

static struct record_place
place_of(const struct vault *v, const char *token, const char *merchant, const char *column, uint32_t generation,
		 uint32_t version)
{
	return (struct record_place){.install = v->boot.install,
								 .table = "token",
								 .kind = "card",
								 .column = column,
								 .token = token,
								 .merchant = merchant,
								 .key_generation = generation,
								 .version = version};
}

enum err
cardseal_pan(struct vault *v, const struct cardrow_new *n, const char *token, uint32_t *generation_out, uint8_t *out)
{
	uint8_t plain[CARDROW_PAN_BYTES] = {0};
	const struct xaes *x = NULL;
	enum err e = keyring_active(v->keys, KEY_DEK, generation_out);
	if (e == ERR_OK)
		e = keyring_xaes(v->keys, KEY_DEK, *generation_out, KEY_PROTECT, &x);
	if (e != ERR_OK)
		return e;
	struct record_place p = place_of(v, token, n->merchant, "pan", *generation_out, 1);
	plain[0] = (uint8_t)n->card->pan_len;
	memcpy(plain + 1, n->card->pan, n->card->pan_len);
	e = record_seal(x, &p, plain, sizeof plain, out);
	mem_wipe(plain, sizeof plain);
	return e;
}

enum err
cardseal_person(struct vault *v, const struct cardrow_new *n, const char *token, uint32_t *generation_out, uint8_t *out,
				size_t *bytes_out)
{
	uint8_t plain[CARDROW_PERSON_MAX];
	const struct card *c = n->card;
	const struct xaes *x = NULL;
	size_t bytes = 3 + c->holder_len;
	enum err e = keyring_active(v->keys, KEY_EPK, generation_out);
	if (e == ERR_OK)
		e = keyring_xaes(v->keys, KEY_EPK, *generation_out, KEY_PROTECT, &x);
	if (e != ERR_OK)
		return e;
	if (c->holder_len > CARDROW_HOLDER_MAX)
		return ERR_OUT_OF_RANGE;
	plain[0] = (uint8_t)c->exp_month;
	plain[1] = (uint8_t)(c->exp_year >> 8);
	plain[2] = (uint8_t)c->exp_year;
	if (c->holder_len > 0)
		memcpy(plain + 3, c->holder, c->holder_len);
	struct record_place p = place_of(v, token, n->merchant, "person", *generation_out, 1);
	e = record_seal(x, &p, plain, bytes, out);
	*bytes_out = bytes + RECORD_EXTRA_BYTES;
	mem_wipe(plain, sizeof plain);
	return e;
}

enum err
cardseal_open_person(struct vault *v, const struct cardrow *r, struct cardrow_clear *out)
{
	uint8_t plain[CARDROW_PERSON_MAX];
	const struct xaes *x = NULL;
	if (r->id == 0) {
		out->exp_month = CARDROW_TEST_MONTH;
		out->exp_year = CARDROW_TEST_YEAR;
		return ERR_OK;
	}
	enum err e = keyring_xaes(v->keys, KEY_EPK, r->epk, KEY_PROCESS, &x);
	if (e != ERR_OK)
		return e;
	if (r->person_bytes < RECORD_EXTRA_BYTES + 3)
		return ERR_RECORD_CORRUPT;
	struct record_place p = place_of(v, r->token, r->merchant, "person", r->epk, r->version);
	e = record_open(x, &p, r->person, r->person_bytes, plain);
	if (e == ERR_OK) {
		out->exp_month = plain[0];
		out->exp_year = (uint32_t)plain[1] << 8 | plain[2];
		out->holder_len = r->person_bytes - RECORD_EXTRA_BYTES - 3;
		memcpy(out->holder, plain + 3, out->holder_len);
	}
	mem_wipe(plain, sizeof plain);
	return e;
}

enum err
cardseal_open_pan(struct vault *v, const struct cardrow *r, struct cardrow_clear *out)
{
	uint8_t plain[CARDROW_PAN_BYTES];
	const struct xaes *x = NULL;
	if (r->id == 0) {
		const char *number = pan_test_number(r->token);
		out->pan_len = strlen(number);
		memcpy(out->pan, number, out->pan_len);
		return ERR_OK;
	}
	enum err e = keyring_xaes(v->keys, KEY_DEK, r->dek, KEY_PROCESS, &x);
	if (e != ERR_OK)
		return e;
	struct record_place p = place_of(v, r->token, r->merchant, "pan", r->dek, r->version);
	e = record_open(x, &p, r->pan, sizeof r->pan, plain);
	if (e == ERR_OK && plain[0] > PAN_DIGITS_MAX)
		e = ERR_RECORD_CORRUPT;
	if (e == ERR_OK) {
		out->pan_len = plain[0];
		memcpy(out->pan, plain + 1, out->pan_len);
	}
	mem_wipe(plain, sizeof plain);
	return e;
}
