/* conf: every preset is valid, every mistake is named with its line, every dump reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/conf.h"
#include "daemon/base/conf_rule.h"

static struct conf *c;
static struct buf problems;

static int
set_up(void **state)
{
	(void)state;
	c = conf_new();
	buf_init(&problems, 65536);
	return c ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	conf_free(c);
	buf_clear(&problems);
	return 0;
}

static enum err
parse(const char *text)
{
	buf_reset(&problems);
	enum err e = conf_parse(c, "f", text, strlen(text), &problems);
	uint8_t end = 0;
	assert_int_equal(buf_add(&problems, &end, 1), ERR_OK);
	return e;
}

static void
complains(const char *text, const char *about)
{
	if (parse(text) != ERR_CONFIG)
		fail_msg("taken: %s", text);
	if (!strstr((const char *)buf_at(&problems), about))
		fail_msg("%s: said %s", text, (const char *)buf_at(&problems));
}

static void
presets_are_valid_and_named(void **state)
{
	(void)state;
	for (unsigned k = 0; k < CONF_MAX; k++) {
		assert_string_equal(conf_origin(c, k), "preset");
		assert_int_equal(conf_set(c, k, conf_text(c, k)), ERR_OK);
	}
	assert_int_equal(conf_int(c, CONF_GATE_HANDSHAKE), 10000);
	assert_int_equal(conf_int(c, CONF_GATE_BODY), 65536);
	assert_false(conf_bool(c, CONF_TLS12));
	assert_true(conf_bool(c, CONF_HERALD_FILE));
}

static void
lines_are_read(void **state)
{
	(void)state;
	assert_int_equal(parse("# note\n\n  gate.processes = 3   # three\r\nhsm_grace=2s\nmode = test\nwal_max = 16MiB\n"
						   "listen = [::1]:443\ntls.allow_1_2 = yes"),
					 ERR_OK);
	assert_int_equal(conf_int(c, CONF_GATES), 3);
	assert_int_equal(conf_int(c, CONF_HSM_GRACE), 2000);
	assert_string_equal(conf_text(c, CONF_MODE), "test");
	assert_int_equal(conf_int(c, CONF_WAL_MAX), 16 << 20);
	assert_string_equal(conf_text(c, CONF_LISTEN), "[::1]:443");
	assert_true(conf_bool(c, CONF_TLS12));
	assert_string_equal(conf_origin(c, CONF_GATES), "f:3");
}

static void
mistakes_are_named(void **state)
{
	(void)state;
	complains("gate.procesess = 2\n", "f:1: gate.procesess: unknown key; did you mean gate.processes?");
	complains("\ngate.processes = 17\n", "f:2: gate.processes: not a value that this key takes; allowed: 1 to 16");
	complains("gate.processes = 0\n", "allowed: 1 to 16");
	complains("gate.processes = 2x\n", "allowed");
	complains("gate.processes = -2\n", "allowed");
	complains("gate.processes = 99999999999999999999\n", "allowed");
	complains("hsm_grace = 5\n", "ms, s, m, h, d");
	complains("hsm_grace = 2w\n", "ms, s, m, h, d");
	complains("wal_max = 64MB\n", "KiB, MiB, GiB");
	complains("mode = tes\n", "allowed: test live");
	complains("mode = test|live\n", "allowed");
	complains("tls.allow_1_2 = true\n", "yes or no");
	complains("node = \n", "1 to 32");
	complains("listen = localhost:8443\n", "f:1: listen: not a value that this key takes; allowed: address:port");
	complains("listen = 127.0.0.1\n", "127.0.0.1:8443 or [::1]:8443");
	complains("listen = 127.0.0.1:0\n", "address:port");
	complains("listen = ::1:8443\n", "address:port");
	complains("listen = [127.0.0.1]:8443\n", "address:port");
	complains("listen = 127.0.0.1:65536\n", "address:port");
	complains("hsm.module = libsofthsm2.so\n", "an absolute path");
	complains("node = 123456789012345678901234567890123\n", "1 to 32");
	complains("node = a\tb\n", "printable");
	complains("no equals sign\n", "f:1: line: has no '='");
	complains("node = a\nnode = b\n", "f:2: node: stands already on line 1");
	/* all of them in one run, and the good line is kept */
	assert_int_equal(parse("x1 = 1\ngate.processes = 5\nmode = no\n"), ERR_CONFIG);
	assert_non_null(strstr((const char *)buf_at(&problems), "f:1:"));
	assert_non_null(strstr((const char *)buf_at(&problems), "f:3:"));
	assert_int_equal(conf_int(c, CONF_GATES), 5);
}

