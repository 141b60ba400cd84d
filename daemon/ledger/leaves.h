/*
 * leaves — the audit records that the ledger leaves, from closed structs. All are queued in the open batch.
 * Errors: those of store_leaf. Nothing here blocks.
 */
#ifndef DAEMON_LEDGER_LEAVES_H
#define DAEMON_LEDGER_LEAVES_H

#include "daemon/audit/leaf.h"
#include "policy/schema/wire.pb.h"

/* A client did something, or was refused (e ≠ ERR_OK: outcome deny). client may be "" when nobody is known. */
enum err leaves_client(enum audit_event event, const sp_caller *as, const char *client, const char *object,
					   const char *merchant, enum err e) MUST;
/* The numbers of leaves that name this request, as far as they are remembered: of the latest tens of thousands. */
unsigned leaves_of(const char *request, uint64_t *out, unsigned max);
/* A processor account said how an operation ended. */
enum err leaves_processor(enum audit_event event, const char *account, const char *object, const char *merchant,
						  sp_operation_status status, const char *reason) MUST;
/* The ledger itself, about itself or for a peer. */
enum err leaves_process(enum audit_event event, const char *process, const char *object, enum err e,
						int64_t count) MUST;
/* An officer's program: the officer's name, or the uid of who asked. */
enum err leaves_officer(enum audit_event event, const char *officer, uint32_t uid, const char *object, enum err e) MUST;

#endif
