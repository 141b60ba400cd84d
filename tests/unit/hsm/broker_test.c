/* The hsm process itself: in its jail, with a real token, asked over its socket; and the vault's keyring on top of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/secret.h"
#include "tests/unit/hsm/broker.h"
#include "tests/unit/hsm/token.h"
#include "vault/boot.h"
#include "vault/keyring.h"

#define DEADLINE_MS 5000

static enum err
log_in(const char *pin)
{
	sp_hsm_login_req q = sp_hsm_login_req_init_zero;
	q.pin.size = (pb_size_t)strlen(pin);
	memcpy(q.pin.bytes, pin, q.pin.size);
	return broker_ask(MSG_hsm_login, &q, NULL, 0, DEADLINE_MS);
}

static enum err
init_token(void)
{
	sp_hsm_init_token_req q = sp_hsm_init_token_req_init_zero;
	q.pin.size = (pb_size_t)strlen(TOKEN_PIN);
	memcpy(q.pin.bytes, TOKEN_PIN, q.pin.size);
	return broker_ask(MSG_hsm_init_token, &q, NULL, 0, DEADLINE_MS);
}

static int
set_up(void **state)
{
	(void)state;
	token_make();
	return secret_open(65536) == ERR_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	token_remove();
	return 0;
}

struct run {
	bool done;
	enum err e;
};

static void
on_done(void *arg, enum err e)
{
	struct run *r = arg;
	assert_false(r->done);
	r->done = true;
	r->e = e;
}

static void
boot_path(char *out, size_t size)
{
	(void)snprintf(out, size, "%s/boot", token_dir());
}

static void
an_installation_is_made_once_and_opened_again(void **state)
{
	static struct boot b, back;
	struct keyring *k, *again;
	const struct secret *dek, *dek_again, *lsk, *lsk_again;
	struct run r = {0};
	char path[128];
	uint32_t g;
	(void)state;
	boot_path(path, sizeof path);
	assert_true(broker_start(token_dir(), TOKEN_MODULE, true));
	assert_int_equal(log_in(TOKEN_PIN), ERR_HSM_TOKEN);
	assert_int_equal(init_token(), ERR_OK);
	assert_int_equal(log_in("not the pin"), ERR_HSM_PIN_LOW);
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(boot_init(&b, "acme", "a", true), ERR_OK);
	assert_int_equal(keyring_new(&b, &k), ERR_OK);
	assert_int_equal(keyring_make_all(k, broker_hsm(), DEADLINE_MS, on_done, &r), ERR_OK);
	broker_wait(&r.done);
	assert_int_equal(r.e, ERR_OK);
	assert_int_equal(b.keys_n, 9);
	r.done = false;
	b.complete = true;
	assert_int_equal(boot_store(path, &b, broker_hsm(), DEADLINE_MS, on_done, &r), ERR_OK);
	broker_wait(&r.done);
	assert_int_equal(r.e, ERR_OK);
	assert_int_equal(broker_stop(), 0);
	/* the next start: no making, the same keys */
	assert_int_equal(boot_load(path, &back), ERR_OK);
	assert_memory_equal(&b, &back, sizeof b);
	assert_int_equal(keyring_new(&back, &again), ERR_OK);
	assert_true(broker_start(token_dir(), TOKEN_MODULE, false));
	assert_int_equal(init_token(), ERR_PERMISSION);
	r.done = false;
	assert_int_equal(keyring_unwrap_all(again, broker_hsm(), DEADLINE_MS, on_done, &r), ERR_OK);
	broker_wait(&r.done);
	assert_int_equal(r.e, ERR_HSM_AWAY); /* nobody has logged in */
	assert_false(keyring_ready(again));
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	r.done = false;
	assert_int_equal(keyring_unwrap_all(again, broker_hsm(), DEADLINE_MS, on_done, &r), ERR_OK);
	broker_wait(&r.done);
	assert_int_equal(r.e, ERR_OK);
	assert_int_equal(keyring_active(again, KEY_DEK, &g), ERR_OK);
	assert_int_equal(keyring_get(k, KEY_DEK, g, KEY_PROTECT, &dek), ERR_OK);
	assert_int_equal(keyring_get(again, KEY_DEK, g, KEY_PROTECT, &dek_again), ERR_OK);
	assert_memory_equal(dek->bytes, dek_again->bytes, 32);
	assert_int_equal(keyring_get(k, KEY_LSK, 1, KEY_PROTECT, &lsk), ERR_OK);
	assert_int_equal(keyring_get(again, KEY_LSK, 1, KEY_PROTECT, &lsk_again), ERR_OK);
	assert_memory_equal(lsk->bytes, lsk_again->bytes, 32);
	assert_memory_not_equal(lsk->bytes, dek->bytes, 32);
	keyring_free(k);
	keyring_free(again);
	assert_int_equal(broker_stop(), 0);
}

