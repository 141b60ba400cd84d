/*
 * plain_object — is this surely one JSON object without duplicate names? Quick, for what the ledger writes all day.
 * Invariants: what it says yes to, a strict JSON parser takes too, and it stands on one line; a no proves nothing
 * (white space, escapes, fractions, anything beyond ASCII, deep nesting): a parser has to look.
 */
#ifndef DAEMON_HERALD_PLAIN_OBJECT_H
#define DAEMON_HERALD_PLAIN_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool plain_object(const uint8_t *bytes, size_t n);

#endif
