/*
 * Every fault at every call: for each operation of the broker and each value that a module can give back, the k-th call
 * of the module fails, for every k until one run gets through without the fault. Never a wrong result, never "corrupt"
 * for a device that is only away, and afterwards, when the fault is gone, everything works again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/hsm/token.h"
#include "vault/hsm/ckr.h"
#include "vault/hsm/hsmdata.h"
#include "vault/hsm/hsmkey.h"
#include "vault/hsm/wrap.h"

#define SHIM      "tests/attack/p11_shim.so"
#define CALLS_MAX 200

static struct p11 *p;
static char control[128], fired[160];
static const uint8_t ad[] = "a place", key[32] = "thirty-two bytes that are a key";
static uint8_t ask_public[32], mac[32];
static struct wrap_blob blob;

static void
say(const char *line)
{
	FILE *f = fopen(control, "w");
	assert_non_null(f);
	assert_true(fputs(line, f) >= 0);
	assert_int_equal(fclose(f), 0);
	(void)unlink(fired);
}

static bool
has_fired(void)
{
	return access(fired, F_OK) == 0;
}

static enum err
log_in(void)
{
	return p11_login(p, (const uint8_t *)TOKEN_PIN, strlen(TOKEN_PIN));
}

static int
set_up(void **state)
{
	(void)state;
	bool existed;
	uint8_t none[32];
	token_make();
	(void)snprintf(control, sizeof control, "%s/control", token_dir());
	(void)snprintf(fired, sizeof fired, "%s.fired", control);
	setenv("P11_SHIM_CONTROL", control, 1);
	char shim[4096];
	if (!realpath(SHIM, shim))
		return -1;
	p = token_logged_in(shim);
	if (hsmkey_make(p, "kek", 1, none, &existed) != ERR_OK ||
		hsmkey_make(p, "ask", 1, ask_public, &existed) != ERR_OK ||
		hsmkey_make(p, "ahk", 1, none, &existed) != ERR_OK || hsmkey_mac(p, "ahk", 1, ad, sizeof ad, mac) != ERR_OK)
		return -1;
	if (hsmdata_set(p, "a", (const uint8_t[4]){0}, 4) != ERR_OK)
		return -1;
	return wrap_seal(p, 1, ad, sizeof ad, key, sizeof key, &blob) == ERR_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	say("");
	p11_free(p);
	token_remove();
	return 0;
}

/* ── operations; each asserts that what it is given back, if anything, is right ── */

static enum err
op_login(void)
{
	return log_in();
}

static enum err
op_unwrap(void)
{
	uint8_t out[WRAP_KEY_MAX];
	size_t n;
	enum err e = wrap_open(p, 1, ad, sizeof ad, blob.bytes, blob.len, out, &n);
	if (e == ERR_OK) {
		assert_int_equal(n, sizeof key);
		assert_memory_equal(out, key, n);
	}
	return e;
}

static enum err
op_wrap(void)
{
	struct wrap_blob fresh;
	uint8_t out[WRAP_KEY_MAX];
	size_t n;
	enum err e = wrap_seal(p, 1, ad, sizeof ad, key, sizeof key, &fresh);
	if (e != ERR_OK) {
		assert_int_equal(fresh.len, 0);
		return e;
	}
	say("");
	assert_int_equal(wrap_open(p, 1, ad, sizeof ad, fresh.bytes, fresh.len, out, &n), ERR_OK);
	assert_memory_equal(out, key, sizeof key);
	return ERR_OK;
}

static enum err
op_sign(void)
{
	uint8_t out[64], none[64] = {0};
	enum err e = hsmkey_sign(p, "ask", 1, ad, sizeof ad, out);
	if (e == ERR_OK)
		assert_int_equal(crypto_sign_verify_detached(out, ad, sizeof ad, ask_public), 0);
	else
		assert_memory_equal(out, none, sizeof none);
	return e;
}

static enum err
op_mac(void)
{
	uint8_t out[32];
	enum err e = hsmkey_mac(p, "ahk", 1, ad, sizeof ad, out);
	if (e == ERR_OK)
		assert_memory_equal(out, mac, sizeof mac);
	return e;
}

static enum err
op_public(void)
{
	uint8_t out[32];
	enum err e = hsmkey_public(p, "ask", 1, out);
	if (e == ERR_OK)
		assert_memory_equal(out, ask_public, sizeof out);
	return e;
}

/* A half-made key must not stop the next try. */
static enum err
op_make(void)
{
	static uint32_t generation = 10;
	uint8_t public_key[32], signature[64];
	bool existed;
	enum err e = hsmkey_make(p, "xsk", generation, public_key, &existed);
	if (e != ERR_OK)
		return e;
	say("");
	assert_int_equal(hsmkey_sign(p, "xsk", generation, ad, sizeof ad, signature), ERR_OK);
	assert_int_equal(crypto_sign_verify_detached(signature, ad, sizeof ad, public_key), 0);
	generation++;
	return ERR_OK;
}

