/*
 * hsm — the broker between the vault and the HSM.
 * What it is      the only process that loads a PKCS#11 module. It turns the vault's verbs into Cryptoki calls and
 * their values into errors of ours. What it alone   the session with the token. It keeps no key and no PIN: a PIN
 * passes through to C_Login and is wiped, holds           an unwrapped key is in the answer and nowhere after. Answers
 * vault: hsm_login status unwrap wrap_new rewrap mac sign anchor_get anchor_set public, and while the installation is
 * being made (sallyportd --init) init_token and make_key. Asks nobody. Blocks          in the module, on its one
 * thread: the vault sees the missed deadline and tells the monitor `hung`. Jail            policy/jail_hsm.def; the
 * module is loaded before it and initialized inside it. Files           hsm.module; in its own directory softhsm2.conf
 * and what that names (a test installation's token). Signals         none of its own. Exit 0 told to stop · 1 could not
 * start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/wire/proc.h"
#include "policy/schema/wire.pb.h"
#include "vault/hsm/ckr.h"
#include "vault/hsm/hsmdata.h"
#include "vault/hsm/hsmkey.h"
#include "vault/hsm/look.h"
#include "vault/hsm/p11.h"
#include "vault/hsm/survey.h"
#include "vault/hsm/wrap.h"

#define LOG_AGAIN_MS 60000

static struct {
	struct p11 *p11;
	enum err start; /* why no verb can work, found once: module, mechanism, software */
	enum err cause; /* what our page says */
	uint64_t operations;
} hsm;

/*
 * A session looks alive until it is used, and random numbers come from a token whose keys are gone: only a key that
 * works shows that it is our HSM. Before the first key is made there is only the drawing.
 */
static enum err
prove(uint32_t ahk)
{
	static const uint8_t question[] = "sallyport/alive";
	uint8_t bytes[32];
	enum err e = ahk ? hsmkey_mac(hsm.p11, "ahk", ahk, question, sizeof question, bytes)
					 : p11_random(hsm.p11, bytes, sizeof bytes);
	mem_wipe(bytes, sizeof bytes);
	return e;
}

/* ── the verbs: each fills its answer, which is zero before ── */

static enum err
do_login(const void *req, void *rep)
{
	const sp_hsm_login_req *q = req;
	(void)rep;
	enum err e = p11_login(hsm.p11, q->pin.bytes, q->pin.size);
	/* the decoded request is ours until this returns, and nobody needs the PIN any more */
	mem_wipe((void *)(uintptr_t)q->pin.bytes, q->pin.size);
	if (e == ERR_OK)
		e = prove(q->ahk);
	if (e == ERR_HSM_AWAY || e == ERR_HSM_TOKEN || e == ERR_HSM_KEY)
		p11_stop(hsm.p11);
	if (e == ERR_OK)
		log_info("logged in to the HSM", LOG_S("token", hsm.p11->token), LOG_S("maker", hsm.p11->manufacturer),
				 LOG_S("wrap", p11_wrap_name(hsm.p11->power.wrap)));
	return e;
}

static enum err
do_status(const void *req, void *rep)
{
	sp_hsm_status_rep *a = rep;
	const sp_hsm_status_req *q = req;
	const struct p11 *p = hsm.p11;
	enum err e = p->logged_in ? prove(q->ahk) : ERR_OK;
	(void)snprintf(a->module, sizeof a->module, "%s", p->module);
	(void)snprintf(a->manufacturer, sizeof a->manufacturer, "%s", p->manufacturer);
	(void)snprintf(a->model, sizeof a->model, "%s", p->model);
	(void)snprintf(a->token, sizeof a->token, "%s", p->token);
	(void)snprintf(a->firmware, sizeof a->firmware, "%s", p->firmware);
	(void)snprintf(a->wrap_mechanism, sizeof a->wrap_mechanism, "%s", p11_wrap_name(p->power.wrap));
	a->software = p->software;
	a->logged_in = p->logged_in;
	a->ed25519 = p->power.ed25519;
	a->operations = hsm.operations;
	return e;
}

