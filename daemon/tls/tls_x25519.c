#include "daemon/tls/tls_x25519.h"

#include <mbedtls/build_info.h>
#include <psa/crypto.h>
#include <sodium.h>

/* The two functions are inside mbedTLS: another release may call them otherwise, so it must be looked at first. */
_Static_assert(MBEDTLS_VERSION_MAJOR == 3 && MBEDTLS_VERSION_MINOR == 6, "check the wrapped functions of this mbedTLS");

#define KEY_BYTES 32

/* The linker's names: __real_x is mbedTLS' own x, and mbedTLS calls __wrap_x where it says x. */
__attribute__((weak)) psa_status_t __real_mbedtls_psa_ecp_export_public_key(const psa_key_attributes_t *attributes,
																			const uint8_t *key, size_t key_bytes,
																			uint8_t *out, size_t out_bytes,
																			size_t *n_out);
psa_status_t __wrap_mbedtls_psa_ecp_export_public_key(const psa_key_attributes_t *attributes, const uint8_t *key,
													  size_t key_bytes, uint8_t *out, size_t out_bytes, size_t *n_out);
__attribute__((weak)) psa_status_t __real_mbedtls_psa_key_agreement_ecdh(const psa_key_attributes_t *attributes,
																		 const uint8_t *key, size_t key_bytes,
																		 psa_algorithm_t alg, const uint8_t *peer,
																		 size_t peer_bytes, uint8_t *out,
																		 size_t out_bytes, size_t *n_out);
psa_status_t __wrap_mbedtls_psa_key_agreement_ecdh(const psa_key_attributes_t *attributes, const uint8_t *key,
												   size_t key_bytes, psa_algorithm_t alg, const uint8_t *peer,
												   size_t peer_bytes, uint8_t *out, size_t out_bytes, size_t *n_out);

static _Atomic uint64_t count;

uint64_t
tls_x25519_count(void)
{
	return count;
}

static int
is_ours(const psa_key_attributes_t *attributes, size_t key_bytes, size_t out_bytes)
{
	return psa_get_key_type(attributes) == PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_MONTGOMERY) &&
		   psa_get_key_bits(attributes) == 255 && key_bytes == KEY_BYTES && out_bytes >= KEY_BYTES;
}

psa_status_t
__wrap_mbedtls_psa_ecp_export_public_key(const psa_key_attributes_t *attributes, const uint8_t *key, size_t key_bytes,
										 uint8_t *out, size_t out_bytes, size_t *n_out)
{
	if (!is_ours(attributes, key_bytes, out_bytes))
		return __real_mbedtls_psa_ecp_export_public_key(attributes, key, key_bytes, out, out_bytes, n_out);
	count++;
	if (crypto_scalarmult_curve25519_base(out, key) != 0)
		return PSA_ERROR_CORRUPTION_DETECTED;
	*n_out = KEY_BYTES;
	return PSA_SUCCESS;
}

psa_status_t
__wrap_mbedtls_psa_key_agreement_ecdh(const psa_key_attributes_t *attributes, const uint8_t *key, size_t key_bytes,
									  psa_algorithm_t alg, const uint8_t *peer, size_t peer_bytes, uint8_t *out,
									  size_t out_bytes, size_t *n_out)
{
	if (!is_ours(attributes, key_bytes, out_bytes) || !PSA_ALG_IS_ECDH(alg) || peer_bytes != KEY_BYTES)
		return __real_mbedtls_psa_key_agreement_ecdh(attributes, key, key_bytes, alg, peer, peer_bytes, out, out_bytes,
													 n_out);
	count++;
	/* fails for a point of small order, whose result would be known to everybody */
	if (crypto_scalarmult_curve25519(out, key, peer) != 0)
		return PSA_ERROR_INVALID_ARGUMENT;
	*n_out = KEY_BYTES;
	return PSA_SUCCESS;
}
