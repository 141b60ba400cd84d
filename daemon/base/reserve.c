#include "daemon/base/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum err
reserve_hold(struct reserve *r)
{
	if (r->held)
		return ERR_OK;
	if (r->fd < 0)
		return ERR_IO;
	/* posix_fallocate would write zeros where fallocate is missing: slow, and no promise on a copy-on-write disk */
	if (fallocate(r->fd, 0, 0, (off_t)r->bytes) == 0) {
		r->held = true;
		return ERR_OK;
	}
	int why = errno;
	/* half a reserve would starve the very writes that it is there for */
	reserve_release(r);
	return why == ENOSPC || why == EDQUOT ? ERR_DISK_FULL : ERR_IO;
}

enum err
reserve_open(struct reserve *r, const char *path, uint64_t bytes)
{
	*r = (struct reserve){.fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), .bytes = bytes};
	if (r->fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO;
	return reserve_hold(r);
}

void
reserve_release(struct reserve *r)
{
	r->held = false;
	/* nothing better can be done when even this fails: the next hold tells */
	if (r->fd >= 0 && ftruncate(r->fd, 0) != 0)
		return;
}

void
reserve_close(struct reserve *r)
{
	if (r->fd >= 0)
		close(r->fd);
	*r = (struct reserve){.fd = -1};
}
