/*
 * told — what the desk tells of the appliance; nothing is printed.
 */
#ifndef CONSOLE_CTL_TOLD_H
#define CONSOLE_CTL_TOLD_H

#include "console/ctl/ctl.h"
#include "policy/schema/object.pb.h"
#include "policy/schema/wire.pb.h"

/*
 * told_ask(r, open_ms, ask_ms, out)
 *   open_ms, ask_ms  how long to wait for the connection, and for the answer
 *   Errors  client_open's (ERR_NOT_RUNNING · ERR_PERMISSION …) · ERR_DEADLINE · ERR_PEER_AWAY: it hangs, or ended
 *   Blocks  for both together at the longest
 */
enum err told_ask(const struct run *r, int open_ms, int ask_ms, sp_status_rep *out) MUST;
/* The same; who does not answer in time is not running: ERR_NOT_RUNNING. */
enum err told_look(const struct run *r, int open_ms, int ask_ms, sp_status_rep *out) MUST;
/* Each client of the API, in the order of names: calls each(view, arg), the view borrowed. ctl_ask's errors; what was
 * told before one stays told. */
enum err told_clients(struct client *c, void (*each)(const sp_client_view *, void *), void *arg) MUST;

#endif
