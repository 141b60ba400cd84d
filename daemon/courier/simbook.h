/*
 * simbook — the simulated issuer's books: what it has authorized, captured, voided and refunded, by derived key.
 * Invariants: an effect is a line in the file before anybody hears of it, so that a killed courier loses no charge; one
 *   derived key is one effect; sums never leave 0 ≤ refunded ≤ captured ≤ authorized. No card number and no token is
 *   ever in here: a script is kept by its name.
 * The file is JSON lines, one per effect (daemon/courier/simline.h).
 * It is a stand-in for another company's books, so it survives kill -9 but is not fsynced: a power cut is not its test.
 */
#ifndef DAEMON_COURIER_SIMBOOK_H
#define DAEMON_COURIER_SIMBOOK_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "daemon/courier/script.h"
#include "policy/schema/wire.pb.h"

#define SIMBOOK_ENTRIES_MAX     4000000u
#define SIMBOOK_REFERENCE_BYTES 37 /* "sim_" and 32 hex digits */

struct simbook;

struct simbook_entry {
	uint8_t key[16]; /* BLAKE2b of the derived key; its hex is the reference */
	int64_t at_ms;
	int64_t amount_minor;
	int64_t captured_minor, refunded_minor; /* of an authorization: what later effects made of it */
	const struct script_row *script;
	uint32_t authorization; /* number of the entry that it acts on, from 1; 0: none */
	uint8_t kind;           /* sp_job_kind */
	uint8_t outcome;        /* sp_outcome: APPROVED, DECLINED, PENDING */
	bool captured;          /* an authorization that was captured at once */
	bool closed;            /* voided or reversed: nothing more can be captured */
};

/*
 * simbook_open(path, out): reads the file (made when missing); a last line that was cut off is dropped, it was never
 *   answered. ERR_FILE_FORM (a whole line is damaged) · ERR_IO · ERR_MEMORY · ERR_LIMIT. Blocks while it reads.
 */
enum err simbook_open(const char *path, struct simbook **out) MUST;
void simbook_close(struct simbook *b); /* NULL is fine */

/* Borrowed until the next simbook_add; NULL: the issuer knows of no such thing. A reversal is found by its kind alone.
 */
const struct simbook_entry *simbook_find(const struct simbook *b, const char *derived_key, sp_job_kind kind);
const struct simbook_entry *simbook_find_reference(const struct simbook *b, const char *reference);
void simbook_reference(const struct simbook_entry *e, char out[SIMBOOK_REFERENCE_BYTES]);

/*
 * simbook_add(b, job, on, outcome, script, entry_out): one effect, written and applied; its key must be new.
 *   on          the authorization that it acts on, NULL for an authorization itself
 *   Returns     ERR_OK · ERR_DISK_FULL, ERR_IO, ERR_CHARACTERS, ERR_AMOUNT_OUT_OF_RANGE (nothing happened) · ERR_MEMORY
 * · ERR_LIMIT (the books are full).
 */
enum err simbook_add(struct simbook *b, const sp_job_req *job, const struct simbook_entry *on, sp_outcome outcome,
					 const struct script_row *script, const struct simbook_entry **entry_out) MUST;
uint32_t simbook_count(const struct simbook *b);

#endif
