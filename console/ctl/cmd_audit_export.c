/*
 * sallyport audit export — both logs, up to their last checkpoints, as one signed archive for an auditor.
 * Records and leaf hashes are kept in unnamed files beside the output while they come in: a long log needs disk, not
 * memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "console/ctl/ctl.h"
#include "console/ctl/interrupt.h"
#include "daemon/audit/export.h"
#include "daemon/audit/minisign.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"

#define LOGS          2
#define CHECKPOINT_MS 4000 /* how long we wait for a checkpoint over what is there now; one is made each second */
#define POLL_MS       200
#define SPOOL_BYTES   ((size_t)1 << 18)
#define PROGRESS_MS   100
#define BAR_CELLS     30
#define FAR           (UINT64_MAX >> 1) /* no record is there: only the position comes back */

/* In rising order of their folders. */
static const char *const folders[LOGS] = {"ledger", "vault"};
enum { LEDGER, VAULT };

/* A file without a name that is only appended to and then read back. */
struct spool {
	int fd;
	struct buf waiting;
};
struct exporting {
	struct run *r;
	struct client *client;
	struct export x;
	struct spool records[LOGS], hashes[LOGS];
	char path[PATH_BYTES], part[PATH_BYTES + 8];
	int out;
	bool part_held; /* ours to remove */
	struct buf out_waiting;
	uint64_t done, total; /* records */
	int64_t shown_ms;
};

/* ── progress: only on a terminal ── */

static void
show_progress(struct exporting *x, const char *what, bool last)
{
	int64_t now = clock_mono_ms();
	unsigned cells, percent;

	if (x->r->json || !x->r->terminal || !isatty(STDERR_FILENO) || (!last && now - x->shown_ms < PROGRESS_MS))
		return;
	x->shown_ms = now;
	percent = x->total ? (unsigned)(x->done * 100 / x->total) : 100;
	cells = percent * BAR_CELLS / 100;
	fprintf(stderr, "\r  %-8s ", what);
	for (unsigned i = 0; i < BAR_CELLS; i++)
		fputs(i < cells ? "\xe2\x96\x88" : "\xe2\x96\x91", stderr);
	fprintf(stderr, " %3u %%  %" PRIu64 " records%s", percent, x->done, last ? "\r\033[K" : "");
	fflush(stderr);
}

/* ── files ── */

static enum err
err_of_errno(int code)
{
	return code == ENOSPC || code == EDQUOT    ? ERR_DISK_FULL
		   : code == EACCES || code == EPERM   ? ERR_PERMISSION
		   : code == ENOENT || code == ENOTDIR ? ERR_FILE_MISSING
											   : ERR_IO;
}

static enum err
write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t put = write(fd, bytes, n);
		if (put < 0 && errno != EINTR)
			return err_of_errno(errno);
		if (put > 0) {
			bytes += put;
			n -= (size_t)put;
		}
	}
	return ERR_OK;
}

/* Collects small pieces, so that a record does not cost a system call. */
static enum err
add_waiting(int fd, struct buf *waiting, const void *bytes, size_t n)
{
	enum err e = ERR_OK;

	if (waiting->len + n > SPOOL_BYTES) {
		e = write_all(fd, buf_at(waiting), waiting->len);
		buf_reset(waiting);
	}
	if (!e && n > SPOOL_BYTES)
		return write_all(fd, bytes, n);
	return e ? e : buf_add(waiting, bytes, n);
}

static enum err
flush_waiting(int fd, struct buf *waiting)
{
	enum err e = write_all(fd, buf_at(waiting), waiting->len);

	buf_reset(waiting);
	return e;
}

/* Not every file system has files that never had a name (a stick of an auditor's, say): there it loses its name at
 * once. */
static enum err
spool_open(struct spool *s, const char *directory)
{
	char name[PATH_BYTES + 32];

	buf_init(&s->waiting, SPOOL_BYTES);
	s->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd >= 0)
		return ERR_OK;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return err_of_errno(errno);
	snprintf(name, sizeof(name), "%s/.sallyport-export.XXXXXX", directory);
	s->fd = mkostemp(name, O_CLOEXEC);
	if (s->fd < 0)
		return err_of_errno(errno);
	return unlink(name) == 0 ? ERR_OK : err_of_errno(errno);
}

