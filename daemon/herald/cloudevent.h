/*
 * cloudevent — one outbox entry as a CloudEvent in structured JSON.
 * Invariants: one line, no newline inside; every attribute name is lower case letters and digits; `sequence` orders as
 *   text; `data` is a JSON object or the entry is refused.
 * Source: CloudEvents 1.0.2 and its JSON format; extensions partitioning, sequence, distributed tracing.
 */
#ifndef DAEMON_HERALD_CLOUDEVENT_H
#define DAEMON_HERALD_CLOUDEVENT_H

#include "daemon/base/err.h"
#include "policy/schema/wire.pb.h"

/*
 * cloudevent_line(req, install, line_out): *line_out is heap-owned text (mem_free) that ends in NUL, without a newline.
 *   install   of the source "/sallyport/<install>" when the entry names none
 *   Returns   ERR_OK · ERR_JSON (data is no object, or an attribute is missing or not UTF-8) · ERR_MEMORY.
 */
enum err cloudevent_line(const sp_publish_req *req, const char *install, char **line_out) MUST;

#endif
