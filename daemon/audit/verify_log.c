/* One log of an export: its checkpoint, its records as they pass by, its tiles, and what was known of it before. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/audit/verify_part.h"
#include "daemon/base/str.h"

#define TS_CHARS (CLOCK_TEXT_BYTES - 1)

static void
tell_once(struct checking *c, const char *what)
{
	if (!c->told)
		verify_report_problem(c->r, "%s/records.jsonl: line %" PRIu64 ": %s", c->log->folder, c->log->records + 1,
							  what);
	c->told = true;
}

/* What the auditor had of this log before: the new one must begin with it. */
static void
open_since(struct checking *c, const struct verify_since *s)
{
	const struct checkpoint *now = &c->log->head;
	struct checkpoint before;

	if (export_note_open(&c->r->keys, s->note, s->note_bytes, &before) || strcmp(before.origin, now->origin) != 0) {
		verify_report_problem(c->r, "%s: the earlier export's checkpoint is not of this log", s->folder);
		c->note_good = false;
	} else if (before.size > now->size) {
		verify_report_problem(c->r, "%s: it was set back: %" PRIu64 " records, the earlier export had %" PRIu64,
							  s->folder, now->size, before.size);
		c->note_good = false;
	} else {
		c->since = true;
		c->since_size = before.size;
		memcpy(c->since_root, before.root, HASH_BYTES);
	}
}

/* At the size that the earlier checkpoint was signed for, the tree must be the earlier one. */
static void
check_since(struct checking *c)
{
	struct tree tree;
	uint8_t root[HASH_BYTES];

	if (!c->since || c->log->records != c->since_size)
		return;
	c->since = false;
	tile_tree(&c->tiles, &tree);
	tree_root(&tree, root);
	c->log->grown = sodium_memcmp(root, c->since_root, HASH_BYTES) == 0;
	c->log->grown_from = c->since_size;
	if (c->log->grown)
		return;
	verify_report_problem(c->r, "%s: another log was shown: its first %" PRIu64 " records are not the earlier export's",
						  c->log->folder, c->since_size);
	c->note_good = false;
}

static enum err
begin_proof(struct checking *c)
{
	enum err e;

	if (!c->ask || strcmp(c->ask->record_log, c->log->folder) != 0)
		return ERR_OK;
	e = proof_new(c->ask->record_seq, c->log->head.size, &c->proof);
	if (e != ERR_OUT_OF_RANGE)
		return e;
	verify_report_problem(c->r, "%s: there is no record %" PRIu64, c->log->folder, c->ask->record_seq);
	return ERR_OK;
}

static void
keep_record(struct checking *c, const char *line, size_t n, const uint8_t hash[HASH_BYTES])
{
	struct verify_record *k = &c->r->record;

	if (!c->proof)
		return;
	proof_leaf(c->proof, hash);
	if (c->log->records != c->ask->record_seq || n > sizeof(k->text))
		return;
	memcpy(k->text, line, n);
	k->bytes = n;
}

/* The proof is checked as anybody would check it, from the record's bytes and the root alone. */
static void
end_proof(struct checking *c)
{
	struct verify_record *k = &c->r->record;
	uint8_t hash[HASH_BYTES];

	if (!c->proof)
		return;
	memcpy(k->log, c->log->folder, sizeof(k->log));
	memcpy(k->root, c->log->head.root, sizeof(k->root));
	k->seq = c->ask->record_seq;
	k->size = c->log->head.size;
	tree_leaf_hash(k->text, k->bytes, hash);
	k->proved = proof_end(c->proof, k->proof, &k->proof_n) == ERR_OK &&
				tree_check_inclusion(k->seq, k->size, hash, (const uint8_t(*)[HASH_BYTES])k->proof, k->proof_n,
									 k->root) == ERR_OK;
	if (!k->proved)
		verify_report_problem(c->r, "%s: record %" PRIu64 " is not in the tree", k->log, k->seq);
}

static enum err
open_head(struct checking *c, const char *path, const struct small *note)
{
	enum err e = export_note_open(&c->r->keys, note->text, note->n, &c->log->head);

	if (e)
		verify_report_problem(c->r, "%s: %s", path,
							  e == ERR_FILE_FORM ? "is not a signed checkpoint"
												 : "the audit key did not sign this checkpoint");
	else if (!export_origin_fits(c->log->head.origin, c->log->folder))
		verify_report_problem(c->r, "%s: is the checkpoint of another log", path);
	else
		c->note_good = true;
	if (!c->note_good)
		return ERR_OK;
	for (unsigned i = 0; c->ask && i < c->ask->since_n; i++)
		if (strcmp(c->ask->since[i].folder, c->log->folder) == 0)
			open_since(c, &c->ask->since[i]);
	check_since(c); /* the earlier export may have had no record at all */
	return begin_proof(c);
}

