/*
 * sallyport client add|list — who may call the API. Adding issues a certificate from the small-site CA (or signs a
 * request) and registers its fingerprint; the ledger takes it only with an officer's signature that the vault checks.
 */
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console/ctl/ca.h"
#include "console/ctl/ctl.h"
#include "console/ctl/officer.h"
#include "console/ctl/officer_ask.h"
#include "console/ctl/scopes.h"
#include "console/ctl/show.h"
#include "console/ctl/told.h"
#include "daemon/base/clock.h"
#include "daemon/base/conf.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/str.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"

#define CLIENT_DAYS 397

/* --officer FILE; in a test installation the first file in officers/. */
static enum err
find_officer(struct run *r, struct officer *out)
{
	const char *file = ctl_flag(r, "--officer");
	char pattern[PATH_BYTES];
	glob_t found = {0};
	enum err e;

	if (file)
		return officer_ask(r, file, out);
	if ((e = ctl_path(pattern, r->paths.etc, "officers/*.key")) != ERR_OK)
		return e;
	e = ERR_OFFICER_NEEDED;
	if (glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0)
		e = officer_read(found.gl_pathv[0], NULL, out);
	globfree(&found);
	return e;
}

/* The certificate to register: given, signed from a request, or issued with a new key. */
static enum err
get_certificate(struct run *r, const char *name, struct ca_pair *out)
{
	const char *given = ctl_flag(r, "--certificate"), *csr = ctl_flag(r, "--csr");
	struct ca_pair root;
	char *text = NULL;
	size_t n;
	enum err e;

	memset(out, 0, sizeof *out);
	if (given) {
		if ((e = ctl_read_file(given, CA_PEM_BYTES - 1, &text, &n)) == ERR_OK)
			memcpy(out->certificate, text, n);
		mem_free(text);
		return e;
	}
	e = ca_read_root(r->paths.etc, &root);
	if (e == ERR_OK && csr) {
		if ((e = ctl_read_file(csr, 16384, &text, &n)) == ERR_OK)
			e = ca_sign_request(&root, name, text, CLIENT_DAYS, out);
		mem_free(text);
	} else if (e == ERR_OK) {
		e = ca_issue(&root, name, CA_USE_CLIENT, NULL, CLIENT_DAYS, out);
	}
	mem_wipe(&root, sizeof root);
	return e;
}

static enum err
split_merchants(const char *list, sp_client_view *c)
{
	char text[2048], *save = NULL;
	enum err e = str_set(text, sizeof text, list);

	for (char *w = e == ERR_OK ? strtok_r(text, ",", &save) : NULL; w && e == ERR_OK; w = strtok_r(NULL, ",", &save)) {
		if (c->merchants_count >= 64)
			return ERR_OUT_OF_RANGE;
		e = str_set(c->merchants[c->merchants_count], sizeof c->merchants[0], w);
		c->merchants_count++;
	}
	return e == ERR_OK && c->merchants_count == 0 ? ERR_OUT_OF_RANGE : e;
}

/* The statement's lines: what the officer signs is exactly what the ledger stores. */
static void
statement_body(const sp_client_view *c, char *out, size_t size)
{
	char hex[65], scopes[512], until[CLOCK_TEXT_BYTES] = "none";
	size_t n;

	str_hex(c->cert_sha256, 32, hex);
	if (c->not_after_ms)
		clock_text(c->not_after_ms, until);
	scopes_text(c->scopes, scopes, sizeof scopes);
	n = (size_t)snprintf(out, size, "client=%s\ncert_sha256=%s\nnot_after=%s\nscopes=%s\nmerchants=", c->name, hex,
						 until, scopes);
	for (pb_size_t i = 0; i < c->merchants_count && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? "," : "", c->merchants[i]);
	if (n < size)
		snprintf(out + n, size - n, "\n");
}