static enum err
do_unwrap(const void *req, void *rep)
{
	const sp_hsm_unwrap_req *q = req;
	sp_hsm_unwrap_rep *a = rep;
	size_t n;
	enum err e =
		wrap_open(hsm.p11, q->kek, q->ad.bytes, q->ad.size, q->wrapped.bytes, q->wrapped.size, a->key.bytes, &n);
	a->key.size = (pb_size_t)n;
	return e;
}

static enum err
do_wrap_new(const void *req, void *rep)
{
	const sp_hsm_wrap_new_req *q = req;
	sp_hsm_wrap_new_rep *a = rep;
	struct wrap_blob blob;
	size_t n = q->key.size ? q->key.size : q->bytes;
	enum err e = n < 16 || n > sizeof a->key.bytes ? ERR_OUT_OF_RANGE : ERR_OK;
	if (e == ERR_OK && q->key.size)
		memcpy(a->key.bytes, q->key.bytes, n);
	else if (e == ERR_OK)
		e = p11_random(hsm.p11, a->key.bytes, n);
	if (e == ERR_OK)
		e = wrap_seal(hsm.p11, q->kek, q->ad.bytes, q->ad.size, a->key.bytes, n, &blob);
	if (e != ERR_OK)
		return e;
	a->key.size = (pb_size_t)n;
	a->wrapped.size = (pb_size_t)blob.len;
	memcpy(a->wrapped.bytes, blob.bytes, blob.len);
	return ERR_OK;
}

static enum err
do_rewrap(const void *req, void *rep)
{
	const sp_hsm_rewrap_req *q = req;
	sp_hsm_rewrap_rep *a = rep;
	struct wrap_blob blob;
	uint8_t key[WRAP_KEY_MAX];
	size_t n;
	enum err e = wrap_open(hsm.p11, q->from_kek, q->ad.bytes, q->ad.size, q->wrapped.bytes, q->wrapped.size, key, &n);
	if (e == ERR_OK)
		e = wrap_seal(hsm.p11, q->to_kek, q->ad.bytes, q->ad.size, key, n, &blob);
	mem_wipe(key, sizeof key);
	if (e != ERR_OK)
		return e;
	a->wrapped.size = (pb_size_t)blob.len;
	memcpy(a->wrapped.bytes, blob.bytes, blob.len);
	return ERR_OK;
}

static enum err
do_mac(const void *req, void *rep)
{
	const sp_hsm_mac_req *q = req;
	sp_hsm_mac_rep *a = rep;
	a->mac.size = 32;
	return hsmkey_mac(hsm.p11, q->key, q->generation, q->data.bytes, q->data.size, a->mac.bytes);
}

static enum err
do_sign(const void *req, void *rep)
{
	const sp_hsm_sign_req *q = req;
	sp_hsm_sign_rep *a = rep;
	a->signature.size = 64;
	return hsmkey_sign(hsm.p11, q->key, q->generation, q->data.bytes, q->data.size, a->signature.bytes);
}

static enum err
do_anchor_get(const void *req, void *rep)
{
	const sp_hsm_anchor_get_req *q = req;
	sp_hsm_anchor_get_rep *a = rep;
	size_t n;
	enum err e = hsmdata_get(hsm.p11, q->node, a->anchor.bytes, &n);
	a->anchor.size = (pb_size_t)n;
	a->present = n > 0;
	return e;
}

static enum err
do_anchor_set(const void *req, void *rep)
{
	const sp_hsm_anchor_set_req *q = req;
	(void)rep;
	return hsmdata_set(hsm.p11, q->node, q->anchor.bytes, q->anchor.size);
}

static enum err
do_make_key(const void *req, void *rep)
{
	const sp_hsm_make_key_req *q = req;
	sp_hsm_make_key_rep *a = rep;
	uint8_t none[32] = {0};
	enum err e = hsmkey_make(hsm.p11, q->key, q->generation, a->public_key.bytes, &a->existed);
	a->public_key.size = memcmp(a->public_key.bytes, none, 32) ? 32 : 0;
	return e;
}

static enum err
do_public(const void *req, void *rep)
{
	const sp_hsm_public_req *q = req;
	sp_hsm_public_rep *a = rep;
	a->public_key.size = 32;
	return hsmkey_public(hsm.p11, q->key, q->generation, a->public_key.bytes);
}

