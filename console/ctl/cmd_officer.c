/*
 * sallyport officer new|show — an officer's own key, made on the officer's own machine. What is handed in is the .pub
 * file; the words are read out by telephone. Neither command needs an appliance.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "console/ctl/ctl.h"
#include "console/ctl/hidden.h"
#include "console/ctl/officer.h"
#include "daemon/base/secret.h"

#define ARENA_BYTES 8192

static enum err
choose_passphrase(struct run *r, struct secret **out)
{
	struct secret *again = NULL;
	bool file = ctl_flag(r, "--passphrase-file") != NULL;
	enum err e = hidden_get(r, "--passphrase-file", "A passphrase of 12 characters or more: ", out);

	if (e == ERR_OK && (*out)->len < OFFICER_PASSPHRASE_MIN)
		return ERR_PASSPHRASE_SHORT;
	if (e != ERR_OK || file)
		return e;
	if ((e = hidden_ask(r, "The same again: ", &again)) == ERR_OK &&
		((*out)->len != again->len || memcmp((*out)->bytes, again->bytes, again->len) != 0))
		e = ERR_PASSPHRASES_DIFFER;
	secret_free(again);
	return e;
}

/* Both files; a key that exists is never replaced. The private half first: a public half alone is worth nothing. */
static enum err
write_files(const struct officer *o, const struct secret *passphrase, const char *dir, char key[PATH_BYTES],
			char public[PATH_BYTES])
{
	char name[OFFICER_NAME_BYTES + 8];
	enum err e;

	snprintf(name, sizeof name, "%s.key", o->name);
	if ((e = ctl_path(key, dir, name)) != ERR_OK)
		return e;
	snprintf(name, sizeof name, "%s.pub", o->name);
	if ((e = ctl_path(public, dir, name)) != ERR_OK)
		return e;
	if (access(key, F_OK) == 0 || access(public, F_OK) == 0)
		return ERR_EXISTS;
	if ((e = officer_write(o, passphrase, key)) != ERR_OK)
		return e;
	return officer_write_public(o, public);
}

static int
act_new(struct run *r)
{
	const char *name = r->args[0], *role = ctl_flag(r, "--role"), *dir = ctl_flag(r, "--out");
	char key[PATH_BYTES], public[PATH_BYTES], words[OFFICER_WORDS_BYTES];
	struct secret *passphrase = NULL;
	struct officer o = {0};
	enum err e;

	role = role ? role : "security-officer";
	if (!officer_name_ok(name))
		return ctl_usage(r, "an officer's name has 1 to 63 of a-z 0-9 - _ .");
	if (!officer_role_ok(role))
		return ctl_usage(r, "--role takes security-officer or custodian");
	if ((e = secret_open(ARENA_BYTES)) == ERR_OK)
		e = choose_passphrase(r, &passphrase);
	if (e == ERR_OK)
		e = officer_make(name, role, &o);
	if (e == ERR_OK)
		e = write_files(&o, passphrase, dir ? dir : ".", key, public);
	officer_words(o.public_key, words);
	officer_clear(&o);
	secret_free(passphrase);
	if (e == ERR_USAGE)
		return ctl_usage(r, "there is no terminal to ask on: --passphrase-file FILE, - or fd:N");
	if (e != ERR_OK)
		return ctl_fail(r, e, "officer new", NULL);
	if (r->json)
		return ctl_print_json(json_pack("{ss ss ss ss ss}", "name", name, "role", role, "fingerprint", words,
										"key_file", key, "public_file", public));
	printf("made — a key for %s, %s\n\n  key          %s   (yours: keep it, and a copy; the passphrase opens it)\n"
		   "  public half  %s   (hand this one in)\n  fingerprint  %s\n\n"
		   "Whoever makes the appliance reads the fingerprint back to you before it is made.\n"
		   "next: sallyport init --live … --officer %s=%s.pub\n",
		   name, role, key, public, words, name, name);
	return EXIT_CODE_DONE;
}

static int
act_show(struct run *r)
{
	struct officer o;
	char words[OFFICER_WORDS_BYTES];
	enum err e = officer_read_public(r->args[0], &o);

	if (e != ERR_OK)
		return ctl_fail(r, e, "officer show", NULL);
	officer_words(o.public_key, words);
	if (r->json)
		return ctl_print_json(json_pack("{ss ss ss}", "name", o.name, "role", o.role, "fingerprint", words));
	printf("%s — %s\n\n  fingerprint  %s\n", o.name, o.role, words);
	return EXIT_CODE_DONE;
}

static const struct flag new_flags[] = {
	{"--role", "ROLE", "security-officer (who signs) or custodian"},
	{"--out", "DIR", "where NAME.key and NAME.pub are written (here)"},
	{"--passphrase-file", "FILE", "the passphrase's first line: a file of mode 0600, - or fd:N (asked for, unseen)"},
	{NULL, NULL, NULL},
};

const struct command cmd_officer_new = {
	.words = "officer new",
	.args = "NAME",
	.summary = "Make an officer's key, on the officer's own machine",
	.about =
		"The private half is written under a passphrase of 12 characters or more (Argon2id) and never leaves this\n"
		"machine; the .pub file is handed in, and its fingerprint is compared by telephone. A key that exists is\n"
		"not replaced.",
	.example = "sallyport officer new a.ito --out ~/keys",
	.exits = "0 1 2 7 130",
	.schema = "officer-new",
	.args_min = 1,
	.args_max = 1,
	.flags = new_flags,
	.act = act_new,
};

const struct command cmd_officer_show = {
	.words = "officer show",
	.args = "FILE",
	.summary = "Show the name, role and fingerprint of an officer's public half",
	.about = "",
	.example = "sallyport officer show a.ito.pub",
	.exits = "0 1 2 7 130",
	.schema = "officer-show",
	.args_min = 1,
	.args_max = 1,
	.act = act_show,
};
