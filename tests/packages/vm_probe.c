/*
 * Stands in a process's place, in its domain and under its user, and tries what that process must never do. The caller
 * has opened the file rights wide before, so that what says no is SELinux. Says nothing but its own name and what went
 * through.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int
tried(const char *what, int result)
{
	char line[120];
	int n = snprintf(line, sizeof line, "probe: %s: %s\n", what, result < 0 ? "refused" : "WENT THROUGH");
	return (int)write(STDERR_FILENO, line, (size_t)n);
}

int
main(int argc, char **argv)
{
	char *const none[] = {NULL};
	tried(argc > 0 ? argv[0] : "?", -1);
	tried("open the vault's boot file", open("/var/lib/sallyport/vault/boot", O_RDONLY));
	tried("open a key of an officer", open("/etc/sallyport/officers/1-anna.key", O_RDONLY));
	tried("make a socket to the network", socket(AF_INET, SOCK_STREAM, 0));
	tried("run a shell", execve("/bin/sh", none, none));
	sleep(2);
	return 0;
}
