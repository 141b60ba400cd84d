/*
 * verify — check an export offline, in one pass over its bytes and in bounded memory.
 * Proved when it says so: the archive is the one that was signed (minisign), the manifest was signed and lists exactly
 * the files that are there, each log's records give the root of its checkpoint (RFC 6962), the checkpoint was signed by
 * the audit key and is this log's, record i says seq i, and the tiles are those of this tree. Not proved: that there is
 * no other log with the same key (ask the witness), and that the keys are right if they came with the export.
 */
#ifndef DAEMON_AUDIT_VERIFY_H
#define DAEMON_AUDIT_VERIFY_H

#include "daemon/audit/export.h"
#include "daemon/audit/leaf.h"
#include "daemon/audit/ustar.h"
#include "daemon/base/buf.h"
#include "daemon/base/clock.h"

/* Keys to trust, from the auditor's own files; what was not given is taken from the export. */
struct verify_keys {
	struct export_keys keys;
	bool given;
};
/* What an earlier export said about a log. */
struct verify_since {
	char folder[EXPORT_FOLDER_MAX];
	char note[NOTE_BYTES_MAX];
	size_t note_bytes;
};
struct verify_ask {
	struct verify_keys keys; /* .given false: trust those inside */
	struct verify_since since[EXPORT_LOGS_MAX];
	unsigned since_n;
	char record_log[EXPORT_FOLDER_MAX]; /* "" or the folder whose record record_seq is to be shown with its proof */
	uint64_t record_seq;
};
struct verify_log {
	char folder[EXPORT_FOLDER_MAX];
	struct checkpoint head;
	uint64_t records;
	char first_ts[CLOCK_TEXT_BYTES], last_ts[CLOCK_TEXT_BYTES];
	uint64_t tiles;
	bool good;           /* signature, size, root, sequence */
	bool grown;          /* it begins with the log of the earlier export … */
	uint64_t grown_from; /* … that had so many records */
};
/* The record that was asked for, and its proof. */
struct verify_record {
	bool proved;
	char log[EXPORT_FOLDER_MAX];
	uint64_t seq, size;
	uint8_t root[HASH_BYTES];
	char text[LEAF_BYTES_MAX];
	size_t bytes;
	uint8_t proof[PROOF_MAX][HASH_BYTES];
	size_t proof_n;
};
struct verify_report {
	struct verify_log logs[EXPORT_LOGS_MAX];
	unsigned logs_n;
	uint64_t files, bytes;
	bool keys_given;
	struct export_keys keys; /* with which it was checked */
	char comment[256];       /* minisign's trusted comment, "" unless it verified */
	bool archive_good, manifest_good;
	struct verify_record record;
	struct buf problems; /* one line each, the first found first; empty: all is well */
};

/* verify_report_problem: one more line "where: what"; dropped silently after the first 32. */
void verify_report_problem(struct verify_report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The auditor's files in text form; any may be NULL. ERR_FILE_FORM. */
enum err verify_keys_read(const char *vkey, size_t vkey_bytes, const char *audit_pem, size_t pem_bytes,
						  const char *minisign_pub, size_t minisign_bytes, struct verify_keys *out) MUST;
/*
 * verify_export(read, arg, minisig, minisig_bytes, ask, report)
 *   minisig  the text of F.tar.minisig; NULL: it is missing, which is a problem
 *   ask      which keys, since which earlier export, which record; NULL: the keys inside and nothing else
 *   report   always filled; verify_report_clear it
 *   Returns  ERR_OK (proved) · ERR_VERIFY_FAILED (report->problems says what) · what read gave · ERR_MEMORY.
 */
enum err verify_export(ustar_read_fn read, void *arg, const char *minisig, size_t minisig_bytes,
					   const struct verify_ask *ask, struct verify_report *report) MUST;
/* verify_since_read: the checkpoints of an earlier export; the rest of it is passed over unchecked. ERR_FILE_FORM · as
 * read. */
enum err verify_since_read(ustar_read_fn read, void *arg, struct verify_ask *out) MUST;
bool verify_report_good(const struct verify_report *r); /* everything was proved */
void verify_report_clear(struct verify_report *r);
/* What was proved, or what is wrong, for people or as one JSON document. ERR_LIMIT · ERR_MEMORY. */
enum err verify_report_text(const struct verify_report *r, struct buf *out) MUST;
enum err verify_report_json(const struct verify_report *r, struct buf *out) MUST;

#endif
