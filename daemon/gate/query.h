/*
 * query — the parameters behind the '?', by the same tables as a body's members.
 * Invariants: an unknown or doubled parameter is refused; values are percent-decoded once; '+' is a plus.
 * Source: RFC 3986.
 */
#ifndef DAEMON_GATE_QUERY_H
#define DAEMON_GATE_QUERY_H

#include "daemon/gate/shape.h"

/*
 * query_read(s, target, out, c): the query of a request target into out. Kinds: TEXT, UINT32, CHOICE, TIME (RFC 3339 or
 * Unix seconds into the int64_t of milliseconds). Complaints' pointers are "?name".
 *   Returns   ERR_OK · ERR_QUERY.
 */
enum err query_read(const struct shape *s, const char *target, void *out, struct complaints *c) MUST;

#endif
