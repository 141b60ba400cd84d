#include "tests/unit/db/powerdisk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <sqlcipher/sqlite3.h>

#define FILES     8
#define NAME_MAX_ 128
#define SECTOR    512

/* One write (or truncation, bytes NULL) that no sync has covered yet. */
struct pending {
	struct pending *next;
	sqlite3_int64 at;
	size_t n;
	unsigned char *bytes;
};

struct blob {
	unsigned char *bytes;
	sqlite3_int64 n, room;
};

struct file {
	char name[NAME_MAX_];
	bool exists, durable; /* the name: now, and after a cut */
	struct blob now, disk;
	/* Of a file that was deleted and made again with no sync of the directory between: the old one may come back. */
	struct blob ghost;
	bool haunted;
	bool sync_dir; /* a journal's first sync is one of the directory too, as SQLite does it on unix */
	struct pending *pending, **end;
};

struct handle {
	sqlite3_file base;
	struct file *file;
};

static struct {
	struct file files[FILES];
	uint64_t operations, cut_at, lost;
	bool off, lies;
	uint64_t fail_at;
	int fail_code;
	bool fail_sticky, failed;
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
} disk;

/* ── bytes ── */

static void
blob_size(struct blob *b, sqlite3_int64 n)
{
	if (n > b->room) {
		b->room = n * 2 + 65536;
		b->bytes = realloc(b->bytes, (size_t)b->room);
		assert(b->bytes);
	}
	if (n > b->n)
		memset(b->bytes + b->n, 0, (size_t)(n - b->n));
	b->n = n;
}

static void
blob_write(struct blob *b, sqlite3_int64 at, const unsigned char *bytes, size_t n)
{
	if (at + (sqlite3_int64)n > b->n)
		blob_size(b, at + (sqlite3_int64)n);
	memcpy(b->bytes + at, bytes, n);
}

static void
blob_copy(struct blob *to, const struct blob *from)
{
	blob_size(to, from->n);
	if (from->n)
		memcpy(to->bytes, from->bytes, (size_t)from->n);
}

static void
forget_pending(struct file *f)
{
	for (struct pending *p = f->pending, *next; p; p = next) {
		next = p->next;
		free(p->bytes);
		free(p);
	}
	f->pending = NULL;
	f->end = &f->pending;
}

static void
add_pending(struct file *f, sqlite3_int64 at, const void *bytes, size_t n)
{
	struct pending *p = calloc(1, sizeof *p);
	assert(p);
	p->at = at;
	p->n = n;
	if (bytes) {
		p->bytes = malloc(n);
		assert(p->bytes);
		memcpy(p->bytes, bytes, n);
	}
	*f->end = p;
	f->end = &p->next;
}

/* One operation that changes the disk: SQLITE_OK, or why not; `own` is its own kind of I/O error. */
static int
operate(int own)
{
	if (disk.off)
		return own;
	disk.operations++;
	if (disk.cut_at && --disk.cut_at == 0) {
		disk.off = true;
		return own;
	}
	if (!disk.fail_at || --disk.fail_at > 0)
		return SQLITE_OK;
	disk.failed = true;
	disk.fail_at = disk.fail_sticky ? 1 : 0;
	return disk.fail_code == SQLITE_IOERR ? own : disk.fail_code;
}

/* ── a file's methods ── */

static int
do_close(sqlite3_file *h)
{
	(void)h;
	return SQLITE_OK;
}

static int
do_read(sqlite3_file *h, void *to, int n, sqlite3_int64 at)
{
	const struct blob *b = &((struct handle *)h)->file->now;
	sqlite3_int64 there = at >= b->n ? 0 : b->n - at;
	if (disk.off)
		return SQLITE_IOERR_READ;
	if (there >= n) {
		memcpy(to, b->bytes + at, (size_t)n);
		return SQLITE_OK;
	}
	memset(to, 0, (size_t)n);
	if (there)
		memcpy(to, b->bytes + at, (size_t)there);
	return SQLITE_IOERR_SHORT_READ;
}

static int
do_write(sqlite3_file *h, const void *from, int n, sqlite3_int64 at)
{
	struct file *f = ((struct handle *)h)->file;
	bool was_on = !disk.off;
	int code = operate(SQLITE_IOERR_WRITE);
	/* The write that the cut hits may still reach the disk, or a part of it. */
	if (was_on && (code == SQLITE_OK || disk.off))
		add_pending(f, at, from, (size_t)n);
	if (code != SQLITE_OK)
		return code;
	blob_write(&f->now, at, from, (size_t)n);
	return SQLITE_OK;
}

