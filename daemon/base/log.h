/*
 * log — one JSON line per event on stderr, from a closed list of field kinds.
 * Invariants: a line never holds request bytes: text fields are shown with control, non-ASCII and quote characters
 *   escaped and cut at 200 characters; there is no "%s" of a body and no field kind for secrets.
 * Levels are syslog's; under systemd the line begins with "<n>" so that journald takes the priority (sd-daemon(3)).
 */
#ifndef DAEMON_BASE_LOG_H
#define DAEMON_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/base/err.h"

struct log_field {
	const char *key;
	enum { LOG_END, LOG_TEXT, LOG_INT, LOG_ERR } kind;
	const char *text;
	int64_t number;
};

#define LOG_S(k, v)                               \
	{                                             \
		.key = (k), .kind = LOG_TEXT, .text = (v) \
	}
#define LOG_I(k, v)                                         \
	{                                                       \
		.key = (k), .kind = LOG_INT, .number = (int64_t)(v) \
	}
#define LOG_E(k, v)                                         \
	{                                                       \
		.key = (k), .kind = LOG_ERR, .number = (int64_t)(v) \
	}

/* log_open(tag): "gate/0"; kept by copy. Before it the tag is "sallyport". */
void log_open(const char *tag);
/* Lines below this severity are dropped; info at first. */
void log_level(enum severity least);
/* log_write: one write(2) of one line; never fails, may drop the line when stderr would block for long. */
void log_write(enum severity s, const char *what, const struct log_field *fields);
/*
 * log_info("peer gone", LOG_S("peer", "vault"), LOG_I("epoch", 3)): the macros end the field list themselves.
 * At least one field is needed: a line without one has seldom told anybody anything.
 */
#define log_info(what, ...)  log_write(SEVERITY_INFO, what, (const struct log_field[]){__VA_ARGS__, {.kind = LOG_END}})
#define log_warn(what, ...)  log_write(SEVERITY_WARN, what, (const struct log_field[]){__VA_ARGS__, {.kind = LOG_END}})
#define log_fatal(what, ...) log_write(SEVERITY_FATAL, what, (const struct log_field[]){__VA_ARGS__, {.kind = LOG_END}})

#endif
