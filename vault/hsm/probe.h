/*
 * probe — what a token can really do: the module's word for each mechanism, then each tried with session keys.
 * Invariants: nothing that the probe makes outlives the session; a mechanism that gives a wrong answer counts as
 * missing. Source: platform: GCM, key wrap, CMAC and Ed25519 are missing on some modules or over remoting, and lists
 * lie.
 */
#ifndef VAULT_HSM_PROBE_H
#define VAULT_HSM_PROBE_H

#include "vault/hsm/p11.h"

/* In a logged-in session. CKR_OK with *out filled in, CKR_OUR_NO_MECHANISM when an essential one is missing, or a
 * fault. */
CK_RV probe_run(struct p11 *p, struct p11_power *out);
/* CKM_AES_GCM's parameters for a 12-byte IV and a 16-byte tag. */
CK_GCM_PARAMS probe_gcm(CK_BYTE iv[12], const CK_BYTE *ad, CK_ULONG ad_bytes);
/* The two spellings of the Ed25519 curve that modules take: as an OID and as a name. */
struct probe_curve {
	CK_BYTE bytes[16];
	CK_ULONG len;
};
#define PROBE_CURVES 2
extern const struct probe_curve probe_curves[PROBE_CURVES];
/* 32 bytes from CKA_EC_POINT, which some modules wrap in an OCTET STRING. CKR_OUR_BAD_ANSWER. */
CK_RV probe_point(struct p11 *p, CK_OBJECT_HANDLE public_key, CK_BYTE out[32]);

#endif
