/* What guards: the secret arena, the log's promise to show no bytes, and the jail (tried in children that may die). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/jail.h"
#include "daemon/base/log.h"
#include "daemon/base/secret.h"

/* ── secrets ── */

static void
the_arena_gives_wipes_and_refuses(void **state)
{
	struct secret *all[128], *s;
	uint8_t seen[SECRET_SLOT_BYTES] = {0};
	size_t used, slots, n = 0;
	(void)state;
	assert_int_equal(secret_new(16, &s), ERR_CVC_ROOM);
	assert_int_equal(secret_open(4096), ERR_OK);
	assert_int_equal(secret_open(4096), ERR_EXISTS);
	assert_true(strlen(secret_kind()) > 0);
	secret_use(&used, &slots);
	assert_int_equal(slots, 4096 / SECRET_SLOT_BYTES);
	while (n < 128 && secret_new(SECRET_SLOT_BYTES, &all[n]) == ERR_OK) {
		assert_memory_equal(all[n]->bytes, seen, SECRET_SLOT_BYTES);
		memset(all[n]->bytes, (int)n + 1, SECRET_SLOT_BYTES);
		n++;
	}
	assert_int_equal(n, slots);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(all[i]->bytes[SECRET_SLOT_BYTES - 1], i + 1); /* they do not overlap */
	uint8_t *place = all[3]->bytes;
	secret_free(all[3]);
	assert_memory_equal(place, seen, SECRET_SLOT_BYTES);
	assert_int_equal(secret_copy("123", 3, &all[3]), ERR_OK);
	assert_ptr_equal(all[3]->bytes, place);
	assert_int_equal(secret_new(1, &s), ERR_CVC_ROOM);
	for (size_t i = 0; i < n; i++)
		secret_free(all[i]);
	secret_use(&used, &slots);
	assert_int_equal(used, 0);
	secret_free(NULL);
}

static void
runs_of_all_sizes_never_overlap(void **state)
{
	struct secret *held[32] = {NULL};
	uint8_t mark[32] = {0};
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned k = randombytes_uniform(32);
		if (held[k]) {
			for (size_t b = 0; b < held[k]->len; b++)
				assert_int_equal(held[k]->bytes[b], mark[k]);
			secret_free(held[k]);
			held[k] = NULL;
		} else if (secret_new(1 + randombytes_uniform(300), &held[k]) == ERR_OK) {
			mark[k] = (uint8_t)i;
			memset(held[k]->bytes, mark[k], held[k]->len);
		}
	}
	for (unsigned k = 0; k < 32; k++)
		secret_free(held[k]);
}

static int
ends_by(void (*act)(void))
{
	int status;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		alarm(5);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

#ifndef SANITIZERS
static void
write_behind_the_arena(void)
{
	struct secret *s = NULL;
	signal(SIGSEGV, SIG_DFL);
	if (secret_new(64, &s) != ERR_OK)
		_exit(2);
	for (volatile uint8_t *p = s->bytes;; p++)
		*p = 1;
}

static void
the_arena_ends_in_a_guard_page(void **state)
{
	(void)state;
	assert_int_equal(ends_by(write_behind_the_arena), SIGSEGV);
}
#endif

/* ── log ── */

static void
log_something(void)
{
	char text[512];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = 0;
	log_open("vault");
	log_info("a \"word\"\n", LOG_S("key", "line\nbreak\x1b[31m\"\\\xff"), LOG_I("n", -5), LOG_E("e", ERR_CARD_LUHN),
			 LOG_S("long", text));
	log_level(SEVERITY_WARN);
	log_info("not shown", LOG_I("n", 1));
	log_warn("shown", LOG_S("null", NULL));
}

static void
log_lines_hold_no_control_bytes(void **state)
{
	char text[4096];
	int fds[2], saved = dup(2);
	(void)state;
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], 2);
	log_something();
	dup2(saved, 2);
	close(saved);
	close(fds[1]);
	ssize_t n = read(fds[0], text, sizeof text - 1);
	close(fds[0]);
	log_level(SEVERITY_INFO);
	assert_true(n > 0);
	text[n] = 0;
	unsigned lines = 0;
	for (ssize_t i = 0; i < n; i++) {
		lines += text[i] == '\n';
		assert_true(text[i] == '\n' || (text[i] >= 0x20 && text[i] <= 0x7e));
	}
	assert_int_equal(lines, 2);
	assert_non_null(strstr(text, "line\\u000abreak\\u001b[31m\\u0022\\u005c"));
	assert_non_null(strstr(text, "\"n\":-5"));
	assert_non_null(strstr(text, "\"e\":\"invalid_number\""));
	assert_non_null(strstr(text, "\"proc\":\"vault\""));
	assert_null(strstr(text, "not shown"));
	char *x = strstr(text, "xxx");
	assert_int_equal(strspn(x, "x"), 200);
}

/* ── jail ── */

static char allowed[] = "/tmp/sallyport-jail-XXXXXX";

