/*
 * denied — refused callers are counted and told to the ledger: one record per source network, code and ten seconds.
 * Invariants: a flood of refusals costs a bounded number of records and messages; while the ledger is away they are
 * kept, up to DENIED_ROWS kinds, and what does not fit any more is counted in one row without a source. Source: PCI
 * DSS 4.0.1 10.2.1.4 (invalid logical access attempts); design "audit log".
 */
#ifndef DAEMON_GATE_DENIED_H
#define DAEMON_GATE_DENIED_H

#include <stdint.h>

#include "daemon/base/err.h"
#include "policy/schema/wire.pb.h"

#define DENIED_ROWS      48
#define DENIED_WINDOW_MS 10000

/* Is this refusal about who asks (authentication, permission)? Only those are counted. */
void denied_count(enum err code, const sp_caller *who);
/* Tell what was counted now: at the end of the window, and before the process ends. */
void denied_tell(void);
/* "203.0.113.0/24", "2001:db8:1:2::/64"; the text itself when it is no address. Exported for its test. */
void denied_network(const char *ip, char out[46]);

#endif