static void
status_tells_what_it_is(void **state)
{
	sp_hsm_status_req q = sp_hsm_status_req_init_zero;
	sp_hsm_status_rep a;
	(void)state;
	assert_true(broker_start(token_dir(), TOKEN_MODULE, false));
	assert_int_equal(broker_ask(MSG_hsm_status, &q, &a, sizeof a, DEADLINE_MS), ERR_OK);
	assert_false(a.logged_in);
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(broker_ask(MSG_hsm_status, &q, &a, sizeof a, DEADLINE_MS), ERR_OK);
	assert_true(a.logged_in && a.software && a.ed25519);
	assert_string_equal(a.wrap_mechanism, "aes-gcm");
	assert_string_equal(a.token, TOKEN_LABEL);
	assert_int_equal(a.operations, 2);
	assert_int_equal(atomic_load(&broker_page()->value[METRIC_HSM_OPERATIONS]), 3);
	assert_true(strlen(broker_page()->jail) > 0);
	assert_int_equal(broker_stop(), 0);
}

static void
a_module_that_is_not_there_is_a_state_and_no_loop_of_restarts(void **state)
{
	sp_hsm_status_req q = sp_hsm_status_req_init_zero;
	sp_hsm_status_rep a;
	(void)state;
	assert_true(broker_start(token_dir(), "/nowhere/module.so", false));
	assert_int_equal(log_in(TOKEN_PIN), ERR_HSM_MODULE);
	assert_int_equal(broker_ask(MSG_hsm_status, &q, &a, sizeof a, DEADLINE_MS), ERR_HSM_MODULE);
	assert_int_equal(atomic_load(&broker_page()->cause), ERR_HSM_MODULE);
	assert_int_equal(broker_stop(), 0);
}

/* Keys stay usable through many uses in the jail: SoftHSM opens and locks its files at each. */
static void
a_thousand_uses_in_the_jail(void **state)
{
	sp_hsm_sign_req q = sp_hsm_sign_req_init_zero;
	sp_hsm_sign_rep a;
	(void)state;
	assert_true(broker_start(token_dir(), TOKEN_MODULE, false));
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	strcpy(q.key, "ask");
	q.generation = 1;
	q.data.size = 64;
	for (int i = 0; i < 1000; i++) {
		q.data.bytes[0] = (uint8_t)i;
		assert_int_equal(broker_ask(MSG_hsm_sign, &q, &a, sizeof a, DEADLINE_MS), ERR_OK);
		assert_int_equal(a.signature.size, 64);
	}
	sp_hsm_anchor_set_req set = sp_hsm_anchor_set_req_init_zero;
	sp_hsm_anchor_get_req get = sp_hsm_anchor_get_req_init_zero;
	sp_hsm_anchor_get_rep got;
	strcpy(set.node, "a");
	strcpy(get.node, "a");
	assert_int_equal(broker_ask(MSG_hsm_anchor_get, &get, &got, sizeof got, DEADLINE_MS), ERR_OK);
	assert_false(got.present);
	set.anchor.size = 5;
	memcpy(set.anchor.bytes, "12345", 5);
	assert_int_equal(broker_ask(MSG_hsm_anchor_set, &set, NULL, 0, DEADLINE_MS), ERR_OK);
	assert_int_equal(broker_ask(MSG_hsm_anchor_get, &get, &got, sizeof got, DEADLINE_MS), ERR_OK);
	assert_true(got.present && got.anchor.size == 5);
	/* the second time an older one is destroyed */
	set.anchor.bytes[4] = '6';
	assert_int_equal(broker_ask(MSG_hsm_anchor_set, &set, NULL, 0, DEADLINE_MS), ERR_OK);
	assert_int_equal(broker_ask(MSG_hsm_anchor_get, &get, &got, sizeof got, DEADLINE_MS), ERR_OK);
	assert_memory_equal(got.anchor.bytes, "12346", 5);
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(broker_stop(), 0);
}

