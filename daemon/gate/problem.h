/*
 * problem — application/problem+json from a row of policy/error.def.
 * Invariants: nothing of the input is in it but pointers made of known names; title and detail come from the table.
 * Source: RFC 9457.
 */
#ifndef DAEMON_GATE_PROBLEM_H
#define DAEMON_GATE_PROBLEM_H

#include "daemon/gate/shape.h"
#include "daemon/gate/writer.h"
#include "policy/schema/object.pb.h"

struct problem {
	enum err code;
	const char *request_id, *traceparent; /* "" for none */
	const struct complaints *complaints;  /* may be NULL */
	const sp_payment_view *payment;       /* may be NULL */
};

void problem_write(struct writer *w, const struct problem *p);
/* Seconds for Retry-After, 0 when the header does not belong there. */
unsigned problem_retry_after_s(enum err e);

#endif
