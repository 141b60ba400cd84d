/* How a verification is told: to people, and as JSON. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/audit/verify.h"
#include "daemon/base/str.h"

#define PROBLEMS_MAX 32
#define ROOT_TEXT    48

void
verify_report_problem(struct verify_report *r, const char *fmt, ...)
{
	char line[320];
	unsigned n = 0;
	va_list ap;

	for (size_t i = 0; i < r->problems.len; i++)
		n += buf_at(&r->problems)[i] == '\n';
	if (n >= PROBLEMS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* out of memory loses the words; the verdict stands in what was not proved */
	if (buf_printf(&r->problems, "%s\n", line))
		r->archive_good = false;
}

void
verify_report_clear(struct verify_report *r)
{
	buf_clear(&r->problems);
}

bool
verify_report_good(const struct verify_report *r)
{
	bool good = r->archive_good && r->manifest_good && r->logs_n > 0 && r->problems.len == 0;

	for (unsigned i = 0; i < r->logs_n; i++)
		good = good && r->logs[i].good;
	return good;
}

static enum err
text_log(const struct verify_log *l, struct buf *out)
{
	char root[ROOT_TEXT] = "";
	enum err e;

	if (str_base64(l->head.root, HASH_BYTES, root, sizeof(root)))
		root[0] = '\0';
	e = buf_printf(out,
				   "  %-9s %s  %" PRIu64 " records, %s to %s\n"
				   "            root %s, log %s\n",
				   l->folder, l->good ? "ok " : "BAD", l->records, l->first_ts[0] ? l->first_ts : "-",
				   l->last_ts[0] ? l->last_ts : "-", root, l->head.origin[0] ? l->head.origin : "?");
	if (!e && l->grown)
		e = buf_printf(out, "            begins with the %" PRIu64 " records of the earlier export\n", l->grown_from);
	return e;
}

static enum err
text_record(const struct verify_record *k, struct buf *out)
{
	char hash[ROOT_TEXT];
	enum err e = buf_printf(out,
							"\n  record %s:%" PRIu64 " is leaf %" PRIu64 " of %" PRIu64
							":\n    %.*s\n  its proof, from the leaf up:\n",
							k->log, k->seq, k->seq, k->size, (int)k->bytes, k->text);

	for (size_t i = 0; i < k->proof_n && !e; i++) {
		e = str_base64(k->proof[i], HASH_BYTES, hash, sizeof(hash));
		if (!e)
			e = buf_printf(out, "    %s\n", hash);
	}
	return e;
}

static enum err
text_problems(const struct verify_report *r, struct buf *out)
{
	const char *at = (const char *)buf_at(&r->problems), *end = at + r->problems.len, *stop;
	enum err e = ERR_OK;
	bool first = true;

	for (; at < end && !e; at = stop + 1) {
		stop = memchr(at, '\n', (size_t)(end - at));
		e = buf_printf(out, "%s \xe2\x80\x94 %.*s\n", first ? "problem" : "also", (int)(stop - at), at);
		first = false;
	}
	return e;
}

enum err
verify_report_text(const struct verify_report *r, struct buf *out)
{
	bool good = verify_report_good(r);
	enum err e = good ? buf_printf(out, "verified \xe2\x80\x94 the export is whole, unchanged and signed by %s\n",
								   r->keys_given ? "your keys" : "the keys inside it")
					  : text_problems(r, out);

	if (!e)
		e = buf_printf(out,
					   "\n  archive   %s  %" PRIu64 " files, %" PRIu64 " bytes%s%s\n"
					   "  manifest  %s  lists every file; its Ed25519 signature %s\n",
					   r->archive_good ? "ok " : "BAD", r->files, r->bytes, r->comment[0] ? ", minisign: " : "",
					   r->comment, r->manifest_good ? "ok " : "BAD",
					   r->manifest_good ? "verifies" : "was not confirmed");
	for (unsigned i = 0; i < r->logs_n && !e; i++)
		e = text_log(&r->logs[i], out);
	if (!e && r->keys.vkeys > 0)
		e = buf_printf(out, "  keys           %s\n            %s\n", r->keys.vkey[0],
					   r->keys_given ? "yours"
									 : "those inside the export: compare with your own copy, or use --keys DIR");
	if (!e && r->record.proved)
		e = text_record(&r->record, out);
	if (!e && good)
		e = buf_add_text(
			out, "\n  Proved: each record is in its place in a tree whose root the audit key signed; nothing is\n"
				 "  missing, added, changed or reordered up to the checkpoints. Not proved: that the appliance\n"
				 "  showed nobody another log; its witness tells that.\n");
	return e;
}

