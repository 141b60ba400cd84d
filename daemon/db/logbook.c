#include "daemon/db/logbook.h"

#include <assert.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/db/tiles.h"

/* One command leaves a handful of leaves and a batch has 256 commands. */
#define QUEUE_BYTES_MAX ((size_t)8 << 20)

struct queued {
	uint32_t start, bytes;
};

struct logbook {
	struct db *db;
	char origin[NOTE_ORIGIN_MAX], install[40], proc[16];
	struct tree tree;   /* committed */
	struct tiles tiles; /* committed */
	/* The same with the queue appended, between logbook_write and logbook_committed. */
	struct tree next;
	struct tiles next_tiles;
	bool written;
	struct buf text; /* queued records, one after the other */
	struct queued *queue;
	size_t queue_n, queue_room;
};

const char *const logbook_schema =
	"CREATE TABLE leaf(seq INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;"
	"CREATE TABLE tile(level INTEGER NOT NULL, idx INTEGER NOT NULL, root BLOB NOT NULL, hashes BLOB NOT NULL,"
	" PRIMARY KEY (level, idx)) STRICT;"
	"CREATE TABLE tree(id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, root BLOB NOT NULL,"
	" frontier BLOB NOT NULL) STRICT;"
	"CREATE TABLE checkpoint(id INTEGER PRIMARY KEY CHECK (id = 1), size INTEGER NOT NULL, note TEXT NOT NULL) STRICT;";

/* ── opening ── */

/* The tree row; an empty log has none. */
static enum err
read_tree(struct db *d, struct tree *out, uint8_t root_out[HASH_BYTES])
{
	bool row;
	struct stmt *s = db_stmt(d, "SELECT size, root, frontier FROM tree WHERE id = 1");
	enum err e = stmt_row(s, &row);
	memset(out, 0, sizeof *out);
	tree_root(out, root_out);
	if (e != ERR_OK || !row)
		return e;
	size_t root_bytes = 0, frontier_bytes = 0;
	const void *root = col_blob(s, 1, &root_bytes), *frontier = col_blob(s, 2, &frontier_bytes);
	e = tree_restore((uint64_t)col_int(s, 0), frontier, frontier_bytes, out);
	if (e != ERR_OK || root_bytes != HASH_BYTES)
		e = ERR_CRYPTO;
	else
		memcpy(root_out, root, HASH_BYTES);
	stmt_done(s);
	return e;
}

/*
 * Three things must agree: the row's root, the root of the row's frontier, and the root made from tiles and from the
 * records of the last, incomplete tile. A leaf too few or too many, or one that was changed in the tail, does not pass.
 */
static enum err
restore(struct logbook *b)
{
	uint8_t told[HASH_BYTES], root[HASH_BYTES];
	enum err e = read_tree(b->db, &b->tree, told);
	if (e == ERR_OK)
		e = tiles_load(&b->tiles, b->db, b->tree.size);
	if (e != ERR_OK)
		return e;
	tree_root(&b->tree, root);
	if (memcmp(root, told, HASH_BYTES) != 0)
		return ERR_CRYPTO;
	if (b->tree.size == 0)
		return ERR_OK;
	e = tiles_range(&b->tiles, 0, b->tree.size, root);
	if (e == ERR_OK && memcmp(root, told, HASH_BYTES) != 0)
		e = ERR_CRYPTO;
	return e == ERR_OUT_OF_RANGE ? ERR_CRYPTO : e;
}

enum err
logbook_open(struct db *d, const char *origin, const char *install, const char *proc, struct logbook **out)
{
	enum err e;
	struct logbook *b = mem_new(1, sizeof *b);
	*out = NULL;
	if (!b)
		return ERR_MEMORY;
	b->db = d;
	buf_init(&b->text, QUEUE_BYTES_MAX);
	e = str_set(b->origin, sizeof b->origin, origin);
	if (e == ERR_OK)
		e = str_set(b->install, sizeof b->install, install);
	if (e == ERR_OK)
		e = str_set(b->proc, sizeof b->proc, proc);
	if (e == ERR_OK)
		e = restore(b);
	if (e == ERR_OK) {
		*out = b;
	} else {
		log_warn("audit log", LOG_E("cause", e), LOG_S("origin", origin), LOG_I("size", b->tree.size));
		logbook_close(b);
	}
	return e;
}

