/*
 * What support may be given: one JSON file that a person can read through before it is sent.
 * By allow-list: only values of a closed kind get in — words of our own tables, numbers of typed keys, names of our own
 * files. What people wrote (texts of the configuration, comments, names of files, sentences in the log that this
 * program does not know) is counted and left out, for a PIN or a card number can stand anywhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "console/ctl/doctor.h"
#include "console/ctl/layout.h"
#include "console/ctl/program.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/msg.h"
#include "daemon/wire/page.h"

#define FORM           "sallyport-support-bundle/1"
#define LOG_BYTES_MAX  ((size_t)8 << 20)
#define LOG_LINES      2000
#define LINE_BYTES_MAX 4096

struct section {
	const char *name, *what;
	json_t *content;
	size_t entries, left_out;
};

/* ── texts that may pass ── */

/* Versions and the like: short, and of characters that no name of a person or thing needs more of. */
static const char *
plain(const char *text, const char *characters, size_t max)
{
	size_t n = strlen(text);
	return n > 0 && n <= max && strspn(text, characters) == n && !str_holds_pan(text, n) ? text : "other";
}

static bool
in_list(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(*list, text) == 0)
			return true;
	return false;
}

/* ── version ── */

/* Of /etc/os-release, which the distribution wrote. */
static const char *
release_value(const char *text, const char *name, char out[32])
{
	const char *at = strstr(text, name);
	out[0] = 0;
	if (at && sscanf(at + strlen(name), "%*[\"]%31[a-z0-9._-]", out) < 1)
		(void)sscanf(at + strlen(name), "%31[a-z0-9._-]", out);
	return out;
}

static void
add_version(const struct doctor *d, struct section *s)
{
	static const char *const machines[] = {"x86_64", "aarch64", "ppc64le", "s390x", "riscv64", NULL};
	char *text = NULL, id[32] = "", release[32] = "";
	struct utsname u;
	size_t n;
	(void)d;
	if (ctl_read_file("/etc/os-release", 16384, &text, &n) == ERR_OK) {
		release_value(text, "\nID=", id);
		release_value(text, "\nVERSION_ID=", release);
	}
	mem_free(text);
	if (uname(&u) != 0)
		memset(&u, 0, sizeof u);
	s->content = json_pack("{ss ss ss ss ss}", "sallyport", VERSION, "kernel", "other", "machine",
						   in_list(u.machine, machines) ? u.machine : "other", "distribution",
						   plain(id, "abcdefghijklmnopqrstuvwxyz", 16), "release", plain(release, "0123456789.", 6));
	/* 6.1.0-28-amd64: what follows the numbers is whoever built it's */
	u.release[strspn(u.release, "0123456789.")] = 0;
	json_object_set_new(s->content, "kernel", json_string(plain(u.release, "0123456789.", 12)));
	s->entries = json_object_size(s->content);
}

/* ── configuration ── */

enum kind { TEXT, ADDRESS, PATH, INT, BOOL, TIME, SIZE, CHOICE };
#define ENUM(words) CHOICE
static const struct {
	enum kind kind;
} keys[] = {
#define KEY(ID, name, type, preset, least, most, unit, reload, what) {type},
#include "policy/config.def"
#undef KEY
};
#undef ENUM

static json_t *
value_of(const struct conf *c, enum conf_key k)
{
	switch (keys[k].kind) {
	case INT:
	case TIME:
	case SIZE:
		return json_integer((json_int_t)conf_int(c, k));
	case BOOL:
		return json_boolean(conf_bool(c, k));
	case CHOICE:
		return json_string(conf_text(c, k));
	default:
		return NULL;
	}
}