static enum err
do_init_token(const void *req, void *rep)
{
	const sp_hsm_init_token_req *q = req;
	sp_hsm_init_token_rep *a = rep;
	/* a token with another label than the configured one would be made and never found again */
	const char *label = *q->label ? q->label : hsm.p11->token;
	enum err e = strcmp(label, hsm.p11->token) == 0 ? ERR_OK : ERR_HSM_TOKEN;
	if (e == ERR_OK && q->existing)
		e = p11_login(hsm.p11, q->pin.bytes, q->pin.size);
	else if (e == ERR_OK)
		e = p11_init_token(hsm.p11, label, q->pin.bytes, q->pin.size, &a->existed);
	mem_wipe((void *)(uintptr_t)q->pin.bytes, q->pin.size);
	if (e == ERR_OK && q->existing)
		e = survey_run(hsm.p11, q->node);
	return e;
}

/* ── one way through all of them ── */

static const struct verb {
	enum msg number;
	enum err (*act)(const void *req, void *rep);
	bool making; /* only while the installation is being made */
	bool answer_with_error;
} verbs[] = {
	{MSG_hsm_login, do_login},
	{MSG_hsm_status, do_status, .answer_with_error = true},
	{MSG_hsm_unwrap, do_unwrap},
	{MSG_hsm_wrap_new, do_wrap_new},
	{MSG_hsm_rewrap, do_rewrap},
	{MSG_hsm_mac, do_mac},
	{MSG_hsm_sign, do_sign},
	{MSG_hsm_anchor_get, do_anchor_get},
	{MSG_hsm_anchor_set, do_anchor_set},
	{MSG_hsm_public, do_public},
	{MSG_hsm_make_key, do_make_key, .making = true},
	{MSG_hsm_init_token, do_init_token, .making = true},
};

union reply {
	sp_hsm_login_rep login;
	sp_hsm_status_rep status;
	sp_hsm_unwrap_rep unwrap;
	sp_hsm_wrap_new_rep wrap_new;
	sp_hsm_rewrap_rep rewrap;
	sp_hsm_mac_rep mac;
	sp_hsm_sign_rep sign;
	sp_hsm_anchor_get_rep anchor_get;
	sp_hsm_anchor_set_rep anchor_set;
	sp_hsm_public_rep public;
	sp_hsm_make_key_rep make_key;
	sp_hsm_init_token_rep init_token;
};

/* Is it the HSM that fails, or the question? Only the first is a state of the appliance. */
static bool
is_state(enum err e)
{
	switch (e) {
	case ERR_HSM_AWAY:
	case ERR_HSM_PIN:
	case ERR_HSM_PIN_LOW:
	case ERR_HSM_PIN_LAST:
	case ERR_HSM_PIN_LOCKED:
	case ERR_HSM_READ_ONLY:
	case ERR_HSM_TOKEN:
	case ERR_HSM_MODULE:
	case ERR_HSM_MECHANISM:
	case ERR_HSM_SOFTWARE:
	case ERR_RANDOM:
		return true;
	default:
		return false;
	}
}

/* Our own state stays `serving` with a cause: how long the appliance goes on without an HSM is the vault's to say. */
static void
show(enum err e)
{
	if (e != ERR_OK && !is_state(e))
		return;
	if (e != hsm.cause)
		proc_state(PAGE_SERVING, e);
	hsm.cause = e;
}

static void
count(enum err e, int64_t from_us)
{
	hsm.operations++;
	page_add(proc_page(), METRIC_HSM_OPERATIONS, 1);
	if (e != ERR_OK)
		page_add(proc_page(), METRIC_HSM_ERRORS, 1);
	page_observe(proc_page(), METRIC_HSM_SECONDS, (uint64_t)(clock_mono_us() - from_us));
}

