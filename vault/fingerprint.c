#include "vault/fingerprint.h"

#include <sodium.h>
#include <string.h>

#include "daemon/base/mem.h"

static void
begin(crypto_auth_hmacsha256_state *s, const struct secret *key, const char *what)
{
	crypto_auth_hmacsha256_init(s, key->bytes, key->len);
	/* with its NUL: no purpose is the beginning of another */
	crypto_auth_hmacsha256_update(s, (const uint8_t *)what, strlen(what) + 1);
}

static void
end(crypto_auth_hmacsha256_state *s, uint8_t *out, size_t n)
{
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_final(s, mac);
	memcpy(out, mac, n);
	mem_wipe(mac, sizeof mac);
	mem_wipe(s, sizeof *s);
}

void
fingerprint_pan(const struct secret *fpk, const struct card *c, uint8_t out[FINGERPRINT_BYTES])
{
	crypto_auth_hmacsha256_state s;
	begin(&s, fpk, "sallyport/1/pan");
	crypto_auth_hmacsha256_update(&s, c->pan, c->pan_len);
	end(&s, out, FINGERPRINT_BYTES);
}

void
fingerprint_card(const struct secret *fpk, const struct card *c, uint8_t out[CARD_DIGEST_BYTES])
{
	crypto_auth_hmacsha256_state s;
	const uint8_t expiry[4] = {(uint8_t)c->exp_month, (uint8_t)(c->exp_year >> 8), (uint8_t)c->exp_year,
							   (uint8_t)c->pan_len};
	begin(&s, fpk, "sallyport/1/card");
	crypto_auth_hmacsha256_update(&s, expiry, sizeof expiry);
	crypto_auth_hmacsha256_update(&s, c->pan, c->pan_len);
	end(&s, out, CARD_DIGEST_BYTES);
}

void
fingerprint_request(const struct secret *fpk, const uint8_t body_sha256[32],
					const uint8_t card_digest[CARD_DIGEST_BYTES], uint8_t out[FINGERPRINT_BYTES])
{
	crypto_auth_hmacsha256_state s;
	begin(&s, fpk, "sallyport/1/request");
	crypto_auth_hmacsha256_update(&s, body_sha256, 32);
	crypto_auth_hmacsha256_update(&s, card_digest, CARD_DIGEST_BYTES);
	end(&s, out, FINGERPRINT_BYTES);
}

void
fingerprint_text(const uint8_t fingerprint[FINGERPRINT_BYTES], char out[FINGERPRINT_TEXT_BYTES])
{
	static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	unsigned bits = 0, held = 0;
	size_t at = 3;
	memcpy(out, "fp_", 3);
	for (size_t i = 0; i < FINGERPRINT_BYTES; i++) {
		held = held << 8 | fingerprint[i];
		for (bits += 8; bits >= 5; bits -= 5)
			out[at++] = letters[held >> (bits - 5) & 31];
		held &= (1u << bits) - 1;
	}
	if (bits > 0)
		out[at++] = letters[held << (5 - bits) & 31];
	out[at] = '\0';
}
