/*
 * batch — group commit: what is commanded in one turn of the loop becomes one transaction, then all answers go out.
 * Invariants: each command runs under its own savepoint and fails alone; `done` runs exactly once, after the commit or
 *   after its failure; at most BATCH_COMMANDS_MAX commands or BATCH_BYTES_MAX; nothing that the batch wrote is told to
 *   anybody before it is durable, reads included.
 * Source: design 50, "One writer, group commit".
 */
#ifndef DAEMON_LEDGER_BATCH_H
#define DAEMON_LEDGER_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/err.h"
#include "daemon/wire/peer.h"

#define BATCH_COMMANDS_MAX 256
#define BATCH_BYTES_MAX    (2u << 20)

struct batch_row {
	/* inside the savepoint; an error undoes it */
	enum err (*act)(void *arg);
	/* after an undone act, still inside the batch: the leaf of the refusal, its idempotency row. May be NULL. */
	enum err (*refused)(void *arg, enum err e);
	/* after the commit: e is what act returned, or ERR_AUDIT_AWAY when the batch was lost */
	void (*done)(void *arg, enum err e);
};

/* batch_open: makes the loop event that commits. ERR_MEMORY. */
enum err batch_open(void) MUST;
/* batch_run: act runs before this returns; done runs later, or at once when no batch could be opened. row is static. */
void batch_run(const struct batch_row *row, void *arg, size_t bytes);
/*
 * batch_read: run(call, req) now, or after the open batch is durable (req is copied then). A batch that fails does not
 * fail its readers.
 */
void batch_read(struct call *call, const void *req, size_t bytes, void (*run)(struct call *call, const void *req));
/* batch_commit: commits what is open; proc_spec.on_turn. */
void batch_commit(void);
/* What rides in every batch: before runs inside it, last; after when it is durable (kept) or was lost. One pair. */
void batch_ride(enum err (*before)(void), void (*after)(bool kept));
/* Is the error one after which the whole batch is lost? */
bool batch_fatal(enum err e);

#endif