static enum err
read_spool(void *arg, const struct export_log *log, enum export_part part, uint64_t offset, void *out, size_t n)
{
	struct exporting *x = arg;
	unsigned which = strcmp(log->folder, folders[LEDGER]) == 0 ? LEDGER : VAULT;
	int fd = part == EXPORT_RECORDS ? x->records[which].fd : x->hashes[which].fd;
	uint8_t *to = out;

	for (size_t at = 0; at < n;) {
		ssize_t got = pread(fd, to + at, n - at, (off_t)(offset + at));
		if (got == 0 || (got < 0 && errno != EINTR))
			return ERR_IO;
		at += got > 0 ? (size_t)got : 0;
	}
	return ERR_OK;
}

static enum err
write_out(void *arg, const void *bytes, size_t n)
{
	struct exporting *x = arg;

	return add_waiting(x->out, &x->out_waiting, bytes, n);
}

/* ── what the appliance says ── */

static enum err
ask_read(struct exporting *x, unsigned which, const sp_vault_audit_read_req *q, sp_vault_audit_read_rep *rep)
{
	const sp_ledger_audit_read_req to_ledger = {
		.from = q->from, .limit = q->limit, .size = q->size, .latest = q->latest, .export = q->export};

	memset(rep, 0, sizeof(*rep));
	return which == VAULT ? ctl_ask(x->client, MSG_vault_audit_read, q, rep)
						  : ctl_ask(x->client, MSG_ledger_audit_read, &to_ledger, rep);
}
_Static_assert(sizeof(sp_vault_audit_read_rep) == sizeof(sp_ledger_audit_read_rep), "one shape for both logs");

static enum err
ask_keys(struct exporting *x)
{
	static sp_audit_keys_rep rep;
	const sp_audit_keys_req req = {.uid = 0};
	struct export_keys keys = {.vkeys = 1};
	enum err e = ctl_ask(x->client, MSG_audit_keys, &req, &rep);

	if (e)
		return e;
	if (rep.ask_public.size != sizeof(keys.audit) || rep.xsk_public.size != sizeof(keys.export))
		return ERR_PROTOCOL;
	memcpy(keys.audit, rep.ask_public.bytes, sizeof(keys.audit));
	memcpy(keys.export, rep.xsk_public.bytes, sizeof(keys.export));
	e = str_set(keys.vkey[0], sizeof(keys.vkey[0]), rep.vkey);
	for (pb_size_t i = 0; i < rep.more_vkeys_count && !e && keys.vkeys < EXPORT_VKEYS_MAX; i++)
		e = str_set(keys.vkey[keys.vkeys++], sizeof(keys.vkey[0]), rep.more_vkeys[i]);
	if (!e)
		export_init(&x->x, &keys);
	return e;
}

/*
 * The cut: the log's last checkpoint, once it covers what was there when we came. A log that grows no checkpoint in
 * that time is exported up to the one that it has; one without any can't be exported.
 */
static enum err
ask_cut(struct exporting *x, unsigned which)
{
	static sp_vault_audit_read_rep rep;
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	const int64_t until = clock_mono_ms() + CHECKPOINT_MS;
	struct export_log *log;
	uint64_t wanted;
	enum err e = ask_read(x, which, &(sp_vault_audit_read_req){.from = FAR, .latest = true}, &rep);

	wanted = rep.size;
	if (!e)
		e = ask_read(x, which, &(sp_vault_audit_read_req){.export = true}, &rep);
	while (!e && (rep.checkpoint.size == 0 || rep.size < wanted) && clock_mono_ms() < until) {
		nanosleep(&pause, NULL);
		e = ask_read(x, which, &(sp_vault_audit_read_req){.from = FAR}, &rep);
	}
	if (!e && rep.checkpoint.size == 0)
		e = ERR_AUDIT_AWAY;
	if (!e)
		e = export_log(&x->x, folders[which], (const char *)rep.checkpoint.bytes, rep.checkpoint.size, &log);
	if (!e)
		x->total += log->head.size;
	return e;
}