static struct jail
enter(bool trap)
{
	static const struct jail_call calls[] = {{SCMP_SYS(openat), "files", -1, 0, 0},
											 {SCMP_SYS(read), "files", -1, 0, 0},
											 {SCMP_SYS(write), "files", -1, 0, 0},
											 {SCMP_SYS(close), "files", -1, 0, 0},
											 {SCMP_SYS(exit_group), "end", -1, 0, 0},
											 {SCMP_SYS(getpid), "who", -1, 0, 0},
											 {SCMP_SYS(unlink), "files", -1, 0, 0},
											 {SCMP_SYS(munmap), "memory", -1, 0, 0},
											 {SCMP_SYS(brk), "memory", -1, 0, 0},
											 {SCMP_SYS(mmap), "memory", 2, PROT_EXEC, 0},
											 {SCMP_SYS(mprotect), "memory", 2, PROT_EXEC, 0},
											 {SCMP_SYS(newfstatat), "files", -1, 0, 0}};
	const struct jail_path paths[] = {{-1, allowed, true, "a place"}};
	struct jail_spec spec = {calls, sizeof calls / sizeof *calls, paths, 1, .trap = trap};
	struct jail j;
	signal(SIGSYS, SIG_DFL);
	if (jail_begin() != ERR_OK || jail_paths(&spec, &j) != ERR_OK || jail_calls(&spec, &j) != ERR_OK)
		_exit(99);
	return j;
}

static void
use_what_is_allowed(void)
{
	char path[64];
	struct jail j = enter(false);
	snprintf(path, sizeof path, "%s/file", allowed);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) != 0 || unlink(path) != 0)
		_exit(1);
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		_exit(2);
	if (!strstr(j.text, "landlock") && j.landlock_abi)
		_exit(3);
	_exit(0);
}

static void
open_elsewhere(void)
{
	struct jail j = enter(false);
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	if (j.landlock_abi == 0)
		_exit(0); /* this kernel can't */
	_exit(fd < 0 && errno == EACCES ? 0 : 1);
}

static void
see_the_flags(void)
{
	if (jail_begin() != ERR_OK)
		_exit(1);
	_exit(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 2);
}

static void
the_jail_lets_do_what_is_in_it(void **state)
{
	(void)state;
	strcpy(allowed + strlen(allowed) - 6, "XXXXXX");
	assert_non_null(mkdtemp(allowed));
	assert_int_equal(ends_by(use_what_is_allowed), 0);
	assert_int_equal(ends_by(open_elsewhere), 0);
	assert_int_equal(ends_by(see_the_flags), 0);
	rmdir(allowed);
}

#ifndef SANITIZERS
static void
open_a_socket(void)
{
	enter(false);
	socket(AF_INET, SOCK_STREAM, 0);
}

static atomic_bool jailed;

static void *
open_a_socket_later(void *arg)
{
	while (!jailed)
		continue;
	socket(AF_INET, SOCK_STREAM, 0);
	return arg;
}

static void
open_a_socket_in_an_earlier_thread(void)
{
	pthread_t t;
	if (pthread_create(&t, NULL, open_a_socket_later, NULL) != 0)
		_exit(98);
	enter(false);
	jailed = true;
	for (;;)
		continue;
}

static int trap_pipe[2];

static void
open_a_socket_trapped(void)
{
	dup2(trap_pipe[1], 2);
	enter(true);
	socket(AF_INET, SOCK_STREAM, 0);
}

static void
map_code(void)
{
	enter(false);
	mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
execute(void)
{
	char *const args[] = {NULL};
	enter(false);
	execve("/bin/true", args, args);
}

static void
a_call_that_is_not_in_it_kills(void **state)
{
	(void)state;
	assert_int_equal(ends_by(open_a_socket), SIGSYS);
	assert_int_equal(ends_by(map_code), SIGSYS);
	assert_int_equal(ends_by(execute), SIGSYS);
	assert_int_equal(ends_by(open_a_socket_in_an_earlier_thread), SIGSYS);
}

static void
a_test_installation_names_the_call(void **state)
{
	char text[1024];
	(void)state;
	assert_int_equal(pipe(trap_pipe), 0);
	assert_int_equal(ends_by(open_a_socket_trapped), SIGSYS);
	close(trap_pipe[1]);
	ssize_t n = read(trap_pipe[0], text, sizeof text - 1);
	close(trap_pipe[0]);
	assert_true(n > 0);
	text[n] = 0;
	assert_non_null(strstr(text, "\"call\":\"socket\""));
	assert_non_null(strstr(text, "policy/jail_"));
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_arena_gives_wipes_and_refuses),  cmocka_unit_test(runs_of_all_sizes_never_overlap),
		cmocka_unit_test(log_lines_hold_no_control_bytes),    cmocka_unit_test(the_jail_lets_do_what_is_in_it),
#ifndef SANITIZERS
		cmocka_unit_test(the_arena_ends_in_a_guard_page),     cmocka_unit_test(a_call_that_is_not_in_it_kills),
		cmocka_unit_test(a_test_installation_names_the_call),
#endif
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