static enum err
install_name(struct run *r, char *out, size_t size)
{
	struct conf *c = conf_new();
	struct buf problems;
	enum err e = c ? ERR_OK : ERR_MEMORY;

	buf_init(&problems, 65536);
	if (e == ERR_OK)
		e = conf_load(c, r->paths.etc, &problems);
	if (e == ERR_OK)
		e = str_set(out, size, conf_text(c, CONF_INSTALL));
	buf_clear(&problems);
	conf_free(c);
	return e;
}

static enum err
sign(struct run *r, sp_client_add_req *req)
{
	char body[3072], install[40], statement[OFFICER_STATEMENT_BYTES];
	uint8_t signature[64];
	struct officer o = {0};
	size_t n;
	enum err e = find_officer(r, &o);

	if (e == ERR_OK)
		e = install_name(r, install, sizeof install);
	if (e == ERR_OK) {
		statement_body(&req->client, body, sizeof body);
		e = officer_sign(&o, "client.add", install, body, statement, &n, signature);
	}
	if (e == ERR_OK) {
		snprintf(req->officer, sizeof req->officer, "%s", o.name);
		memcpy(req->statement.bytes, statement, n);
		req->statement.size = (pb_size_t)n;
		memcpy(req->signature.bytes, signature, sizeof signature);
		req->signature.size = sizeof signature;
	}
	officer_clear(&o);
	return e;
}

static enum err
write_files(struct run *r, const char *name, const struct ca_pair *pair, char file_out[PATH_BYTES])
{
	const char *dir = ctl_flag(r, "--out");
	char base[PATH_BYTES], path[PATH_BYTES + 8];
	enum err e;

	if (!dir) {
		if ((e = ctl_path(base, r->paths.etc, "clients")) != ERR_OK)
			return e;
	} else if ((e = str_set(base, sizeof base, dir)) != ERR_OK) {
		return e;
	}
	char named[96];
	snprintf(named, sizeof named, "%s.key", name);
	if (pair->key[0] && ((e = ctl_path(path, base, named)) != ERR_OK ||
						 (e = ctl_write_file(path, pair->key, strlen(pair->key), 0600)) != ERR_OK))
		return e;
	snprintf(named, sizeof named, "%s.crt", name);
	if ((e = ctl_path(file_out, base, named)) != ERR_OK)
		return e;
	return ctl_write_file(file_out, pair->certificate, strlen(pair->certificate), 0644);
}

static bool
name_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
	return n >= 1 && n < 64 && !name[n] && name[0] != '.' && name[0] != '-';
}

static int
act_add(struct run *r)
{
	static sp_client_add_req req;
	static sp_client_add_rep rep;
	const char *name = r->args[0], *scopes = ctl_flag(r, "--scopes"), *merchants = ctl_flag(r, "--merchants");
	struct ca_pair pair;
	struct client *c;
	char bad[64], problem[128], file[PATH_BYTES] = "";
	int status = EXIT_CODE_FAILED;
	enum err e;

	if (!name_ok(name))
		return ctl_usage(r, "a client's name has 1 to 63 of a-z 0-9 - _ .");
	if (scopes_parse(scopes ? scopes : "tokens:create,tokens:read,tokens:use,payments:read,payments:write",
					 &req.client.scopes, bad) != ERR_OK) {
		snprintf(problem, sizeof problem, "there is no scope %.63s", bad);
		return ctl_usage(r, problem);
	}
	if (secret_open(8192) != ERR_OK || split_merchants(merchants ? merchants : "demo", &req.client) != ERR_OK)
		return ctl_usage(r, "--merchants takes 1 to 64 names with commas between them");
	if (!(c = ctl_connect(r, &status)))
		return status;
	req.has_client = true;
	snprintf(req.client.name, sizeof req.client.name, "%s", name);
	if ((e = get_certificate(r, name, &pair)) == ERR_OK &&
		(e = ca_fingerprint(pair.certificate, req.client.cert_sha256, &req.client.not_after_ms)) == ERR_OK &&
		(e = sign(r, &req)) == ERR_OK && (e = ctl_ask(c, MSG_client_add, &req, &rep)) == ERR_OK &&
		!ctl_flag(r, "--certificate"))
		e = write_files(r, name, &pair, file);
	client_close(c);
	mem_wipe(&pair, sizeof pair);
	if (e == ERR_USAGE)
		return ctl_usage(
			r, "the officer's key has a passphrase and there is no terminal: --passphrase-file FILE, - or fd:N");
	if (e != ERR_OK)
		return ctl_fail(r, e, "client add", NULL);
	json_t *doc = show_client_json(rep.has_client ? &rep.client : &req.client);
	if (r->json) {
		json_object_set_new(doc, "certificate_file", json_string(file));
		return ctl_print_json(doc);
	}
	printf("client %s added, signed by officer %s\n  certificate  %s\n  fingerprint  %s\n  scopes       %s\n", name,
		   req.officer, file[0] ? file : "(yours)", json_string_value(json_object_get(doc, "certificate_sha256")),
		   json_string_value(json_object_get(doc, "scopes")));
	json_decref(doc);
	return EXIT_CODE_DONE;
}