/* kill -9 between two questions: the asker learns it, and a new broker works on with the same token. */
static void
a_killed_broker_is_replaced(void **state)
{
	sp_hsm_public_req q = sp_hsm_public_req_init_zero;
	sp_hsm_public_rep first, again;
	(void)state;
	strcpy(q.key, "ask");
	q.generation = 1;
	assert_true(broker_start(token_dir(), TOKEN_MODULE, false));
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(broker_ask(MSG_hsm_public, &q, &first, sizeof first, DEADLINE_MS), ERR_OK);
	kill(broker_pid(), SIGKILL);
	assert_int_equal(broker_ask(MSG_hsm_public, &q, &again, sizeof again, DEADLINE_MS), ERR_PEER_AWAY);
	broker_kill();
	assert_true(broker_start(token_dir(), TOKEN_MODULE, false));
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(broker_ask(MSG_hsm_public, &q, &again, sizeof again, DEADLINE_MS), ERR_OK);
	assert_memory_equal(first.public_key.bytes, again.public_key.bytes, 32);
	assert_int_equal(broker_stop(), 0);
}

/* A key that came from outside goes under one KEK and moves to the next; it never opens under the wrong one. */
static void
a_key_moves_from_one_kek_to_the_next(void **state)
{
	sp_hsm_make_key_req make = {.key = "kek", .generation = 2};
	sp_hsm_wrap_new_req wrap = {.kek = 1, .key = {.size = 32}, .ad = {.size = 5}};
	sp_hsm_wrap_new_rep made;
	sp_hsm_rewrap_req move = {.from_kek = 1, .to_kek = 2, .ad = {.size = 5}};
	sp_hsm_rewrap_rep moved;
	sp_hsm_unwrap_req q = {.kek = 2, .ad = {.size = 5}};
	sp_hsm_unwrap_rep a;
	(void)state;
	memset(wrap.key.bytes, 0x5a, 32);
	assert_true(broker_start(token_dir(), TOKEN_MODULE, true));
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(broker_ask(MSG_hsm_make_key, &make, NULL, 0, DEADLINE_MS), ERR_OK);
	assert_int_equal(broker_ask(MSG_hsm_wrap_new, &wrap, &made, sizeof made, DEADLINE_MS), ERR_OK);
	assert_memory_equal(made.key.bytes, wrap.key.bytes, 32);
	move.wrapped.size = made.wrapped.size;
	memcpy(move.wrapped.bytes, made.wrapped.bytes, made.wrapped.size);
	assert_int_equal(broker_ask(MSG_hsm_rewrap, &move, &moved, sizeof moved, DEADLINE_MS), ERR_OK);
	q.wrapped.size = moved.wrapped.size;
	memcpy(q.wrapped.bytes, moved.wrapped.bytes, moved.wrapped.size);
	assert_int_equal(broker_ask(MSG_hsm_unwrap, &q, &a, sizeof a, DEADLINE_MS), ERR_OK);
	assert_memory_equal(a.key.bytes, wrap.key.bytes, 32);
	q.kek = 1;
	assert_int_equal(broker_ask(MSG_hsm_unwrap, &q, &a, sizeof a, DEADLINE_MS), ERR_HSM_CORRUPT);
	move.ad.bytes[0] = 1;
	assert_int_equal(broker_ask(MSG_hsm_rewrap, &move, &moved, sizeof moved, DEADLINE_MS), ERR_HSM_CORRUPT);
	move.ad.bytes[0] = 0;
	move.to_kek = 3;
	assert_int_equal(broker_ask(MSG_hsm_rewrap, &move, &moved, sizeof moved, DEADLINE_MS), ERR_HSM_KEY);
	wrap.key.size = 0;
	wrap.bytes = 65;
	assert_int_equal(broker_ask(MSG_hsm_wrap_new, &wrap, &made, sizeof made, DEADLINE_MS), ERR_OUT_OF_RANGE);
	assert_int_equal(broker_stop(), 0);
}

/* ── what is left in its memory ── */

