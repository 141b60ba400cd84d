#include "vault/hsm/p11.h"

#include <p11-kit/p11-kit.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "vault/hsm/ckr.h"
#include "vault/hsm/probe.h"

#define SLOTS_MAX 64

/* Makers of tokens that are a library and a file. A hardware token is recognised by not being one of these. */
static const char *const software_makers[] = {"SoftHSM", "Kryoptic", "Mozilla", "Network Security Services", "Soft"};

enum err
p11_find_softhsm(void)
{
	static const char name[] = "/softhsm2.conf";
	char path[1024];
	if (access(name + 1, R_OK) != 0)
		return ERR_OK;
	if (!getcwd(path, sizeof path - sizeof name))
		return ERR_IO;
	size_t n = strlen(path);
	memcpy(path + n, name, sizeof name);
	return setenv("SOFTHSM2_CONF", path, 1) == 0 ? ERR_OK : ERR_MEMORY;
}

enum err
p11_load(const char *module, const char *token, bool allow_software, struct p11 **out)
{
	*out = NULL;
	struct p11 *p = mem_new(1, sizeof *p);
	if (!p)
		return ERR_MEMORY;
	enum err e = str_set(p->module, sizeof p->module, module);
	if (e == ERR_OK)
		e = str_set(p->token, sizeof p->token, token);
	if (e != ERR_OK)
		goto out;
	p->allow_software = allow_software;
	/* by its path, and unmanaged: p11-kit's own list would bring in whatever else the host has configured */
	p->f = p11_kit_module_load(module, P11_KIT_MODULE_UNMANAGED | P11_KIT_MODULE_CRITICAL);
	if (!p->f) {
		e = ERR_HSM_MODULE;
		goto out;
	}
	*out = p;
	p = NULL;
out:
	mem_free(p);
	return e;
}

enum err
p11_bind(struct p11 *p, const char *install)
{
	return str_set(p->install, sizeof p->install, install);
}

void
p11_free(struct p11 *p)
{
	if (!p)
		return;
	if (p->started)
		(void)p11_kit_module_finalize(p->f);
	if (p->f)
		p11_kit_module_release(p->f);
	mem_free(p);
}

/* Cryptoki pads text with spaces and leaves out the NUL. */
static void
take_padded(char *to, size_t to_bytes, const CK_UTF8CHAR *from, size_t n)
{
	while (n > 0 && (from[n - 1] == ' ' || from[n - 1] == 0))
		n--;
	if (n > to_bytes - 1)
		n = to_bytes - 1;
	memcpy(to, from, n);
	to[n] = 0;
}

static bool
is_software(const char *maker)
{
	for (size_t i = 0; i < sizeof software_makers / sizeof *software_makers; i++)
		if (strncasecmp(maker, software_makers[i], strlen(software_makers[i])) == 0)
			return true;
	return false;
}

static enum err
noted(struct p11 *p, CK_RV rv)
{
	p->last = rv;
	return ckr_err(rv);
}

/* C_Initialize, once it works: what the module starts here is jailed with us. */
static enum err
start(struct p11 *p)
{
	CK_INFO info;
	if (p->started)
		return p->software && !p->allow_software ? ERR_HSM_SOFTWARE : ERR_OK;
	CK_RV rv = p11_kit_module_initialize(p->f);
	if (rv != CKR_OK) {
		p->last = rv;
		/* a module that worked is the right one: what it stands on has gone */
		return p->worked ? ERR_HSM_AWAY : ERR_HSM_MODULE;
	}
	p->started = p->worked = true;
	rv = p->f->C_GetInfo(&info);
	if (rv != CKR_OK)
		return noted(p, rv);
	take_padded(p->manufacturer, sizeof p->manufacturer, info.manufacturerID, sizeof info.manufacturerID);
	p->software = is_software(p->manufacturer);
	return p->software && !p->allow_software ? ERR_HSM_SOFTWARE : ERR_OK;
}

void
p11_forget(struct p11 *p)
{
	p->handles_n = 0;
}

/* ── slots ── */

typedef bool (*slot_fn)(const CK_TOKEN_INFO *t, const char *label);