static void
add_configuration(const struct doctor *d, struct section *s)
{
	size_t problems = 0;
	const char *text = d->conf_problems.len ? (const char *)buf_at(&d->conf_problems) : "";
	json_t *list = json_array();
	for (size_t i = 0; i < d->conf_problems.len; i++)
		problems += text[i] == '\n';
	for (unsigned k = 0; k < CONF_MAX; k++) {
		json_t *value = value_of(d->conf, (enum conf_key)k);
		json_t *row = json_pack("{ss sb}", "key", conf_name((enum conf_key)k), "set",
								(int)(strcmp(conf_origin(d->conf, (enum conf_key)k), "preset") != 0));
		if (value)
			json_object_set_new(row, "value", value);
		s->left_out += !value;
		json_array_append_new(list, row);
	}
	s->entries = json_array_size(list);
	s->content = json_pack("{ss si so}", "state", err_code(d->conf_error), "problems", (int)problems, "keys", list);
}

/* ── files ── */

/* By name; the size of a secret would tell how long it is. */
static const struct {
	const char *directory, *name;
	bool etc, secret;
} files[] = {
	{".", "sallyport.conf", true, false},
	{".", "ca.crt", true, false},
	{"tls", "server.crt", true, false},
	{"tls", "server.key", true, true},
	{"tls", "clients-ca.crt", true, false},
	{"ca", "ca.crt", true, false},
	{"ca", "ca.key", true, true},
	{"credentials", "hsm-pin", true, true},
	{"vault", "boot", false, false},
	{"vault", "boot.journal", false, false},
	{"vault", "vault.db", false, false},
	{"vault", "vault.db-wal", false, false},
	{"vault", "reserve", false, false},
	{"ledger", "ledger.db", false, false},
	{"ledger", "ledger.db-wal", false, false},
	{"ledger", "reserve", false, false},
	{"courier", "simulator.jsonl", false, false},
	{"herald", "events.jsonl", false, false},
	{"hsm", "softhsm2.conf", false, false},
};
#define FILES (sizeof files / sizeof *files)

static const char *
owner_name(uid_t uid)
{
	static const char *const processes[] = {"vault", "hsm", "ledger", "gate", "courier", "herald", "desk"};
	uid_t its;
	for (size_t i = 0; i < sizeof processes / sizeof *processes; i++)
		if (layout_user(processes[i], &its) == ERR_OK && its == uid)
			return processes[i];
	return uid == 0 ? "root" : uid == geteuid() ? "caller" : "other";
}

static void
add_file(const struct doctor *d, size_t i, json_t *list)
{
	char directory[PATH_BYTES], path[PATH_BYTES], mode[8], name[64];
	struct stat st;
	const char *base = files[i].etc ? d->run->paths.etc : d->run->paths.state;
	snprintf(name, sizeof name, "%s%s%s", strcmp(files[i].directory, ".") ? files[i].directory : "",
			 strcmp(files[i].directory, ".") ? "/" : "", files[i].name);
	if (ctl_path(directory, base, files[i].directory) != ERR_OK || ctl_path(path, directory, files[i].name) != ERR_OK)
		return;
	bool there = lstat(path, &st) == 0;
	json_t *row = json_pack("{ss sb}", "file", name, "there", (int)there);
	if (there) {
		snprintf(mode, sizeof mode, "%04o", (unsigned)st.st_mode & 07777u);
		json_object_set_new(row, "mode", json_string(mode));
		json_object_set_new(row, "owner", json_string(owner_name(st.st_uid)));
		if (!files[i].secret)
			json_object_set_new(row, "bytes", json_integer((json_int_t)st.st_size));
	}
	json_array_append_new(list, row);
}

static bool
is_known(const char *directory, bool etc, const char *name)
{
	for (size_t i = 0; i < FILES; i++)
		if (files[i].etc == etc && strcmp(files[i].directory, directory) == 0 && strcmp(files[i].name, name) == 0)
			return true;
	return false;
}

/* What else lies in our folders is somebody's: how much, and not what. */
static size_t
count_others(const char *base, const char *directory, bool etc)
{
	char path[PATH_BYTES];
	size_t n = 0;
	DIR *dir = ctl_path(path, base, directory) == ERR_OK ? opendir(path) : NULL;
	for (const struct dirent *e; dir && (e = readdir(dir));)
		n += e->d_type == DT_REG && !is_known(directory, etc, e->d_name);
	if (dir)
		closedir(dir);
	return n;
}

