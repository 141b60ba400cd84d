/*
 * Stands in a process's place, in its domain and under its user, and tries what that process must never do. The caller
 * has opened the file rights wide before, so that what says no is SELinux; the same in permissive mode goes through, or
 * the refusal would prove nothing. Says nothing but its own name and what went through.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int
tried(const char *who, const char *what, int result)
{
	char line[160];
	int n = snprintf(line, sizeof line, "probe: %s: %s: %s\n", who, what, result < 0 ? "refused" : "WENT THROUGH");
	return (int)write(STDERR_FILENO, line, (size_t)n);
}

int
main(int argc, char **argv)
{
	char *const none[] = {NULL};
	const char *who = argc > 0 ? argv[0] : "?";
	/* the vault's own file is no test of the vault */
	const char *store =
		strncmp(who, "vault", 5) == 0 ? "/var/lib/sallyport/ledger/ledger.db" : "/var/lib/sallyport/vault/boot";
	tried(who, "open another's store", open(store, O_RDONLY));
	tried(who, "open a key of an officer", open("/etc/sallyport/officers/1-anna.key", O_RDONLY));
	tried(who, "make a socket to the network", socket(AF_INET, SOCK_STREAM, 0));
	tried(who, "run a shell", execve("/bin/sh", none, none));
	sleep(2);
	return 0;
}
