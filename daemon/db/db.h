/*
 * db — SQLCipher with the mandatory pragmas, statements that are prepared once, transactions with savepoints.
 * Invariants: a database is opened with a raw 32-byte key by sqlite3_key_v2 or not at all; every mandatory pragma is
 * read back; cipher_version ≥ 4.6.1; SQLITE_FULL and I/O errors come out as ERR_DISK_FULL and ERR_IO and roll
 * everything back. Source: design "SQLCipher, mandatory"; PCI DSS 4.0.1 3.5.1.
 */
#ifndef DAEMON_DB_DB_H
#define DAEMON_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct db;
struct stmt;

struct db_options {
	size_t cache_bytes;   /* 0: 8 MiB */
	size_t wal_bytes_max; /* 0: 64 MiB. db_between_batches finishes the checkpoint above this */
	bool must_exist; /* never made anew: the log of a new one would be played into the right one, once that is back */
};

/*
 * db_warm: before the jail. Installs the wiping allocator and lets SQLCipher's crypto library read what it reads once
 * (its configuration, its random source), so that nothing of it is needed inside. ERR_DB · ERR_MEMORY. Any number of
 * times.
 */
enum err db_warm(void) MUST;

/*
 * db_open(path, key, options, out)
 *   Open or make the file. key is 32 bytes, borrowed, not kept by us (SQLCipher keeps its own copy).
 *   Returns ERR_OK · ERR_DB_KEY · ERR_DB · ERR_IO · ERR_DISK_FULL · ERR_MEMORY · ERR_ROLLBACK (must exist and is not
 *   there) · ERR_FILE_RIGHTS. Blocks: on the disk.
 */
enum err db_open(const char *path, const uint8_t key[32], const struct db_options *options, struct db **out) MUST;
void db_close(struct db *d); /* NULL is fine; checkpoints first */

/* Run migrations[user_version..]: each is SQL text, all in one transaction. ERR_DB_VERSION (file is newer) ·
 * ERR_DB_MIGRATION (a step failed; a line in the log names store and step, the file is as it was) · ERR_DISK_FULL ·
 * ERR_IO · ERR_MEMORY. */
enum err db_migrate(struct db *d, const char *const *migrations, unsigned n) MUST;

enum err db_begin(struct db *d) MUST;  /* BEGIN IMMEDIATE */
enum err db_commit(struct db *d) MUST; /* ERR_DISK_FULL · ERR_IO: the transaction is rolled back */
void db_rollback(struct db *d);
bool db_in_transaction(const struct db *d);
/* One level of savepoint, for one command among a batch. */
enum err db_mark(struct db *d) MUST;
enum err db_mark_release(struct db *d) MUST;
void db_mark_undo(struct db *d);

/* Prepared once per database and text (text must be a literal: its address is the key); reset and cleared when fetched.
 */
struct stmt *db_stmt(struct db *d, const char *sql); /* never NULL: a statement that can't be prepared fails at step */
void stmt_int(struct stmt *s, int at, int64_t v);    /* at from 1 */
void stmt_text(struct stmt *s, int at, const char *text);            /* copied; NULL binds NULL */
void stmt_blob(struct stmt *s, int at, const void *bytes, size_t n); /* borrowed until stmt_done */
void stmt_null(struct stmt *s, int at);
/* stmt_row: *row_out true with a row, false at the end or on an error (the statement is reset then). ERR_DB_CONFLICT
 * (constraint) · ERR_DISK_FULL · ERR_IO · ERR_DB · ERR_MEMORY. */
enum err stmt_row(struct stmt *s, bool *row_out) MUST;
/* stmt_run: steps to the end, expects no row, and resets. Errors as stmt_row. */
enum err stmt_run(struct stmt *s) MUST;
int64_t col_int(struct stmt *s, int at);                     /* at from 0 */
const char *col_text(struct stmt *s, int at);                /* "" for NULL; until the next step */
const void *col_blob(struct stmt *s, int at, size_t *n_out); /* NULL for NULL */
bool col_null(struct stmt *s, int at);
void stmt_done(struct stmt *s); /* reset; also releases read locks */
uint64_t db_changes(struct db *d);
/* Rows changed since the opening: has anything been written between two calls? */
uint64_t db_changes_all(struct db *d);

/* Call when no transaction is open: checkpoints the WAL when it is above wal_bytes_max. */
enum err db_between_batches(struct db *d) MUST;
size_t db_wal_bytes(struct db *d);
/*
 * Did an fsync fail, or a rollback? After an fsync nobody knows what is on the disk and asking again would lie (the
 * kernel has dropped the pages): the caller ends the process at once, and the next start re-reads what really is there.
 * Every later statement answers ERR_IO.
 */
bool db_fatal(const struct db *d);
const char *db_cipher_version(struct db *d);

#endif
