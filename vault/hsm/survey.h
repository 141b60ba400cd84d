/*
 * survey — whose token is it? Before anything is made on a token that somebody else set up, all that it holds is looked
 * at. Invariants: nothing is changed; what bears a label of ours must bear the id of this installation too (a setup of
 * ours that was killed and goes on), else the token is another's. Objects with other labels are nobody's business.
 */
#ifndef VAULT_HSM_SURVEY_H
#define VAULT_HSM_SURVEY_H

#include "vault/hsm/p11.h"

/*
 * survey_run(p, node): while somebody is logged in.
 *   Returns  ERR_OK · ERR_HSM_TOKEN_USED (keys of another installation, or its anchor) · ERR_HSM_AWAY ·
 * ERR_OUT_OF_RANGE.
 */
enum err survey_run(struct p11 *p, const char *node) MUST;

#endif