/* A record begins {"v":1,"seq":<its index>,"ts":"…": the encoder has one order of members. */
static void
check_record(struct checking *c, const char *line, size_t n)
{
	char want[64];
	int m = snprintf(want, sizeof(want), "{\"v\":1,\"seq\":%" PRIu64 ",\"ts\":\"", c->log->records);

	if (n > (size_t)m + TS_CHARS && memcmp(line, want, (size_t)m) == 0 && line[m + TS_CHARS] == '"' &&
		line[n - 1] == '}') {
		memcpy(c->log->last_ts, line + m, TS_CHARS);
		c->log->last_ts[TS_CHARS] = '\0';
		if (!str_visible(c->log->last_ts, TS_CHARS))
			tell_once(c, "the record's time is not a time");
		if (c->log->records == 0)
			memcpy(c->log->first_ts, c->log->last_ts, sizeof(c->log->first_ts));
		return;
	}
	tell_once(c, "its seq is not its place (changed, missing, doubled or out of order)");
}

static enum err
take_record(struct checking *c, const char *line, size_t n)
{
	uint8_t hash[HASH_BYTES];
	enum err e;

	if (n == 0 || n > LEAF_BYTES_MAX)
		tell_once(c, "is empty or too long");
	else
		check_record(c, line, n);
	tree_leaf_hash(line, n, hash);
	e = tile_add(&c->tiles, hash);
	keep_record(c, line, n, hash);
	c->log->records++;
	check_since(c);
	return e;
}

/* Splits one run of bytes into lines; what has no end yet waits in carry. */
static enum err
take_lines(struct checking *c, const char *at, size_t n)
{
	enum err e = ERR_OK;

	while (n > 0 && !e) {
		const char *end = memchr(at, '\n', n);
		size_t part = end ? (size_t)(end - at) : n;

		if (c->carry_n + part > sizeof(c->carry)) {
			tell_once(c, "is longer than any record");
			c->stop = true;
			return ERR_OK;
		}
		if (end && c->carry_n == 0) {
			e = take_record(c, at, part);
		} else {
			memcpy(c->carry + c->carry_n, at, part);
			c->carry_n += part;
			if (end) {
				e = take_record(c, c->carry, c->carry_n);
				c->carry_n = 0;
			}
		}
		part += end ? 1 : 0;
		at += part;
		n -= part;
	}
	return e;
}

static void
check_tree(struct checking *c)
{
	struct verify_log *l = c->log;
	struct tree tree;
	uint8_t root[HASH_BYTES];

	if (c->carry_n > 0)
		tell_once(c, "does not end in a line feed");
	tile_tree(&c->tiles, &tree);
	tree_root(&tree, root);
	if (!c->note_good)
		return;
	if (l->records != l->head.size)
		verify_report_problem(c->r, "%s: there are %" PRIu64 " records, but the checkpoint was signed for %" PRIu64,
							  l->folder, l->records, l->head.size);
	else if (sodium_memcmp(root, l->head.root, HASH_BYTES) != 0)
		verify_report_problem(c->r, "%s: the records do not give the root that was signed: at least one was changed",
							  l->folder);
	else
		l->good = !c->told;
}

static enum err
read_records(struct checking *c, const char *path)
{
	crypto_hash_sha256_state h;
	const uint8_t *bytes;
	uint8_t sum[32];
	size_t n;
	enum err e;

	crypto_hash_sha256_init(&h);
	c->records_seen = true;
	do {
		e = ustar_read(&c->tar, &bytes, &n);
		if (e)
			return e;
		crypto_hash_sha256_update(&h, bytes, n);
		e = take_lines(c, (const char *)bytes, n);
		if (e)
			return e;
	} while (n > 0 && !c->stop);
	crypto_hash_sha256_final(&h, sum);
	check_tree(c);
	c->tile_due = tile_first(&c->tiles, &c->due);
	end_proof(c);
	verify_remember(c, path, sum);
	return ERR_OK;
}