static void
add_files(const struct doctor *d, struct section *s)
{
	struct statvfs fs;
	json_t *list = json_array();
	for (size_t i = 0; i < FILES; i++) {
		bool first = true;
		add_file(d, i, list);
		for (size_t k = 0; k < i; k++)
			first &= strcmp(files[k].directory, files[i].directory) != 0;
		if (first)
			s->left_out +=
				count_others(files[i].etc ? d->run->paths.etc : d->run->paths.state, files[i].directory, files[i].etc);
	}
	s->entries = json_array_size(list);
	s->content = json_pack("{so}", "files", list);
	if (statvfs(d->run->paths.state, &fs) == 0)
		json_object_set_new(s->content, "disk",
							json_pack("{sI sI}", "free_mib", (json_int_t)(fs.f_bavail * fs.f_frsize >> 20), "all_mib",
									  (json_int_t)(fs.f_blocks * fs.f_frsize >> 20)));
}

/* ── the log ── */

static const char *const sentences[] = {
#define SENTENCE(text) text,
#include "console/ctl/doctor_sentences.def"
#undef SENTENCE
	NULL};
static const char *const levels[] = {"info", "warn", "fatal", "panic", NULL};

static bool
is_process(const char *text)
{
	char name[32];
	size_t n = strcspn(text, "/");
	const char *rest = text + n;
	if (n >= sizeof name || (*rest && (rest[1] < '0' || rest[1] > '9' || strlen(rest) > 3 ||
									   (rest[2] && (rest[2] < '0' || rest[2] > '9')))))
		return false;
	memcpy(name, text, n);
	name[n] = 0;
	for (unsigned p = 0; p < PROCESS_OFFICER; p++)
		if (strcmp(process_name((enum process)p), name) == 0)
			return true;
	return false;
}

static bool
is_code(const char *text)
{
	for (unsigned e = 0; e < ERR_MAX; e++)
		if (strcmp(err_code((enum err)e), text) == 0)
			return true;
	return false;
}

static bool
is_state_word(const char *text)
{
	for (unsigned s = PAGE_STARTING; s <= PAGE_STOPPING; s++)
		if (strcmp(page_state_word((enum page_state)s), text) == 0)
			return true;
	return false;
}

static const char *
text_of(const json_t *line, const char *name)
{
	const char *text = json_string_value(json_object_get(line, name));
	return text ? text : "";
}

/* NULL: nothing of it may pass. */
static json_t *
sift(const char *text)
{
	char at[CLOCK_TEXT_BYTES];
	int64_t ms;
	json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL), *out = NULL;
	if (json_is_object(line) && clock_parse(text_of(line, "ts"), &ms) == ERR_OK &&
		in_list(text_of(line, "level"), levels) && is_process(text_of(line, "proc")) &&
		in_list(text_of(line, "what"), sentences)) {
		clock_text(ms, at);
		out = json_pack("{ss ss ss ss}", "at", at, "level", text_of(line, "level"), "process", text_of(line, "proc"),
						"what", text_of(line, "what"));
		if (is_code(text_of(line, "cause")))
			json_object_set_new(out, "cause", json_string(text_of(line, "cause")));
		if (is_process(text_of(line, "process")))
			json_object_set_new(out, "about", json_string(text_of(line, "process")));
		if (is_state_word(text_of(line, "now")))
			json_object_set_new(out, "now", json_string(text_of(line, "now")));
	}
	json_decref(line);
	return out;
}

/* The service's own lines from the journal's files; nobody is asked for them. */
static char *
read_journal(void)
{
	static const char *const argv[] = {
		"/usr/bin/journalctl", "-u", "sallyport.service", "-o", "cat", "-n", "2000", "--no-pager", "-q", NULL};
	char *text = access(argv[0], X_OK) == 0 ? mem_new(1, LOG_BYTES_MAX + 1) : NULL;
	/* what it could read before it failed is better than nothing */
	if (text)
		(void)program_run_quietly(argv, text, LOG_BYTES_MAX + 1);
	return text;
}

