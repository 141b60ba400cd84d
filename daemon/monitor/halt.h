/*
 * halt — the stop of the appliance, in order and in bounded time: those who take work first, the HSM's broker last.
 */
#ifndef DAEMON_MONITOR_HALT_H
#define DAEMON_MONITOR_HALT_H

/* The first call stops in order within 5 s; a second one kills what is left. */
void halt_begin(void);
/* To be called at each death and each tick while stopping: ends the loop when all have gone. */
void halt_go_on(void);

#endif
