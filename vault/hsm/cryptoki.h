/*
 * cryptoki — PKCS#11's names as the standard spells them, from p11-kit's header.
 * Source: PKCS #11 v2.40 and v3.0 (OASIS).
 */
#ifndef VAULT_HSM_CRYPTOKI_H
#define VAULT_HSM_CRYPTOKI_H

#include <stddef.h>

/* without it the header renames every type to GNU's taste */
#define CRYPTOKI_COMPAT 1
#include <p11-kit/pkcs11.h>

#endif
