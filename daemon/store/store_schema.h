/*
 * store_schema — the ledger's tables, as numbered migrations that only go forward.
 */
#ifndef DAEMON_STORE_STORE_SCHEMA_H
#define DAEMON_STORE_STORE_SCHEMA_H

#include "daemon/base/err.h"
#include "daemon/db/db.h"

/* Bring a database to this version. ERR_DB_VERSION (it is newer) · errors of db_migrate. */
enum err store_schema_migrate(struct db *d) MUST;

#endif
