#include "vault/hsm/look.h"

#include <p11-kit/p11-kit.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "vault/hsm/ckr.h"
#include "vault/hsm/p11.h"

#define ARGS_MIN 3
#define ARGS_MAX 5

static enum err
look_at(const char *module, const char *token, bool software, const char **said_out)
{
	struct p11 *p = NULL;
	enum err e = p11_find_softhsm();
	if (e == ERR_OK)
		e = p11_load(module, token ? token : "", software || !token, &p);
	if (e == ERR_OK && token)
		e = p11_look(p);
	const char *why = p ? NULL : p11_kit_message();
	*said_out = why ? why : p && p->last != CKR_OK ? ckr_name(p->last) : "";
	p11_free(p);
	return e;
}

int
look_run(int argc, char **argv)
{
	const struct rlimit none = {0, 0};
	const char *said;
	if (argc < ARGS_MIN || argc > ARGS_MAX || setrlimit(RLIMIT_CORE, &none) != 0)
		return 2;
	bool software = argc == ARGS_MAX && strcmp(argv[4], "software") == 0;
	enum err e = look_at(argv[2], argc > ARGS_MIN ? argv[3] : NULL, software, &said);
	printf("%s %s\n", e == ERR_OK ? "ok" : err_code(e), said);
	return fflush(stdout) == 0 ? 0 : 1;
}