static enum err
read_tile(struct checking *c, const char *path, const char *name)
{
	uint8_t sum[32];
	uint64_t first;
	enum err e = verify_read_whole(c, path, NULL, sum);

	if (e)
		return e;
	if (!c->tile_due || strcmp(name, c->due.path) != 0) {
		verify_report_problem(c->r, "%s: is not the tile that comes next in this tree", path);
		c->log->good = c->tile_due = false;
		return ERR_OK;
	}
	first = c->due.index * TILE_WIDTH;
	if (memcmp(sum, c->due.sum, sizeof(sum)) != 0) {
		verify_report_problem(c->r, "%s: does not fit %s %" PRIu64 " to %" PRIu64, path,
							  c->due.level == 0 ? "records" : "the hashes of level below, tiles", first,
							  first + c->due.width - 1);
		c->log->good = false;
	}
	c->log->tiles++;
	c->tile_due = tile_next(&c->tiles, &c->due);
	return ERR_OK;
}

/* tiles.sha256 can only have one content: it is made again, line by line, and compared by its hash. */
static enum err
read_list(struct checking *c, const char *path)
{
	crypto_hash_sha256_state h;
	struct tile_at at;
	struct buf line;
	uint8_t sum[32], want[32];
	enum err e = verify_read_whole(c, path, NULL, sum);

	buf_init(&line, MANIFEST_BYTES_MAX);
	crypto_hash_sha256_init(&h);
	for (bool more = tile_first(&c->tiles, &at); more && !e; more = tile_next(&c->tiles, &at)) {
		buf_reset(&line);
		e = manifest_add(&line, at.path, at.sum);
		if (!e)
			crypto_hash_sha256_update(&h, buf_at(&line), line.len);
	}
	crypto_hash_sha256_final(&h, want);
	buf_clear(&line);
	if (e)
		return e;
	c->list_seen = true;
	if (memcmp(sum, want, sizeof(sum)) != 0) {
		verify_report_problem(c->r, "%s: is not the list of this tree's tiles", path);
		c->log->good = false;
	}
	verify_remember(c, path, sum);
	return ERR_OK;
}

void
verify_log_end(struct checking *c)
{
	if (!c->log)
		return;
	if (!c->records_seen || !c->list_seen || c->tile_due) {
		verify_report_problem(c->r, "%s: %s missing", c->log->folder,
							  !c->records_seen ? "records.jsonl is"
							  : c->tile_due    ? "a tile is"
											   : "tiles.sha256 is");
		c->log->good = false;
	}
	if (!c->note_good)
		c->log->good = false;
	tile_clear(&c->tiles);
	proof_free(c->proof);
	c->proof = NULL;
	c->log = NULL;
}

static void
begin_log(struct checking *c, const char *folder, size_t n)
{
	verify_log_end(c);
	if (c->r->logs_n == EXPORT_LOGS_MAX) {
		verify_report_problem(c->r, "%.*s: more logs than an export has", (int)n, folder);
		c->stop = true;
		return;
	}
	c->log = &c->r->logs[c->r->logs_n++];
	memcpy(c->log->folder, folder, n);
	tile_init(&c->tiles, false);
	c->tile_due = c->note_good = c->records_seen = c->list_seen = c->told = c->since = false;
	c->carry_n = 0;
}

bool
verify_log_is_folder(const char *s, size_t n)
{
	size_t head = n >= 5 && memcmp(s, "vault", 5) == 0 ? 5 : n >= 6 && memcmp(s, "ledger", 6) == 0 ? 6 : 0;

	if (head == 0 || n >= EXPORT_FOLDER_MAX)
		return false;
	return head == n || (s[head] == '.' && n > head + 1 && strspn(s + head + 1, "0123456789") >= n - head - 1);
}

enum err
verify_log_file(struct checking *c, const char *path, size_t folder_n)
{
	const char *name = path + folder_n + 1;
	struct small note;
	uint8_t sum[32];
	enum err e;

	if (!c->log || strlen(c->log->folder) != folder_n || memcmp(c->log->folder, path, folder_n) != 0)
		begin_log(c, path, folder_n);
	if (c->stop)
		return ERR_OK;
	if (strcmp(name, "records.jsonl") == 0)
		return read_records(c, path);
	if (strncmp(name, "tile/", 5) == 0)
		return read_tile(c, path, name);
	if (strcmp(name, "tiles.sha256") == 0)
		return read_list(c, path);
	if (strcmp(name, "checkpoint") == 0) {
		e = verify_read_whole(c, path, &note, sum);
		if (!e)
			e = open_head(c, path, &note);
		if (!e)
			verify_remember(c, path, sum);
		return e;
	}
	verify_report_problem(c->r, "%s: is no file of an export", path);
	return verify_read_whole(c, path, NULL, sum);
}
