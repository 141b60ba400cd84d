#include "console/ctl/init_live.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console/ctl/hidden.h"
#include "console/ctl/layout.h"
#include "console/ctl/scopes.h"
#include "daemon/base/conf.h"
#include "daemon/base/id.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "policy/schema/wire.pb.h"

#define ARENA_BYTES   8192
#define PIN_BYTES_MAX 64

/* ── the configuration ── */

/* What the flags say, and the key that keeps it. */
static const struct {
	const char *flag;
	enum conf_key key;
} kept[] = {
	{"--module", CONF_HSM_MODULE},
	{"--token", CONF_HSM_TOKEN},
	{"--module-reads", CONF_HSM_READS},
	{"--module-writes", CONF_HSM_WRITES},
	{"--module-environment", CONF_HSM_ENVIRONMENT},
	{"--listen", CONF_LISTEN},
};

static enum err
set_all(struct making *m, struct conf *c)
{
	enum err e = conf_set(c, CONF_INSTALL, m->install);
	if (e == ERR_OK)
		e = conf_set(c, CONF_MODE, "live");
	if (e == ERR_OK && ctl_flag(m->run, "--accept-software-hsm"))
		e = conf_set(c, CONF_HSM_SOFTWARE, "yes");
	for (size_t i = 0; i < sizeof kept / sizeof *kept && e == ERR_OK; i++) {
		const char *value = ctl_flag(m->run, kept[i].flag);
		if (value && (e = conf_set(c, kept[i].key, value)) != ERR_OK)
			(void)making_fail(m, e, "%s can't be kept as %s", kept[i].flag, conf_name(kept[i].key));
	}
	return e;
}

/* Once stores were begun, the token holds keys for them: what an earlier run was told holds. */
static enum err
same_as_before(struct making *m, const struct conf *old, const struct conf *now)
{
	for (unsigned k = 0; k < CONF_MAX; k++)
		if (strcmp(conf_text(old, (enum conf_key)k), conf_text(now, (enum conf_key)k)) != 0)
			return making_fail(m, ERR_INITIALISED,
							   "an unfinished init lies here that was given another %s: give the same",
							   conf_name((enum conf_key)k));
	return ERR_OK;
}

