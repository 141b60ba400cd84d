/*
 * mark — which schema versions the stores have, in clear beside them, so that an older version refuses them at the
 * door. Invariants: it only says what has been served; the stores' own numbers are checked again when they are opened.
 */
#ifndef DAEMON_BASE_MARK_H
#define DAEMON_BASE_MARK_H

#include <stdbool.h>

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

/*
 * mark_check(dir, why)
 *   dir       that holds the stores; no mark there: they are new, or older than marks
 *   why       which store is too new, for people; added to
 *   Returns   ERR_OK · ERR_DB_VERSION · ERR_FILE_FORM · ERR_IO
 */
enum err mark_check(const char *dir, struct buf *why) MUST;
/* mark_same(dir): have the stores that are marked just our schemas? Then a version that served them before takes them
 * still. */
bool mark_same(const char *dir);
/* mark_write(dir): our numbers, atomically; nothing is written when they stand there already. ERR_IO · ERR_DISK_FULL */
enum err mark_write(const char *dir) MUST;

#endif
