/* What sallyport init --live is asked for, and whether it can be. */
#include "console/ctl/init_live.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/mem.h"

#define PEM_BYTES_MAX ((size_t)1 << 18)

/* Flags that belong together: with `need` there must be `with`, without it there must not. */
static const struct {
	const char *flag, *with, *problem;
} pairs[] = {
	{"--server-cert", "--server-key", "--server-cert needs --server-key"},
	{"--server-key", "--server-cert", "--server-key needs --server-cert"},
	{"--server-ca", "--server-cert", "--server-ca is for --server-cert"},
	{"--client", "--make-ca", "--client needs --make-ca: your own CA issues your clients' certificates"},
};

static const char *const needed[][2] = {
	{"--module", "--module PATH is missing: the HSM's PKCS#11 library"},
	{"--token", "--token LABEL is missing: a token that is initialised and has a user PIN"},
	{"--officer",
	 "--officer NAME=FILE is missing: two security officers at least, each with the .pub file of officer new"},
	{"--merchant", "--merchant NAME is missing: whose tokens and payments these will be"},
};

static bool
merchant_ok(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
	return n >= 1 && n < 64 && !name[n] && name[0] != '.' && name[0] != '-';
}

int
init_wishes_read(struct making *m)
{
	const struct run *r = m->run;
	const char *v;

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
		if (!ctl_flag(r, needed[i][0]))
			return ctl_usage(r, needed[i][1]);
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (ctl_flag(r, pairs[i].flag) && !ctl_flag(r, pairs[i].with))
			return ctl_usage(r, pairs[i].problem);
	m->make_ca = ctl_flag(r, "--make-ca") != NULL;
	m->first_client = ctl_flag(r, "--client");
	if (!m->make_ca && (!ctl_flag(r, "--server-cert") || !ctl_flag(r, "--client-ca")))
		return ctl_usage(r, "say whose certificates: --client-ca with --server-cert and --server-key, or --make-ca");
	if (m->make_ca && ctl_flag(r, "--client-ca"))
		return ctl_usage(r, "--make-ca and --client-ca are two answers to one question");
	if (m->first_client && !merchant_ok(m->first_client))
		return ctl_usage(r, "a client's name has 1 to 63 of a-z 0-9 - _ .");
	for (; (v = ctl_flag_nth(r, "--merchant", (unsigned)m->merchants_n)); m->merchants_n++) {
		if (!merchant_ok(v) || m->merchants_n >= MAKING_MERCHANTS_MAX)
			return ctl_usage(r, "a merchant's name has 1 to 63 of a-z 0-9 - _ ., and there are 32 at most");
		m->merchants[m->merchants_n] = v;
	}
	if (ctl_flag(r, "--pin-credential") && r->paths.dir[0])
		return ctl_usage(
			r, "--pin-credential is for the installed service; with --dir give CREDENTIALS_DIRECTORY to sallyportd");
	return -1;
}

/* ── officers ── */

static enum err
take_officer(struct making *m, const char *given)
{
	char name[OFFICER_NAME_BYTES];
	const char *equals = strchr(given, '=');
	struct officer *o = &m->officers[m->officers_n];

	if (!equals || equals == given || (size_t)(equals - given) >= sizeof name)
		return making_fail(m, ERR_USAGE, "--officer takes NAME=FILE");
	memcpy(name, given, (size_t)(equals - given));
	name[equals - given] = 0;
	if (m->officers_n >= MAKING_OFFICERS_MAX)
		return making_fail(m, ERR_USAGE, "there are %d officers at most", MAKING_OFFICERS_MAX);
	enum err e = officer_read_public(equals + 1, o);
	if (e != ERR_OK)
		return making_fail(m, e, "officer %s: %s", name, err_title(e));
	if (strcmp(o->name, name) != 0)
		return making_fail(m, ERR_FILE_FORM, "officer %s: the file is of %s", name, o->name);
	for (size_t i = 0; i < m->officers_n; i++)
		if (strcmp(m->officers[i].name, o->name) == 0 || memcmp(m->officers[i].public_key, o->public_key, 32) == 0)
			return making_fail(m, ERR_EXISTS, "officer %s: another one has this name or this key", name);
	m->officers_n++;
	return ERR_OK;
}

