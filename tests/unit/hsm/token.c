#include "tests/unit/hsm/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* SoftHSM 2.6.1 loses a few bytes with each use of an Ed25519 key; that is not ours to mend, and ours must still show.
 */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:CRYPTO_zalloc\nleak:ASN1_STRING_set\n";
}

static char dir[64];

const char *
token_dir(void)
{
	return dir;
}

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "token: %s\n", what);
	exit(99);
}

void
token_make(void)
{
	char path[128];
	if (access(TOKEN_MODULE, R_OK) != 0)
		exit(77);
	strcpy(dir, "/tmp/sallyport-token-XXXXXX");
	need(mkdtemp(dir) != NULL, "mkdtemp");
	(void)snprintf(path, sizeof path, "%s/softhsm2.conf", dir);
	FILE *f = fopen(path, "w");
	need(f != NULL, "softhsm2.conf");
	fprintf(f, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir);
	need(fclose(f) == 0, "softhsm2.conf");
	need(setenv("SOFTHSM2_CONF", path, 1) == 0, "setenv");
}

void
token_remove(void)
{
	char command[128];
	(void)snprintf(command, sizeof command, "rm -rf '%s'", dir);
	need(*dir && system(command) == 0, "rm");
}

struct p11 *
token_open(const char *module)
{
	struct p11 *p;
	need(p11_load(module ? module : TOKEN_MODULE, TOKEN_LABEL, true, &p) == ERR_OK, "p11_load");
	return p;
}

struct p11 *
token_logged_in(const char *module)
{
	bool existed;
	struct p11 *p = token_open(module);
	need(p11_init_token(p, TOKEN_LABEL, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN), &existed) == ERR_OK,
		 "p11_init_token");
	need(p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN)) == ERR_OK, "p11_login");
	return p;
}
