/*
 * sallyport init — makes an appliance: configuration, CA, certificates, officers, token, keys, databases, first client.
 * Each step may be repeated; init goes on where an earlier run was stopped, and refuses over a whole appliance.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "console/ctl/ca.h"
#include "console/ctl/ctl.h"
#include "console/ctl/layout.h"
#include "console/ctl/officer.h"
#include "console/ctl/scopes.h"
#include "daemon/base/buf.h"
#include "daemon/base/conf.h"
#include "daemon/base/id.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/base/str.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"

#define ROOT_DAYS   3650
#define SERVER_DAYS 397
#define CLIENT_DAYS 397

static const struct {
	const char *name, *role;
} test_officers[] = {{"a.ito", "security-officer"}, {"m.okafor", "security-officer"}, {"s.lindqvist", "custodian"}};
#define TEST_OFFICERS (sizeof test_officers / sizeof *test_officers)

struct making {
	struct run *run;
	struct ca_pair root;
	char install[40];
	const char *what; /* the step that runs, for the message */
};

static enum err
write_new(const char *dir, const char *name, const void *bytes, size_t n, unsigned mode)
{
	char path[PATH_BYTES];
	enum err e = ctl_path(path, dir, name);
	if (e != ERR_OK || access(path, F_OK) == 0)
		return e;
	return ctl_write_file(path, bytes, n, mode);
}

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
	e = write_new(p->etc, "credentials/hsm-pin", pin, 32, 0600);
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
	if ((e = write_new(p->state, "hsm/softhsm2.conf", text, (size_t)n, 0600)) != ERR_OK ||
		(e = ctl_path(path, p->state, "hsm/softhsm2.conf")) != ERR_OK)
		return e;
	return layout_give(path, "hsm");
}

/* Both files of a pair, the certificate last: it marks the pair as whole. */
static enum err
write_pair(const char *dir, const char *key_name, const char *certificate_name, const struct ca_pair *pair)
{
	char path[PATH_BYTES];
	enum err e;

	if ((e = ctl_path(path, dir, certificate_name)) != ERR_OK || access(path, F_OK) == 0)
		return e;
	if ((e = ctl_path(path, dir, key_name)) != ERR_OK ||
		(e = ctl_write_file(path, pair->key, strlen(pair->key), 0600)) != ERR_OK)
		return e;
	return write_new(dir, certificate_name, pair->certificate, strlen(pair->certificate), 0644);
}

