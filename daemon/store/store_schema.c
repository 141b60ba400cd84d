#include "daemon/store/store_schema.h"

#include "daemon/db/logbook.h"
#include "daemon/store/key_index.h"

/*
 * What each table is for, and why it is as it is:
 * - event: the truth, append-only, in order of seq (the outbox is a position in it); unique per stream and version.
 *   Streams are ULIDs of payments, so the index grows at its end like the table.
 * - payment: the read model, the encoded state under the same ULID; without rowid, so one B-tree and newest last.
 *   order_hash is an index entry of eight bytes, and only where there is an order id.
 * - item: small ordered maps (attempts without a result, refunds' payments, clients and so on), told apart by kind.
 * - idempotency_*: keys that point to payment and operation, see key_index.h.
 */
static const char tables[] =
	"CREATE TABLE event(seq INTEGER PRIMARY KEY, stream BLOB NOT NULL, version INTEGER NOT NULL, type INTEGER NOT NULL,"
	" at INTEGER NOT NULL, payload BLOB NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX event_stream ON event(stream, version);"
	"CREATE TABLE payment(id BLOB PRIMARY KEY, version INTEGER NOT NULL, order_hash INTEGER, state BLOB NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE INDEX payment_order ON payment(order_hash, id) WHERE order_hash IS NOT NULL;"
	"CREATE TABLE item(kind INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key))"
	" STRICT, WITHOUT ROWID;";

enum err
store_schema_migrate(struct db *d)
{
	const char *const migrations[] = {logbook_schema, tables, key_index_schema, key_index_sharper};
	enum {
#define SCHEMA(ID, name, migrations) SCHEMA_##ID = (migrations),
#include "policy/schema_version.def"
#undef SCHEMA
	};
	_Static_assert(sizeof migrations / sizeof *migrations == SCHEMA_LEDGER, "policy/schema_version.def says otherwise");
	return db_migrate(d, migrations, sizeof migrations / sizeof *migrations);
}
