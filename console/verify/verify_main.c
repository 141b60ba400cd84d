/*
 * sallyport-verify — check an audit export offline, on an auditor's own machine.
 * Holds alone: nothing; it reads the export, its signature and, if given, a directory of public keys. No network, no
 *   configuration, no appliance.
 * Exit: 0 proved · 9 found a problem · 1 could not read · 2 usage.
 */
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "daemon/audit/verify_file.h"
#include "daemon/base/buf.h"

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
	bool json;
};

static int
complain(const char *what, const char *cause, const char *next, bool json, const char *code)
{
	if (json)
		printf("{\"ok\":false,\"code\":\"%s\",\"title\":\"%s\"}\n", code, cause);
	fprintf(stderr, "sallyport-verify: %s: %s\nnext: %s\n", what, cause, next);
	return EXIT_FAILED;
}

/* -1: go on with *r; else the exit status. */
static int
read_arguments(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		{"keys", required_argument, NULL, 'k'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{"since", required_argument, NULL, 's'},
		{"record", required_argument, NULL, 'r'},
		{NULL, 0, NULL, 0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'k':
			r->options.keys_dir = optarg;
			break;
		case 's':
			r->options.since = optarg;
			break;
		case 'r':
			r->options.record = optarg;
			break;
		case 'j':
			r->json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_PROVED;
		case 'V':
			puts("sallyport-verify " PACKAGE_VERSION);
			return EXIT_PROVED;
		default:
			fputs("next: sallyport-verify --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 1) {
		fputs("sallyport-verify: one export is needed\nnext: sallyport-verify --help\n", stderr);
		return EXIT_USAGE;
	}
	r->path = argv[optind];
	return -1;
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
		return complain("the result could not be written", err_title(e), err_next(e), false, err_code(e));
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
		return complain("libsodium", err_title(ERR_CRYPTO), err_next(ERR_CRYPTO), r.json, err_code(ERR_CRYPTO));
	e = verify_file(r.path, &r.options, &report, &blamed);
	if (e == ERR_OK || e == ERR_VERIFY_FAILED)
		code = show(&report, r.json, e == ERR_OK);
	else
		code = complain(blamed, err_title(e), err_next(e), r.json, err_code(e));
	if (e == ERR_USAGE)
		code = EXIT_USAGE;
	verify_report_clear(&report);
	return code;
}
