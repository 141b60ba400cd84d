/*
 * desk_status — the answer to `status`, from the shared pages alone: it works while any other process hangs.
 */
#ifndef DAEMON_DESK_DESK_STATUS_H
#define DAEMON_DESK_DESK_STATUS_H

#include "daemon/wire/page.h"
#include "daemon/wire/peer.h"
#include "policy/schema/wire.pb.h"

/* answer_fn of `status`. */
void desk_status_answer(struct call *call, const void *req);
/*
 * desk_status_fill(pages, n, wall_ms, mono_ms, out): processes, state and figures of n pages (NULL entries are
 * skipped). Counters are summed; for gauges the rule is in the .c. out is zeroed first.
 */
void desk_status_fill(const struct page *const *pages, unsigned n, int64_t wall_ms, int64_t mono_ms,
					  sp_status_rep *out);

#endif
