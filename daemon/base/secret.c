#include "daemon/base/secret.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/base/mem.h"

static struct {
	uint8_t *base;
	uint8_t *used; /* one byte a slot: 0 free, 1 taken */
	size_t slots, slots_used;
	const char *kind;
} arena = {.kind = ""};

/* The middle of a reserved run, so that both neighbours are unmapped pages. */
static void *
reserve(size_t bytes, size_t page)
{
	uint8_t *p = mmap(NULL, bytes + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p + page;
}

static bool
map_secret(void *at, size_t bytes)
{
#ifdef SYS_memfd_secret
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = ftruncate(fd, (off_t)bytes) == 0 &&
			  mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
	close(fd);
	return ok;
#else
	(void)at, (void)bytes;
	return false;
#endif
}

static bool
map_locked(void *at, size_t bytes)
{
	return mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED &&
		   mlock(at, bytes) == 0 && madvise(at, bytes, MADV_DONTDUMP) == 0;
}

enum err
secret_open(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	if (arena.base)
		return ERR_EXISTS;
	bytes = (bytes + page - 1) / page * page;
	void *at = reserve(bytes, page);
	if (!at)
		return ERR_MEMORY;
	if (map_secret(at, bytes))
		arena.kind = "memfd_secret";
	else if (map_locked(at, bytes))
		arena.kind = "mlock";
	else
		return ERR_MEMORY;
	/* touch it now: a fault later would be a SIGBUS under pressure */
	memset(at, 0, bytes);
	arena.slots = bytes / SECRET_SLOT_BYTES;
	arena.used = mem_new(arena.slots, 1);
	if (!arena.used)
		return ERR_MEMORY;
	arena.base = at;
	return ERR_OK;
}

const char *
secret_kind(void)
{
	return arena.kind;
}

void
secret_use(size_t *used, size_t *all)
{
	*used = arena.slots_used;
	*all = arena.slots;
}

/* First fit; the arena is small and secrets are few. A hint keeps the common case short. */
static bool
find_run(size_t want, size_t *at_out)
{
	static size_t hint;
	for (int pass = 0; pass < 2; pass++) {
		size_t run = 0;
		for (size_t i = pass ? 0 : hint; i < arena.slots; i++) {
			run = arena.used[i] ? 0 : run + 1;
			if (run == want) {
				*at_out = i + 1 - want;
				hint = i + 1;
				return true;
			}
		}
	}
	return false;
}

enum err
secret_new(size_t bytes, struct secret **out)
{
	size_t want = (bytes + SECRET_SLOT_BYTES - 1) / SECRET_SLOT_BYTES, at;
	assert(bytes > 0 && bytes <= 4096);
	*out = NULL;
	if (!arena.base || !find_run(want, &at))
		return ERR_CVC_ROOM;
	struct secret *s = mem_new(1, sizeof *s);
	if (!s)
		return ERR_MEMORY;
	memset(arena.used + at, 1, want);
	arena.slots_used += want;
	*s = (struct secret){arena.base + at * SECRET_SLOT_BYTES, bytes};
	*out = s;
	return ERR_OK;
}

enum err
secret_copy(const void *bytes, size_t n, struct secret **out)
{
	enum err e = secret_new(n, out);
	if (e == ERR_OK)
		memcpy((*out)->bytes, bytes, n);
	return e;
}

void
secret_free(struct secret *s)
{
	if (!s)
		return;
	size_t slots = (s->len + SECRET_SLOT_BYTES - 1) / SECRET_SLOT_BYTES;
	size_t at = (size_t)(s->bytes - arena.base) / SECRET_SLOT_BYTES;
	assert(at + slots <= arena.slots);
	mem_wipe(s->bytes, slots * SECRET_SLOT_BYTES);
	memset(arena.used + at, 0, slots);
	arena.slots_used -= slots;
	mem_free(s);
}
