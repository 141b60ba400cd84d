/*
 * sallyport init — makes an appliance: configuration, CA, certificates, officers, token, keys, databases, first client.
 * Each step may be repeated; init goes on where an earlier run was stopped, and refuses over a whole appliance.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console/ctl/ca.h"
#include "console/ctl/ctl.h"
#include "console/ctl/init_live.h"
#include "console/ctl/layout.h"
#include "console/ctl/making.h"
#include "console/ctl/officer.h"
#include "console/ctl/scopes.h"
#include "daemon/base/buf.h"
#include "daemon/base/conf.h"
#include "daemon/base/id.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/str.h"
#include "policy/schema/wire.pb.h"

static const struct {
	const char *name, *role;
} test_officers[] = {{"a.ito", "security-officer"}, {"m.okafor", "security-officer"}, {"s.lindqvist", "custodian"}};
#define TEST_OFFICERS (sizeof test_officers / sizeof *test_officers)

static enum err
make_configuration(struct making *m)
{
	char path[PATH_BYTES];
	struct conf *c = conf_new();
	struct buf text, problems;
	const char *listen = ctl_flag(m->run, "--listen");
	enum err e = c ? ERR_OK : ERR_MEMORY;

	buf_init(&text, 65536);
	buf_init(&problems, 65536);
	if (e == ERR_OK)
		e = ctl_path(path, m->run->paths.etc, "sallyport.conf");
	if (e == ERR_OK && access(path, F_OK) == 0) { /* a run before us was stopped: go on with its name */
		e = conf_load(c, m->run->paths.etc, &problems);
		if (e == ERR_OK)
			e = str_set(m->install, sizeof m->install, conf_text(c, CONF_INSTALL));
		if (e == ERR_OK && strcmp(conf_text(c, CONF_MODE), "test") != 0)
			e = making_fail(m, ERR_INITIALISED, "an unfinished live installation lies here");
		goto out;
	}
	if (e == ERR_OK) {
		struct id id;
		id_random("in", &id);
		snprintf(m->install, sizeof m->install, "test-%.12s", id.text + 3);
		for (char *p = m->install; *p; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
		e = conf_set(c, CONF_INSTALL, m->install);
	}
	if (e == ERR_OK)
		e = conf_set(c, CONF_MODE, "test");
	if (e == ERR_OK)
		e = conf_set(c, CONF_HSM_SOFTWARE, "yes");
	if (e == ERR_OK && listen)
		e = conf_set(c, CONF_LISTEN, listen);
	if (e == ERR_OK)
		e = conf_write(c, &text);
	if (e == ERR_OK)
		e = ctl_write_file(path, buf_at(&text), text.len, 0644);
out:
	buf_clear(&text);
	buf_clear(&problems);
	conf_free(c);
	return e;
}

/* The PIN and the token's place. A software HSM: the files are the keys, and init says so. */
static enum err
make_token_place(struct making *m)
{
	const struct paths *p = &m->run->paths;
	char pin[33], text[PATH_BYTES + 160], path[PATH_BYTES];
	uint8_t raw[16];
	enum err e;

	randombytes_buf(raw, sizeof raw);
	str_hex(raw, sizeof raw, pin);
	e = making_write_new(p->etc, "credentials/hsm-pin", pin, 32, 0600);
	mem_wipe(raw, sizeof raw);
	mem_wipe(pin, sizeof pin);
	if (e != ERR_OK)
		return e;
	int n = snprintf(text, sizeof text,
					 "directories.tokendir = %s/hsm/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
					 "slots.removable = false\nslots.mechanisms = ALL\nlibrary.reset_on_fork = false\n",
					 p->state);
	if (n < 0 || (size_t)n >= sizeof text)
		return ERR_OUT_OF_RANGE;
	if ((e = making_write_new(p->state, "hsm/softhsm2.conf", text, (size_t)n, 0600)) != ERR_OK ||
		(e = ctl_path(path, p->state, "hsm/softhsm2.conf")) != ERR_OK)
		return e;
	return layout_give(path, "hsm");
}

static enum err
make_certificates(struct making *m)
{
	enum err e = making_own_ca(m, true);
	if (e == ERR_OK)
		e = making_write_new(m->run->paths.etc, "tls/clients-ca.crt", m->root.certificate, strlen(m->root.certificate),
							 0644);
	return e == ERR_OK ? making_client(m, "demo") : e;
}

static void
officer_file(size_t i, char out[64])
{
	snprintf(out, 64, "officers/%zu-%s.key", i + 1, test_officers[i].name);
}

