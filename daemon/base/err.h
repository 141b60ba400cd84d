/*
 * err — every way a thing can fail, once, as a value that can't be ignored.
 * Invariants: a code is one distinguishable cause; its text, HTTP status and next step live in policy/error.def only.
 * Source: RFC 9457 (problem details), sysexits are not used: see docs/exit-codes in policy/error.def.
 */
#ifndef DAEMON_BASE_ERR_H
#define DAEMON_BASE_ERR_H

#include <stdbool.h>

enum err {
	ERR_OK = 0,
#define ERR(id, code, http, category, retryable, severity, title, next) ERR_##id,
#include "policy/error.def"
#undef ERR
	ERR_MAX
};

/* info: the caller's own doing; warn: an operator should look; fatal: the process ends; panic: our bug. */
enum severity { SEVERITY_INFO, SEVERITY_WARN, SEVERITY_FATAL, SEVERITY_PANIC };

/* Put on every function that returns enum err. */
#define MUST __attribute__((warn_unused_result))

/* Each getter is total: a number outside the table gets the row of ERR_INTERNAL. None blocks or allocates. */
const char *err_code(enum err e);     /* "card_declined": stable, for programs */
const char *err_title(enum err e);    /* a short sentence for people, never with input in it */
const char *err_next(enum err e);     /* what to do next: a sentence or a command */
const char *err_category(enum err e); /* "invalid_request", … as in the API contract */
int err_http(enum err e);             /* the status that HTTP answers with */
bool err_retryable(enum err e);       /* may the same request succeed later, unchanged? */
enum severity err_severity(enum err e);
/* The man page that tells what to do, "sallyport-hsm-lost" (policy/runbook.def); "" where it is the client's own doing.
 */
const char *err_runbook(enum err e);

#endif