void
logbook_close(struct logbook *b)
{
	if (!b)
		return;
	buf_clear(&b->text);
	mem_free(b->queue);
	mem_free(b);
}

/* ── the queue ── */

enum err
logbook_add(struct logbook *b, const struct leaf *l, uint64_t *seq_out)
{
	char record[LEAF_BYTES_MAX];
	size_t bytes = 0;
	struct leaf full = *l;
	assert(!b->written);
	full.seq = b->tree.size + b->queue_n;
	full.wall_ms = clock_wall_ms();
	full.mono_ms = clock_mono_ms();
	full.install = b->install;
	full.proc = b->proc;
	enum err e = leaf_encode(&full, record, &bytes);
	if (e != ERR_OK)
		return e;
	if (b->queue_n == b->queue_room) {
		size_t room = b->queue_room ? b->queue_room * 2 : 64;
		struct queued *q = mem_grow(b->queue, room * sizeof *q);
		if (!q)
			return ERR_MEMORY;
		b->queue = q;
		b->queue_room = room;
	}
	size_t start = b->text.len;
	e = buf_add(&b->text, record, bytes);
	if (e != ERR_OK)
		return e;
	b->queue[b->queue_n++] = (struct queued){(uint32_t)start, (uint32_t)bytes};
	if (seq_out)
		*seq_out = full.seq;
	return ERR_OK;
}

size_t
logbook_queued(const struct logbook *b)
{
	return b->queue_n;
}

void
logbook_drop_after(struct logbook *b, size_t n)
{
	assert(!b->written && n <= b->queue_n);
	if (n == b->queue_n)
		return;
	b->text.len = b->queue[n].start;
	b->queue_n = n;
}

static enum err
write_leaf(struct logbook *b, const struct queued *q)
{
	uint8_t hash[HASH_BYTES];
	const uint8_t *record = buf_at(&b->text) + q->start;
	struct stmt *s = db_stmt(b->db, "INSERT INTO leaf(seq, record) VALUES (?1, ?2)");
	stmt_int(s, 1, (int64_t)b->next.size);
	stmt_blob(s, 2, record, q->bytes);
	enum err e = stmt_run(s);
	if (e != ERR_OK)
		return e;
	tree_leaf_hash(record, q->bytes, hash);
	tree_append(&b->next, hash);
	return tiles_append(&b->next_tiles, hash);
}

enum err
logbook_write(struct logbook *b)
{
	uint8_t root[HASH_BYTES], frontier[FRONTIER_MAX * HASH_BYTES];
	enum err e = ERR_OK;
	assert(!b->written);
	b->written = true;
	b->next = b->tree;
	b->next_tiles = b->tiles;
	if (b->queue_n == 0)
		return ERR_OK;
	for (size_t i = 0; e == ERR_OK && i < b->queue_n; i++)
		e = write_leaf(b, &b->queue[i]);
	if (e != ERR_OK)
		return e == ERR_DB_CONFLICT ? ERR_CRYPTO : e; /* a leaf where none can be: the log is not what it was */
	tree_root(&b->next, root);
	struct stmt *s = db_stmt(b->db, "INSERT INTO tree(id, size, root, frontier) VALUES (1, ?1, ?2, ?3)"
									" ON CONFLICT (id) DO UPDATE SET size = ?1, root = ?2, frontier = ?3");
	stmt_int(s, 1, (int64_t)b->next.size);
	stmt_blob(s, 2, root, HASH_BYTES);
	stmt_blob(s, 3, frontier, tree_frontier(&b->next, frontier));
	return stmt_run(s);
}

static void
forget_queue(struct logbook *b)
{
	buf_reset(&b->text);
	b->queue_n = 0;
	b->written = false;
}

void
logbook_committed(struct logbook *b)
{
	assert(b->written);
	if (b->queue_n > 0) {
		b->tree = b->next;
		b->tiles = b->next_tiles;
	}
	forget_queue(b);
}

void
logbook_undone(struct logbook *b)
{
	forget_queue(b);
}