static bool
is_ours(const CK_TOKEN_INFO *t, const char *label)
{
	char seen[33];
	take_padded(seen, sizeof seen, t->label, sizeof t->label);
	/* a token without a user PIN is one whose making was cut short: its SO PIN is lost, so it is passed over */
	return (t->flags & CKF_TOKEN_INITIALIZED) && (t->flags & CKF_USER_PIN_INITIALIZED) && strcmp(seen, label) == 0;
}

static bool
is_free(const CK_TOKEN_INFO *t, const char *label)
{
	(void)label;
	return !(t->flags & CKF_TOKEN_INITIALIZED);
}

/* The first slot whose token is wanted: CKR_OK · CKR_OUR_NO_TOKEN · what the module says. */
static CK_RV
find_slot(struct p11 *p, slot_fn wanted, const char *label, CK_SLOT_ID *out, CK_TOKEN_INFO *info_out)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG n = 0;
	/* asked without a buffer first: that is when modules look for tokens that have come or gone */
	CK_RV rv = p->f->C_GetSlotList(CK_TRUE, NULL, &n);
	if (rv != CKR_OK)
		return rv;
	n = SLOTS_MAX;
	rv = p->f->C_GetSlotList(CK_TRUE, slots, &n);
	if (rv != CKR_OK)
		return rv;
	CK_RV seen = CKR_OUR_NO_TOKEN;
	for (CK_ULONG i = 0; i < n && i < SLOTS_MAX; i++) {
		rv = p->f->C_GetTokenInfo(slots[i], info_out);
		if (rv != CKR_OK) {
			/* one broken reader must not hide the others, but if none fits its fault is the answer */
			seen = rv;
			continue;
		}
		if (wanted(info_out, label)) {
			*out = slots[i];
			return CKR_OK;
		}
	}
	return seen;
}

static enum err
take_token(struct p11 *p, const CK_TOKEN_INFO *t)
{
	take_padded(p->manufacturer, sizeof p->manufacturer, t->manufacturerID, sizeof t->manufacturerID);
	take_padded(p->model, sizeof p->model, t->model, sizeof t->model);
	(void)snprintf(p->firmware, sizeof p->firmware, "%u.%u", t->firmwareVersion.major, t->firmwareVersion.minor);
	p->token_flags = t->flags;
	p->software = p->software || is_software(p->manufacturer) || is_software(p->model);
	return p->software && !p->allow_software ? ERR_HSM_SOFTWARE : ERR_OK;
}

/* ── the session ── */

static CK_RV
open_session(struct p11 *p)
{
	CK_SESSION_HANDLE old = p->session, fresh;
	bool had = p->session_open;
	p11_forget(p);
	CK_RV rv = p->f->C_OpenSession(p->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &fresh);
	if (rv == CKR_OK) {
		p->session = fresh;
		p->session_open = true;
	}
	/* the new one first: when the last session closes, the token logs out */
	if (had && rv == CKR_OK)
		(void)p->f->C_CloseSession(old);
	return rv;
}

CK_RV
p11_still_in(struct p11 *p)
{
	CK_SESSION_INFO info;
	CK_RV rv = p->f->C_GetSessionInfo(p->session, &info);
	if (rv != CKR_OK)
		return rv;
	return info.state == CKS_RW_USER_FUNCTIONS ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
}

static CK_RV
log_in(struct p11 *p, const uint8_t *pin, size_t pin_bytes)
{
	CK_BYTE *text = (CK_BYTE *)(uintptr_t)pin; /* Cryptoki's prototypes know no const */
	CK_RV rv = p->f->C_Login(p->session, CKU_USER, text, pin_bytes);
	if (rv == CKR_USER_ALREADY_LOGGED_IN || rv == CKR_USER_ANOTHER_ALREADY_LOGGED_IN) {
		/* out and in again: a wrong PIN must not pass because somebody gave the right one before */
		p11_forget(p);
		(void)p->f->C_Logout(p->session);
		rv = p->f->C_Login(p->session, CKU_USER, text, pin_bytes);
	}
	return rv;
}

/* What the token says of its PIN's counter, before a try: one that could be the last is not ours to use up. */
static CK_RV
may_try(CK_FLAGS of_token)
{
	if (of_token & CKF_USER_PIN_LOCKED)
		return CKR_PIN_LOCKED;
	return of_token & CKF_USER_PIN_FINAL_TRY ? CKR_OUR_PIN_LAST : CKR_OK;
}

