/*
 * powerdisk — a disk in memory whose power can be cut at any operation: what was written and not yet synced is then
 * kept, lost, torn at a sector's border or reordered, as the seed says. Registers itself as SQLite's only disk.
 * Invariants: what xSync returned for survives; sectors that were not being written are never damaged (SQLite is told
 * so, as on a real disk: SQLITE_IOCAP_POWERSAFE_OVERWRITE).
 */
#ifndef TESTS_UNIT_DB_POWERDISK_H
#define TESTS_UNIT_DB_POWERDISK_H

#include <stdbool.h>
#include <stdint.h>

/* Call after db_warm. */
void powerdisk_install(void);
/* Every file gone. */
void powerdisk_format(void);
/* The power goes at the n-th write, truncation, sync or deletion from now on; 0: never. All later operations fail. */
void powerdisk_cut_at(uint64_t n);
bool powerdisk_is_off(void);
/* After the handles were closed: what a disk would hold now. Then the power is on again. */
void powerdisk_recover(uint32_t *seed);
/* How many operations so far, and how many unsynced writes the last cut lost or tore. */
uint64_t powerdisk_operations(void);
uint64_t powerdisk_lost(void);
/*
 * The n-th operation from now on answers with code (SQLITE_FULL, or SQLITE_IOERR for the error of its own kind), and
 * with `sticky` all later ones too; n 0: no more. The disk holds what it held: it is a full or a sick one, not one
 * without power.
 */
void powerdisk_fail_at(uint64_t n, int code, bool sticky);
/* Has it happened? */
bool powerdisk_failed(void);
/* The planted fault: syncs say yes and do nothing. */
void powerdisk_lie(bool lies);

#endif