static enum err
make_officers(struct making *m)
{
	char name[64], path[PATH_BYTES];
	enum err e = ERR_OK;

	for (size_t i = 0; i < TEST_OFFICERS && e == ERR_OK; i++) {
		struct officer o = {0};
		officer_file(i, name);
		if ((e = ctl_path(path, m->run->paths.etc, name)) != ERR_OK || access(path, F_OK) == 0)
			continue;
		if ((e = officer_make(test_officers[i].name, test_officers[i].role, &o)) == ERR_OK)
			e = officer_write(&o, NULL, path);
		officer_clear(&o);
	}
	return e;
}

static enum err
fill_officers(struct making *m, sp_vault_init_req *req)
{
	enum err e = ERR_OK;

	for (size_t i = 0; i < TEST_OFFICERS && e == ERR_OK; i++) {
		char name[64], path[PATH_BYTES];
		struct officer o;
		officer_file(i, name);
		if ((e = ctl_path(path, m->run->paths.etc, name)) != ERR_OK || (e = officer_read(path, NULL, &o)) != ERR_OK)
			break;
		sp_officer_key *k = &req->officers[req->officers_count++];
		snprintf(k->name, sizeof k->name, "%s", o.name);
		snprintf(k->role, sizeof k->role, "%s", o.role);
		k->public_key.size = 32;
		memcpy(k->public_key.bytes, o.public_key, 32);
		officer_clear(&o);
	}
	return e;
}

static enum err
make_stores(struct making *m)
{
	static sp_vault_init_req vault;
	static sp_vault_init_rep vault_rep;
	static sp_ledger_init_req ledger;
	static sp_ledger_init_rep ledger_rep;
	char pem[CA_PEM_BYTES];
	struct making_daemon d;
	enum err e;

	if ((e = making_start(m, &d)) != ERR_OK)
		return e;
	snprintf(vault.install, sizeof vault.install, "%s", m->install);
	snprintf(vault.node, sizeof vault.node, "a");
	vault.test = true;
	if ((e = fill_officers(m, &vault)) != ERR_OK || (e = making_ask(&d, MSG_vault_init, &vault, &vault_rep)) != ERR_OK)
		goto out;
	snprintf(ledger.merchant, sizeof ledger.merchant, "demo");
	snprintf(ledger.account, sizeof ledger.account, "simulator");
	ledger.test = true;
	ledger.has_client = true;
	snprintf(ledger.client.name, sizeof ledger.client.name, "demo");
	snprintf(ledger.client.added_by, sizeof ledger.client.added_by, "init");
	ledger.client.scopes = scopes_all();
	ledger.client.merchants_count = 1;
	snprintf(ledger.client.merchants[0], sizeof ledger.client.merchants[0], "demo");
	if ((e = ca_read_pem(m->run->paths.etc, "clients/demo.crt", pem)) != ERR_OK ||
		(e = ca_fingerprint(pem, ledger.client.cert_sha256, &ledger.client.not_after_ms)) != ERR_OK)
		goto out;
	e = making_ask(&d, MSG_ledger_init, &ledger, &ledger_rep);
out:
	making_stop(&d);
	return e;
}

/* ca.crt is what people need and the mark of a whole appliance: it comes last. */
static enum err
finish(struct making *m)
{
	return making_write_new(m->run->paths.etc, "ca.crt", m->root.certificate, strlen(m->root.certificate), 0644);
}

static const struct making_step steps[] = {
	{"directories", "one folder for each process, readable by its user only", making_directories},
	{"configuration", "sallyport.conf, every key with a comment", make_configuration},
	{"token place", "SoftHSM's folder and a random PIN (software: for tests only)", make_token_place},
	{"certificates", "small-site CA, the gate's certificate, the client demo", make_certificates},
	{"officers", "three test officers with unprotected key files", make_officers},
	{"keys and stores", "token, KEK, audit keys, data keys, both databases, first leaves", make_stores},
	{"ca.crt", "what clients verify the gate with; marks the appliance as whole", finish},
};
#define STEPS (sizeof steps / sizeof *steps)

static void
print_page(const struct making *m)
{
	const char *d = m->run->paths.etc;

	printf("\nAn appliance was made. It is marked TEST for ever: software HSM, unprotected officers' keys.\n\n"
		   "  configuration   %s/sallyport.conf\n"
		   "  client          %s/clients/demo.crt and demo.key (all scopes, merchant demo)\n"
		   "  trust anchor    %s/ca.crt\n"
		   "  officers        %s/officers/ (%zu)\n"
		   "  install name    %s\n\n"
		   "Carry off the host (if this were not a test): %s/ca/ca.key, the officers' keys, a copy of the token.\n"
		   "Missing: a hardware HSM, custodians.\n\n"
		   "next: sallyportd%s%s\n",
		   d, d, d, d, TEST_OFFICERS, m->install, d, m->run->paths.dir[0] ? " --dir " : "", m->run->paths.dir);
}

