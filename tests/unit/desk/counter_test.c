/*
 * The real desk in its real jail, and programs at its socket: the owner, a stranger, a liar, one who talks nonsense,
 * one too many. The programs are children of the test, because the client of the desk waits for its answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/wire/ask.h"
#include "daemon/wire/client.h"
#include "policy/schema/wire.pb.h"
#include "tests/unit/courier/stage.h"

#define STRANGER 64123 /* a uid that nobody has */
#define OWNER    64124

static char dir[] = "/tmp/sallyport-counter-XXXXXX", path[64];
static struct stage stage = {.process = PROCESS_DESK,
							 .program = "daemon/desk/desk",
							 .conf = "mode = test\ninstall = lab\nnode = n1\ndesk.group = no-such-group\n",
							 .dir = dir,
							 .owner = OWNER};
static struct hub ledger, vault;
static uint32_t last_uid;
static unsigned notes, lists;

static void
answer_client_list(struct call *call, const void *req)
{
	const sp_client_list_req *r = req;
	static sp_client_list_rep rep;
	lists++;
	last_uid = r->uid;
	memset(&rep, 0, sizeof rep);
	rep.has_more = true;
	call_reply(call, ERR_OK, &rep);
}

static void
answer_note(struct call *call, const void *req)
{
	const sp_vault_note_req *n = req;
	(void)call;
	notes++;
	assert_int_equal(n->process, PROCESS_DESK);
	last_uid = n->uid_actor;
}

static int
set_up(void **state)
{
	static const struct answer of_ledger[] = {{MSG_client_list, answer_client_list}, {MSG_NONE, NULL}};
	static const struct answer of_vault[] = {{MSG_vault_note, answer_note}, {MSG_NONE, NULL}};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	(void)state;
	if (!mkdtemp(dir) || chmod(dir, 0755) != 0)
		return -1;
	snprintf(path, sizeof path, "%s/desk.sock", dir);
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	stage.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(stage.listen_fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(stage.listen_fd, 128) != 0 ||
		chmod(path, 0666) != 0)
		return -1;
	stage_open(&stage);
	stage_peer(&stage, &ledger, PROCESS_LEDGER, of_ledger);
	stage_peer(&stage, &vault, PROCESS_VAULT, of_vault);
	stage_start(&stage);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

/* Run a program as this user beside the turns of the stage; its exit status. */
static int
as(uint32_t uid, int (*program)(void))
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		if (uid != getuid() && (setgroups(0, NULL) != 0 || setgid(uid) != 0 || setuid(uid) != 0))
			_exit(99);
		_exit(program());
	}
	const struct timeval tick = {0, 10000};
	do {
		event_base_loopexit(stage.base, &tick); /* wakes the turn when nothing else does */
		stage_turn(&stage);
	} while (waitpid(child, &status, WNOHANG) == 0);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static enum err
ask_list(uint32_t uid_that_i_say)
{
	static sp_client_list_rep rep;
	struct client *c = NULL;
	sp_client_list_req req = {.limit = 1, .uid = uid_that_i_say};
	enum err e = client_open(path, 3000, &c);
	if (e == ERR_OK)
		e = client_ask(c, MSG_client_list, &req, &rep, 3000);
	if (e == ERR_OK && !rep.has_more)
		e = ERR_INTERNAL;
	client_close(c);
	return e;
}

static int
list_as_myself(void)
{
	return ask_list(0) == ERR_OK ? 0 : 1;
}
static int
list_as_somebody_else(void)
{
	return ask_list(4242) == ERR_OK ? 0 : 1;
}
static int
expect_refusal(void)
{
	return ask_list(0) == ERR_PERMISSION ? 0 : 1;
}

static void
need_root(void)
{
	if (getuid() != 0)
		skip();
}