/* How often the bytes stand in the broker's writable memory; -1 when it can't be read (not root). */
static int
count_in_memory(const void *bytes, size_t n)
{
	char path[64], line[512];
	int seen = 0;
	(void)snprintf(path, sizeof path, "/proc/%d/maps", (int)broker_pid());
	FILE *maps = fopen(path, "r");
	(void)snprintf(path, sizeof path, "/proc/%d/mem", (int)broker_pid());
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	if (!maps || mem < 0)
		seen = -1;
	while (seen >= 0 && fgets(line, sizeof line, maps)) {
		unsigned long from, to;
		char rights[5];
		if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) != 3 || rights[1] != 'w')
			continue;
		uint8_t *copy = malloc(to - from);
		assert_non_null(copy);
		ssize_t got = pread(mem, copy, to - from, (off_t)from);
		for (uint8_t *at = copy; got > 0; at++) {
			at = memmem(at, (size_t)(copy + got - at), bytes, n);
			if (!at)
				break;
			seen++;
		}
		free(copy);
	}
	if (maps)
		fclose(maps);
	if (mem >= 0)
		close(mem);
	return seen;
}

static void
neither_pin_nor_key_is_left_in_its_memory(void **state)
{
	sp_hsm_wrap_new_req wrap = {.kek = 1, .bytes = 32};
	sp_hsm_wrap_new_rep made;
	sp_hsm_unwrap_req q = {.kek = 1};
	sp_hsm_unwrap_rep a;
	sp_hsm_mac_req mac = {.key = "ahk", .generation = 1, .data = {.size = 5}};
	sp_hsm_mac_rep secret;
	(void)state;
	assert_true(broker_start(token_dir(), TOKEN_MODULE, false));
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	/* the check finds what is there: the token's label */
	int control = count_in_memory(TOKEN_LABEL, strlen(TOKEN_LABEL));
	if (control < 0) {
		broker_stop();
		skip();
	}
	assert_true(control > 0);
	assert_int_equal(broker_ask(MSG_hsm_wrap_new, &wrap, &made, sizeof made, DEADLINE_MS), ERR_OK);
	q.wrapped.size = made.wrapped.size;
	memcpy(q.wrapped.bytes, made.wrapped.bytes, made.wrapped.size);
	assert_int_equal(broker_ask(MSG_hsm_unwrap, &q, &a, sizeof a, DEADLINE_MS), ERR_OK);
	assert_memory_equal(a.key.bytes, made.key.bytes, 32);
	assert_int_equal(broker_ask(MSG_hsm_mac, &mac, &secret, sizeof secret, DEADLINE_MS), ERR_OK);
	/* one more turn of its loop: answers are wiped when they are written */
	sp_hsm_status_req status = sp_hsm_status_req_init_zero;
	assert_int_equal(broker_ask(MSG_hsm_status, &status, NULL, 0, DEADLINE_MS), ERR_OK);
	assert_int_equal(count_in_memory(TOKEN_PIN, strlen(TOKEN_PIN)), 0);
	assert_int_equal(count_in_memory(made.key.bytes, 32), 0);
	assert_int_equal(count_in_memory(made.key.bytes + 8, 16), 0);
	assert_int_equal(count_in_memory(secret.mac.bytes, 32), 0);
	assert_int_equal(broker_stop(), 0);
}

/* ── with the module that misbehaves on demand between the broker and its token ── */

