/*
 * token — rows of stored cards: making them, finding them, showing them masked, opening them, erasing them.
 * Invariants: SQL sees ciphertext, four last digits and a BIN, never a number; merchant is part of a token's identity,
 * so another merchant's token is not found rather than refused. A test installation also knows the fixed tokens of
 *   policy/test_values.def, which are no rows.
 * Source: design 30 (records).
 */
#ifndef VAULT_TOKEN_H
#define VAULT_TOKEN_H

#include "policy/schema/object.pb.h"
#include "vault/card.h"
#include "vault/fingerprint.h"
#include "vault/record.h"
#include "vault/vault.h"

#define TOKEN_TEXT_BYTES 32
#define TOKEN_PAN_BYTES  (1 + CARD_PAN_MAX) /* length and digits, padded: the record does not tell the length */
#define TOKEN_HOLDER_MAX 128
#define TOKEN_PERSON_MAX (3 + TOKEN_HOLDER_MAX)

/* What a row says without being opened, and its sealed columns. */
struct token_row {
	int64_t id; /* 0: a fixed test token */
	char token[TOKEN_TEXT_BYTES], merchant[64];
	sp_token_format format;
	uint8_t fingerprint[FINGERPRINT_BYTES];
	sp_brand brand;
	char bin[9], last4[5];
	uint32_t dek, epk, version;
	uint8_t pan[TOKEN_PAN_BYTES + RECORD_EXTRA_BYTES];
	uint8_t person[TOKEN_PERSON_MAX + RECORD_EXTRA_BYTES];
	size_t person_bytes;
	sp_cvc_state cvc; /* as stored; a held code is known to cvc.h only */
	uint32_t uses, max_uses;
	int64_t created_at_ms, expires_at_ms;
	bool single_use;
	char customer[64];
};

/* A card in clear, for one redemption; wipe it. */
struct token_card {
	uint8_t pan[CARD_PAN_MAX];
	size_t pan_len;
	uint32_t exp_month, exp_year;
	uint8_t holder[TOKEN_HOLDER_MAX];
	size_t holder_len;
};

/* What a new token is made of; all borrowed. */
struct token_new {
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

/* Inside the open transaction. token_out has room for TOKEN_TEXT_BYTES. ERR_KEY_RETIRED · ERR_HSM_KEY · ERR_LIMIT (no
 * free surrogate) · ERR_CRYPTO · ERR_DISK_FULL · … */
enum err token_insert(struct vault *v, const struct token_new *n, char *token_out) MUST;
/* ERR_TOKEN_NOT_FOUND (also another merchant's; merchant NULL: any). An expired token is found. */
enum err token_find(struct vault *v, const char *token, const char *merchant, struct token_row *out) MUST;
/* The newest token without an end for this card. ERR_TOKEN_NOT_FOUND. */
enum err token_find_card(struct vault *v, const char *merchant, const uint8_t card_digest[CARD_DIGEST_BYTES],
						 sp_token_format format, char *token_out) MUST;
/* ERR_OK · ERR_TOKEN_EXPIRED · ERR_TOKEN_USED_UP. */
enum err token_usable(const struct token_row *r, int64_t wall_ms) MUST;
/* The masked view; reads the metadata. ERR_RECORD_CORRUPT (its expiry does not open) · ERR_DB · … */
enum err token_view(struct vault *v, const struct token_row *r, sp_token_view *out) MUST;
/* Opens the number, the expiry and the holder. ERR_RECORD_CORRUPT · ERR_KEY_RETIRED · ERR_HSM_KEY. out is wiped unless
 * ERR_OK. */
enum err token_open(struct vault *v, const struct token_row *r, struct token_card *out) MUST;
/* Erase a row; its idempotency row stays and then says ERR_TOKEN_NOT_FOUND. */
enum err token_erase(struct vault *v, const struct token_row *r) MUST;
/* One more use, one more code state. ERR_TOKEN_USED_UP (no use left: nothing is changed). */
enum err token_use(struct vault *v, const struct token_row *r) MUST;
enum err token_set_cvc(struct vault *v, const char *token, sp_cvc_state state) MUST;
enum err token_count(struct vault *v, uint64_t *out) MUST;

#endif