static enum err
keep_record(struct exporting *x, unsigned which, const uint8_t *record, size_t n)
{
	uint8_t hash[HASH_BYTES];
	enum err e = export_record(x->x.logs[which], record, n, hash);

	if (!e)
		e = add_waiting(x->records[which].fd, &x->records[which].waiting, record, n);
	if (!e)
		e = add_waiting(x->records[which].fd, &x->records[which].waiting, "\n", 1);
	if (!e)
		e = add_waiting(x->hashes[which].fd, &x->hashes[which].waiting, hash, sizeof(hash));
	return e;
}

/* Records stand one after the other, each with its length before it. */
static enum err
keep_records(struct exporting *x, unsigned which, const sp_vault_audit_read_rep *rep, uint64_t *at)
{
	const uint8_t *bytes = rep->records.bytes;
	size_t left = rep->records.size;
	enum err e = ERR_OK;

	for (uint32_t i = 0; i < rep->count && !e; i++) {
		size_t n = left >= 4 ? (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3] : 0;
		if (left < 4 || n > left - 4)
			return ERR_PROTOCOL;
		e = keep_record(x, which, bytes + 4, n);
		bytes += 4 + n;
		left -= 4 + n;
		(*at)++;
		x->done++;
	}
	return e;
}

static enum err
fetch_log(struct exporting *x, unsigned which)
{
	static sp_vault_audit_read_rep rep;
	const uint64_t size = x->x.logs[which]->head.size;
	uint64_t at = 0;
	enum err e = ERR_OK;

	while (at < size && !e) {
		const uint32_t limit = size - at < 4096 ? (uint32_t)(size - at) : 4096;
		uint64_t before = at;
		e = ask_read(x, which, &(sp_vault_audit_read_req){.from = at, .limit = limit, .size = size, .export = true},
					 &rep);
		if (!e)
			e = keep_records(x, which, &rep, &at);
		if (!e && at == before)
			e = ERR_PROTOCOL;
		show_progress(x, folders[which], false);
	}
	if (!e)
		e = flush_waiting(x->records[which].fd, &x->records[which].waiting);
	return e ? e : flush_waiting(x->hashes[which].fd, &x->hashes[which].waiting);
}

/* ── signing ── */

static void
put_note(const struct export_log *log, uint8_t *bytes, pb_size_t *size)
{
	memcpy(bytes, log->note, log->note_bytes);
	*size = (pb_size_t)log->note_bytes;
}

/* tar_sum NULL: the manifest only. See sign_export in policy/schema/wire.proto. */
static enum err
ask_signatures(struct exporting *x, const struct buf *manifest, const uint8_t *tar_sum, const char *comment,
			   sp_sign_export_rep *rep)
{
	static sp_sign_export_req req;
	enum err e = ERR_OK;

	memset(&req, 0, sizeof(req));
	memset(rep, 0, sizeof(*rep));
	memcpy(req.manifest.bytes, buf_at(manifest), manifest->len);
	req.manifest.size = (pb_size_t)manifest->len;
	req.manifest_sha256.size = 32;
	crypto_hash_sha256(req.manifest_sha256.bytes, buf_at(manifest), manifest->len);
	put_note(x->x.logs[LEDGER], req.ledger_checkpoint.bytes, &req.ledger_checkpoint.size);
	put_note(x->x.logs[VAULT], req.vault_checkpoint.bytes, &req.vault_checkpoint.size);
	if (tar_sum) {
		memcpy(req.tar_blake2b.bytes, tar_sum, USTAR_SUM_BYTES);
		req.tar_blake2b.size = USTAR_SUM_BYTES;
		e = str_set(req.trusted_comment, sizeof(req.trusted_comment), comment);
	}
	if (!e)
		e = ctl_ask(x->client, MSG_sign_export, &req, rep);
	if (!e && (rep->manifest_signature.size != 64 ||
			   (tar_sum && (rep->tar_signature.size != 64 || rep->global_signature.size != 64))))
		e = ERR_PROTOCOL;
	return e;
}

