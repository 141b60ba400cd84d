/*
 * hidden — how a command is given a secret: from a file, a descriptor or a prompt that does not echo; never an
 * argument. Invariants: the bytes go into guarded memory and nowhere else; a file that others may read is refused, for
 * whoever could read it has the secret; a prompt stands on the terminal itself, so that pipes carry answers and no
 * questions. Source: proof/for-people 6, 7.
 */
#ifndef CONSOLE_CTL_HIDDEN_H
#define CONSOLE_CTL_HIDDEN_H

#include "console/ctl/ctl.h"
#include "daemon/base/secret.h"

#define HIDDEN_BYTES_MAX 256

/*
 * hidden_read(where, out)
 *   where    a path, "-" (standard input) or "fd:N" (a descriptor that we were started with)
 *   out      what stands there without the line's end; free with secret_free
 *   Returns  ERR_OK · ERR_FILE_MISSING · ERR_PERMISSION · ERR_FILE_EXPOSED (others may read the file) · ERR_FILE_FORM
 *            (empty, more than one line, or longer than HIDDEN_BYTES_MAX) · ERR_IO · ERR_MEMORY · ERR_CVC_ROOM
 */
enum err hidden_read(const char *where, struct secret **out) MUST;
/* Asks on the terminal, unseen. ERR_USAGE: there is no terminal, or --no-input; else as hidden_read. */
enum err hidden_ask(const struct run *r, const char *question, struct secret **out) MUST;
/* hidden_read when the flag was given, else hidden_ask. */
enum err hidden_get(const struct run *r, const char *flag, const char *question, struct secret **out) MUST;

#endif
