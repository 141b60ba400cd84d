/* sallyport audit verify|tail — check an export offline; read the end of the logs. (export: cmd_audit_export.c) */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "console/ctl/ctl.h"
#include "daemon/audit/verify_file.h"
#include "daemon/base/buf.h"
#include "daemon/base/str.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"

#define REPORT_BYTES   65536
#define TAIL_LINES     20
#define TAIL_LINES_MAX 1000
#define FOLLOW_MS      500

/* ── verify ── */

static int
act_verify(struct run *r)
{
	static struct verify_report report;
	const struct verify_options options = {
		.keys_dir = ctl_flag(r, "--keys"), .since = ctl_flag(r, "--since"), .record = ctl_flag(r, "--record")};
	const char *blamed = r->args[0];
	struct buf out;
	enum err e = verify_file(r->args[0], &options, &report, &blamed), told;
	int status = ctl_exit_of(e);

	if (e != ERR_OK && e != ERR_VERIFY_FAILED) {
		char what[PATH_BYTES];
		snprintf(what, sizeof(what), "audit verify: %s", blamed);
		verify_report_clear(&report);
		/* 7 would say that an officer is missing; here a file could not be read */
		if (e == ERR_USAGE)
			return ctl_usage(r, "--record takes LOG:SEQ, for example vault:17");
		(void)ctl_fail(r, e, what, NULL);
		return EXIT_CODE_FAILED;
	}
	buf_init(&out, REPORT_BYTES);
	told = r->json ? verify_report_json(&report, &out) : verify_report_text(&report, &out);
	if (!told && fwrite(buf_at(&out), 1, out.len, stdout) != out.len)
		told = ERR_IO;
	buf_clear(&out);
	verify_report_clear(&report);
	return told ? ctl_fail(r, told, "audit verify", NULL) : status;
}

static const struct flag verify_flags[] = {
	{"--keys", "DIR", "trust only these keys: vkey, and audit.pem or minisign.pub"},
	{"--since", "OLD.tar", "an earlier export: the new one must begin with its records"},
	{"--record", "LOG:SEQ", "show one record (vault:17) with its inclusion proof"},
	{NULL, NULL, NULL},
};

const struct command cmd_audit_verify = {
	.words = "audit verify",
	.args = "F.tar",
	.summary = "Check an audit export; works without an appliance",
	.about =
		"The same check as sallyport-verify. Without --keys it trusts the keys inside the export: that finds damage,\n"
		"but not a forger who signed with a key of his own.",
	.example = "sallyport audit verify --keys our-keys march.tar",
	.exits = "0 1 2 9 130",
	.schema = "audit-verify",
	.args_min = 1,
	.args_max = 1,
	.flags = verify_flags,
	.act = act_verify,
};

/* ── tail ── */

struct tail {
	struct run *r;
	struct client *client;
	const char *log; /* "vault", "ledger" */
	bool raw;        /* as they are stored, one a line */
	json_t *kept;    /* with --json: the one document's records */
	uint64_t at;     /* next record to show */
};

/* Ctrl-C is how following ends: nothing went wrong that has to be told. */
static void
on_interrupt(int signal)
{
	(void)signal;
	_exit(EXIT_CODE_INTERRUPTED);
}

/* One line for people: the members that answer who did what to which, and how it ended. */
static void
show_record(const json_t *j, const char *log)
{
	const char *ts = "", *event = "", *outcome = "", *actor = "", *id = "", *object = "", *code = "";

	/* a member that is not there leaves its "" */
	(void)json_unpack((json_t *)j, "{s?s s?s s?s s?{s?s s?s} s?{s?s} s?s}", "ts", &ts, "ev", &event, "outcome",
					  &outcome, "actor", "kind", &actor, "id", &id, "obj", "id", &object, "code", &code);
	printf("%s  %-6s %-18s %-7s %s%s%s  %s%s%s\n", ts, log, event, outcome, actor, *id ? ":" : "", id, object,
		   *code ? "  " : "", code);
}

static enum err
print_record(const struct tail *t, const char *record, size_t n)
{
	json_t *j;

	if (t->raw)
		return fwrite(record, 1, n, stdout) == n && putchar('\n') != EOF ? ERR_OK : ERR_IO;
	j = json_loadb(record, n, 0, NULL);
	if (!j)
		return ERR_FILE_FORM;
	if (t->kept)
		return json_array_append_new(t->kept, json_pack("{ss so}", "log", t->log, "record", j)) == 0 ? ERR_OK
																									 : ERR_MEMORY;
	show_record(j, t->log);
	json_decref(j);
	return ERR_OK;
}