/* Before anything is given its name: what was signed must verify with the keys that the appliance showed. */
static enum err
write_minisig(struct exporting *x, const struct buf *manifest, const uint8_t tar_sum[USTAR_SUM_BYTES])
{
	static sp_sign_export_rep rep;
	struct minisign_signature s;
	char now[CLOCK_TEXT_BYTES], text[MINISIGN_FILE_MAX], path[PATH_BYTES + 16];
	enum err e;

	memset(&s, 0, sizeof(s));
	clock_text(clock_wall_ms(), now);
	snprintf(s.comment, sizeof(s.comment), "sallyport export %s ledger=%" PRIu64 " vault=%" PRIu64, now,
			 x->x.logs[LEDGER]->head.size, x->x.logs[VAULT]->head.size);
	e = ask_signatures(x, manifest, tar_sum, s.comment, &rep);
	if (e)
		return e;
	minisign_key_id(x->x.keys.export, s.key_id);
	memcpy(s.tar, rep.tar_signature.bytes, sizeof(s.tar));
	memcpy(s.global, rep.global_signature.bytes, sizeof(s.global));
	e = minisign_check(&s, tar_sum, x->x.keys.export, s.key_id);
	if (!e)
		e = minisign_text(&s, text);
	if (!e) {
		snprintf(path, sizeof(path), "%s.minisig", x->path);
		e = ctl_write_file(path, text, strlen(text), 0644);
	}
	return e;
}

/*
 * The archive under its working name. Two exports to one name must not write into each other: the second is refused.
 * The first may have renamed the file while the second waited for its lock, so that it holds a lock on a finished
 * archive.
 */
