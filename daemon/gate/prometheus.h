/*
 * prometheus — every figure of every process as text for a scraper.
 * Source: Prometheus exposition format 0.0.4.
 */
#ifndef DAEMON_GATE_PROMETHEUS_H
#define DAEMON_GATE_PROMETHEUS_H

#include "daemon/base/buf.h"
#include "daemon/base/err.h"

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum err prometheus_write(struct buf *out) MUST;

#endif