static void
tell_shim(const char *line)
{
	char path[128];
	(void)snprintf(path, sizeof path, "%s/p11_shim.control", token_dir());
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(line, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static bool
start_with_shim_as(const char *line, bool init)
{
	char shim[4096];
	tell_shim(line);
	return realpath("tests/attack/p11_shim.so", shim) && broker_start(token_dir(), shim, init);
}

static bool
start_with_shim(void)
{
	return start_with_shim_as("", false);
}

static enum err
sign(void)
{
	sp_hsm_sign_req q = sp_hsm_sign_req_init_zero;
	sp_hsm_sign_rep a;
	strcpy(q.key, "ask");
	q.generation = 1;
	q.data.size = 64;
	return broker_ask(MSG_hsm_sign, &q, &a, sizeof a, DEADLINE_MS);
}

/* Pulled out and put back: the page says so, the process lives, and nothing but a log-in is needed. */
static void
a_token_that_is_pulled_out_and_put_back(void **state)
{
	sp_hsm_status_req q = sp_hsm_status_req_init_zero;
	sp_hsm_status_rep a;
	(void)state;
	assert_true(start_with_shim());
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(sign(), ERR_OK);
	tell_shim("1 0 return 0x32");
	assert_int_equal(sign(), ERR_HSM_AWAY);
	assert_int_equal(atomic_load(&broker_page()->cause), ERR_HSM_AWAY);
	assert_int_equal(atomic_load(&broker_page()->state), PAGE_SERVING);
	assert_int_equal(broker_ask(MSG_hsm_status, &q, &a, sizeof a, DEADLINE_MS), ERR_HSM_AWAY);
	assert_string_equal(a.token, TOKEN_LABEL);
	assert_int_equal(log_in(TOKEN_PIN), ERR_HSM_AWAY);
	tell_shim("");
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(sign(), ERR_OK);
	assert_int_equal(atomic_load(&broker_page()->cause), ERR_OK);
	assert_int_equal(broker_stop(), 0);
}

/* A module that never comes back: the asker has its deadline, the process its kill -9. */
static void
a_module_that_hangs_is_left_behind(void **state)
{
	sp_hsm_status_req q = sp_hsm_status_req_init_zero;
	(void)state;
	assert_true(start_with_shim());
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	tell_shim("1 0 hang 0");
	assert_int_equal(broker_ask(MSG_hsm_status, &q, NULL, 0, 300), ERR_DEADLINE);
	assert_int_equal(kill(broker_pid(), 0), 0);
	broker_kill();
	assert_true(start_with_shim());
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	tell_shim("1 1 slow 400");
	assert_int_equal(sign(), ERR_OK);
	assert_true(atomic_load(&broker_page()->histogram[metric_histogram(METRIC_HSM_SECONDS)].sum_us) >= 400000);
	assert_int_equal(broker_stop(), 0);
}

static void
a_wrong_signature_is_never_given_out(void **state)
{
	(void)state;
	assert_true(start_with_shim());
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	tell_shim("1 1 flip 0 C_Sign");
	assert_int_equal(sign(), ERR_CRYPTO);
	assert_int_equal(sign(), ERR_OK);
	assert_int_equal(broker_stop(), 0);
}

/* ── with a module that attacks ── */

/* The module tries `what` when it is initialized. The errno that it saw, or minus the signal that ended the broker. */
static int
try_evil(const char *what)
{
	char module[4096], path[128];
	int how = 1000, status = 0;
	(void)snprintf(path, sizeof path, "%s/evil.out", token_dir());
	(void)unlink(path);
	setenv("P11_EVIL", what, 1);
	assert_non_null(realpath("tests/attack/p11_evil.so", module));
	assert_true(broker_start(token_dir(), module, false));
	enum err e = log_in(TOKEN_PIN);
	unsetenv("P11_EVIL");
	status = broker_stop();
	if (WIFSIGNALED(status)) {
		assert_int_equal(e, ERR_PEER_AWAY);
		return -WTERMSIG(status);
	}
	assert_int_equal(e, ERR_OK);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &how), 1);
	fclose(f);
	return how;
}

static void
a_bought_module_gets_nowhere(void **state)
{
	static const char *const refused[] = {"read-passwd", "read-proc",    "read-neighbour", "list-parent",
										  "write-tmp",   "write-parent", "socket",         "socket-unix"};
	static const char *const deadly[] = {"fork",     "exec", "ptrace", "kill",    "connect", "symlink",     "mount",
										 "dumpable", "bpf",  "uring",  "unshare", "ioctl",   "exec-memory", "memfd"};
	char neighbour[] = "/tmp/sallyport-neighbour-XXXXXX";
	(void)state;
#ifdef SANITIZERS
	/* no call filter there: the module would do it */
	skip();
#endif
	int fd = mkstemp(neighbour);
	assert_true(fd >= 0 && fchmod(fd, 0644) == 0 && close(fd) == 0);
	setenv("P11_EVIL_FILE", neighbour, 1);
	/* the check can fail: what it may do, it can */
	assert_int_equal(try_evil("own-file"), 0);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		int how = try_evil(refused[i]);
		if (how != EACCES)
			fail_msg("%s: %d", refused[i], how);
	}
	for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++) {
		int how = try_evil(deadly[i]);
		if (how != -SIGSYS)
			fail_msg("%s: %d", deadly[i], how);
	}
	assert_int_equal(unlink(neighbour), 0);
}

