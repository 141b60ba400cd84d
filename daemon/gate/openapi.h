/*
 * openapi — the API document, written from the same tables that the API runs on.
 * Source: OpenAPI 3.1.0, JSON Schema 2020-12.
 */
#ifndef DAEMON_GATE_OPENAPI_H
#define DAEMON_GATE_OPENAPI_H

#include "daemon/gate/writer.h"

void openapi_write(struct writer *w);

#endif