static enum err
open_part(struct exporting *x)
{
	struct stat held, named;

	x->out = open(x->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (x->out < 0)
		return err_of_errno(errno);
	if (flock(x->out, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? ERR_EXISTS : err_of_errno(errno);
	if (fstat(x->out, &held) != 0 || stat(x->part, &named) != 0 || held.st_ino != named.st_ino)
		return ERR_EXISTS;
	x->part_held = true;
	interrupt_remove(x->part);
	return ftruncate(x->out, 0) == 0 ? ERR_OK : err_of_errno(errno);
}

static enum err
write_archive(struct exporting *x, const struct buf *manifest, uint8_t sum_out[USTAR_SUM_BYTES])
{
	static sp_sign_export_rep rep;
	enum err e = ask_signatures(x, manifest, NULL, NULL, &rep);

	if (e)
		return e;
	if (crypto_sign_verify_detached(rep.manifest_signature.bytes, buf_at(manifest), manifest->len, x->x.keys.export) !=
		0)
		return ERR_CRYPTO;
	e = open_part(x);
	if (e)
		return e;
	e = export_write(&x->x, manifest, rep.manifest_signature.bytes, read_spool, write_out, x, sum_out);
	if (!e)
		e = flush_waiting(x->out, &x->out_waiting);
	if (!e && fsync(x->out) != 0)
		e = err_of_errno(errno);
	return e;
}

/* ── the command ── */

static enum err
open_spools(struct exporting *x)
{
	char copy[PATH_BYTES];
	const char *directory;
	enum err e = ERR_OK;

	memcpy(copy, x->path, sizeof(copy));
	directory = dirname(copy);
	for (unsigned i = 0; i < LOGS && !e; i++) {
		e = spool_open(&x->records[i], directory);
		if (!e)
			e = spool_open(&x->hashes[i], directory);
	}
	return e;
}

static enum err
run_export(struct exporting *x)
{
	uint8_t sum[USTAR_SUM_BYTES];
	struct buf manifest;
	enum err e = open_spools(x);

	buf_init(&manifest, MANIFEST_BYTES_MAX);
	if (!e)
		e = ask_keys(x);
	for (unsigned i = 0; i < LOGS && !e; i++)
		e = ask_cut(x, i);
	for (unsigned i = 0; i < LOGS && !e; i++)
		e = fetch_log(x, i);
	if (!e)
		e = export_manifest(&x->x, &manifest);
	if (!e)
		e = write_archive(x, &manifest, sum);
	if (!e)
		e = write_minisig(x, &manifest, sum);
	/* the archive gets its name last: where F.tar is, its signature is too */
	if (!e && rename(x->part, x->path) != 0)
		e = err_of_errno(errno);
	interrupt_remove(NULL);
	buf_clear(&manifest);
	return e;
}

static void
clear(struct exporting *x)
{
	for (unsigned i = 0; i < LOGS; i++) {
		buf_clear(&x->records[i].waiting);
		buf_clear(&x->hashes[i].waiting);
		if (x->records[i].fd >= 0)
			close(x->records[i].fd);
		if (x->hashes[i].fd >= 0)
			close(x->hashes[i].fd);
	}
	buf_clear(&x->out_waiting);
	if (x->out >= 0)
		close(x->out);
	export_clear(&x->x);
	client_close(x->client);
}

static int
show_done(const struct exporting *x)
{
	const struct checkpoint *l = &x->x.logs[LEDGER]->head, *v = &x->x.logs[VAULT]->head;

	if (x->r->json)
		return ctl_print_json(json_pack("{ss ss+ s{sI ss} s{sI ss} ss}", "file", x->path, "signature", x->path,
										".minisig", "vault", "records", (json_int_t)v->size, "origin", v->origin,
										"ledger", "records", (json_int_t)l->size, "origin", l->origin, "vkey",
										x->x.keys.vkey[0]));
	printf("exported \xe2\x80\x94 %s: %" PRIu64 " records of the vault, %" PRIu64 " of the ledger\n\n", x->path,
		   v->size, l->size);
	printf("  signature  %s.minisig\n  check it   sallyport-verify %s\n", x->path, x->path);
	puts("  An auditor gives --keys with a copy of keys/ that came another way than the export.");
	return EXIT_CODE_DONE;
}

static int
act_export(struct run *r)
{
	static struct exporting x;
	const char *output = ctl_flag(r, "--output");
	int status;
	enum err e;

	memset(&x, 0, sizeof(x));
	x = (struct exporting){.r = r, .out = -1, .records = {{.fd = -1}, {.fd = -1}}, .hashes = {{.fd = -1}, {.fd = -1}}};
	if (!output || !*output)
		return ctl_usage(r, "--output FILE is needed");
	if (str_set(x.path, sizeof(x.path), output) != ERR_OK || strlen(output) + sizeof(".minisig.tmp") > sizeof(x.path))
		return ctl_usage(r, "the name of the output is too long");
	snprintf(x.part, sizeof(x.part), "%s.part", x.path);
	buf_init(&x.out_waiting, SPOOL_BYTES);
	x.client = ctl_connect(r, &status);
	if (!x.client)
		return status;
	e = run_export(&x);
	show_progress(&x, "done", true);
	if (e == ERR_OK)
		status = show_done(&x);
	else
		status = ctl_fail(r, e, "audit export", e == ERR_EXISTS ? "another export is writing to this name" : NULL);
	/* while the lock is held, so that it can't be another's */
	if (e != ERR_OK && x.part_held)
		unlink(x.part);
	clear(&x);
	return status;
}

static const struct flag export_flags[] = {
	{"--output", "F.tar", "the archive to write; its signature goes to F.tar.minisig"},
	{NULL, NULL, NULL},
};

const struct command cmd_audit_export = {
	.words = "audit export",
	.args = "",
	.summary = "Write both audit logs as one signed archive",
	.about =
		"Each log is cut at its last checkpoint. The vault signs the archive and leaves a record of it. Check the\n"
		"result with sallyport-verify, or with minisign, openssl and sha256sum as VERIFY.txt inside it says.\n"
		"An archive of the same name is replaced when the new one is complete, not before.",
	.example = "sallyport --dir /srv/sallyport audit export --output march.tar",
	.exits = "0 1 2 3 4 5 6 7 130",
	.schema = "audit-export",
	.flags = export_flags,
	.act = act_export,
};
