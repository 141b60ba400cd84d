#include "daemon/monitor/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/str.h"

static struct {
	int fd;
	struct sockaddr_un to;
	socklen_t to_bytes;
	int64_t every_ms, next_ms; /* of the watchdog; 0: systemd wants none */
} notify = {.fd = -1};

static void
read_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t n, whom;
	if (!usec || str_decimal(usec, INT64_MAX, &n) != ERR_OK)
		return;
	if (pid && (str_decimal(pid, INT32_MAX, &whom) != ERR_OK || whom != (uint64_t)getpid()))
		return;
	notify.every_ms = (int64_t)(n / 2000);
}

void
notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	if (!path || (path[0] != '/' && path[0] != '@') ||
		str_set(notify.to.sun_path, sizeof notify.to.sun_path, path) != ERR_OK)
		return;
	notify.to.sun_family = AF_UNIX;
	notify.to_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@') /* an abstract name */
		notify.to.sun_path[0] = 0;
	notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	read_watchdog();
}

bool
notify_send(const char *text)
{
	if (notify.fd < 0)
		return true;
	ssize_t n =
		sendto(notify.fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&notify.to, notify.to_bytes);
	return n >= 0 || (errno != EAGAIN && errno != ENOBUFS && errno != EINTR);
}

void
notify_alive(void)
{
	int64_t now = clock_mono_ms();
	if (notify.every_ms && now >= notify.next_ms && notify_send("WATCHDOG=1"))
		notify.next_ms = now + notify.every_ms;
}
