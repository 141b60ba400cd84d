#include "vault/disk.h"

#include <sys/statvfs.h>

#include "daemon/base/log.h"
#include "daemon/base/reserve.h"

#define RESERVE_FILE "reserve"
#define MARGIN_MAX   (UINT64_C(16) << 20)
#define MARGIN_SHARE 4

static struct {
	struct reserve reserve;
	bool refusing;
} disk = {.reserve = {.fd = -1}};

/* Room that a second of traffic can't use up, so that the stop comes before the failed write does. */
static uint64_t
margin(void)
{
	uint64_t share = disk.reserve.bytes / MARGIN_SHARE;
	return share < MARGIN_MAX ? share : MARGIN_MAX;
}

static void
refuse(uint64_t left)
{
	if (!disk.refusing)
		log_warn("little room on the disk: effects are refused", LOG_I("free_bytes", left));
	disk.refusing = true;
	reserve_release(&disk.reserve);
}

enum err
disk_open(uint64_t bytes)
{
	enum err e = reserve_open(&disk.reserve, RESERVE_FILE, bytes);
	if (e == ERR_DISK_FULL) {
		refuse(0);
		e = ERR_OK;
	}
	return e;
}

void
disk_close(void)
{
	/* The file stays and keeps its blocks: the next start finds its room. */
	reserve_close(&disk.reserve);
}

void
disk_failed(void)
{
	refuse(0);
}

void
disk_check(uint64_t *free_out)
{
	struct statvfs f;
	*free_out = 0;
	if (statvfs(".", &f) != 0)
		return;
	*free_out = (uint64_t)f.f_bavail * f.f_frsize;
	if (!disk.refusing && *free_out < margin())
		refuse(*free_out);
	if (!disk.refusing || *free_out < disk.reserve.bytes + 2 * margin())
		return;
	if (reserve_hold(&disk.reserve) == ERR_OK) {
		disk.refusing = false;
		log_info("room on the disk again", LOG_I("free_bytes", *free_out));
	}
}

bool
disk_ok(void)
{
	return !disk.refusing;
}