static enum err
take_officers(struct making *m)
{
	const char *given;
	size_t security = 0;
	enum err e = ERR_OK;

	for (unsigned i = 0; e == ERR_OK && (given = ctl_flag_nth(m->run, "--officer", i)); i++)
		e = take_officer(m, given);
	for (size_t i = 0; i < m->officers_n; i++)
		security += strcmp(m->officers[i].role, "security-officer") == 0;
	if (e == ERR_OK && security < 2)
		return making_fail(m, ERR_USAGE, "two security officers at least: nobody decides alone");
	return e;
}

/* ── certificates ── */

enum err
init_wishes_file(struct making *m, const char *flag, char **out)
{
	const char *path = ctl_flag(m->run, flag);
	struct stat st;
	size_t n;
	enum err e = ctl_read_file(path, PEM_BYTES_MAX, out, &n);

	if (e == ERR_OK && strcmp(flag, "--server-key") == 0 && stat(path, &st) == 0 && (st.st_mode & 07)) {
		mem_free(*out);
		*out = NULL;
		e = ERR_FILE_EXPOSED;
	}
	return e == ERR_OK ? e : making_fail(m, e, "%s: %s", flag, err_title(e));
}

static enum err
check_server(struct making *m)
{
	const char *ca = ctl_flag(m->run, "--server-ca") ? "--server-ca" : "--client-ca", *why = "";
	char *certificate = NULL, *key = NULL, *authority = NULL;
	enum err e =
		ctl_flag(m->run, ca) ? ERR_OK : making_fail(m, ERR_USAGE, "--server-cert with --make-ca needs --server-ca");

	if (e == ERR_OK)
		e = init_wishes_file(m, "--server-cert", &certificate);
	if (e == ERR_OK)
		e = init_wishes_file(m, "--server-key", &key);
	if (e == ERR_OK)
		e = init_wishes_file(m, ca, &authority);
	if (e == ERR_OK && (e = ca_check_server(certificate, key, authority, &why)) != ERR_OK)
		(void)making_fail(m, e, "--server-cert: %s", why);
	mem_free(certificate);
	mem_free(key);
	mem_free(authority);
	return e;
}

static enum err
check_clients(struct making *m)
{
	const char *why = "";
	char *pem = NULL;
	enum err e = init_wishes_file(m, "--client-ca", &pem);
	if (e == ERR_OK && (e = ca_check_authorities(pem, &why)) != ERR_OK)
		(void)making_fail(m, e, "--client-ca: %s", why);
	mem_free(pem);
	return e;
}

/* ── the module: what can be seen without running any of it ── */

static enum err
check_module(struct making *m)
{
	const char *path = ctl_flag(m->run, "--module");
	unsigned char head[EI_NIDENT + 2] = {0};
	struct stat st;

	if (path[0] != '/')
		return making_fail(m, ERR_USAGE, "--module takes an absolute path");
	if (stat(path, &st) != 0)
		return making_fail(m, ERR_FILE_MISSING, "there is no module at %s", path);
	FILE *f = S_ISREG(st.st_mode) ? fopen(path, "re") : NULL;
	size_t n = f ? fread(head, 1, sizeof head, f) : 0;
	if (f)
		fclose(f);
	else if (S_ISREG(st.st_mode))
		return making_fail(m, ERR_PERMISSION, "the module %s may not be read", path);
	/* ET_DYN in either byte order */
	if (n != sizeof head || memcmp(head, ELFMAG, SELFMAG) != 0 || head[EI_NIDENT] + head[EI_NIDENT + 1] != ET_DYN)
		return making_fail(m, ERR_HSM_MODULE, "%s is no shared library", path);
	return ERR_OK;
}

enum err
init_wishes_check(struct making *m)
{
	enum err e = take_officers(m);
	if (e == ERR_OK)
		e = check_module(m);
	if (e == ERR_OK && ctl_flag(m->run, "--server-cert"))
		e = check_server(m);
	if (e == ERR_OK && !m->make_ca)
		e = check_clients(m);
	return e;
}