static enum err
ask_log(struct tail *t, uint32_t limit, sp_vault_audit_read_rep *rep)
{
	sp_vault_audit_read_req vault = {.from = t->at, .limit = limit, .latest = true};
	sp_ledger_audit_read_req ledger = {.from = t->at, .limit = limit, .latest = true};

	/* both answers have one shape; a static assertion below keeps it so */
	return strcmp(t->log, "vault") == 0 ? ctl_ask(t->client, MSG_vault_audit_read, &vault, rep)
										: ctl_ask(t->client, MSG_ledger_audit_read, &ledger, rep);
}
_Static_assert(sizeof(sp_vault_audit_read_rep) == sizeof(sp_ledger_audit_read_rep), "one shape for both logs");

static enum err
show_new(struct tail *t, uint64_t *size_out)
{
	static sp_vault_audit_read_rep rep;
	enum err e = ask_log(t, TAIL_LINES_MAX, &rep);
	const uint8_t *at = rep.records.bytes;
	size_t left = rep.records.size;

	*size_out = rep.size;
	for (uint32_t i = 0; i < rep.count && !e; i++) {
		size_t n = left >= 4 ? (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3] : SIZE_MAX;
		if (left < 4 || n > left - 4)
			return ERR_PROTOCOL;
		e = print_record(t, (const char *)at + 4, n);
		at += 4 + n;
		left -= 4 + n;
		t->at++;
	}
	return e;
}

/* The last n records that are there now. */
static enum err
show_last(struct tail *t, uint64_t n)
{
	static sp_vault_audit_read_rep rep;
	uint64_t size;
	enum err e;

	t->at = UINT64_MAX >> 1; /* beyond the end: only the size comes back */
	e = ask_log(t, 0, &rep);
	if (e)
		return e;
	size = rep.size;
	t->at = size > n ? size - n : 0;
	while (!e && t->at < size) {
		uint64_t before = t->at;
		e = show_new(t, &size);
		if (!e && t->at == before)
			return ERR_PROTOCOL;
	}
	return e;
}

static enum err
follow(struct tail *tails, size_t n)
{
	const struct timespec pause = {.tv_nsec = FOLLOW_MS * 1000000L};
	struct sigaction action = {.sa_handler = on_interrupt};
	uint64_t size;
	enum err e = ERR_OK;

	sigaction(SIGINT, &action, NULL);
	while (!e) {
		fflush(stdout);
		nanosleep(&pause, NULL);
		for (size_t i = 0; i < n && !e; i++)
			e = show_new(&tails[i], &size);
	}
	return e;
}

static int
act_tail(struct run *r)
{
	struct tail tails[2] = {{.r = r, .log = "vault"}, {.r = r, .log = "ledger"}};
	const bool raw = ctl_flag(r, "--raw"), following = ctl_flag(r, "--follow");
	const char *which = ctl_flag(r, "--log"), *lines = ctl_flag(r, "--lines");
	uint64_t n = TAIL_LINES;
	size_t logs = 2, first = 0;
	struct client *client;
	enum err e = ERR_OK;
	int status;

	if (lines && str_decimal(lines, TAIL_LINES_MAX, &n) != ERR_OK)
		return ctl_usage(r, "--lines takes 0 to 1000");
	if (r->json && (raw || following))
		return ctl_usage(r, "--json is one document: for a record a line use --raw, also with --follow");
	if (which && strcmp(which, "vault") != 0 && strcmp(which, "ledger") != 0)
		return ctl_usage(r, "--log takes vault or ledger");
	if (which) {
		first = strcmp(which, "ledger") == 0;
		logs = 1;
	}
	client = ctl_connect(r, &status);
	if (!client)
		return status;
	json_t *kept = r->json ? json_array() : NULL;
	for (size_t i = first; i < first + logs && !e; i++) {
		tails[i].client = client;
		tails[i].raw = raw;
		tails[i].kept = kept;
		e = show_last(&tails[i], n);
	}
	if (!e && following)
		e = follow(tails + first, logs);
	client_close(client);
	if (e == ERR_OK && r->json)
		return ctl_print_json(json_pack("{so}", "records", kept));
	json_decref(kept);
	return e == ERR_OK ? EXIT_CODE_DONE : ctl_fail(r, e, "audit tail", NULL);
}

static const struct flag tail_flags[] = {
	{"--follow", NULL, "go on with new records until Ctrl-C"},
	{"--lines", "N", "how many of the last records of each log (20, at most 1000)"},
	{"--log", "NAME", "vault or ledger; both when left out"},
	{"--raw", NULL, "each record as it is stored, one a line"},
	{NULL, NULL, NULL},
};

const struct command cmd_audit_tail = {
	.words = "audit tail",
	.args = "",
	.summary = "Show the last records of the audit logs",
	.about = "With --raw each record is printed as it is stored, one a line, for programs that follow the log; with\n"
			 "--json all of them are one document. What is shown here is not checked; audit export and "
			 "sallyport-verify do that.",
	.example = "sallyport --dir /srv/sallyport audit tail --follow --log vault",
	.exits = "0 1 2 3 5 6 7 130",
	.schema = "audit-tail",
	.flags = tail_flags,
	.act = act_tail,
};
