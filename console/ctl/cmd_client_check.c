/*
 * sallyport client check — what a gate would say of a client's certificate, before anybody connects with it: the rows
 * of policy/client_certificate.def, in the words of the gate's log, and whether a client record names it. The handshake
 * itself tells the other end next to nothing. Only the record is asked of the appliance; all else is in the files.
 */
#include <mbedtls/x509.h>
#include <stdio.h>
#include <string.h>

#include "console/ctl/ca.h"
#include "console/ctl/ctl.h"
#include "console/ctl/show.h"
#include "console/ctl/told.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/client.h"

#define FILE_BYTES_MAX ((size_t)1 << 18) /* a file of CAs may hold many */
#define ASK_MS         2000
#define DAY_MS         (24LL * 3600 * 1000)
#define WARN_DAYS      30

static const struct {
	uint32_t flags;
	const char *why, *remedy;
} verdicts[] = {
#define VERDICT(flags, why, remedy) {flags, why, remedy},
#include "policy/client_certificate.def"
#undef VERDICT
	{UINT32_MAX, "client certificate not accepted", "use one issued by a CA in tls/clients-ca.crt"},
};

struct check {
	const char *file;
	struct ca_client seen;
	enum err asked; /* ERR_OK: the appliance was asked for the record; else why not */
	json_t *record; /* of the client whose certificate this is, NULL: none has it */
	bool revoked;
	json_t *against; /* [{why, remedy}], nothing: it would be let in */
	enum err e;      /* of the first of them */
};

static void
object(struct check *c, enum err e, const char *why, const char *remedy)
{
	if (json_array_size(c->against) == 0)
		c->e = e;
	json_array_append_new(c->against, json_pack("{ss ss}", "why", why, "remedy", remedy));
}

/* ── the record ── */

static void
compare(const sp_client_view *view, void *arg)
{
	struct check *c = arg;
	if (c->record || memcmp(view->cert_sha256, c->seen.sha256, sizeof c->seen.sha256) != 0)
		return;
	c->record = show_client_json(view);
	c->revoked = view->revoked;
}

static void
ask_for_record(const struct run *r, struct check *c)
{
	struct client *desk = NULL;
	char path[PATH_BYTES];
	c->asked = ctl_path(path, r->paths.run, "desk.sock");
	if (c->asked == ERR_OK)
		c->asked = client_open(path, ASK_MS, &desk);
	if (c->asked == ERR_OK)
		c->asked = told_clients(desk, compare, c);
	client_close(desk);
}

/* ── the files ── */

/* Reads what is given, and looks. *cause says what can't be used, when the error's own title says too little. */
static enum err
look(const struct run *r, struct check *c, char cause[400])
{
	const char *key_file = ctl_flag(r, "--key"), *ca_file = ctl_flag(r, "--ca"), *why = NULL, *at = c->file;
	char ca_path[PATH_BYTES], *pem = NULL, *key = NULL, *ca = NULL;
	size_t n, key_n = 0;
	enum err e = ctl_path(ca_path, r->paths.etc, "tls/clients-ca.crt");
	if (e == ERR_OK && (e = ctl_read_file(at = ca_file ? ca_file : ca_path, FILE_BYTES_MAX, &ca, &n)) != ERR_OK &&
		e == ERR_FILE_MISSING && !ca_file)
		e = ERR_NOT_INITIALISED;
	if (e == ERR_OK)
		e = ctl_read_file(at = c->file, FILE_BYTES_MAX, &pem, &n);
	if (e == ERR_OK && key_file)
		e = ctl_read_file(at = key_file, FILE_BYTES_MAX, &key, &key_n);
	if (e == ERR_OK)
		e = ca_check_client(pem, key, ca, &c->seen, &why);
	if (e != ERR_OK && e != ERR_NOT_INITIALISED)
		snprintf(cause, 400, "%.256s: %s", at, why ? why : err_title(e));
	if (key)
		mem_wipe(key, key_n);
	mem_free(key);
	mem_free(pem);
	mem_free(ca);
	return e;
}

static void
judge(const struct run *r, struct check *c)
{
	uint32_t left = c->seen.flags;
	for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
		if (left & verdicts[i].flags)
			object(c, ERR_CERTIFICATE_INVALID, verdicts[i].why, verdicts[i].remedy);
		left &= ~verdicts[i].flags;
	}
	if (c->seen.unfit)
		object(c, ERR_CERTIFICATE_INVALID, "the key is not the certificate's", "give both files of one pair");
	if (ctl_flag(r, "--ca"))
		c->asked = ERR_NOT_RUNNING; /* it is about another appliance than the one that could be asked */
	else
		ask_for_record(r, c);
	if (c->revoked)
		object(c, ERR_CLIENT_REVOKED, "the client of this certificate is revoked", err_next(ERR_CLIENT_REVOKED));
	else if (c->asked == ERR_OK && !c->record)
		object(c, ERR_CLIENT_UNKNOWN, "no client record names this certificate",
			   "sallyport client add NAME --certificate FILE");
}