static void
odd_bytes_are_refused(void **state)
{
	static const char nul[] = "node = a\0b\n";
	char line[700];
	(void)state;
	assert_int_equal(conf_parse(c, "f", nul, sizeof nul - 1, NULL), ERR_CONFIG);
	memset(line, 'a', sizeof line);
	assert_int_equal(conf_parse(c, "f", line, sizeof line, NULL), ERR_CONFIG);
	assert_int_equal(conf_set(c, CONF_NODE, "a #b"), ERR_CONFIG);
	assert_int_equal(conf_set(c, CONF_NODE, " a"), ERR_CONFIG);
	assert_int_equal(conf_set(c, CONF_NODE, "a\nb"), ERR_CONFIG);
	assert_string_equal(conf_text(c, CONF_NODE), "a");
}

static void
dumps_read_back(void **state)
{
	struct buf text, written;
	struct conf *d = conf_new();
	(void)state;
	buf_init(&text, 65536);
	buf_init(&written, 65536);
	assert_int_equal(parse("gate.processes = 7\nhsm.token = a#b c\nhsm_grace = 90m\naudit.reserve = 1GiB\n"), ERR_OK);
	assert_int_equal(conf_dump(c, &text), ERR_OK);
	assert_int_equal(conf_parse(d, "dump", (const char *)buf_at(&text), text.len, NULL), ERR_OK);
	for (unsigned k = 0; k < CONF_MAX; k++) {
		assert_string_equal(conf_text(c, k), conf_text(d, k));
		assert_int_equal(conf_int(c, k), conf_int(d, k));
	}
	conf_free(d);
	d = conf_new();
	assert_int_equal(conf_write(c, &written), ERR_OK);
	assert_int_equal(conf_parse(d, "written", (const char *)buf_at(&written), written.len, NULL), ERR_OK);
	for (unsigned k = 0; k < CONF_MAX; k++)
		assert_string_equal(conf_text(c, k), conf_text(d, k));
	conf_free(d);
	buf_clear(&text);
	buf_clear(&written);
}

static void
a_reload_keeps_what_needs_a_restart(void **state)
{
	struct conf *newer = conf_new();
	struct buf held;
	uint8_t end = 0;
	(void)state;
	buf_init(&held, 1024);
	assert_int_equal(conf_set(newer, CONF_GATES, "9"), ERR_OK);
	assert_int_equal(conf_set(newer, CONF_GATE_IDLE, "9s"), ERR_OK);
	assert_int_equal(conf_reload(c, newer, &held), ERR_OK);
	assert_int_equal(conf_int(c, CONF_GATES), 2);
	assert_int_equal(conf_int(c, CONF_GATE_IDLE), 9000);
	assert_int_equal(buf_add(&held, &end, 1), ERR_OK);
	assert_string_equal((const char *)buf_at(&held), "gate.processes");
	buf_clear(&held);
	conf_free(newer);
}

