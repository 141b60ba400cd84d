/*
 * sallyport-verify — check an audit export offline, on an auditor's own machine.
 * Holds alone: nothing; it reads the export, its signature and, if given, a directory of public keys. No network, no
 *   configuration, no appliance.
 * Exit: 0 proved · 9 found a problem · 1 could not read · 2 usage.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/audit/verify_file.h"
#include "daemon/base/buf.h"
#include "daemon/base/str.h"

enum exit_code { EXIT_PROVED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_PROBLEM = 9 };

#define OUTPUT_MAX 65536

static const char help[] =
	"Example:\n"
	"  sallyport-verify --keys /media/usb/our-keys march.tar\n"
	"\n"
	"Usage: sallyport-verify [--keys DIR] [--since OLD.tar] [--record LOG:SEQ] [--json] F.tar\n"
	"\n"
	"Checks an export made by `sallyport audit export`, offline. F.tar.minisig must lie beside F.tar.\n"
	"\n"
	"  --keys DIR  trust only the keys in DIR: vkey, and audit.pem or minisign.pub. Take them from the\n"
	"              appliance once, by a way that you trust. Without --keys the keys inside the export are\n"
	"              used: that finds damage, but not a forger who signed with a key of his own.\n"
	"  --since OLD.tar\n"
	"              an export that you checked earlier: the new one must begin with its records, or the log was\n"
	"              set back or forked\n"
	"  --record LOG:SEQ\n"
	"              show one record (vault:17) with its inclusion proof\n"
	"  --json      one JSON document instead of text\n"
	"  --help      this text         --version   the version\n"
	"\n"
	"What it proves: the archive and its manifest were signed by the export key; every file is as listed;\n"
	"the records of each log give, in their order, the RFC 6962 root that the audit key signed; record i\n"
	"says seq i; the tiles belong to the tree. The same can be checked with minisign, openssl, sha256sum\n"
	"and any C2SP verifier: VERIFY.txt inside the export has the commands.\n"
	"\n"
	"Exit status: 0 proved, 9 found a problem (the first line says which), 1 could not read, 2 usage.\n";

struct request {
	const char *path;
	struct verify_options options;
	bool json, help, version;
};

static int
complain(const char *what, enum err e, bool json)
{
	if (json)
		printf("{\"type\":\"/problems/%s\",\"title\":\"%s\",\"code\":\"%s\",\"next\":\"%s\"}\n", err_code(e),
			   err_title(e), err_code(e), err_next(e));
	fprintf(stderr, "sallyport-verify: %s: %s\nnext: %s\n", what, err_title(e), err_next(e));
	return EXIT_FAILED;
}

static int
misused(const char *problem, const char *word, const char *nearest)
{
	fprintf(stderr, "sallyport-verify: %s%s%s%s%s\nnext: sallyport-verify --help\n", problem, word ? ": " : "",
			word ? word : "", nearest ? "; did you mean " : "", nearest ? nearest : "");
	return EXIT_USAGE;
}

/* One argument at *at; -1: go on, else the exit status. Whole names only: an abbreviation would change its meaning one
 * day. */
static int
read_argument(int argc, char **argv, int *at, struct request *r)
{
	const char *word = argv[*at];
	const struct {
		const char *name;
		const char **value;
		bool *flag;
	} rows[] = {
		{"--keys", &r->options.keys_dir, NULL},
		{"--since", &r->options.since, NULL},
		{"--record", &r->options.record, NULL},
		{"--json", NULL, &r->json},
		{"--help", NULL, &r->help},
		{"-h", NULL, &r->help},
		{"--version", NULL, &r->version},
	};
	static const char *const names[] = {"--keys", "--since", "--record", "--json", "--help", "--version", NULL};

	if (word[0] != '-' || !word[1]) {
		if (r->path)
			return misused("one export at a time", NULL, NULL);
		r->path = word;
		return -1;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(word, rows[i].name) != 0)
			continue;
		if (rows[i].flag)
			*rows[i].flag = true;
		else if (*at + 1 < argc)
			*rows[i].value = argv[++*at];
		else
			return misused("a value is missing", rows[i].name, NULL);
		return -1;
	}
	return misused("no such option", NULL, str_nearest(word, names));
}

/* -1: go on with *r; else the exit status. */
static int
read_arguments(int argc, char **argv, struct request *r)
{
	for (int at = 1; at < argc; at++) {
		int code = read_argument(argc, argv, &at, r);
		if (code >= 0)
			return code;
	}
	if (r->help || r->version) {
		fputs(r->help ? help : "sallyport-verify " PACKAGE_VERSION "\n", stdout);
		return EXIT_PROVED;
	}
	return r->path ? -1 : misused("an export is needed", NULL, NULL);
}

static int
show(const struct verify_report *report, bool json, bool good)
{
	struct buf out;
	enum err e;

	buf_init(&out, OUTPUT_MAX);
	e = json ? verify_report_json(report, &out) : verify_report_text(report, &out);
	if (!e && (fwrite(buf_at(&out), 1, out.len, stdout) != out.len || fflush(stdout) != 0))
		e = ERR_IO;
	buf_clear(&out);
	if (e)
		return complain("the result could not be written", e, false);
	return good ? EXIT_PROVED : EXIT_PROBLEM;
}

int
main(int argc, char **argv)
{
	struct request r = {.json = false};
	static struct verify_report report;
	const char *blamed = "";
	int code = read_arguments(argc, argv, &r);
	enum err e;

	if (code >= 0)
		return code;
	if (sodium_init() < 0)
		return complain("libsodium", ERR_CRYPTO, r.json);
	e = verify_file(r.path, &r.options, &report, &blamed);
	if (e == ERR_OK || e == ERR_VERIFY_FAILED)
		code = show(&report, r.json, e == ERR_OK);
	else if (e == ERR_USAGE)
		code = misused("--record takes LOG:SEQ, for example vault:17", NULL, NULL);
	else
		code = complain(blamed, e, r.json);
	verify_report_clear(&report);
	return code;
}
