/*
 * The real herald in its real jail; this program is its monitor and its ledger. Thousands of events, a kill in the
 * middle: what was acknowledged is in the file, each key in order. EVENTS=100000 makes a measurement of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/wire/ask.h"
#include "policy/schema/wire.pb.h"
#include "tests/unit/courier/stage.h"

#define IN_FLIGHT 256
#define KEYS      7

static char dir[] = "/tmp/sallyport-publish-XXXXXX", path[64];
static struct stage stage = {.process = PROCESS_HERALD,
							 .program = "daemon/herald/herald",
							 .conf = "mode = test\ninstall = lab\n",
							 .dir = dir,
							 .listen_fd = -1};
static struct hub ledger;
static unsigned events_n, in_flight, kept_n;
static bool *kept; /* by sequence: acknowledged */

static void
published(void *arg, enum err e, const void *rep)
{
	bool *at = arg;
	(void)rep;
	in_flight--;
	if (e != ERR_OK) {
		assert_true(e == ERR_PEER_AWAY || e == ERR_DEADLINE);
		return;
	}
	kept_n += !*at;
	*at = true;
}

static void
publish(unsigned sequence)
{
	static sp_publish_req r;
	memset(&r, 0, sizeof r);
	r.sequence = sequence;
	r.at_ms = clock_wall_ms();
	snprintf(r.id, sizeof r.id, "evt_%u", sequence);
	snprintf(r.type, sizeof r.type, "payment.authorized.v1");
	snprintf(r.subject, sizeof r.subject, "pay_%u", sequence % KEYS);
	snprintf(r.partition_key, sizeof r.partition_key, "order-%u", sequence % KEYS);
	r.data.size =
		(pb_size_t)snprintf((char *)r.data.bytes, sizeof r.data.bytes,
							"{\"object\":\"payment\",\"id\":\"pay_%u\",\"status\":\"authorized\",\"amount\":4999,"
							"\"currency\":\"EUR\",\"merchant\":\"mer_demo\",\"livemode\":false}",
							sequence);
	assert_int_equal(ask_publish(hub_peer(&ledger, PROCESS_HERALD, 0), &r, 20000, published, &kept[sequence]), ERR_OK);
	in_flight++;
}

/* Publish until the last one is acknowledged, or until so many are. */
static void
run(unsigned from, unsigned to, unsigned enough)
{
	unsigned next = from;
	while (kept_n < enough && (next < to || in_flight)) {
		while (next < to && in_flight < IN_FLIGHT)
			publish(next++);
		stage_turn(&stage);
	}
}

/* First sight of each event in the file: within its key it is later than all before it. */
static unsigned
check_file(void)
{
	static char line[4096];
	unsigned last[KEYS] = {0}, n = 0;
	bool *seen = mem_new(2 * events_n + 1, sizeof *seen);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		json_t *event = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(event);
		unsigned sequence = (unsigned)atoi(json_string_value(json_object_get(event, "sequence")));
		assert_in_range(sequence, 1, 2 * events_n);
		if (!seen[sequence]) {
			assert_true(sequence > last[sequence % KEYS]);
			last[sequence % KEYS] = sequence;
			seen[sequence] = true;
			n++;
		}
		json_decref(event);
	}
	fclose(f);
	for (unsigned i = 1; i <= 2 * events_n; i++)
		assert_true(!kept[i] || seen[i]); /* what was acknowledged is there */
	mem_free(seen);
	return n;
}

static int
set_up(void **state)
{
	static const struct answer none[] = {{MSG_NONE, NULL}};
	(void)state;
	events_n = getenv("EVENTS") ? (unsigned)atoi(getenv("EVENTS")) : 4000;
	kept = mem_new(2 * events_n + 1, sizeof *kept);
	if (!kept || !mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/events.jsonl", dir);
	stage_open(&stage);
	stage_peer(&stage, &ledger, PROCESS_LEDGER, none);
	stage_start(&stage); /* without a herald no test has anything to wait for */
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	mem_free(kept);
	unlink(path);
	return rmdir(dir);
}

static void
every_event_is_in_the_file_and_each_key_in_order(void **state)
{
	(void)state;
	int64_t start = clock_mono_us();
	run(1, events_n + 1, events_n);
	double s = (double)(clock_mono_us() - start) / 1e6;
	assert_int_equal(kept_n, events_n);
	assert_int_equal(check_file(), events_n);
	printf("herald: %u events in %.2f s = %.0f/s, synced, with %u in flight\n", events_n, s, events_n / s, IN_FLIGHT);
}

static void
killed_in_the_middle_it_loses_nothing_that_it_acknowledged(void **state)
{
	int status;
	(void)state;
	unsigned first = events_n + 1;
	run(first, 2 * events_n + 1, events_n + events_n / 2);
	kill(stage.child, SIGKILL);
	assert_int_equal(waitpid(stage.child, &status, 0), stage.child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check_file();

	/* a half line is what a kill may leave; the next life drops it */
	FILE *f = fopen(path, "a");
	fputs("{\"specversion\":\"1.0\",\"id\":\"ev", f);
	fclose(f);
	stage_start(&stage); /* wire sends again what was not answered, in its old order */
	while (in_flight)
		stage_turn(&stage);
	for (unsigned i = first; i <= 2 * events_n; i++)
		if (!kept[i])
			publish(i);
	while (in_flight)
		stage_turn(&stage);
	assert_int_equal(kept_n, 2 * events_n);
	assert_int_equal(check_file(), 2 * events_n);
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
		cmocka_unit_test(every_event_is_in_the_file_and_each_key_in_order),
		cmocka_unit_test(killed_in_the_middle_it_loses_nothing_that_it_acknowledged),
		cmocka_unit_test(asked_to_stop_it_ends),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