static void
append(const sp_client_view *c, void *all)
{
	json_array_append_new(all, show_client_json(c));
}

static int
act_list(struct run *r)
{
	int status;
	struct client *c = ctl_connect(r, &status);

	if (!c)
		return status;
	json_t *all = json_array();
	enum err e = told_clients(c, append, all);
	client_close(c);
	if (e != ERR_OK) {
		json_decref(all);
		return ctl_fail(r, e, "client list", NULL);
	}
	if (r->json)
		return ctl_print_json(json_pack("{so}", "clients", all));
	size_t i;
	json_t *one;
	printf("%-20s %-18s %-25s %s\n", "CLIENT", "CERTIFICATE", "EXPIRES", "SCOPES");
	json_array_foreach(all, i, one)
	{
		const char *expires = json_string_value(json_object_get(one, "certificate_expires_at"));
		printf("%-20s %.16s…  %-25s %s\n", json_string_value(json_object_get(one, "name")),
			   json_string_value(json_object_get(one, "certificate_sha256")), expires ? expires : "–",
			   json_string_value(json_object_get(one, "scopes")));
	}
	json_decref(all);
	return EXIT_CODE_DONE;
}

static const struct flag add_flags[] = {
	{"--scopes", "LIST", "scopes with commas between them, or all"},
	{"--merchants", "LIST", "merchants that it may act for (demo)"},
	{"--officer", "FILE", "the officer's key that signs this (test installations: the first in officers/)"},
	{"--passphrase-file", "FILE", "of the officer's key: a file of mode 0600, - or fd:N (asked for, unseen)"},
	{"--csr", "FILE", "sign this PKCS#10 request instead of making a key"},
	{"--certificate", "FILE", "register this certificate of your own CA; nothing is written"},
	{"--out", "DIR", "where the certificate and key are written (clients/)"},
	{NULL, NULL, NULL},
};

const struct command cmd_client_add = {
	.words = "client add",
	.args = "NAME",
	.summary = "Add a client of the API and issue its certificate",
	.about = "The request is signed with an officer's key; the vault checks the signature before the ledger takes it.",
	.example = "sallyport --dir /srv/sallyport client add shop --scopes tokens:create,payments:write",
	.exits = "0 1 2 3 4 5 6 7 9 130",
	.schema = "client-add",
	.args_min = 1,
	.args_max = 1,
	.flags = add_flags,
	.act = act_add,
};

const struct command cmd_client_list = {
	.words = "client list",
	.args = "",
	.summary = "List the clients of the API",
	.about = "",
	.example = "sallyport --dir /srv/sallyport client list",
	.exits = "0 1 2 3 5 6 7 130",
	.schema = "client-list",
	.act = act_list,
};
