/* token — a SoftHSM token in a directory of its own, for tests: made by our own init, gone afterwards. */
#ifndef TESTS_UNIT_HSM_TOKEN_H
#define TESTS_UNIT_HSM_TOKEN_H

#include "vault/hsm/p11.h"

#define TOKEN_LABEL  "sallyport"
#define TOKEN_PIN    "k7-unit-test-pin"
#define TOKEN_MODULE "/usr/lib/softhsm/libsofthsm2.so"

/* Exits 77 (skipped) where SoftHSM is not installed. Sets SOFTHSM2_CONF. */
void token_make(void);
void token_remove(void);
const char *token_dir(void);
/* A module loaded; NULL module means SoftHSM itself. */
struct p11 *token_open(const char *module);
/* The same, made and logged in. */
struct p11 *token_logged_in(const char *module);

#endif
