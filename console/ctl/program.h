/*
 * program — other programs of the host, run without a shell, and systemd's word on our service.
 */
#ifndef CONSOLE_CTL_PROGRAM_H
#define CONSOLE_CTL_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PROGRAM_UNIT "sallyport.service"

/*
 * program_run(argv, out, size)
 *   argv     by its path, ends with NULL; it does not outlive us
 *   out      what it says on stdout, cut to size; NULL: it has our stdout. Its stderr is ours
 *   Returns  its exit status; -1: it could not be run, or a signal ended it
 *   Blocks   until it has ended
 */
int program_run(const char *const argv[], char *out, size_t size);
/* The same, and its stderr is nobody's: a daemon in a domain of its own must not be handed a person's file (SELinux).
 */
int program_run_quietly(const char *const argv[], char *out, size_t size);
/* With these bytes (at most a pipe's) on its standard input; its exit status, -1: it could not be run, or did not take
 * them. The caller sees to SIGPIPE. */
int program_feed(const char *const argv[], const void *bytes, size_t n);
/* Asks systemd to start or restart the service. What asks is a process of its own that Ctrl-C does not reach: systemd
 * is asked in any case. -1: it could not be started. */
pid_t program_service(const char *verb);
/* Is systemd on its way with the service: stopping, starting, or about to? */
bool program_service_changing(void);

#endif
