#include "daemon/monitor/listen.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/conf.h"
#include "daemon/base/str.h"

#define BACKLOG         1024
#define ORPHANS_MS      5000
#define ORPHANS_LOOK_MS 50

static void
say(struct buf *why, const char *what, const char *which)
{
	if (buf_printf(why, "%s: %s", what, which) != ERR_OK)
		return;
}

static enum err
resolve(const char *where, struct addrinfo **out)
{
	char host[CONF_HOST_BYTES], port[CONF_PORT_BYTES];
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	enum err e = conf_address(where, host, port);
	if (e != ERR_OK)
		return e;
	return getaddrinfo(host, port, &hints, out) == 0 ? ERR_OK : ERR_CONFIG;
}

static enum err
open_one(const struct addrinfo *a, bool shared, int *out)
{
	const int on = 1;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_IO;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (shared)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
	if (bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
		enum err e = errno == EADDRINUSE ? ERR_EXISTS : errno == EACCES ? ERR_PERMISSION : ERR_IO;
		close(fd);
		return e;
	}
	*out = fd;
	return ERR_OK;
}

enum err
listen_tcp(const char *where, unsigned n, int *fds_out, struct buf *why)
{
	struct addrinfo *a = NULL;
	int probe = -1;
	enum err e = resolve(where, &a);
	if (e != ERR_OK) {
		say(why, "listen is not address:port", where);
		return e;
	}
	/*
	 * Shared ports would let two appliances take turns on one port: see first that nobody has it. The processes of a
	 * monitor that was killed need a moment to notice; an appliance that starts at once must not fail because of them.
	 */
	e = open_one(a, false, &probe);
	for (unsigned tries = 0; e == ERR_EXISTS && tries < ORPHANS_MS / ORPHANS_LOOK_MS; tries++) {
		poll(NULL, 0, ORPHANS_LOOK_MS);
		e = open_one(a, false, &probe);
	}
	if (e == ERR_OK)
		close(probe);
	for (unsigned i = 0; i < n && e == ERR_OK; i++)
		e = open_one(a, true, &fds_out[i]);
	freeaddrinfo(a);
	if (e != ERR_OK)
		say(why, e == ERR_EXISTS ? "another program listens there" : "can't listen there", where);
	return e;
}

enum err
listen_unix(const char *path, const char *group, int *fd_out, struct buf *why)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	if (str_set(at.sun_path, sizeof at.sun_path, path) != ERR_OK) {
		say(why, "the path of the desk's socket is longer than 107 bytes; choose a shorter directory", path);
		return ERR_IO;
	}
	const struct group *g = getgrnam(group);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	gid_t own = getegid();
	/* mode and group are right from the first moment on, no link is followed, and no right to give files away is needed
	 */
	mode_t mask = umask(g ? 0117 : 0177);
	bool as_group = g && setegid(g->gr_gid) == 0;
	unlink(path); /* we hold the lock: it is a dead one's */
	bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
	bool back = !as_group || setegid(own) == 0;
	umask(mask);
	/* who is no member of the group can't give it: then the owner alone gets in */
	if (bound && g && !as_group && lchown(path, (uid_t)-1, g->gr_gid) != 0)
		bound = chmod(path, 0600) == 0;
	if (!bound || !back || listen(fd, 64) != 0) {
		say(why, "can't make the desk's socket", path);
		if (fd >= 0)
			close(fd);
		return ERR_PERMISSION;
	}
	*fd_out = fd;
	return ERR_OK;
}