static uint32_t
read_anchor(void)
{
	uint8_t out[HSMDATA_MAX];
	uint32_t seen;
	size_t n;
	assert_int_equal(hsmdata_get(p, "a", out, &n), ERR_OK);
	assert_int_equal(n, sizeof seen);
	memcpy(&seen, out, n);
	return seen;
}

/* What was set without an error is what is there; after an error it is the old or the new one, never none. */
static enum err
op_anchor(void)
{
	static uint32_t number, there;
	number++;
	enum err e = hsmdata_set(p, "a", (const uint8_t *)&number, sizeof number);
	bool was = has_fired();
	say("");
	if (!p->logged_in)
		assert_int_equal(log_in(), ERR_OK);
	uint32_t seen = read_anchor();
	assert_true(seen == number || (e != ERR_OK && seen == there));
	there = seen;
	if (was)
		fclose(fopen(fired, "w"));
	return e;
}

static const struct operation {
	const char *name;
	enum err (*run)(void);
} operations[] = {
	{"login", op_login}, {"unwrap", op_unwrap}, {"wrap", op_wrap}, {"sign", op_sign},
	{"mac", op_mac},     {"public", op_public}, {"make", op_make}, {"anchor", op_anchor},
};
#define OPERATIONS (sizeof operations / sizeof *operations)

static void
get_well(void)
{
	say("");
	if (!p->logged_in)
		assert_int_equal(log_in(), ERR_OK);
	assert_int_equal(op_unwrap(), ERR_OK);
	assert_int_equal(op_sign(), ERR_OK);
}

/* The k-th call does `what`; for every k. Returns how many faults there were. */
static unsigned
sweep(const struct operation *o, unsigned times, const char *what, void (*check)(const struct operation *o, enum err e))
{
	unsigned faults = 0;
	for (unsigned k = 1; k < CALLS_MAX; k++) {
		char line[128];
		(void)snprintf(line, sizeof line, "%u %u %s", k, times, what);
		/* as after a start: nothing is remembered, so that finding and checking fail too */
		p11_forget(p);
		say(line);
		enum err e = o->run();
		if (!has_fired())
			return faults;
		faults++;
		check(o, e);
		get_well();
	}
	fail_msg("%s has no end", o->name);
	return faults;
}

static CK_RV injected;

static void
not_corrupt_unless_said(const struct operation *o, enum err e)
{
	(void)o;
	if (ckr_err(injected) != ERR_HSM_CORRUPT && ckr_err(injected) != ERR_HSM_KEY &&
		ckr_err(injected) != ERR_HSM_MECHANISM)
		assert_int_not_equal(e, ERR_HSM_CORRUPT);
}

static void
every_value_once_at_every_call(void **state)
{
	static const CK_RV values[] = {
		CKR_DEVICE_REMOVED,          CKR_DEVICE_ERROR,       CKR_TOKEN_NOT_PRESENT, CKR_SESSION_HANDLE_INVALID,
		CKR_SESSION_CLOSED,          CKR_USER_NOT_LOGGED_IN, CKR_HOST_MEMORY,       CKR_OPERATION_ACTIVE,
		CKR_KEY_HANDLE_INVALID,      CKR_MECHANISM_INVALID,  CKR_PIN_LOCKED,        CKR_ENCRYPTED_DATA_INVALID,
		CKR_CRYPTOKI_NOT_INITIALIZED};
	unsigned faults = 0;
	(void)state;
	for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
		char what[32];
		injected = values[v];
		(void)snprintf(what, sizeof what, "return 0x%lx", values[v]);
		for (size_t i = 0; i < OPERATIONS; i++)
			faults += sweep(&operations[i], 1, what, not_corrupt_unless_said);
	}
	print_message("%u faults\n", faults);
	assert_true(faults > 500);
}

static void
is_away(const struct operation *o, enum err e)
{
	/* a fault that ends with the operation's last, ignored calls (closing, destroying the old) may go unseen */
	if (e != ERR_OK && e != ERR_HSM_AWAY)
		fail_msg("%s: %s for a device that was removed", o->name, err_code(e));
}

/* From the k-th call on the device is gone, whatever it says of it. */
static void
a_device_that_goes_is_away_and_never_corrupt(void **state)
{
	static const CK_RV values[] = {CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED,
								   CKR_SESSION_CLOSED};
	(void)state;
	for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
		char what[32];
		(void)snprintf(what, sizeof what, "return 0x%lx", values[v]);
		for (size_t i = 0; i < OPERATIONS; i++)
			if (operations[i].run != op_anchor && operations[i].run != op_login)
				sweep(&operations[i], 0, what, is_away);
	}
}

