/*
 * reload — SIGHUP: the configuration and the certificate files anew, for all who run.
 */
#ifndef DAEMON_MONITOR_RELOAD_H
#define DAEMON_MONITOR_RELOAD_H

/* A bad configuration is logged and the old one kept. Keys that need a restart are named and keep their value. */
void reload_now(void);

#endif
