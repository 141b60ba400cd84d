#include "daemon/monitor/release.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The linker puts a hash of the whole program (its build id) near the front: one page of each tells versions apart. */
#define FRONT_BYTES 4096
#define ID_BYTES    16

struct seen {
	dev_t device;
	ino_t inode;
	off_t bytes;
	struct timespec changed;
};

static struct {
	const struct site *site;
	char monitor[SITE_PATH_BYTES];
	struct seen seen[PROCESS_MAX];
	uint8_t ours[ID_BYTES];
	bool replaced;
} release;

/* NULL: no program of its own here. */
static const char *
path_of(unsigned process, char out[SITE_PATH_BYTES])
{
	if (process == PROCESS_MONITOR)
		return release.monitor[0] ? release.monitor : NULL;
	if (!site_runs(release.site, (enum process)process))
		return NULL;
	int n = snprintf(out, SITE_PATH_BYTES, "%s/%s", release.site->libexec, process_name((enum process)process));
	return n < SITE_PATH_BYTES ? out : NULL;
}

/* Has anything been put in the place of a program since we last looked? Cheap: eight stats. */
static bool
looks_changed(void)
{
	bool changed = false;
	char out[SITE_PATH_BYTES];
	for (unsigned p = 0; p < PROCESS_MAX; p++) {
		struct stat st = {.st_size = 0};
		const char *path = path_of(p, out);
		if (!path || stat(path, &st) != 0)
			memset(&st, 0, sizeof st);
		struct seen now;
		memset(&now, 0, sizeof now); /* compared as bytes */
		now.device = st.st_dev;
		now.inode = st.st_ino;
		now.bytes = st.st_size;
		now.changed = st.st_ctim;
		changed |= memcmp(&now, &release.seen[p], sizeof now) != 0;
		release.seen[p] = now;
	}
	return changed;
}

/* false: one of them can't be read; a package is just being put in place, or removed. */
static bool
identify(uint8_t out[ID_BYTES])
{
	crypto_generichash_state h;
	char where[SITE_PATH_BYTES];
	uint8_t front[FRONT_BYTES];
	crypto_generichash_init(&h, NULL, 0, ID_BYTES);
	for (unsigned p = 0; p < PROCESS_MAX; p++) {
		const char *path = path_of(p, where);
		int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (!path)
			continue;
		if (fd < 0)
			return false;
		ssize_t n = pread(fd, front, sizeof front, 0);
		off_t size = lseek(fd, 0, SEEK_END);
		close(fd);
		if (n <= 0 || size < 0)
			return false;
		crypto_generichash_update(&h, (const uint8_t *)&size, sizeof size);
		crypto_generichash_update(&h, front, (size_t)n);
	}
	crypto_generichash_final(&h, out, ID_BYTES);
	return true;
}

void
release_open(const struct site *s)
{
	release.site = s;
	ssize_t n = readlink("/proc/self/exe", release.monitor, sizeof release.monitor - 1);
	release.monitor[n > 0 ? n : 0] = 0;
	(void)looks_changed();
	if (!identify(release.ours))
		memset(release.ours, 0, sizeof release.ours);
}

bool
release_replaced(void)
{
	uint8_t now[ID_BYTES];
	if (looks_changed() && identify(now))
		release.replaced = memcmp(now, release.ours, sizeof now) != 0;
	return release.replaced;
}
