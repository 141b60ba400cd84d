/*
 * hsm_bench — verbs a second: through the real broker in its jail (one question at a time, then 16 at once), and beside
 * it the same work on the same token in this process, which is the ceiling. From the build's top: tests/bench/hsm_bench
 * [seconds]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/clock.h"
#include "tests/unit/hsm/broker.h"
#include "tests/unit/hsm/token.h"
#include "vault/hsm/hsmkey.h"
#include "vault/hsm/wrap.h"

#define DEADLINE_MS 5000
#define AT_ONCE     16

static union {
	sp_hsm_sign_req sign;
	sp_hsm_mac_req mac;
	sp_hsm_unwrap_req unwrap;
	sp_hsm_wrap_new_req wrap;
	sp_hsm_status_req status;
} q;
static struct wrap_blob blob;
static struct p11 *p;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "hsm_bench: %s\n", what);
	exit(1);
}

/* ── the questions ── */

static void
set_sign(void)
{
	strcpy(q.sign.key, "ask");
	q.sign.generation = 1;
	q.sign.data.size = 128;
}

static void
set_mac(void)
{
	strcpy(q.mac.key, "ahk");
	q.mac.generation = 1;
	q.mac.data.size = 64;
}

static void
set_unwrap(void)
{
	q.unwrap.kek = 1;
	q.unwrap.wrapped.size = (pb_size_t)blob.len;
	memcpy(q.unwrap.wrapped.bytes, blob.bytes, blob.len);
}

static void
set_wrap(void)
{
	q.wrap.kek = 1;
	q.wrap.bytes = 32;
}

static void
set_status(void)
{
}

/* ── the same here ── */

static enum err
here_sign(void)
{
	uint8_t out[64];
	return hsmkey_sign(p, "ask", 1, q.sign.data.bytes, q.sign.data.size, out);
}

static enum err
here_mac(void)
{
	uint8_t out[32];
	return hsmkey_mac(p, "ahk", 1, q.mac.data.bytes, q.mac.data.size, out);
}

static enum err
here_unwrap(void)
{
	uint8_t out[WRAP_KEY_MAX];
	size_t n;
	return wrap_open(p, 1, NULL, 0, blob.bytes, blob.len, out, &n);
}

static enum err
here_wrap(void)
{
	uint8_t key[32];
	struct wrap_blob fresh;
	enum err e = p11_random(p, key, sizeof key);
	return e == ERR_OK ? wrap_seal(p, 1, NULL, 0, key, sizeof key, &fresh) : e;
}

static enum err
here_status(void)
{
	uint8_t drawn[16];
	return p11_random(p, drawn, sizeof drawn);
}

static const struct line {
	const char *name;
	enum msg number;
	void (*set)(void);
	enum err (*here)(void);
} lines[] = {
	{"sign (Ed25519, verified)", MSG_hsm_sign, set_sign, here_sign},
	{"mac (HMAC-SHA256, twice)", MSG_hsm_mac, set_mac, here_mac},
	{"unwrap (AES-256-GCM)", MSG_hsm_unwrap, set_unwrap, here_unwrap},
	{"wrap_new (drawn, read back)", MSG_hsm_wrap_new, set_wrap, here_wrap},
	{"status (16 random bytes)", MSG_hsm_status, set_status, here_status},
};

/* ── the loops ── */

struct flow {
	const struct line *line;
	int64_t until_us;
	unsigned long done, open;
	bool over;
};

static void on_answer(void *arg, enum err e, const void *rep);

static void
ask_more(struct flow *f)
{
	if (clock_mono_us() < f->until_us) {
		need(peer_ask(broker_hsm(), f->line->number, &q, DEADLINE_MS, on_answer, f) == ERR_OK, "peer_ask");
		f->open++;
	}
	f->over = f->open == 0;
}

static void
on_answer(void *arg, enum err e, const void *rep)
{
	struct flow *f = arg;
	(void)rep;
	need(e == ERR_OK, f->line->name);
	f->done++;
	f->open--;
	ask_more(f);
}

static double
through_broker(const struct line *l, unsigned at_once, double seconds)
{
	int64_t from = clock_mono_us();
	struct flow f = {.line = l, .until_us = from + (int64_t)(seconds * 1e6)};
	for (unsigned i = 0; i < at_once; i++)
		ask_more(&f);
	broker_wait(&f.over);
	return (double)f.done * 1e6 / (double)(clock_mono_us() - from);
}

static double
in_here(const struct line *l, double seconds)
{
	int64_t from = clock_mono_us(), until = from + (int64_t)(seconds * 1e6);
	unsigned long n = 0;
	for (; clock_mono_us() < until; n++)
		need(l->here() == ERR_OK, l->name);
	return (double)n * 1e6 / (double)(clock_mono_us() - from);
}

int
main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;
	uint8_t key[32] = {1}, none[32];
	bool existed;
	sp_hsm_login_req login = sp_hsm_login_req_init_zero;
	token_make();
	p = token_logged_in(NULL);
	need(hsmkey_make(p, "kek", 1, none, &existed) == ERR_OK && hsmkey_make(p, "ask", 1, none, &existed) == ERR_OK &&
			 hsmkey_make(p, "ahk", 1, none, &existed) == ERR_OK && wrap_seal(p, 1, NULL, 0, key, 32, &blob) == ERR_OK,
		 "keys");
	need(broker_start(token_dir(), TOKEN_MODULE, false), "the broker did not start");
	login.pin.size = (pb_size_t)strlen(TOKEN_PIN);
	memcpy(login.pin.bytes, TOKEN_PIN, login.pin.size);
	need(broker_ask(MSG_hsm_login, &login, NULL, 0, DEADLINE_MS) == ERR_OK, "log-in");
	printf("%-28s %14s %14s %14s\n", "verbs a second", "one at a time", "16 at once", "without broker");
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		memset(&q, 0, sizeof q);
		lines[i].set();
		double one = through_broker(&lines[i], 1, seconds);
		double many = through_broker(&lines[i], AT_ONCE, seconds);
		printf("%-28s %14.0f %14.0f %14.0f\n", lines[i].name, one, many, in_here(&lines[i], seconds));
	}
	broker_stop();
	p11_free(p);
	token_remove();
	return 0;
}
