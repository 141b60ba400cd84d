/*
 * verify_file — verify_export for an export on disk: F.tar, F.tar.minisig beside it, and a directory of the auditor's
 * keys. The one part of this room that opens files, so that `sallyport-verify` and `sallyport audit verify` are the
 * same check.
 */
#ifndef DAEMON_AUDIT_VERIFY_FILE_H
#define DAEMON_AUDIT_VERIFY_FILE_H

#include "daemon/audit/verify.h"

struct verify_options {
	const char *keys_dir, *since, *record;
};

/*
 * verify_file(path, options, report, blamed_out)
 *   options    what the auditor has of his own; each may be NULL:
 *     keys_dir   holds vkey and audit.pem or minisign.pub (or both); NULL: the keys inside the export are used
 *     since      an earlier export (its archive): the new one must begin with what that had
 *     record     "vault:17": show this record with its proof
 *   blamed_out with ERR_FILE_MISSING, ERR_PERMISSION, ERR_IO and ERR_FILE_FORM: the file (static text or an argument)
 *   Returns    ERR_OK · ERR_VERIFY_FAILED · ERR_FILE_MISSING · ERR_PERMISSION · ERR_IO · ERR_FILE_FORM (a key file, the
 * earlier export) · ERR_USAGE (record) · ERR_MEMORY. Blocks     on the disk.
 */
enum err verify_file(const char *path, const struct verify_options *options, struct verify_report *report,
					 const char **blamed_out) MUST;

#endif