static enum err
make_certificates(struct making *m)
{
	const char *etc = m->run->paths.etc, *listen = ctl_flag(m->run, "--listen");
	struct ca_pair pair;
	char host[64] = "";
	enum err e;

	if (listen)
		snprintf(host, sizeof host, "%.*s", (int)strcspn(listen, ":"), listen);
	if (strcmp(host, "0.0.0.0") == 0)
		host[0] = 0;
	if ((e = ca_make_root(m->install, ROOT_DAYS, &pair)) != ERR_OK ||
		(e = write_pair(etc, "ca/ca.key", "ca/ca.crt", &pair)) != ERR_OK || (e = ca_read_root(etc, &m->root)) != ERR_OK)
		goto out;
	if ((e = ca_issue(&m->root, "sallyport", CA_USE_SERVER, host, SERVER_DAYS, &pair)) != ERR_OK ||
		(e = write_pair(etc, "tls/server.key", "tls/server.crt", &pair)) != ERR_OK ||
		(e = write_new(etc, "tls/clients-ca.crt", m->root.certificate, strlen(m->root.certificate), 0644)) != ERR_OK)
		goto out;
	if ((e = ca_issue(&m->root, "demo", CA_USE_CLIENT, NULL, CLIENT_DAYS, &pair)) == ERR_OK)
		e = write_pair(etc, "clients/demo.key", "clients/demo.crt", &pair);
out:
	mem_wipe(&pair, sizeof pair);
	return e;
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

/* Starts sallyportd --init and waits for its "ready"; *pid_out is its process. */
static enum err
start_monitor(struct making *m, pid_t *pid_out)
{
	int out[2];
	char line[256], path[PATH_BYTES];
	size_t n = 0;

	/* what the processes say goes to a file: this screen is for the plan */
	if (ctl_path(path, m->run->paths.run, "init.log") != ERR_OK)
		return ERR_OUT_OF_RANGE;
	int log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log < 0 || pipe2(out, O_CLOEXEC) != 0)
		return ERR_IO;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		dup2(out[1], STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		if (m->run->paths.dir[0])
			execlp("sallyportd", "sallyportd", "--init", "--dir", m->run->paths.dir, (char *)NULL);
		else
			execlp("sallyportd", "sallyportd", "--init", (char *)NULL);
		_exit(127);
	}
	close(log);
	close(out[1]);
	while (pid > 0 && n < sizeof line - 1) {
		ssize_t got = read(out[0], line + n, sizeof line - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
		line[n] = 0;
		if (strstr(line, "ready")) {
			close(out[0]);
			*pid_out = pid;
			return ERR_OK;
		}
	}
	close(out[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return ERR_NOT_RUNNING;
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

/* The processes have only just started: the vault opens its store, the ledger waits for the vault. 30 s at most. */
static enum err
ask_until_open(struct client *c, enum msg number, const void *req, void *rep)
{
	enum err e = ERR_OK;
	for (int tries = 0; tries < 300; tries++) {
		e = client_ask(c, number, req, rep, 30000);
		if (e != ERR_VAULT_SEALED && e != ERR_NOT_READY && e != ERR_LEDGER_AWAY && e != ERR_VAULT_AWAY)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
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
	char path[PATH_BYTES], pem[CA_PEM_BYTES];
	struct client *c = NULL;
	pid_t pid = -1;
	enum err e;

	if ((e = start_monitor(m, &pid)) != ERR_OK)
		return e;
	if ((e = ctl_path(path, m->run->paths.run, "desk.sock")) != ERR_OK || (e = client_open(path, 5000, &c)) != ERR_OK)
		goto out;
	snprintf(vault.install, sizeof vault.install, "%s", m->install);
	snprintf(vault.node, sizeof vault.node, "a");
	vault.test = true;
	if ((e = fill_officers(m, &vault)) != ERR_OK ||
		(e = ask_until_open(c, MSG_vault_init, &vault, &vault_rep)) != ERR_OK)
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
	e = ask_until_open(c, MSG_ledger_init, &ledger, &ledger_rep);
out:
	client_close(c);
	if (pid > 0) {
		kill(pid, SIGTERM);
		waitpid(pid, NULL, 0);
	}
	return e;
}

static enum err
make_directories(struct making *m)
{
	enum err e = layout_check_users(&m->run->paths);
	if (e == ERR_OK)
		e = layout_make_directories(&m->run->paths);
	return e == ERR_OK ? layout_check_room(&m->run->paths) : e;
}

/* ca.crt is what people need and the mark of a whole appliance: it comes last. */
static enum err
finish(struct making *m)
{
	return write_new(m->run->paths.etc, "ca.crt", m->root.certificate, strlen(m->root.certificate), 0644);
}

static const struct {
	const char *what, *does;
	enum err (*act)(struct making *m);
} steps[] = {
	{"directories", "one folder for each process, readable by its user only", make_directories},
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
	if (!ctl_flag(r, "--software-hsm"))
		return ctl_fail(r, ERR_NOT_SUPPORTED, "init", "only test installations can be made yet: add --software-hsm");
	if (!r->yes)
		return ctl_usage(r, "this makes a test appliance for ever; say so with --yes");
	enum err opened = secret_open(8192);
	if (opened != ERR_OK)
		return ctl_fail(r, opened, "init", "no locked memory for officers' keys");
	if (!r->json) {
		puts("The plan:");
		for (size_t i = 0; i < STEPS; i++)
			printf("  %zu. %-16s %s\n", i + 1, steps[i].what, steps[i].does);
		putchar('\n');
	}
	for (size_t i = 0; i < STEPS; i++) {
		enum err e = steps[i].act(&m);
		if (e != ERR_OK) {
			mem_wipe(&m.root, sizeof m.root);
			if (!r->json && steps[i].act == make_stores)
				fprintf(stderr, "what the processes said: %s/init.log\n", r->paths.run);
			return ctl_fail(r, e, steps[i].what, NULL);
		}
		if (!r->json) {
			printf("  done: %s\n", steps[i].what);
			fflush(stdout);
		}
	}
	mem_wipe(m.root.key, sizeof m.root.key);
	if (r->json)
		return ctl_print_json(json_pack("{ss ss sb}", "install", m.install, "directory", r->paths.etc, "test", 1));
	print_page(&m);
	return EXIT_CODE_DONE;
}

static const struct flag flags[] = {
	{"--software-hsm", NULL, "use SoftHSM: keys in files, for tests and demonstrations only"},
	{"--listen", "ADDRESS:PORT", "where the mTLS API listens (127.0.0.1:8443)"},
	{"--answers", "FILE", "flags as lines: software-hsm = yes, yes = yes, listen = 127.0.0.1:9000"},
	{NULL, NULL, NULL},
};

const struct command cmd_init = {
	.words = "init",
	.args = "",
	.summary = "Make an appliance: configuration, CA, keys, databases, first client",
	.about =
		"Shows its plan, makes what is missing and can be run again after it was stopped. Over a whole appliance it\n"
		"changes nothing and exits 1.",
	.example = "sallyport --dir /srv/sallyport init --software-hsm --yes --listen 127.0.0.1:8443",
	.exits = "0 1 2 5 7 9 130",
	.schema = "init",
	.flags = flags,
	.act = act_init,
};