/* ── telling ── */

static json_t *
certificate_json(const struct check *c)
{
	char hex[65], from[CLOCK_TEXT_BYTES], until[CLOCK_TEXT_BYTES];
	str_hex(c->seen.sha256, sizeof c->seen.sha256, hex);
	clock_text(c->seen.from_ms, from);
	clock_text(c->seen.until_ms, until);
	return json_pack("{ss ss ss ss ss ss}", "file", c->file, "subject", c->seen.subject, "issuer", c->seen.issuer,
					 "sha256", hex, "valid_from", from, "expires_at", until);
}

static long long
days_left(const struct check *c)
{
	return (c->seen.until_ms - clock_wall_ms()) / DAY_MS;
}

static const char *
not_asked(const struct run *r, const struct check *c)
{
	return ctl_flag(r, "--ca") ? "another CA was given" : err_title(c->asked);
}

static json_t *
record_json(const struct run *r, const struct check *c)
{
	if (c->asked != ERR_OK)
		return json_pack("{ss ss}", "state", "not_asked", "why", not_asked(r, c));
	if (!c->record)
		return json_pack("{ss}", "state", "none");
	return json_pack("{ss sO}", "state", "found", "client", c->record);
}

static int
tell_bad(const struct run *r, const struct check *c)
{
	char all[400] = "";
	const char *next = json_string_value(json_object_get(json_array_get(c->against, 0), "remedy"));
	size_t i;
	json_t *one;
	int n = snprintf(all, sizeof all, "%.128s:", c->file);
	json_array_foreach(c->against, i, one)
	{
		const char *why = json_string_value(json_object_get(one, "why"));
		if ((size_t)n < sizeof all)
			n += snprintf(all + n, sizeof all - (size_t)n, "%s %s", i ? ";" : "", why);
	}
	if (r->json) {
		json_t *doc = ctl_problem_json(c->e, "client check", all, next);
		json_object_set_new(doc, "certificate", certificate_json(c));
		json_object_set(doc, "against", c->against);
		json_object_set_new(doc, "record", record_json(r, c));
		ctl_print_json(doc);
	}
	fprintf(stderr, "sallyport: client check: %s\nnext: %s\n", all, next);
	return ctl_exit_of(c->e);
}

static int
tell_good(const struct run *r, const struct check *c)
{
	long long days = days_left(c);
	if (r->json)
		return ctl_print_json(json_pack("{sb so sI so}", "good", 1, "certificate", certificate_json(c), "days_left",
										(json_int_t)days, "record", record_json(r, c)));
	json_t *seen = certificate_json(c);
	const char *name = json_string_value(json_object_get(c->record, "name"));
	if (name)
		printf("good — the gates take it, as client %s", name);
	else
		printf("good — the gates would take it; its client record was not asked for");
	printf(days < WARN_DAYS ? "; it expires in %lld days\n" : "\n", days);
	for (const char *const *k = (const char *const[]){"subject", "issuer", "sha256", "valid_from", "expires_at", NULL};
		 *k; k++)
		printf("  %-12s %s\n", *k, json_string_value(json_object_get(seen, *k)));
	if (name)
		printf("  %-12s %s\n", "scopes", json_string_value(json_object_get(c->record, "scopes")));
	else
		printf("  %-12s not asked: %s\n", "record", not_asked(r, c));
	json_decref(seen);
	return EXIT_CODE_DONE;
}

static int
act_check(struct run *r)
{
	struct check c = {.file = r->args[0], .against = json_array()};
	char cause[400] = "";
	enum err e = look(r, &c, cause);
	int status;
	if (e != ERR_OK) {
		status = ctl_fail(r, e, "client check", cause[0] ? cause : NULL);
	} else {
		judge(r, &c);
		status = c.e != ERR_OK ? tell_bad(r, &c) : tell_good(r, &c);
	}
	json_decref(c.against);
	json_decref(c.record);
	return status;
}

static const struct flag check_flags[] = {
	{"--key", "FILE", "its private key: does it fit?"},
	{"--ca", "FILE", "the CA of clients, where there is no appliance (tls/clients-ca.crt)"},
	{NULL, NULL, NULL},
};

const struct command cmd_client_check = {
	.words = "client check",
	.args = "FILE",
	.args_min = 1,
	.args_max = 1,
	.summary = "Say what a gate would have against a client's certificate, and which client it is",
	.about = "Looks at the certificate as a handshake does: CA, dates, what it may be used for, strength of key and "
			 "digest; with --key also whether that fits. All that is wrong is told at once, in the words of the gate's "
			 "log. Then the appliance is asked which client has it. If it does not run, that is told and no fault. The "
			 "exit status is 9 when the client would be turned away.",
	.example = "sallyport --dir /srv/sallyport client check clients/demo.crt",
	.exits = "0 1 2 6 7 9 130",
	.schema = "client-check",
	.flags = check_flags,
	.act = act_check,
};
