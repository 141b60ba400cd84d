/*
 * expire — authorizations whose time is over.
 */
#ifndef DAEMON_LEDGER_EXPIRE_H
#define DAEMON_LEDGER_EXPIRE_H

/* expire_tick: each second; a bounded number of payments at a time. */
void expire_tick(void);

#endif
