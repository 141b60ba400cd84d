/*
 * p11 — one token behind one PKCS#11 module: load, find, log in, and one session that is opened anew when it is lost.
 * Invariants: only the module that the configuration names is loaded; without a log-in no verb reaches the token; a
 *   software token is refused unless allowed; a lost session is reopened once per operation and never logs in by itself
 *   (the PIN is not kept here).
 * Source: PKCS #11 v2.40 (slots 5.5, sessions 5.6); design 30 (HSM as it is).
 */
#ifndef VAULT_HSM_P11_H
#define VAULT_HSM_P11_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/err.h"
#include "vault/hsm/cryptoki.h"

/* How a KEK wraps; the value stands in blobs. */
enum p11_wrap { P11_WRAP_NONE = 0, P11_WRAP_GCM = 1, P11_WRAP_KWP = 2, P11_WRAP_KW = 3 };

/* What the module can do: by its own word, then tried with session keys at log-in. */
struct p11_power {
	enum p11_wrap wrap; /* for KEKs made now; an older KEK keeps its own */
	bool hmac, ed25519, random;
};

#define P11_LABEL_BYTES 80
#define P11_HANDLES     32

/* Fields are read by the other files of this room and changed by p11.c alone. */
struct p11 {
	CK_FUNCTION_LIST *f;
	char module[128], token[33];
	char install[40]; /* whose keys are made here; "" in tests */
	char manufacturer[33], model[17], firmware[16];
	bool started, worked, software, allow_software, logged_in; /* worked: it was started before */
	CK_SLOT_ID slot;
	CK_FLAGS token_flags; /* as it said last */
	CK_SESSION_HANDLE session;
	bool session_open;
	struct p11_power power;
	CK_RV last; /* how the last operation ended: for the log */
	/* handles of objects by class and label, forgotten with the session */
	struct p11_handle {
		CK_OBJECT_CLASS class;
		char label[P11_LABEL_BYTES];
		CK_OBJECT_HANDLE object;
	} handles[P11_HANDLES];
	size_t handles_n;
};

/* A test installation keeps its SoftHSM token beside it, in the working directory; the module knows of that only by a
 * variable, which this sets before it is loaded. ERR_IO · ERR_MEMORY. */
enum err p11_find_softhsm(void) MUST;
/*
 * p11_load(module, token, allow_software, out): dlopen the module by its path; nothing in it runs yet but constructors.
 *   token is the label, at most 32 characters. Heap; free with p11_free.
 *   Returns   ERR_OK · ERR_HSM_MODULE · ERR_OUT_OF_RANGE · ERR_MEMORY.
 */
enum err p11_load(const char *module, const char *token, bool allow_software, struct p11 **out) MUST;
/* The installation that keys are made for: it stands in each key's id. ERR_OUT_OF_RANGE. */
enum err p11_bind(struct p11 *p, const char *install) MUST;
void p11_free(struct p11 *p); /* NULL is fine; finalizes the module */
/*
 * p11_look(p): C_Initialize the first time and find the token by label; no session, no log-in.
 *   Returns   ERR_OK · ERR_HSM_MODULE · ERR_HSM_SOFTWARE · ERR_HSM_TOKEN · ERR_HSM_AWAY.
 */
enum err p11_look(struct p11 *p) MUST;
/*
 * p11_login(p, pin, pin_bytes): C_Initialize the first time (after the last fork and in the jail: what the module
 * starts is jailed with us, and a module that hangs in it misses its asker's deadline), find the token by label, open a
 * session, log in as its user, try every mechanism. May be called again at any time; a session that works is kept. pin
 * borrowed for the call Returns   ERR_OK · ERR_HSM_MODULE · ERR_HSM_SOFTWARE · ERR_HSM_TOKEN · ERR_HSM_PIN ·
 * ERR_HSM_PIN_LOW (wrong, and few tries are left) · ERR_HSM_PIN_LAST (one is left: not used) · ERR_HSM_PIN_LOCKED ·
 * ERR_HSM_READ_ONLY · ERR_HSM_MECHANISM · ERR_HSM_AWAY.
 */
enum err p11_login(struct p11 *p, const uint8_t *pin, size_t pin_bytes) MUST;
/* Out, until the next p11_login. */
void p11_logout(struct p11 *p);
/*
 * C_Finalize: the next p11_login begins with C_Initialize. What a module found gone it may never look for again
 * (SoftHSM reads its tokens once), so after a failure it starts anew and needs nobody to kill the broker.
 */
void p11_stop(struct p11 *p);
/*
 * p11_init_token(p, label, pin, pin_bytes, existed_out)
 *   On the first slot with an uninitialised token: C_InitToken with a random SO PIN that nobody keeps, then C_InitPIN.
 * A token of that label with a user PIN is left as it is (*existed_out). Returns   ERR_OK · ERR_HSM_TOKEN (no free
 * slot) · ERR_HSM_PIN · ERR_HSM_SOFTWARE · ERR_HSM_AWAY · ERR_OUT_OF_RANGE.
 */
enum err p11_init_token(struct p11 *p, const char *label, const uint8_t *pin, size_t pin_bytes, bool *existed_out) MUST;
/* Random bytes of the HSM, mixed with the kernel's so that neither alone can make them guessable. ERR_RANDOM ·
 * ERR_HSM_AWAY. */
enum err p11_random(struct p11 *p, uint8_t *out, size_t bytes) MUST;

/* An operation on the session; arg is the caller's. It may run twice: it must not have a lasting effect before it
 * fails. */
typedef CK_RV (*p11_fn)(struct p11 *p, void *arg);
/*
 * p11_run(p, fn, arg): run it; when the session was lost, reopen it and run it once more.
 *   Returns   ckr_err of the last value; ERR_HSM_AWAY when nobody is logged in (any more).
 */
enum err p11_run(struct p11 *p, p11_fn fn, void *arg) MUST;
/*
 * p11_find(p, class, label, out): the one object of our application with that label; remembered for the session.
 *   CKR_OUR_NO_KEY when there is none, CKR_OUR_KEY_EXPOSED when there are two: someone has put one there.
 */
CK_RV p11_find(struct p11 *p, CK_OBJECT_CLASS class, const char *label, CK_OBJECT_HANDLE *out);
void p11_forget(struct p11 *p);
/* CKR_OK while the session is logged in. What is private is invisible to one that is not, which looks like "not there".
 */
CK_RV p11_still_in(struct p11 *p);
/* "aes-gcm", "aes-key-wrap-pad", "aes-key-wrap", "none". */
const char *p11_wrap_name(enum p11_wrap w);

#endif
