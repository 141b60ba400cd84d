/*
 * ckr — what a module's return value means for us: one table from CKR_* to enum err.
 * Invariants: every value has a meaning; one that is not in the table is a device that does not work (ERR_HSM_AWAY).
 * Source: PKCS #11 v2.40, 5.1.
 */
#ifndef VAULT_HSM_CKR_H
#define VAULT_HSM_CKR_H

#include <stdbool.h>

#include "daemon/base/err.h"
#include "vault/hsm/cryptoki.h"

/* Our own findings, which travel as a CK_RV through the same table. */
#define CKR_OUR_NO_KEY       (CKR_VENDOR_DEFINED | 0x53500001UL) /* no key of that label */
#define CKR_OUR_CORRUPT      (CKR_VENDOR_DEFINED | 0x53500002UL) /* a blob that is not ours or did not open */
#define CKR_OUR_BAD_ANSWER   (CKR_VENDOR_DEFINED | 0x53500003UL) /* the module said yes and gave a wrong result */
#define CKR_OUR_KEY_EXPOSED  (CKR_VENDOR_DEFINED | 0x53500004UL) /* a key whose attributes are not what we made */
#define CKR_OUR_NO_TOKEN     (CKR_VENDOR_DEFINED | 0x53500005UL) /* no token of that label */
#define CKR_OUR_NO_LOGIN     (CKR_VENDOR_DEFINED | 0x53500006UL) /* nobody has logged in */
#define CKR_OUR_NO_MECHANISM (CKR_VENDOR_DEFINED | 0x53500007UL) /* an essential mechanism is missing */
#define CKR_OUR_PIN_LOW      (CKR_VENDOR_DEFINED | 0x53500008UL) /* a wrong PIN, and the token counts */
#define CKR_OUR_PIN_LAST     (CKR_VENDOR_DEFINED | 0x53500009UL) /* one try left: not tried */
#define CKR_OUR_TOKEN_USED   (CKR_VENDOR_DEFINED | 0x5350000aUL) /* objects with our labels that we did not make */

enum err ckr_err(CK_RV rv);
/* "CKR_DEVICE_REMOVED", or "CKR_?" for what is not in the table: for the log. */
const char *ckr_name(CK_RV rv);
/* The session or its objects are gone while the token may be there: open a new one and try once more. */
bool ckr_session_lost(CK_RV rv);
/* The device's fault, the log-in's or memory's: neither the key nor the data is to blame. */
bool ckr_device(CK_RV rv);
/* Says nothing about the cause: find out by trying something that must work. */
bool ckr_vague(CK_RV rv);

#endif
