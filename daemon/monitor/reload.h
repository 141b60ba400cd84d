/*
 * reload — SIGHUP: the configuration and the certificate files anew, for all who run.
 */
#ifndef DAEMON_MONITOR_RELOAD_H
#define DAEMON_MONITOR_RELOAD_H

#include <stdbool.h>

/*
 * A bad configuration is logged and the old one kept; that stands in our page until a reload is taken. Keys that need a
 * restart are named and keep their value. What `sallyport config reload` found out of our sight (a certificate of
 * another key, a module that does not load) lies in run/config.refused and refuses the reload too.
 */
void reload_now(void);
/* Was the last reload refused? */
bool reload_refused(void);

#endif
