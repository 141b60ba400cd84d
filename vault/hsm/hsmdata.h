/*
 * hsmdata — the anchor: a few bytes per node that a restored disk can't bring back to an older state.
 * Invariants: a new anchor is in the token before the old one goes; after a cut between the two the newer one counts.
 * Source: design 30 (rollback).
 */
#ifndef VAULT_HSM_HSMDATA_H
#define VAULT_HSM_HSMDATA_H

#include "vault/hsm/p11.h"

#define HSMDATA_MAX 512

/* *bytes_out 0 and ERR_OK when none was set. ERR_HSM_AWAY · ERR_HSM_CORRUPT (not of our form) · ERR_OUT_OF_RANGE
 * (node's name). */
enum err hsmdata_get(struct p11 *p, const char *node, uint8_t out[HSMDATA_MAX], size_t *bytes_out) MUST;
enum err hsmdata_set(struct p11 *p, const char *node, const uint8_t *bytes, size_t n) MUST;

#endif
