/*
 * notify — tells systemd how the appliance is. Never waits: sd_notify(3) blocks when systemd does not read, and a
 * parent that waits is a parent that does not look after its children. Source: sd_notify(3), sd_watchdog_enabled(3).
 */
#ifndef DAEMON_MONITOR_NOTIFY_H
#define DAEMON_MONITOR_NOTIFY_H

#include <stdbool.h>

/* Reads NOTIFY_SOCKET and WATCHDOG_USEC; without them all calls below do nothing. */
void notify_open(void);
/* "READY=1", "STATUS=…": false when it could not be sent now and should be sent again. */
bool notify_send(const char *text);
/* To be called often: sends WATCHDOG=1 in half of the time that systemd allows. */
void notify_alive(void);

#endif