/* … and after a wrong one. */
static CK_RV
counted(struct p11 *p, CK_RV rv)
{
	CK_TOKEN_INFO t;
	if (rv != CKR_PIN_INCORRECT || p->f->C_GetTokenInfo(p->slot, &t) != CKR_OK)
		return rv;
	if (may_try(t.flags) != CKR_OK)
		return may_try(t.flags);
	return t.flags & CKF_USER_PIN_COUNT_LOW ? CKR_OUR_PIN_LOW : rv;
}

enum err
p11_look(struct p11 *p)
{
	CK_TOKEN_INFO info;
	CK_SLOT_ID slot;
	enum err e = start(p);
	if (e != ERR_OK)
		return e;
	CK_RV rv = find_slot(p, is_ours, p->token, &slot, &info);
	if (rv != CKR_OK)
		return noted(p, rv);
	e = take_token(p, &info);
	if (e == ERR_OK)
		p->slot = slot;
	return e;
}

enum err
p11_login(struct p11 *p, const uint8_t *pin, size_t pin_bytes)
{
	p->logged_in = false;
	enum err e = p11_look(p);
	if (e != ERR_OK)
		return e;
	CK_RV rv = may_try(p->token_flags);
	if (rv == CKR_OK)
		rv = open_session(p);
	if (rv == CKR_OK)
		rv = counted(p, log_in(p, pin, pin_bytes));
	if (rv == CKR_OK)
		rv = p11_still_in(p);
	if (rv == CKR_OK)
		rv = probe_run(p, &p->power);
	p->logged_in = rv == CKR_OK;
	return noted(p, rv);
}

void
p11_logout(struct p11 *p)
{
	p11_forget(p);
	if (p->session_open)
		(void)p->f->C_Logout(p->session);
	p->logged_in = false;
}

void
p11_stop(struct p11 *p)
{
	p11_forget(p);
	if (p->started)
		(void)p11_kit_module_finalize(p->f);
	p->started = p->session_open = p->logged_in = false;
}

enum err
p11_run(struct p11 *p, p11_fn fn, void *arg)
{
	if (!p->logged_in)
		return noted(p, CKR_OUR_NO_LOGIN);
	CK_RV rv = fn(p, arg);
	if (ckr_session_lost(rv)) {
		rv = open_session(p);
		if (rv == CKR_OK)
			rv = p11_still_in(p);
		if (rv == CKR_USER_NOT_LOGGED_IN) {
			/* the PIN is the vault's: it has to log in again */
			p->logged_in = false;
			rv = CKR_OUR_NO_LOGIN;
		}
		if (rv == CKR_OK)
			rv = fn(p, arg);
	}
	return noted(p, rv);
}

/* ── a new token ── */

static void
pad_label(const char *label, CK_UTF8CHAR out[32])
{
	memset(out, ' ', 32);
	memcpy(out, label, strlen(label));
}

/* As security officer on a fresh token: give it its user PIN. */
static CK_RV
give_user_pin(struct p11 *p, CK_SLOT_ID slot, CK_BYTE *so_pin, CK_ULONG so_bytes, const uint8_t *pin, size_t pin_bytes)
{
	CK_SESSION_HANDLE s;
	CK_RV rv = p->f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s);
	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_Login(s, CKU_SO, so_pin, so_bytes);
	if (rv == CKR_OK) {
		rv = p->f->C_InitPIN(s, (CK_BYTE *)(uintptr_t)pin, pin_bytes);
		(void)p->f->C_Logout(s);
	}
	(void)p->f->C_CloseSession(s);
	return rv;
}

