/*
 * readiness — may this be served now? page_health over the pages of all processes, looked at no more than once in 10
 * ms.
 */
#ifndef DAEMON_GATE_READINESS_H
#define DAEMON_GATE_READINESS_H

#include "daemon/gate/writer.h"
#include "daemon/wire/page.h"

struct health readiness_now(void);
/* ERR_OK, or why a request is answered with 503: sealed and starting stop all, refusing stops effects. */
enum err readiness_refusal(bool effect);
/* The checks of /health and /readyz as members of the object that w is in. Returns whether all are well. */
bool readiness_checks(struct writer *w, bool failing_only);
/* Retry-After for ERR_PROCESSOR_OUT: when the processors that do not answer will have been asked again; 1 at least. */
unsigned readiness_outage_s(void);

#endif