static void
the_owner_and_root_come_in_and_their_uid_arrives(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(as(OWNER, list_as_myself), 0);
	assert_int_equal(last_uid, OWNER);
	assert_int_equal(as(0, list_as_myself), 0);
	assert_int_equal(last_uid, 0);
	last_uid = 1;
	assert_int_equal(as(OWNER, list_as_somebody_else), 0);
	assert_int_equal(last_uid, OWNER);
}

static void
a_stranger_is_turned_away_and_noted(void **state)
{
	(void)state;
	need_root();
	unsigned before = lists;
	assert_int_equal(as(STRANGER, expect_refusal), 0);
	assert_int_equal(lists, before);
	assert_int_equal(notes, 1);
	assert_int_equal(last_uid, STRANGER);
}

static int
read_status(void)
{
	static sp_status_rep rep;
	struct client *c = NULL;
	sp_status_req req = sp_status_req_init_zero;
	enum err e = client_open(path, 3000, &c);
	if (e == ERR_OK)
		e = client_ask(c, MSG_status, &req, &rep, 3000);
	client_close(c);
	if (e != ERR_OK || strcmp(rep.install, "lab") != 0 || strcmp(rep.node, "n1") != 0 || !rep.test)
		return 1;
#ifdef SANITIZERS
	rep.processes[0].jail_calls = 10; /* the jail is left open for them */
#endif
	/* only its own page was given here, and it is alive */
	if (rep.processes_count != 1 || strcmp(rep.processes[0].name, "desk") != 0 || rep.processes[0].jail_calls < 10)
		return 2;
	return rep.processes[0].heartbeat_age_ms < 3000 && rep.metrics_count > 40 ? 0 : 3;
}

static void
status_is_answered_by_the_desk_itself(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(as(0, read_status), 0);
}

/* Bytes that are no frame, a frame that is no message, a message that an officer may not send. */
static int
talk_nonsense(void)
{
	static const uint8_t frames[][24] = {
		"GET / HTTP/1.1\r\n\r\n",
		{0, 0, 0, 12, 0, 122, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
		{0xff, 0xff, 0xff, 0xff, 0, 122},
		{0, 0, 0, 12, 0, 56, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, /* redeem */
	};
	for (unsigned i = 0; i < sizeof frames / sizeof *frames; i++) {
		struct sockaddr_un at = {.sun_family = AF_UNIX};
		char sink[256];
		snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0 || write(fd, frames[i], sizeof frames[i]) < 0)
			return 1;
		while (read(fd, sink, sizeof sink) > 0)
			;
		close(fd);
	}
	return list_as_myself();
}

static void
nonsense_is_cut_off_and_the_next_one_is_served(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(as(0, talk_nonsense), 0);
}

static int
come_as_a_crowd(void)
{
	struct client *c[40] = {NULL};
	unsigned in = 0, overloaded = 0;
	for (unsigned i = 0; i < 40; i++) {
		enum err e = client_open(path, 3000, &c[i]);
		in += e == ERR_OK;
		overloaded += e == ERR_OVERLOADED;
	}
	for (unsigned i = 0; i < 40; i++)
		client_close(c[i]);
	return in >= 1 && in <= 16 && in + overloaded == 40 ? 0 : 1;
}

static void
a_crowd_of_one_user_is_bounded_and_leaves_room_again(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(as(OWNER, come_as_a_crowd), 0);
	assert_int_equal(as(OWNER, list_as_myself), 0);
}

static void
asked_to_stop_it_ends(void **state)
{
	(void)state;
	int status = stage_stop(&stage);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_owner_and_root_come_in_and_their_uid_arrives),
		cmocka_unit_test(a_stranger_is_turned_away_and_noted),
		cmocka_unit_test(status_is_answered_by_the_desk_itself),
		cmocka_unit_test(nonsense_is_cut_off_and_the_next_one_is_served),
		cmocka_unit_test(a_crowd_of_one_user_is_bounded_and_leaves_room_again),
		cmocka_unit_test(asked_to_stop_it_ends),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