enum err
p11_init_token(struct p11 *p, const char *label, const uint8_t *pin, size_t pin_bytes, bool *existed_out)
{
	CK_TOKEN_INFO info;
	CK_SLOT_ID slot;
	CK_UTF8CHAR padded[32];
	uint8_t raw[16];
	char so_pin[2 * sizeof raw + 1];
	*existed_out = false;
	if (!*label || strlen(label) > sizeof padded)
		return ERR_OUT_OF_RANGE;
	enum err e = start(p);
	if (e != ERR_OK)
		return e;
	CK_RV seen = find_slot(p, is_ours, label, &slot, &info);
	*existed_out = seen == CKR_OK;
	if (seen == CKR_OK)
		return ERR_OK;
	/* a slot that can't be read may be a token whose making was cut short: it is no reason not to make one elsewhere */
	CK_RV rv = find_slot(p, is_free, label, &slot, &info);
	if (rv != CKR_OK)
		return noted(p, rv == CKR_OUR_NO_TOKEN ? seen : rv);
	e = take_token(p, &info);
	if (e != ERR_OK)
		return e;
	pad_label(label, padded);
	/* nobody keeps the SO PIN: what it could do is make the token anew, and that is what init does on a free one */
	randombytes_buf(raw, sizeof raw);
	str_hex(raw, sizeof raw, so_pin);
	rv = p->f->C_InitToken(slot, (CK_UTF8CHAR *)so_pin, strlen(so_pin), padded);
	if (rv == CKR_OK)
		rv = give_user_pin(p, slot, (CK_BYTE *)so_pin, strlen(so_pin), pin, pin_bytes);
	mem_wipe(raw, sizeof raw);
	mem_wipe(so_pin, sizeof so_pin);
	return noted(p, rv);
}

/* ── what all verbs need ── */

struct draw {
	CK_BYTE *out;
	CK_ULONG bytes;
};

static CK_RV
draw_random(struct p11 *p, void *arg)
{
	struct draw *d = arg;
	return p->f->C_GenerateRandom(p->session, d->out, d->bytes);
}

enum err
p11_random(struct p11 *p, uint8_t *out, size_t bytes)
{
	uint8_t ours[256];
	if (bytes > sizeof ours)
		return ERR_OUT_OF_RANGE;
	enum err e = p11_run(p, draw_random, &(struct draw){out, bytes});
	randombytes_buf(ours, bytes);
	for (size_t i = 0; i < bytes; i++)
		out[i] ^= ours[i];
	mem_wipe(ours, sizeof ours);
	if (e != ERR_OK)
		mem_wipe(out, bytes);
	return e;
}

static bool
find_known(const struct p11 *p, CK_OBJECT_CLASS class, const char *label, CK_OBJECT_HANDLE *out)
{
	for (size_t i = 0; i < p->handles_n; i++) {
		if (p->handles[i].class == class && strcmp(p->handles[i].label, label) == 0) {
			*out = p->handles[i].object;
			return true;
		}
	}
	return false;
}

CK_RV
p11_find(struct p11 *p, CK_OBJECT_CLASS class, const char *label, CK_OBJECT_HANDLE *out)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE wanted[] = {
		{CKA_CLASS, &class, sizeof class},
		{CKA_TOKEN, &yes, sizeof yes},
		{CKA_LABEL, (void *)(uintptr_t)label, strlen(label)},
	};
	CK_OBJECT_HANDLE seen[2];
	CK_ULONG n = 0;
	if (find_known(p, class, label, out))
		return CKR_OK;
	CK_RV rv = p->f->C_FindObjectsInit(p->session, wanted, sizeof wanted / sizeof *wanted);
	if (rv != CKR_OK)
		return rv;
	rv = p->f->C_FindObjects(p->session, seen, 2, &n);
	(void)p->f->C_FindObjectsFinal(p->session);
	if (rv != CKR_OK)
		return rv;
	if (n == 0) {
		/* private objects are invisible to a session that was logged out behind our back */
		rv = p11_still_in(p);
		return rv == CKR_OK ? CKR_OUR_NO_KEY : rv;
	}
	if (n > 1)
		return CKR_OUR_KEY_EXPOSED;
	*out = seen[0];
	if (p->handles_n < P11_HANDLES && strlen(label) < P11_LABEL_BYTES) {
		struct p11_handle *h = &p->handles[p->handles_n++];
		h->class = class;
		h->object = seen[0];
		memcpy(h->label, label, strlen(label) + 1);
	}
	return CKR_OK;
}

const char *
p11_wrap_name(enum p11_wrap w)
{
	static const char *const names[] = {"none", "aes-gcm", "key-wrap-pad", "key-wrap"};
	return names[w];
}
