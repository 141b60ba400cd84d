/* What init does with a token, in one program that a test can kill anywhere and run again. Exit 0: all of it works. */
#include <stdio.h>
#include <string.h>

#include "vault/hsm/ckr.h"
#include "vault/hsm/hsmdata.h"
#include "vault/hsm/hsmkey.h"
#include "vault/hsm/wrap.h"

#define PIN "a-pin-of-a-test"

static struct p11 *p;

static bool
went(const char *what, enum err e)
{
	if (e != ERR_OK)
		printf("%s: %s (%s)\n", what, err_code(e), p ? ckr_name(p->last) : "");
	return e == ERR_OK;
}

static bool
make_all(void)
{
	static const char *const keys[] = {"kek", "ask", "xsk", "ahk"};
	uint8_t public_key[32];
	bool existed;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!went(keys[i], hsmkey_make(p, keys[i], 1, public_key, &existed)))
			return false;
	return true;
}

static bool
use_all(void)
{
	uint8_t key[32] = {1}, out[64], anchor[HSMDATA_MAX];
	struct wrap_blob blob;
	size_t n = 0;
	return went("sign", hsmkey_sign(p, "ask", 1, key, sizeof key, out)) &&
		   went("sign", hsmkey_sign(p, "xsk", 1, key, sizeof key, out)) &&
		   went("mac", hsmkey_mac(p, "ahk", 1, key, sizeof key, out)) &&
		   went("wrap", wrap_seal(p, 1, NULL, 0, key, sizeof key, &blob)) &&
		   went("anchor", hsmdata_set(p, "a", key, sizeof key)) && went("anchor", hsmdata_set(p, "a", key, 31)) &&
		   went("anchor", hsmdata_get(p, "a", anchor, &n)) && n == 31;
}

int
main(int argc, char **argv)
{
	bool existed;
	const uint8_t *pin = (const uint8_t *)PIN;
	const char *module = argc > 1 ? argv[1] : "/usr/lib/softhsm/libsofthsm2.so";
	bool ok = went("load", p11_load(module, "sallyport", true, &p)) &&
			  went("init_token", p11_init_token(p, "sallyport", pin, strlen(PIN), &existed)) &&
			  went("login", p11_login(p, pin, strlen(PIN))) && make_all() && use_all();
	p11_free(p);
	return ok ? 0 : 1;
}