static enum err
name_it(struct making *m)
{
	struct id id;
	id_random("in", &id);
	snprintf(m->install, sizeof m->install, "live-%.12s", id.text + 3);
	for (char *p = m->install; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
	return ERR_OK;
}

/* The name of an earlier, unfinished run is taken over: keys on the token bear it. */
static enum err
load_old(struct making *m, struct conf *old)
{
	char path[PATH_BYTES];
	struct buf problems;
	enum err e = ctl_path(path, m->run->paths.etc, "sallyport.conf");

	m->conf_is_new = e == ERR_OK && access(path, F_OK) != 0;
	if (e != ERR_OK || m->conf_is_new)
		return e == ERR_OK ? name_it(m) : e;
	buf_init(&problems, 65536);
	e = conf_load(old, m->run->paths.etc, &problems);
	buf_clear(&problems);
	if (e == ERR_OK && strcmp(conf_text(old, CONF_MODE), "live") != 0)
		return making_fail(m, ERR_INITIALISED, "an unfinished test installation lies here");
	if (e == ERR_OK && conf_text(old, CONF_INSTALL)[0])
		return str_set(m->install, sizeof m->install, conf_text(old, CONF_INSTALL));
	return e == ERR_OK ? name_it(m) : e;
}

static enum err
make_configuration(struct making *m)
{
	char path[PATH_BYTES], boot[PATH_BYTES];
	struct conf *old = conf_new(), *now = conf_new();
	struct buf text;
	enum err e = old && now ? load_old(m, old) : ERR_MEMORY;

	buf_init(&text, 65536);
	if (e == ERR_OK)
		e = set_all(m, now);
	if (e == ERR_OK)
		e = ctl_path(boot, m->run->paths.state, "vault/boot");
	m->stores_begun = e == ERR_OK && access(boot, F_OK) == 0;
	if (e == ERR_OK && m->stores_begun) {
		e = same_as_before(m, old, now);
	} else if (e == ERR_OK) {
		e = conf_write(now, &text);
		if (e == ERR_OK)
			e = ctl_path(path, m->run->paths.etc, "sallyport.conf");
		if (e == ERR_OK)
			e = ctl_write_file(path, buf_at(&text), text.len, 0644);
	}
	buf_clear(&text);
	conf_free(old);
	conf_free(now);
	return e;
}

/* ── the HSM, looked at ── */

static enum err
explain_hsm(struct making *m, enum err e)
{
	const char *module = ctl_flag(m->run, "--module");
	if (e == ERR_HSM_MODULE)
		return making_fail(m, e, "%s is no PKCS#11 module, or one that does not start for the user sallyport-hsm",
						   module);
	if (e == ERR_HSM_SOFTWARE)
		return making_fail(
			m, e, "%s is a software HSM: its keys are files; --accept-software-hsm says that they may be", module);
	if (e == ERR_HSM_TOKEN)
		return making_fail(m, e, "there is no token %s with a user PIN; init never initialises one",
						   ctl_flag(m->run, "--token"));
	return e;
}

static enum err
look_at_hsm(struct making *m)
{
	static sp_vault_init_req req;
	static sp_vault_init_rep rep;
	struct making_daemon d;

	if (m->stores_begun) /* it was looked at, and holds our keys by now */
		return ERR_OK;
	enum err e = making_start(m, &d);
	if (e != ERR_OK)
		return e;
	req.look = true;
	snprintf(req.install, sizeof req.install, "%s", m->install);
	snprintf(req.node, sizeof req.node, "a");
	e = making_ask(&d, MSG_vault_init, &req, &rep);
	making_stop(&d);
	return explain_hsm(m, e);
}

/* Nothing was made yet but what the look stood on. */
static void
undo(struct making *m)
{
	char path[PATH_BYTES];
	if (m->stores_begun || !m->conf_is_new)
		return;
	if (ctl_path(path, m->run->paths.etc, "sallyport.conf") == ERR_OK)
		unlink(path);
	layout_remove_empty(&m->run->paths);
}

/* ── what is made ── */

static enum err
put(struct making *m, const char *flag, const char *name, unsigned mode)
{
	char path[PATH_BYTES], *text = NULL;
	enum err e = init_wishes_file(m, flag, &text);
	if (e == ERR_OK)
		e = ctl_path(path, m->run->paths.etc, name);
	if (e == ERR_OK)
		e = ctl_write_file(path, text, strlen(text), mode);
	mem_free(text);
	return e;
}

static enum err
put_certificates(struct making *m)
{
	bool own_server = ctl_flag(m->run, "--server-cert") != NULL;
	enum err e = m->make_ca ? making_own_ca(m, !own_server) : put(m, "--client-ca", "tls/clients-ca.crt", 0644);

	if (e == ERR_OK && m->make_ca)
		e = making_write_new(m->run->paths.etc, "tls/clients-ca.crt", m->root.certificate, strlen(m->root.certificate),
							 0644);
	if (e == ERR_OK && own_server)
		e = put(m, "--server-key", "tls/server.key", 0600);
	if (e == ERR_OK && own_server)
		e = put(m, "--server-cert", "tls/server.crt", 0644);
	return e == ERR_OK && m->first_client ? making_client(m, m->first_client) : e;
}

static enum err
officer_path(const struct making *m, const struct officer *o, char out[PATH_BYTES])
{
	char name[OFFICER_NAME_BYTES + 16];
	snprintf(name, sizeof name, "officers/%s.pub", o->name);
	return ctl_path(out, m->run->paths.etc, name);
}

/* They stand in the vault's boot file once stores were begun: others can't be taken then. */
static enum err
same_officers(struct making *m)
{
	char path[PATH_BYTES];
	glob_t found = {0};
	enum err e = ctl_path(path, m->run->paths.etc, "officers/*.pub");
	size_t there = e == ERR_OK && glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;

	globfree(&found);
	bool same = there == m->officers_n;
	for (size_t i = 0; i < m->officers_n && same && e == ERR_OK; i++) {
		struct officer o;
		e = officer_path(m, &m->officers[i], path);
		same = e == ERR_OK && officer_read_public(path, &o) == ERR_OK &&
			   memcmp(o.public_key, m->officers[i].public_key, 32) == 0;
	}
	return e == ERR_OK && !same
			   ? making_fail(m, ERR_INITIALISED, "an unfinished init lies here that was given other officers")
			   : e;
}

static enum err
put_officers(struct making *m)
{
	char path[PATH_BYTES];
	glob_t found = {0};
	enum err e = ctl_path(path, m->run->paths.etc, "officers/*.pub");

	if (e != ERR_OK || m->stores_begun)
		return e == ERR_OK ? same_officers(m) : e;
	/* those of a run that was given others and came no farther */
	if (glob(path, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
	globfree(&found);
	for (size_t i = 0; i < m->officers_n && e == ERR_OK; i++)
		if ((e = officer_path(m, &m->officers[i], path)) == ERR_OK)
			e = officer_write_public(&m->officers[i], path);
	return e;
}

static enum err
make_vault(struct making *m, struct making_daemon *d)
{
	static sp_vault_init_req req;
	static sp_vault_init_rep rep;

	snprintf(req.install, sizeof req.install, "%s", m->install);
	snprintf(req.node, sizeof req.node, "a");
	for (size_t i = 0; i < m->officers_n; i++) {
		sp_officer_key *k = &req.officers[req.officers_count++];
		snprintf(k->name, sizeof k->name, "%s", m->officers[i].name);
		snprintf(k->role, sizeof k->role, "%s", m->officers[i].role);
		k->public_key.size = 32;
		memcpy(k->public_key.bytes, m->officers[i].public_key, 32);
	}
	return making_ask(d, MSG_vault_init, &req, &rep);
}

/* No account: no processor of this release takes live payments, and the simulator must not. */
static enum err
make_ledger(struct making *m, struct making_daemon *d)
{
	static sp_ledger_init_req req;
	static sp_ledger_init_rep rep;
	char name[96], pem[CA_PEM_BYTES];
	enum err e = ERR_OK;

	for (size_t i = 0; i < m->merchants_n && e == ERR_OK; i++) {
		bool last = i + 1 == m->merchants_n;
		snprintf(req.merchant, sizeof req.merchant, "%s", m->merchants[i]);
		req.more = i > 0;
		req.has_client = last && m->first_client;
		if (req.has_client) {
			snprintf(req.client.name, sizeof req.client.name, "%s", m->first_client);
			snprintf(req.client.added_by, sizeof req.client.added_by, "init");
			req.client.scopes = scopes_all();
			for (size_t k = 0; k < m->merchants_n; k++)
				snprintf(req.client.merchants[req.client.merchants_count++], sizeof req.client.merchants[0], "%s",
						 m->merchants[k]);
			snprintf(name, sizeof name, "clients/%s.crt", m->first_client);
			if ((e = ca_read_pem(m->run->paths.etc, name, pem)) == ERR_OK)
				e = ca_fingerprint(pem, req.client.cert_sha256, &req.client.not_after_ms);
		}
		if (e == ERR_OK)
			e = making_ask(d, MSG_ledger_init, &req, &rep);
	}
	return e;
}

static enum err
make_stores(struct making *m)
{
	struct making_daemon d;
	enum err e = making_start(m, &d);
	if (e != ERR_OK)
		return e;
	e = make_vault(m, &d);
	if (e == ERR_OK)
		e = make_ledger(m, &d);
	making_stop(&d);
	return e;
}

static enum err
seal_pin(struct making *m)
{
	return ctl_flag(m->run, "--pin-credential") ? init_pin_seal(m) : ERR_OK;
}

/* What clients verify the gate with, and the mark of a whole appliance: last. */
static enum err
finish(struct making *m)
{
	if (!ctl_flag(m->run, "--server-cert"))
		return making_write_new(m->run->paths.etc, "ca.crt", m->root.certificate, strlen(m->root.certificate), 0644);
	return put(m, ctl_flag(m->run, "--server-ca") ? "--server-ca" : "--client-ca", "ca.crt", 0644);
}

static const struct making_step steps[] = {
	{"directories", "one folder for each process, readable by its user only", making_directories},
	{"configuration", "sallyport.conf, every key with a comment; mode live for ever", make_configuration},
	{"HSM", "looked at: the token, its PIN, and that nobody else's keys are on it", look_at_hsm},
	{"certificates", "yours, or a small-site CA and what it issues", put_certificates},
	{"officers", "their names, roles and public keys", put_officers},
	{"keys and stores", "keys in the HSM with our labels, both databases, merchants, first leaves", make_stores},
	{"PIN", "sealed to this host as a credential, if --pin-credential says so", seal_pin},
	{"ca.crt", "what clients verify the gate with; marks the appliance as whole", finish},
};
#define STEPS (sizeof steps / sizeof *steps)
#define LOOKS 3 /* how many of them make nothing that stays */

/* ── what people see ── */

static void
show_plan(const struct making *m)
{
	making_show_plan(steps, STEPS);
	printf("With:\n  module     %s\n  token      %s\n  listen     %s\n  CA         %s\n", ctl_flag(m->run, "--module"),
		   ctl_flag(m->run, "--token"), ctl_flag(m->run, "--listen") ? ctl_flag(m->run, "--listen") : "127.0.0.1:8443",
		   m->make_ca ? "made here, small-site" : "yours");
	for (size_t i = 0; i < m->merchants_n; i++)
		printf("  merchant   %s\n", m->merchants[i]);
	for (size_t i = 0; i < m->officers_n; i++) {
		char words[OFFICER_WORDS_BYTES];
		officer_words(m->officers[i].public_key, words);
		printf("  officer    %s, %s\n             %s\n", m->officers[i].name, m->officers[i].role, words);
	}
	puts("\nRead each officer's words to the officer: only then are the keys theirs.\n");
}

static void
show_page(const struct making *m)
{
	const char *d = m->run->paths.etc;

	printf("\nmade — a live appliance, %s\n\n"
		   "  configuration   %s/sallyport.conf\n"
		   "  keys            in the HSM, token %s: kek-1, ask-1, xsk-1, ahk-1\n"
		   "  stores          %s/vault and %s/ledger\n"
		   "  trust anchor    %s/ca.crt\n"
		   "  officers        %zu, public keys only\n",
		   m->install, d, ctl_flag(m->run, "--token"), m->run->paths.state, m->run->paths.state, d, m->officers_n);
	if (m->first_client)
		printf("  client          %s/clients/%s.crt and .key (all scopes)\n", d, m->first_client);
	puts("\nCarry off the host:");
	if (m->make_ca)
		printf("  %s/ca/ca.key: who has it makes clients. Bring it back to issue certificates.\n", d);
	if (m->first_client)
		printf("  %s/clients/%s.key: to the client, and away from here.\n", d, m->first_client);
	puts("  a backup of the token, made with the HSM's own tool: without it every card is lost with the "
		 "HSM.\n\nMissing:");
	puts("  a live processor: payments are answered no_live_processor in this release; cards are tokenized.");
	if (!m->first_client)
		printf("  a client. Your CA issues its certificate; then a security officer signs for it:\n"
			   "    sallyport%s%s client add NAME --certificate FILE --merchants %s --officer KEYFILE\n",
			   m->run->paths.dir[0] ? " --dir " : "", m->run->paths.dir, m->merchants[0]);
	if (ctl_flag(m->run, "--accept-software-hsm"))
		puts("  protection of the keys: the HSM is software, and who copies its files has every card.");
	putchar('\n');
	init_pin_tell(m);
}

static json_t *
document(const struct making *m, bool dry)
{
	json_t *officers = json_array();
	for (size_t i = 0; i < m->officers_n; i++) {
		char words[OFFICER_WORDS_BYTES];
		officer_words(m->officers[i].public_key, words);
		json_array_append_new(officers, json_pack("{ss ss ss}", "name", m->officers[i].name, "role",
												  m->officers[i].role, "fingerprint", words));
	}
	return json_pack("{ss ss sb sb so sb}", "install", m->install, "directory", m->run->paths.etc, "test", 0, "dry_run",
					 (int)dry, "officers", officers, "pin_kept", (int)(!dry && ctl_flag(m->run, "--pin-credential")));
}

/* ── the act ── */

static int
run_steps(struct making *m, size_t n)
{
	size_t at;
	enum err e = making_do(m, steps, n, &at);
	if (e == ERR_OK)
		return -1;
	if (at < LOOKS)
		undo(m);
	if (!m->run->json && e == ERR_NOT_RUNNING)
		fprintf(stderr, "what the processes said: %s/init.log\n", m->run->paths.run);
	return ctl_fail(m->run, e, steps[at].what, m->cause[0] ? m->cause : NULL);
}

static enum err
get_pin(struct making *m)
{
	enum err e = hidden_get(m->run, "--pin-file", "PIN of the HSM's user: ", &m->pin);
	if (e == ERR_USAGE)
		return making_fail(m, e, "there is no terminal to ask for the PIN on: --pin-file FILE, - or fd:N");
	if (e == ERR_OK && m->pin->len > PIN_BYTES_MAX)
		return making_fail(m, ERR_USAGE, "a PIN has %d bytes at most", PIN_BYTES_MAX);
	return e == ERR_OK ? e : making_fail(m, e, "--pin-file: %s", err_title(e));
}

static int
failed(struct making *m, enum err e, const char *what)
{
	return e == ERR_USAGE ? ctl_usage(m->run, m->cause) : ctl_fail(m->run, e, what, m->cause[0] ? m->cause : NULL);
}

static int
plan_and_act(struct making *m)
{
	struct run *r = m->run;
	bool dry = ctl_flag(r, "--dry-run") != NULL;
	enum err e;

	if (!r->json)
		show_plan(m);
	if (!dry && !r->yes)
		return ctl_usage(r, "this makes an appliance for real cards; say so with --yes, or look first with --dry-run");
	if ((e = get_pin(m)) != ERR_OK)
		return failed(m, e, "PIN");
	int status = run_steps(m, dry ? LOOKS : STEPS);
	if (status >= 0)
		return status;
	if (dry)
		undo(m);
	if (r->json)
		return ctl_print_json(document(m, dry));
	if (dry)
		puts("\nlooked — all of it can be made, and nothing was\nnext: the same without --dry-run");
	else
		show_page(m);
	return EXIT_CODE_DONE;
}

int
init_live_act(struct run *r)
{
	static struct making m;
	enum err e;

	m.run = r;
	int status = init_wishes_read(&m);
	if (status >= 0)
		return status;
	if ((e = init_wishes_check(&m)) != ERR_OK)
		return failed(&m, e, "init");
	if ((e = secret_open(ARENA_BYTES)) != ERR_OK)
		return ctl_fail(r, e, "init", "no locked memory for the PIN");
	status = plan_and_act(&m);
	secret_free(m.pin);
	mem_wipe(&m.root, sizeof m.root);
	return status;
}
