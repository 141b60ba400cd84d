/*
 * card — a card on its way in: from the body to the vault, and nowhere else.
 * Invariants: a struct card is wiped as soon as the request to the vault is encoded; complaints of the vault come back
 *   as pointers below the member that held the card.
 */
#ifndef DAEMON_GATE_CARD_H
#define DAEMON_GATE_CARD_H

#include "daemon/gate/request.h"
#include "daemon/wire/peer.h"

struct card {
	sp_tokenize_req_pan_t pan;
	sp_tokenize_req_cvc_t cvc;
	sp_tokenize_req_holder_t holder;
	uint32_t exp_month, exp_year;
};
extern const struct shape card_shape;

/*
 * card_send(r, c, req, done)
 *   Put the card and the caller into req, ask the vault to tokenize, wipe c and req.
 *   Returns   as ask_tokenize, with ERR_VAULT_AWAY for a vault that is not there.
 */
enum err card_send(struct request *r, struct card *c, sp_tokenize_req *req, peer_done_fn done) MUST;
/* Adds the pointer that belongs to the vault's refusal, if it is about a member of the card. */
void card_complain(struct request *r, enum err e);

#endif