/* ── reading ── */

void
logbook_position(const struct logbook *b, struct checkpoint *out)
{
	memset(out, 0, sizeof *out);
	memcpy(out->origin, b->origin, sizeof out->origin);
	out->size = b->tree.size;
	tree_root(&b->tree, out->root);
}

enum err
logbook_read(struct logbook *b, uint64_t from, uint32_t limit, size_t bytes_max, struct buf *out, uint32_t *count_out)
{
	enum err e = ERR_OK;
	bool row = false;
	size_t added = 0;
	uint64_t end = limit < b->tree.size && from < b->tree.size - limit ? from + limit : b->tree.size;
	struct stmt *s = db_stmt(b->db, "SELECT record FROM leaf WHERE seq >= ?1 AND seq < ?2 ORDER BY seq");
	*count_out = 0;
	if (from >= end)
		return ERR_OK;
	stmt_int(s, 1, (int64_t)from);
	stmt_int(s, 2, (int64_t)end);
	while ((e = stmt_row(s, &row)) == ERR_OK && row) {
		size_t bytes = 0;
		const void *record = col_blob(s, 0, &bytes);
		const uint8_t length[4] = {(uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16), (uint8_t)(bytes >> 8),
								   (uint8_t)bytes};
		if (bytes > LEAF_BYTES_MAX || added + 4 + bytes > bytes_max)
			break;
		e = buf_add(out, length, 4);
		if (e == ERR_OK)
			e = buf_add(out, record, bytes);
		if (e != ERR_OK)
			break;
		added += 4 + bytes;
		(*count_out)++;
	}
	stmt_done(s);
	return e;
}

enum err
logbook_root(struct logbook *b, uint64_t size, uint8_t out[HASH_BYTES])
{
	if (size == 0) {
		static const struct tree empty;
		tree_root(&empty, out);
		return ERR_OK;
	}
	return tiles_range(&b->tiles, 0, size, out);
}

enum err
logbook_consistency(struct logbook *b, uint64_t old_size, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
					size_t *n_out)
{
	return tiles_consistency(&b->tiles, old_size, size, proof_out, n_out);
}

enum err
logbook_inclusion(struct logbook *b, uint64_t index, uint64_t size, uint8_t proof_out[PROOF_MAX][HASH_BYTES],
				  size_t *n_out)
{
	return tiles_inclusion(&b->tiles, index, size, proof_out, n_out);
}

enum err
logbook_hash(void *book, uint64_t i, uint8_t out[HASH_BYTES])
{
	struct logbook *b = book;
	return tiles_range(&b->tiles, i, i + 1, out);
}

enum err
logbook_checkpoint_get(struct logbook *b, char note_out[NOTE_BYTES_MAX], size_t *bytes_out, uint64_t *size_out)
{
	bool row;
	struct stmt *s = db_stmt(b->db, "SELECT size, note FROM checkpoint WHERE id = 1");
	enum err e = stmt_row(s, &row);
	*bytes_out = 0;
	*size_out = 0;
	note_out[0] = '\0';
	if (e != ERR_OK || !row)
		return e;
	const char *note = col_text(s, 1);
	size_t bytes = strlen(note);
	if (bytes < NOTE_BYTES_MAX) {
		memcpy(note_out, note, bytes + 1);
		*bytes_out = bytes;
		*size_out = (uint64_t)col_int(s, 0);
	} else {
		e = ERR_CRYPTO;
	}
	stmt_done(s);
	return e;
}

enum err
logbook_checkpoint_set(struct logbook *b, const char *note, size_t bytes, uint64_t size)
{
	char text[NOTE_BYTES_MAX];
	if (bytes >= sizeof text)
		return ERR_OUT_OF_RANGE;
	memcpy(text, note, bytes);
	text[bytes] = '\0';
	struct stmt *s = db_stmt(b->db, "INSERT INTO checkpoint(id, size, note) VALUES (1, ?1, ?2)"
									" ON CONFLICT (id) DO UPDATE SET size = ?1, note = ?2");
	stmt_int(s, 1, (int64_t)size);
	stmt_text(s, 2, text);
	return stmt_run(s);
}