static void
add_log(const struct doctor *d, struct section *s)
{
	const char *file = ctl_flag(d->run, "--log");
	char *text = NULL, *save = NULL;
	size_t n;
	json_t *list = json_array();
	if (file && ctl_read_file(file, LOG_BYTES_MAX, &text, &n) != ERR_OK)
		text = NULL;
	if (!file && !d->run->paths.dir[0])
		text = read_journal();
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
		/* systemd's priority in front */
		line += line[0] == '<' && line[1] && line[2] == '>' ? 3 : 0;
		json_t *passed = strlen(line) <= LINE_BYTES_MAX && json_array_size(list) < LOG_LINES ? sift(line) : NULL;
		if (passed)
			json_array_append_new(list, passed);
		else
			s->left_out++;
	}
	mem_free(text);
	s->content = list;
	s->entries = json_array_size(list);
}

/* ── all of it ── */

static void
add_checks(const struct doctor_seen *seen, size_t n, struct section *s)
{
	static const char *const words[DOCTOR_RESULTS] = {"ok", "warn", "fail"};
	s->content = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(s->content, json_pack("{ss ss sb}", "check", seen[i].check, "result",
													words[seen[i].result], "looked_at", (int)!seen[i].unchecked));
	s->entries = n;
}

static enum err
write_bundle(const char *path, const struct section *sections, size_t n, size_t *bytes_out)
{
	char at[CLOCK_TEXT_BYTES];
	clock_text(clock_wall_ms(), at);
	json_t *doc = json_pack("{ss ss}", "form", FORM, "made_at", at);
	for (size_t i = 0; i < n; i++)
		json_object_set(doc, sections[i].name, sections[i].content);
	char *text = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
	json_decref(doc);
	if (!text)
		return ERR_MEMORY;
	*bytes_out = strlen(text);
	enum err e = access(path, F_OK) == 0 ? ERR_EXISTS : ctl_write_file(path, text, *bytes_out, 0600);
	mem_free(text);
	return e;
}

int
doctor_bundle(const struct doctor *d, const char *path, const struct doctor_seen *seen, size_t n)
{
	struct section s[] = {
		{.name = "version", .what = "of Sallyport, the kernel and the distribution"},
		{.name = "checks", .what = "the doctor's results, without its texts"},
		{.name = "configuration", .what = "keys, with the values of numbers, times, sizes and choices"},
		{.name = "files", .what = "ours by name: mode, owner, size"},
		{.name = "log", .what = "lines whose sentence this program knows: time, process, sentence, cause"},
	};
	size_t bytes = 0;
	json_t *list = json_array();
	add_version(d, &s[0]);
	add_checks(seen, n, &s[1]);
	add_configuration(d, &s[2]);
	add_files(d, &s[3]);
	add_log(d, &s[4]);
	if (!d->run->json)
		puts("The bundle will hold:");
	for (size_t i = 0; i < sizeof s / sizeof *s; i++) {
		if (!d->run->json)
			printf("  %-14s %5zu  %s; %zu left out\n", s[i].name, s[i].entries, s[i].what, s[i].left_out);
		json_array_append_new(list, json_pack("{ss sI sI}", "section", s[i].name, "entries", (json_int_t)s[i].entries,
											  "left_out", (json_int_t)s[i].left_out));
	}
	(void)fflush(stdout);
	enum err e = write_bundle(path, s, sizeof s / sizeof *s, &bytes);
	for (size_t i = 0; i < sizeof s / sizeof *s; i++)
		json_decref(s[i].content);
	if (e != ERR_OK) {
		json_decref(list);
		return ctl_fail(d->run, e, "doctor", NULL);
	}
	if (d->run->json)
		return ctl_print_json(json_pack("{ss sI so}", "bundle", path, "bytes", (json_int_t)bytes, "sections", list));
	json_decref(list);
	printf("\nwritten — %s, %zu bytes, for your eyes only; nothing was contacted\nnext: read it, then send it\n", path,
		   bytes);
	return EXIT_CODE_DONE;
}
