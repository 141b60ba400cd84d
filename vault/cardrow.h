/*
 * cardrow — rows of stored cards: making them, finding them, showing them masked, opening them, erasing them.
 * Invariants: SQL sees ciphertext, four last digits and a BIN, never a number; merchant is part of a token's identity,
 * so another merchant's token is not found rather than refused. A test installation also knows the fixed tokens of
 *   policy/test_values.def, which are no rows.
 * Source: design 30 (records).
 */
#ifndef VAULT_CARDROW_H
#define VAULT_CARDROW_H

#include "policy/schema/object.pb.h"
#include "vault/pan.h"
#include "vault/fingerprint.h"
#include "vault/record.h"
#include "vault/vault.h"

#define CARDROW_TEXT_BYTES 32
#define CARDROW_PAN_BYTES  (1 + PAN_DIGITS_MAX) /* length and digits, padded: the record does not tell the length */
#define CARDROW_HOLDER_MAX 128
#define CARDROW_PERSON_MAX (3 + CARDROW_HOLDER_MAX)
/* The expiry of the fixed test tokens. */
#define CARDROW_TEST_MONTH 12
#define CARDROW_TEST_YEAR  2040

/* What a row says without being opened, and its sealed columns. */
struct cardrow {
	int64_t id; /* 0: a fixed test token */
	char token[CARDROW_TEXT_BYTES], merchant[64];
	sp_token_format format;
	uint8_t fingerprint[FINGERPRINT_BYTES];
	sp_brand brand;
	char bin[9], last4[5];
	uint32_t dek, epk, version;
	uint8_t pan[CARDROW_PAN_BYTES + RECORD_EXTRA_BYTES];
	uint8_t person[CARDROW_PERSON_MAX + RECORD_EXTRA_BYTES];
	size_t person_bytes;
	sp_cvc_state cvc; /* as stored; a held code is known to cvc.h only */
	uint32_t uses, max_uses;
	int64_t created_at_ms, expires_at_ms;
	bool single_use;
	char customer[64];
};

/* A card in clear, for one redemption; wipe it. */
struct cardrow_clear {
	uint8_t pan[PAN_DIGITS_MAX];
	size_t pan_len;
	uint32_t exp_month, exp_year;
	uint8_t holder[CARDROW_HOLDER_MAX];
	size_t holder_len;
};

/* What a new token is made of; all borrowed. */
struct cardrow_new {
	const char *merchant, *customer;
	const struct card *card;
	sp_brand brand;
	sp_token_format format;
	const uint8_t *metadata;
	size_t metadata_bytes;
	uint32_t max_uses;
	int64_t expires_at_ms;
	bool single_use;
	const uint8_t *card_digest; /* CARD_DIGEST_BYTES */
};

/* Inside the open transaction. token_out has room for CARDROW_TEXT_BYTES. ERR_KEY_RETIRED · ERR_HSM_KEY · ERR_LIMIT (no
 * free surrogate) · ERR_CRYPTO · ERR_DISK_FULL · … */
enum err cardrow_insert(struct vault *v, const struct cardrow_new *n, char *token_out) MUST;
/* ERR_TOKEN_NOT_FOUND (also another merchant's; merchant NULL: any). An expired token is found. */
enum err cardrow_find(struct vault *v, const char *token, const char *merchant, struct cardrow *out) MUST;
/* The newest token without an end for this card. ERR_TOKEN_NOT_FOUND. */
enum err cardrow_find_card(struct vault *v, const char *merchant, const uint8_t card_digest[CARD_DIGEST_BYTES],
						   sp_token_format format, char *token_out) MUST;
/* ERR_OK · ERR_TOKEN_EXPIRED · ERR_TOKEN_USED_UP. */
enum err cardrow_usable(const struct cardrow *r, int64_t wall_ms) MUST;
/* The masked view; reads the metadata. ERR_RECORD_CORRUPT (its expiry does not open) · ERR_DB · … */
enum err cardrow_view(struct vault *v, const struct cardrow *r, sp_token_view *out) MUST;
/* Opens the number, the expiry and the holder. ERR_RECORD_CORRUPT · ERR_KEY_RETIRED · ERR_HSM_KEY. out is wiped unless
 * ERR_OK. */
enum err cardrow_open(struct vault *v, const struct cardrow *r, struct cardrow_clear *out) MUST;
/* Erase a row; its idempotency row stays and then says ERR_TOKEN_NOT_FOUND. */
enum err cardrow_erase(struct vault *v, const struct cardrow *r) MUST;
/* One more use, one more code state. ERR_TOKEN_USED_UP (no use left: nothing is changed). */
enum err cardrow_use(struct vault *v, const struct cardrow *r) MUST;
enum err cardrow_set_cvc(struct vault *v, const char *token, sp_cvc_state state) MUST;
enum err cardrow_count(struct vault *v, uint64_t *out) MUST;

#endif