static int
do_truncate(sqlite3_file *h, sqlite3_int64 n)
{
	struct file *f = ((struct handle *)h)->file;
	int code = operate(SQLITE_IOERR_TRUNCATE);
	if (code != SQLITE_OK)
		return code;
	add_pending(f, n, NULL, 0);
	blob_size(&f->now, n);
	return SQLITE_OK;
}

static void
sync_names(void)
{
	for (int i = 0; i < FILES; i++) {
		disk.files[i].durable = disk.files[i].exists;
		disk.files[i].haunted = false;
	}
}

static int
do_sync(sqlite3_file *h, int flags)
{
	struct file *f = ((struct handle *)h)->file;
	(void)flags;
	int code = operate(SQLITE_IOERR_FSYNC);
	if (code != SQLITE_OK)
		return code == SQLITE_FULL ? SQLITE_IOERR_FSYNC : code;
	if (disk.lies)
		return SQLITE_OK;
	blob_copy(&f->disk, &f->now);
	f->durable = true;
	f->haunted = false;
	forget_pending(f);
	if (f->sync_dir)
		sync_names();
	f->sync_dir = false;
	return SQLITE_OK;
}

static int
do_size(sqlite3_file *h, sqlite3_int64 *out)
{
	*out = ((struct handle *)h)->file->now.n;
	return SQLITE_OK;
}

static int
do_lock(sqlite3_file *h, int level)
{
	(void)h;
	(void)level;
	return SQLITE_OK;
}

static int
do_check_lock(sqlite3_file *h, int *out)
{
	(void)h;
	*out = 0;
	return SQLITE_OK;
}

