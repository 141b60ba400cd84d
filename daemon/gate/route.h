/*
 * route — from method and path to a row of the API's tables.
 * Invariants: a path is compared segment by segment, without decoding: no second spelling of a path reaches a route.
 */
#ifndef DAEMON_GATE_ROUTE_H
#define DAEMON_GATE_ROUTE_H

#include "daemon/gate/api.h"

/*
 * route_find(method, target, object_out, object_bytes, allow_out, allow_bytes, out)
 *   target      path, perhaps with ?query.
 *   object_out  what stood for {…} in the path, "" for none.
 *   allow_out   on ERR_METHOD: the methods that the path takes, "GET, POST".
 *   Returns     ERR_OK · ERR_ROUTE · ERR_METHOD · ERR_ID_FORM (a {…} segment that is no such id).
 */
enum err route_find(enum method method, const char *target, char *object_out, size_t object_bytes, char *allow_out,
					size_t allow_bytes, const struct route **out) MUST;
/* Does the path (up to ? or the end) fit the pattern? ERR_OK · ERR_ROUTE · ERR_ID_FORM. */
enum err route_match(const char *pattern, const char *target, char *object_out, size_t object_bytes) MUST;
/* All resources; ends with NULL. */
const struct api *const *route_apis(void);

#endif