/* A HSM without AES-GCM: keys are wrapped by RFC 5649, and still open when the module has learnt GCM. */
static void
a_token_without_gcm_wraps_by_key_wrap(void **state)
{
	static struct boot b;
	struct keyring *k, *again;
	const struct secret *one, *two;
	struct run r = {0};
	(void)state;
	token_remove();
	token_make();
	assert_true(start_with_shim_as("1 0 return 0x70 C_EncryptInit", true));
	assert_int_equal(init_token(), ERR_OK);
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(boot_init(&b, "acme", "a", true), ERR_OK);
	assert_int_equal(keyring_new(&b, &k), ERR_OK);
	assert_int_equal(keyring_make_all(k, broker_hsm(), DEADLINE_MS, on_done, &r), ERR_OK);
	broker_wait(&r.done);
	assert_int_equal(r.e, ERR_OK);
	assert_int_equal(boot_key_of(&b, KEY_DEK, 1)->wrapped[1], P11_WRAP_KWP);
	assert_int_equal(broker_stop(), 0);
	assert_true(broker_start(token_dir(), TOKEN_MODULE, false));
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(keyring_new(&b, &again), ERR_OK);
	r.done = false;
	assert_int_equal(keyring_unwrap_all(again, broker_hsm(), DEADLINE_MS, on_done, &r), ERR_OK);
	broker_wait(&r.done);
	assert_int_equal(r.e, ERR_OK);
	assert_int_equal(keyring_get(k, KEY_DEK, 1, KEY_PROTECT, &one), ERR_OK);
	assert_int_equal(keyring_get(again, KEY_DEK, 1, KEY_PROTECT, &two), ERR_OK);
	assert_memory_equal(one->bytes, two->bytes, 32);
	/* its row in another place is refused there too */
	memcpy(boot_key_of(&b, KEY_DEK, 1)->wrapped, boot_key_of(&b, KEY_EPK, 1)->wrapped, BOOT_WRAPPED_MAX);
	keyring_free(again);
	assert_int_equal(keyring_new(&b, &again), ERR_OK);
	r.done = false;
	assert_int_equal(keyring_unwrap_all(again, broker_hsm(), DEADLINE_MS, on_done, &r), ERR_OK);
	broker_wait(&r.done);
	assert_int_equal(r.e, ERR_HSM_CORRUPT);
	keyring_free(again);
	keyring_free(k);
	assert_int_equal(broker_stop(), 0);
}

/* What is essential and missing is named at log-in; what can be done without is missing where it is needed. */
static void
a_token_that_lacks_more_is_refused(void **state)
{
	sp_hsm_make_key_req q = {.key = "ask", .generation = 7};
	sp_hsm_status_req s = sp_hsm_status_req_init_zero;
	sp_hsm_status_rep a;
	(void)state;
	assert_true(start_with_shim_as("1 0 return 0x70 C_SignInit", true));
	assert_int_equal(log_in(TOKEN_PIN), ERR_HSM_MECHANISM);
	assert_int_equal(atomic_load(&broker_page()->cause), ERR_HSM_MECHANISM);
	tell_shim("1 0 return 0x121 C_GenerateRandom");
	assert_int_equal(log_in(TOKEN_PIN), ERR_HSM_MECHANISM);
	tell_shim("1 0 empty 0 C_GenerateRandom");
	assert_int_equal(log_in(TOKEN_PIN), ERR_HSM_MECHANISM);
	tell_shim("1 0 return 0x70 C_GenerateKeyPair");
	assert_int_equal(log_in(TOKEN_PIN), ERR_OK);
	assert_int_equal(broker_ask(MSG_hsm_status, &s, &a, sizeof a, DEADLINE_MS), ERR_OK);
	assert_false(a.ed25519);
	assert_int_equal(broker_ask(MSG_hsm_make_key, &q, NULL, 0, DEADLINE_MS), ERR_HSM_MECHANISM);
	assert_int_equal(broker_stop(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_installation_is_made_once_and_opened_again),
		cmocka_unit_test(status_tells_what_it_is),
		cmocka_unit_test(a_module_that_is_not_there_is_a_state_and_no_loop_of_restarts),
		cmocka_unit_test(a_thousand_uses_in_the_jail),
		cmocka_unit_test(a_killed_broker_is_replaced),
		cmocka_unit_test(a_key_moves_from_one_kek_to_the_next),
		cmocka_unit_test(neither_pin_nor_key_is_left_in_its_memory),
		cmocka_unit_test(a_token_that_is_pulled_out_and_put_back),
		cmocka_unit_test(a_module_that_hangs_is_left_behind),
		cmocka_unit_test(a_wrong_signature_is_never_given_out),
		cmocka_unit_test(a_bought_module_gets_nowhere),
		cmocka_unit_test(a_token_without_gcm_wraps_by_key_wrap),
		cmocka_unit_test(a_token_that_lacks_more_is_refused),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