static int
act_init(struct run *r)
{
	struct making m = {.run = r};

	if (layout_complete(&r->paths))
		return ctl_fail(r, ERR_INITIALISED, "init", NULL);
	if (ctl_flag(r, "--live"))
		return ctl_flag(r, "--software-hsm")
				   ? ctl_usage(r, "--software-hsm makes test installations: leave out one of the two")
				   : init_live_act(r);
	if (!ctl_flag(r, "--software-hsm"))
		return ctl_usage(r, "say which kind: --live, or --software-hsm for tests");
	if (ctl_flag(r, "--dry-run")) {
		if (!r->json)
			making_show_plan(steps, STEPS);
		return r->json ? ctl_print_json(json_pack("{ss sb sb}", "directory", r->paths.etc, "test", 1, "dry_run", 1))
					   : EXIT_CODE_DONE;
	}
	if (!r->yes)
		return ctl_usage(r, "this makes a test appliance for ever; say so with --yes");
	enum err opened = secret_open(8192);
	if (opened != ERR_OK)
		return ctl_fail(r, opened, "init", "no locked memory for officers' keys");
	size_t at;
	if (!r->json)
		making_show_plan(steps, STEPS);
	enum err e = making_do(&m, steps, STEPS, &at);
	mem_wipe(&m.root, sizeof m.root);
	if (e != ERR_OK) {
		if (!r->json && steps[at].act == make_stores)
			fprintf(stderr, "what the processes said: %s/init.log\n", r->paths.run);
		return ctl_fail(r, e, steps[at].what, m.cause[0] ? m.cause : NULL);
	}
	if (r->json)
		return ctl_print_json(json_pack("{ss ss sb}", "install", m.install, "directory", r->paths.etc, "test", 1));
	print_page(&m);
	return EXIT_CODE_DONE;
}

static const struct flag flags[] = {
	{"--software-hsm", NULL, "use SoftHSM: keys in files, for tests and demonstrations only"},
	{"--listen", "ADDRESS:PORT", "where the mTLS API listens (127.0.0.1:8443)"},
	{"--live", NULL, "an appliance for real cards, on an HSM"},
	{"--module", "PATH", "live: the HSM's PKCS#11 library"},
	{"--token", "LABEL", "live: an initialised token with a user PIN; it is never initialised or wiped by us"},
	{"--pin-file", "FILE", "live: the user PIN: a file of mode 0600, - or fd:N (asked for, unseen)"},
	{"--pin-credential", NULL, "live: seal the PIN to this host with systemd-creds, and tell the service"},
	{"--officer", "NAME=FILE", "live: an officer's public half, from officer new; two security officers at least"},
	{"--merchant", "NAME", "live: a merchant; may be given more than once"},
	{"--client-ca", "FILE", "live: the CA of your clients' certificates"},
	{"--server-cert", "FILE", "live: the API's certificate with its chain"},
	{"--server-key", "FILE", "live: its key, PEM without a passphrase"},
	{"--server-ca", "FILE", "live: the CA that clients verify it with (--client-ca)"},
	{"--make-ca", NULL, "live: a small-site CA instead of yours"},
	{"--client", "NAME", "live, with --make-ca: the first client, with all scopes"},
	{"--module-reads", "PATHS", "live: files and folders that the module reads, with spaces between them"},
	{"--module-writes", "PATHS", "live: those that it writes"},
	{"--module-environment", "NAME=VALUE", "live: what it wants in its environment"},
	{"--accept-software-hsm", NULL, "live: the module is software, and that is meant"},
	{"--dry-run", NULL, "show the plan and, with --live, look at the HSM; make nothing"},
	{"--answers", "FILE", "flags as lines, without --: live = yes, officer = a.ito=/root/a.ito.pub, yes = yes"},
	{NULL, NULL, NULL},
};

const struct command cmd_init = {
	.words = "init",
	.args = "",
	.summary = "Make an appliance: configuration, CA, keys, databases, first client",
	.about =
		"Shows its plan, makes what is missing and can be run again after it was stopped. Over a whole appliance it\n"
		"changes nothing and exits 1.",
	.example = "sallyport init --live --answers /root/init.answers",
	.exits = "0 1 2 3 4 5 7 9 130",
	.schema = "init",
	.flags = flags,
	.act = act_init,
};