static void
put(const char *dir, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
directories_are_read_in_order(void **state)
{
	char dir[] = "/tmp/sallyport-conf-XXXXXX", path[64];
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(conf_load(c, dir, &problems), ERR_FILE_MISSING);
	put(dir, "sallyport.conf", "gate.processes = 3\nnode = main\n");
	assert_int_equal(conf_load(c, dir, &problems), ERR_OK);
	snprintf(path, sizeof path, "%s/sallyport.conf.d", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	put(dir, "sallyport.conf.d/20.conf", "gate.processes = 5\n");
	put(dir, "sallyport.conf.d/10.conf", "gate.processes = 4\n");
	put(dir, "sallyport.conf.d/30.txt", "gate.processes = 6\n");
	assert_int_equal(conf_load(c, dir, &problems), ERR_OK);
	assert_int_equal(conf_int(c, CONF_GATES), 5);
	assert_string_equal(conf_text(c, CONF_NODE), "main");
	assert_string_equal(conf_origin(c, CONF_GATES), "sallyport.conf.d/20.conf:1");
	put(dir, "sallyport.conf.d/40.conf", "nonsense\n");
	assert_int_equal(conf_load(c, dir, &problems), ERR_CONFIG);
	snprintf(path, sizeof path, "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

/* As a user who is nobody here: root may read everything. */
static enum err
load_as_nobody(const char *dir)
{
	bool root = geteuid() == 0;
	buf_reset(&problems);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	enum err e = conf_load(c, dir, &problems);
	if (root)
		assert_int_equal(seteuid(0), 0);
	uint8_t end = 0;
	assert_int_equal(buf_add(&problems, &end, 1), ERR_OK);
	return e;
}

static void
what_may_not_be_read_is_not_missing(void **state)
{
	char dir[] = "/tmp/sallyport-conf-XXXXXX", path[64];
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chmod(dir, 0755), 0);
	put(dir, "sallyport.conf", "node = main\n");
	snprintf(path, sizeof path, "%s/sallyport.conf.d", dir);
	assert_int_equal(mkdir(path, 0755), 0);
	put(dir, "sallyport.conf.d/10.conf", "gate.processes = 4\n");
	assert_int_equal(load_as_nobody(dir), ERR_OK);
	snprintf(path, sizeof path, "%s/sallyport.conf.d/10.conf", dir);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(load_as_nobody(dir), ERR_PERMISSION);
	assert_non_null(strstr((const char *)buf_at(&problems), "sallyport.conf.d/10.conf:1: file: Permission denied"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nowhere", path), 0);
	assert_int_equal(load_as_nobody(dir), ERR_IO);
	assert_non_null(strstr((const char *)buf_at(&problems), "sallyport.conf.d/10.conf:1: file: No such file"));
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof path, "%s/sallyport.conf.d", dir);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(load_as_nobody(dir), ERR_PERMISSION);
	assert_int_equal(chmod(path, 0755), 0);
	snprintf(path, sizeof path, "%s/sallyport.conf", dir);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(load_as_nobody(dir), ERR_PERMISSION);
	snprintf(path, sizeof path, "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

static void
numbers_that_contradict_are_named(void **state)
{
	char dir[] = "/tmp/sallyport-conf-XXXXXX", path[64];
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(conf_rule_check(c, &problems), ERR_OK); /* no preset contradicts another */
	/* a preset gives way: only who wrote a number is told of it */
	put(dir, "sallyport.conf", "gate.connections = 64\nhsm_grace = 0s\n");
	assert_int_equal(conf_load(c, dir, &problems), ERR_OK);
	conf_free(c);
	c = conf_new();
	put(dir, "sallyport.conf", "gate.connections_per_ip = 4096\n"); /* more than the other's preset: nothing to mend */
	assert_int_equal(conf_load(c, dir, &problems), ERR_OK);
	put(dir, "sallyport.conf", "gate.connections = 64\n\nhsm_grace = 1s\ngate.connections_per_ip = 65\n");
	assert_int_equal(conf_load(c, dir, &problems), ERR_CONFIG);
	uint8_t end = 0;
	assert_int_equal(buf_add(&problems, &end, 1), ERR_OK);
	assert_string_equal((const char *)buf_at(&problems),
						"sallyport.conf:4: gate.connections_per_ip: 65 contradicts gate.connections = 64: one address "
						"can't have more connections than a gate takes; allowed: at most 64\n"
						"sallyport.conf:3: hsm_grace: 1s contradicts hsm.deadline = 2s: the grace would be over before "
						"the HSM's silence is noticed; allowed: at least 2s\n");
	snprintf(path, sizeof path, "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

static void
the_simulator_is_out_in_a_test_only(void **state)
{
	char dir[] = "/tmp/sallyport-conf-XXXXXX", path[64];
	uint8_t end = 0;
	(void)state;
	assert_non_null(mkdtemp(dir));
	put(dir, "sallyport.conf", "mode = test\nsimulator.outage = refused\n");
	assert_int_equal(conf_load(c, dir, &problems), ERR_OK);
	put(dir, "sallyport.conf", "mode = live\nsimulator.outage = none\n");
	assert_int_equal(conf_load(c, dir, &problems), ERR_OK);
	put(dir, "sallyport.conf", "mode = live\nsimulator.outage = refused\n");
	assert_int_equal(conf_load(c, dir, &problems), ERR_CONFIG);
	assert_int_equal(buf_add(&problems, &end, 1), ERR_OK);
	assert_string_equal(
		(const char *)buf_at(&problems),
		"sallyport.conf:2: simulator.outage: refused contradicts mode = live: nobody makes a live processor "
		"be out; allowed: none while mode is live\n");
	snprintf(path, sizeof path, "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

static void
what_could_be_a_number_of_a_card_is_not_repeated(void **state)
{
	(void)state;
	assert_int_equal(parse("4242424242424242 = 1\n4242 4242 4242 4242\n"), ERR_CONFIG);
	assert_null(strstr((const char *)buf_at(&problems), "42"));
	assert_non_null(strstr((const char *)buf_at(&problems), "f:1: ????????????????: unknown key"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(presets_are_valid_and_named),
		T(lines_are_read),
		T(mistakes_are_named),
		T(odd_bytes_are_refused),
		T(dumps_read_back),
		T(a_reload_keeps_what_needs_a_restart),
		T(directories_are_read_in_order),
		T(what_may_not_be_read_is_not_missing),
		T(numbers_that_contradict_are_named),
		T(the_simulator_is_out_in_a_test_only),
		T(what_could_be_a_number_of_a_card_is_not_repeated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