/* A token that is away fails the same verb once a second, perhaps for days: the first is news, then one a minute. */
static void
log_failure(const struct verb *v, enum err e)
{
	static const struct verb *last_verb;
	static enum err last;
	static int64_t last_ms;
	int64_t now_ms = clock_mono_ms();
	if (v == last_verb && e == last && now_ms - last_ms < LOG_AGAIN_MS)
		return;
	last_verb = v;
	last = e;
	last_ms = now_ms;
	log_warn("an HSM verb failed", LOG_S("verb", msg_row_of(v->number)->name), LOG_E("cause", e),
			 LOG_S("last", ckr_name(hsm.p11 ? hsm.p11->last : CKR_OK)),
			 LOG_I("last_number", hsm.p11 ? hsm.p11->last : 0));
}

static enum err
first(enum err a, enum err b)
{
	return a != ERR_OK ? a : b;
}

static void
answer(struct call *call, const void *req)
{
	const struct verb *v = verbs;
	union reply rep;
	int64_t from_us = clock_mono_us();
	enum err e = hsm.start;
	while (v->number != call_number(call))
		v++; /* proc_run checked the answers against the table of messages */
	memset(&rep, 0, sizeof rep);
	if (v->making && !proc_init_mode())
		e = ERR_PERMISSION;
	else if (e == ERR_OK || (v->answer_with_error && hsm.p11))
		e = first(e, v->act(req, &rep));
	count(e, from_us);
	show(e);
	if (e != ERR_OK)
		log_failure(v, e);
	call_reply(call, e, e == ERR_OK || (v->answer_with_error && hsm.p11) ? &rep : NULL);
	mem_wipe(&rep, sizeof rep);
}

/* ── life ── */

/* What a site's module wants to find there: NAME=value, with spaces between them. */
static enum err
set_environment(const char *text)
{
	char copy[256], *save = NULL;
	enum err e = str_set(copy, sizeof copy, text);
	for (char *w = e == ERR_OK ? strtok_r(copy, " ", &save) : NULL; w; w = strtok_r(NULL, " ", &save)) {
		char *equals = strchr(w, '=');
		if (!equals || equals == w) {
			log_warn("a part of a key is not NAME=value", LOG_S("key", "hsm.environment"));
			return ERR_CONFIG;
		}
		*equals = 0;
		if (setenv(w, equals + 1, 1) != 0)
			return ERR_MEMORY;
	}
	return e;
}

static enum err
before_jail(void)
{
	const struct conf *c = proc_conf();
	enum err e = p11_find_softhsm();
	if (e == ERR_OK)
		e = set_environment(conf_text(c, CONF_HSM_ENVIRONMENT));
	if (e != ERR_OK)
		return e;
	/* a module that can't be loaded is a state that status names, not a reason to be started for ever */
	hsm.start = p11_load(conf_text(c, CONF_HSM_MODULE), conf_text(c, CONF_HSM_TOKEN), conf_bool(c, CONF_HSM_SOFTWARE),
						 &hsm.p11);
	return hsm.start == ERR_OK ? p11_bind(hsm.p11, conf_text(c, CONF_INSTALL)) : ERR_OK;
}

static enum err
after_jail(void)
{
	if (hsm.start != ERR_OK)
		log_warn("the module can't be loaded", LOG_S("module", conf_text(proc_conf(), CONF_HSM_MODULE)));
	hsm.cause = hsm.start;
	proc_state(PAGE_SERVING, hsm.start);
	return ERR_OK;
}

/* A new vault proves anew that it has the PIN. */
static void
on_peer(struct peer *p, bool up)
{
	if (peer_process(p) == PROCESS_VAULT && !up && hsm.p11 && hsm.p11->started)
		p11_logout(hsm.p11);
}

static void
on_stop(uint32_t grace_ms)
{
	(void)grace_ms;
	p11_free(hsm.p11);
	hsm.p11 = NULL;
	hsm.start = ERR_SHUTTING_DOWN;
	proc_exit(0);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--look") == 0)
		return look_run(argc, argv);
	static struct answer answers[sizeof verbs / sizeof *verbs + 1];
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		answers[i] = (struct answer){verbs[i].number, answer};
	static const struct proc_spec spec = {
		.self = PROCESS_HSM,
		.answers = answers,
		.before_jail = before_jail,
		.after_jail = after_jail,
		.on_peer = on_peer,
		.on_stop = on_stop,
	};
	return proc_run(&spec, argc, argv);
}