static void
any_end_will_do(const struct operation *o, enum err e)
{
	(void)o, (void)e; /* the operations themselves assert that no result is wrong */
}

/* One bit of an answer changed: refused, or repaired, but never passed on. What the HSM decrypts can't be seen here. */
static void
a_wrong_answer_is_not_passed_on(void **state)
{
	static const char *const functions[] = {"C_Sign", "C_Encrypt", "C_GetAttributeValue", "C_GenerateRandom"};
	unsigned faults = 0;
	(void)state;
	for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
		char what[64];
		(void)snprintf(what, sizeof what, "flip 0 %s", functions[f]);
		for (size_t i = 0; i < OPERATIONS; i++)
			if (operations[i].run != op_anchor)
				faults += sweep(&operations[i], 1, what, any_end_will_do);
	}
	assert_true(faults > 20);
}

/* "Yes" without having done it. */
static void
an_empty_yes_is_not_believed(void **state)
{
	static const char *const functions[] = {"C_Sign", "C_Encrypt", "C_Decrypt", "C_GenerateRandom",
											"C_GetAttributeValue"};
	(void)state;
	for (size_t f = 0; f < sizeof functions / sizeof *functions; f++) {
		char what[64];
		(void)snprintf(what, sizeof what, "empty 0 %s", functions[f]);
		for (size_t i = 0; i < OPERATIONS; i++)
			if (operations[i].run != op_anchor)
				sweep(&operations[i], 1, what, any_end_will_do);
	}
}

/* A cut between the new anchor and the end of the old ones: of many the newest counts. */
static void
of_many_anchors_the_newest_counts(void **state)
{
	(void)state;
	get_well();
	for (uint32_t i = 1000; i < 1007; i++) {
		say("1 0 empty 0 C_DestroyObject");
		assert_int_equal(hsmdata_set(p, "many", (const uint8_t *)&i, sizeof i), ERR_OK);
		uint8_t out[HSMDATA_MAX];
		size_t n;
		assert_int_equal(hsmdata_get(p, "many", out, &n), ERR_OK);
		assert_memory_equal(out, &i, sizeof i);
	}
	get_well();
}

/* A mechanism that gives a wrong answer once is a missing one; the HSM's random numbers alone decide nothing. */
static void
what_is_not_right_is_not_used(void **state)
{
	uint8_t drawn[32] = {0}, none[32] = {0};
	(void)state;
	say("2 1 empty 0 C_Decrypt"); /* the changed sample opens */
	assert_int_equal(log_in(), ERR_OK);
	assert_int_not_equal(p->power.wrap, P11_WRAP_GCM);
	get_well();
	assert_int_equal(log_in(), ERR_OK);
	assert_int_equal(p->power.wrap, P11_WRAP_GCM);
	say("1 1 empty 0 C_GenerateRandom");
	assert_int_equal(p11_random(p, drawn, sizeof drawn), ERR_OK);
	assert_memory_not_equal(drawn, none, sizeof none);
	get_well();
}

/* The sweep itself is worth something only if it can fail: planted, an operation that believes everything. */
static enum err
op_gullible(void)
{
	uint8_t out[64] = {0};
	CK_ULONG n = sizeof out;
	CK_OBJECT_HANDLE k;
	CK_MECHANISM m = {CKM_EDDSA, NULL, 0};
	if (p11_find(p, CKO_PRIVATE_KEY, "ask-1", &k) != CKR_OK || p->f->C_SignInit(p->session, &m, k) != CKR_OK ||
		p->f->C_Sign(p->session, (CK_BYTE *)(uintptr_t)ad, sizeof ad, out, &n) != CKR_OK)
		return ERR_HSM_AWAY;
	return crypto_sign_verify_detached(out, ad, sizeof ad, ask_public) == 0 ? ERR_OK : ERR_INTERNAL;
}

static void
the_shim_bites(void **state)
{
	(void)state;
	get_well();
	assert_int_equal(op_gullible(), ERR_OK);
	say("1 1 flip 0 C_Sign");
	assert_int_equal(op_gullible(), ERR_INTERNAL);
	assert_true(has_fired());
	say("1 1 return 0x32 C_Sign");
	assert_int_equal(op_gullible(), ERR_HSM_AWAY);
	get_well();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_shim_bites),
		cmocka_unit_test(every_value_once_at_every_call),
		cmocka_unit_test(a_device_that_goes_is_away_and_never_corrupt),
		cmocka_unit_test(a_wrong_answer_is_not_passed_on),
		cmocka_unit_test(an_empty_yes_is_not_believed),
		cmocka_unit_test(of_many_anchors_the_newest_counts),
		cmocka_unit_test(what_is_not_right_is_not_used),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