/* ── JSON ── */

static enum err
json_string(struct buf *out, const char *text, size_t n)
{
	enum err e = buf_add(out, "\"", 1);

	for (size_t i = 0; i < n && !e; i++) {
		uint8_t c = (uint8_t)text[i];
		if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)
			e = buf_printf(out, "\\u%04x", c);
		else
			e = buf_add(out, &c, 1);
	}
	return e ? e : buf_add(out, "\"", 1);
}

static enum err
json_member(struct buf *out, const char *key, const char *text)
{
	enum err e = buf_printf(out, ",\"%s\":", key);

	return e ? e : json_string(out, text, strlen(text));
}

static const char *
truth(bool b)
{
	return b ? "true" : "false";
}

static enum err
json_log(const struct verify_log *l, bool first, struct buf *out)
{
	char root[ROOT_TEXT] = "";
	enum err e = str_base64(l->head.root, HASH_BYTES, root, sizeof(root));

	if (!e)
		e = buf_printf(out, "%s{\"ok\":%s,\"records\":%" PRIu64 ",\"size\":%" PRIu64 ",\"tiles\":%" PRIu64,
					   first ? "" : ",", truth(l->good), l->records, l->head.size, l->tiles);
	if (!e)
		e = json_member(out, "log", l->folder);
	if (!e)
		e = json_member(out, "origin", l->head.origin);
	if (!e)
		e = json_member(out, "root", root);
	if (!e && l->grown)
		e = buf_printf(out, ",\"since\":%" PRIu64, l->grown_from);
	if (!e && l->first_ts[0])
		e = json_member(out, "first", l->first_ts);
	if (!e && l->last_ts[0])
		e = json_member(out, "last", l->last_ts);
	return e ? e : buf_add(out, "}", 1);
}

/* All that somebody needs to check this one record against the root: at most 2 KiB beside the record itself. */
static enum err
json_record(const struct verify_record *k, struct buf *out)
{
	char hash[ROOT_TEXT];
	enum err e = buf_printf(out, ",\"record\":{\"seq\":%" PRIu64 ",\"size\":%" PRIu64 ",\"leaf\":", k->seq, k->size);

	if (!e)
		e = json_string(out, k->text, k->bytes);
	if (!e)
		e = json_member(out, "log", k->log);
	if (!e)
		e = str_base64(k->root, HASH_BYTES, hash, sizeof(hash));
	if (!e)
		e = json_member(out, "root", hash);
	if (!e)
		e = buf_add_text(out, ",\"proof\":[");
	for (size_t i = 0; i < k->proof_n && !e; i++) {
		e = str_base64(k->proof[i], HASH_BYTES, hash, sizeof(hash));
		if (!e)
			e = buf_printf(out, "%s\"%s\"", i ? "," : "", hash);
	}
	return e ? e : buf_add_text(out, "]}");
}

static enum err
json_problems(const struct verify_report *r, struct buf *out)
{
	const char *at = (const char *)buf_at(&r->problems), *end = at + r->problems.len, *stop;
	enum err e = buf_add_text(out, ",\"problems\":[");

	for (bool first = true; at < end && !e; at = stop + 1, first = false) {
		stop = memchr(at, '\n', (size_t)(end - at));
		if (!first)
			e = buf_add(out, ",", 1);
		if (!e)
			e = json_string(out, at, (size_t)(stop - at));
	}
	return e ? e : buf_add(out, "]", 1);
}

enum err
verify_report_json(const struct verify_report *r, struct buf *out)
{
	enum err e = buf_printf(
		out, "{\"ok\":%s,\"keys\":\"%s\",\"archive\":%s,\"manifest\":%s,\"files\":%" PRIu64 ",\"bytes\":%" PRIu64,
		truth(verify_report_good(r)), r->keys_given ? "given" : "inside", truth(r->archive_good),
		truth(r->manifest_good), r->files, r->bytes);

	if (!e && !verify_report_good(r))
		e = json_member(out, "code", err_code(ERR_VERIFY_FAILED));
	if (!e && r->keys.vkeys > 0)
		e = json_member(out, "vkey", r->keys.vkey[0]);
	if (!e && r->comment[0])
		e = json_member(out, "comment", r->comment);
	if (!e)
		e = buf_add_text(out, ",\"logs\":[");
	for (unsigned i = 0; i < r->logs_n && !e; i++)
		e = json_log(&r->logs[i], i == 0, out);
	if (!e)
		e = buf_add_text(out, "]");
	if (!e && r->record.proved)
		e = json_record(&r->record, out);
	if (!e)
		e = json_problems(r, out);
	return e ? e : buf_add_text(out, "}\n");
}