static int
do_control(sqlite3_file *h, int op, void *arg)
{
	(void)h;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int
do_sector(sqlite3_file *h)
{
	(void)h;
	return SECTOR;
}

static int
do_traits(sqlite3_file *h)
{
	(void)h;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {.iVersion = 1,
										   .xClose = do_close,
										   .xRead = do_read,
										   .xWrite = do_write,
										   .xTruncate = do_truncate,
										   .xSync = do_sync,
										   .xFileSize = do_size,
										   .xLock = do_lock,
										   .xUnlock = do_lock,
										   .xCheckReservedLock = do_check_lock,
										   .xFileControl = do_control,
										   .xSectorSize = do_sector,
										   .xDeviceCharacteristics = do_traits};

/* ── names ── */

static struct file *
find(const char *name, bool make)
{
	struct file *empty = NULL;
	for (int i = 0; i < FILES; i++) {
		struct file *f = &disk.files[i];
		if (f->name[0] && strcmp(f->name, name) == 0)
			return f;
		if (!f->name[0] && !empty)
			empty = f;
	}
	if (!make)
		return NULL;
	assert(empty && strlen(name) < NAME_MAX_);
	strcpy(empty->name, name);
	empty->end = &empty->pending;
	return empty;
}

static int
do_open(sqlite3_vfs *v, sqlite3_filename name, sqlite3_file *h, int flags, int *out)
{
	struct file *f = name ? find(name, true) : NULL;
	(void)v;
	h->pMethods = NULL;
	if (!f || disk.off || (!f->exists && !(flags & SQLITE_OPEN_CREATE)))
		return SQLITE_CANTOPEN;
	if (!f->exists) {
		if (f->durable) {
			blob_copy(&f->ghost, &f->disk);
			f->haunted = true;
		}
		f->durable = false;
		f->sync_dir = !(flags & SQLITE_OPEN_MAIN_DB);
		f->disk.n = 0;
		f->exists = true;
		f->now.n = 0;
		forget_pending(f);
	}
	((struct handle *)h)->file = f;
	h->pMethods = &methods;
	if (out)
		*out = flags;
	return SQLITE_OK;
}

static int
do_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
	struct file *f = find(name, false);
	(void)v;
	int code = operate(SQLITE_IOERR_DELETE);
	if (code != SQLITE_OK)
		return code;
	if (!f || !f->exists)
		return SQLITE_IOERR_DELETE_NOENT;
	f->exists = false;
	if (sync_dir && !disk.lies)
		sync_names();
	return SQLITE_OK;
}

static int
do_access(sqlite3_vfs *v, const char *name, int flags, int *out)
{
	const struct file *f = find(name, false);
	(void)v;
	/* as unix does it: an empty file does not count as one */
	*out = f && f->exists && !(flags == SQLITE_ACCESS_EXISTS && f->now.n == 0);
	return SQLITE_OK;
}

static int
do_full_path(sqlite3_vfs *v, const char *name, int room, char *out)
{
	(void)v;
	if ((size_t)room <= strlen(name))
		return SQLITE_CANTOPEN;
	strcpy(out, name);
	return SQLITE_OK;
}

void
powerdisk_install(void)
{
	disk.real = sqlite3_vfs_find(NULL);
	disk.vfs = *disk.real; /* clock, randomness, sleep */
	disk.vfs.iVersion = 1;
	disk.vfs.zName = "powerdisk";
	disk.vfs.pNext = NULL;
	disk.vfs.szOsFile = sizeof(struct handle);
	disk.vfs.xOpen = do_open;
	disk.vfs.xDelete = do_delete;
	disk.vfs.xAccess = do_access;
	disk.vfs.xFullPathname = do_full_path;
	int code = sqlite3_vfs_register(&disk.vfs, 1);
	assert(code == SQLITE_OK);
}

/* ── the cut ── */

void
powerdisk_format(void)
{
	for (int i = 0; i < FILES; i++) {
		struct file *f = &disk.files[i];
		if (!f->name[0])
			continue;
		forget_pending(f);
		free(f->now.bytes);
		free(f->disk.bytes);
		free(f->ghost.bytes);
		memset(f, 0, sizeof *f);
	}
	disk.off = false;
	disk.cut_at = 0;
}

void
powerdisk_cut_at(uint64_t n)
{
	disk.cut_at = n;
}

bool
powerdisk_is_off(void)
{
	return disk.off;
}

void
powerdisk_fail_at(uint64_t n, int code, bool sticky)
{
	disk.fail_at = n;
	disk.fail_code = code;
	disk.fail_sticky = sticky;
	disk.failed = false;
}

bool
powerdisk_failed(void)
{
	return disk.failed;
}

void
powerdisk_lie(bool lies)
{
	disk.lies = lies;
}

uint64_t
powerdisk_operations(void)
{
	return disk.operations;
}

uint64_t
powerdisk_lost(void)
{
	return disk.lost;
}

static uint32_t
draw(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* A write that was under way: whole, not at all, or some of its sectors. */
static void
settle(struct file *f, const struct pending *p, uint32_t *seed)
{
	uint32_t fate = draw(seed) % 4;
	if (!p->bytes) {
		if (fate == 0)
			disk.lost++;
		else
			blob_size(&f->disk, p->at);
		return;
	}
	if (fate == 0) {
		disk.lost++;
		return;
	}
	if (fate != 1) {
		blob_write(&f->disk, p->at, p->bytes, p->n);
		return;
	}
	disk.lost++;
	for (size_t done = 0; done < p->n;) {
		size_t n = SECTOR - (size_t)((p->at + (sqlite3_int64)done) % SECTOR);
		n = n < p->n - done ? n : p->n - done;
		if (draw(seed) % 2)
			blob_write(&f->disk, p->at + (sqlite3_int64)done, p->bytes + done, n);
		done += n;
	}
}

/* The last of them may have overtaken the first: each is settled on its own, in an order that the seed draws. */
static void
settle_all(struct file *f, uint32_t *seed)
{
	struct pending *order[4096];
	size_t n = 0;
	for (struct pending *p = f->pending; p && n < 4096; p = p->next)
		order[n++] = p;
	bool shuffled = draw(seed) % 2;
	for (size_t i = n; shuffled && i > 1; i--) {
		size_t j = draw(seed) % i;
		struct pending *kept = order[i - 1];
		order[i - 1] = order[j];
		order[j] = kept;
	}
	for (size_t i = 0; i < n; i++)
		settle(f, order[i], seed);
	forget_pending(f);
}

void
powerdisk_recover(uint32_t *seed)
{
	disk.lost = 0;
	for (int i = 0; i < FILES; i++) {
		struct file *f = &disk.files[i];
		if (!f->name[0])
			continue;
		if (f->haunted && draw(seed) % 2) {
			forget_pending(f);
			blob_copy(&f->disk, &f->ghost);
			f->exists = f->durable = true;
		}
		f->haunted = false;
		settle_all(f, seed);
		/* A name that was made or deleted and not synced: either way. */
		if (f->exists != f->durable && draw(seed) % 2)
			f->durable = f->exists;
		f->exists = f->durable;
		if (!f->exists)
			f->disk.n = 0;
		blob_copy(&f->now, &f->disk);
	}
	disk.off = false;
	disk.cut_at = 0;
}
