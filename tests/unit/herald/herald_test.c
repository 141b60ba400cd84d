/* Events: their form, the contract of every sink, and the order of entries that were refused and come again. */
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/base/str.h"
#include "daemon/herald/bus.h"
#include "daemon/herald/bus_memory.h"
#include "daemon/herald/cloudevent.h"
#include "daemon/herald/outbox.h"
#include "daemon/herald/plain_object.h"
#include "daemon/wire/proc.h"

static struct conf *conf;
static struct page page;
static char dir[] = "/tmp/sallyport-herald-XXXXXX";

static enum err said; /* the last cause of our state */

struct call {
	bool answered;
	enum err e;
};

const struct conf *
proc_conf(void)
{
	return conf;
}
struct page *
proc_page(void)
{
	return &page;
}
void
proc_state(enum page_state state, enum err cause)
{
	assert_int_equal(state, PAGE_SERVING);
	said = cause;
}
void
call_reply(struct call *call, enum err e, const void *rep)
{
	assert_false(call->answered);
	assert_true((e == ERR_OK) == (rep != NULL));
	call->answered = true;
	call->e = e;
}

static sp_publish_req
entry(uint64_t sequence, const char *key, const char *data)
{
	sp_publish_req r = sp_publish_req_init_zero;
	r.sequence = sequence;
	r.at_ms = 1790000000123;
	r.livemode = false;
	snprintf(r.id, sizeof r.id, "evt_%llu", (unsigned long long)sequence);
	snprintf(r.type, sizeof r.type, "payment.authorized.v1");
	snprintf(r.subject, sizeof r.subject, "pay_1");
	snprintf(r.partition_key, sizeof r.partition_key, "%s", key);
	r.data.size = (pb_size_t)strlen(data);
	memcpy(r.data.bytes, data, r.data.size);
	return r;
}

static int
set_up(void **state)
{
	(void)state;
	conf = conf_new();
	return conf && mkdtemp(dir) && chdir(dir) == 0 && conf_set(conf, CONF_INSTALL, "lab") == ERR_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	conf_free(conf);
	return chdir("/") == 0 ? rmdir(dir) : -1;
}

/* ── the form ── */

static const char *
text_of(const json_t *event, const char *name)
{
	const char *text = json_string_value(json_object_get(event, name));
	return text ? text : "";
}

static void
an_entry_becomes_a_cloudevent_on_one_line(void **state)
{
	sp_publish_req r = entry(42, "order \"7\"\n", "{ \"amount\": 999999999999,\n \"note\": \"\\u0000 \\u2028 \\n\" }");
	char *line;
	(void)state;
	snprintf(r.traceparent, sizeof r.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	assert_int_equal(cloudevent_line(&r, "lab", &line), ERR_OK);
	assert_null(strchr(line, '\n'));
	json_t *event = json_loads(line, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(event);
	assert_string_equal(text_of(event, "specversion"), "1.0");
	assert_string_equal(text_of(event, "id"), "evt_42");
	assert_string_equal(text_of(event, "source"), "/sallyport/lab");
	assert_string_equal(text_of(event, "type"), "payment.authorized.v1");
	assert_string_equal(text_of(event, "subject"), "pay_1");
	assert_string_equal(text_of(event, "time"), "2026-09-21T14:13:20.123Z");
	assert_string_equal(text_of(event, "datacontenttype"), "application/json");
	assert_string_equal(text_of(event, "partitionkey"), "order \"7\"\n");
	assert_string_equal(text_of(event, "sequence"), "00000000000000000042");
	assert_string_equal(text_of(event, "traceparent"), r.traceparent);
	assert_true(json_is_false(json_object_get(event, "livemode")));
	assert_int_equal(json_integer_value(json_object_get(json_object_get(event, "data"), "amount")), 999999999999);
	const char *name;
	json_t *value;
	json_object_foreach(event, name, value) /* CloudEvents 3.1: lower case letters and digits only */
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789"), strlen(name));
	json_decref(event);
	mem_free(line);
}

/* Each of `yes`, and everything that one changed or dropped byte makes of it: a yes is a parser's yes. */
static void
what_is_plain_a_parser_takes_too(void **state)
{
	static const char *const yes[] = {
		"{}",
		"{\"a\":0,\"b\":[],\"c\":{\"a\":[true,false,null,{\"a\":123456789012345678}]},\"d\":\"x y\"}",
		"{\"id\":\"pay_1\",\"amount\":{\"minor\":4999,\"currency\":\"EUR\"},\"list\":[\"a\",\"a\",10]}",
	};
	static const char *const no[] = {
		"",
		"[]",
		"1",
		"{\"a\":1,\"a\":2}",
		"{\"a\":{\"b\":1,\"c\":2,\"b\":3}}",
		"{\"a\":01}",
		"{\"a\":1.5}",
		"{\"a\":1e5}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{\"a\":[1,]}",
		"{\"a\":tru}",
		"{\"a\":1}x",
		"{\"a\":1",
		"{\"a\":\"\\u0061\"}",
		"{\"a\":1234567890123456789}",
		"{\"a\":\"\x80\"}",
		"{\"a\":[[[[[[[[[[1]]]]]]]]]]}",
	};
	static const char changes[] = "\"\\{}[],:0 19.e-a\n\x80";
	(void)state;
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		assert_false(plain_object((const uint8_t *)no[i], strlen(no[i])));
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		size_t n = strlen(yes[i]);
		assert_true(plain_object((const uint8_t *)yes[i], n));
		for (size_t at = 0; at < n; at++)
			for (size_t c = 0; c < sizeof changes + 1; c++) {
				char text[160];
				size_t m = n;
				memcpy(text, yes[i], n);
				if (c < sizeof changes)
					text[at] = changes[c];
				else
					memmove(text + at, text + at + 1, --m - at);
				if (!plain_object((const uint8_t *)text, m))
					continue;
				assert_null(memchr(text, '\n', m));
				json_t *data = json_loadb(text, m, JSON_REJECT_DUPLICATES, NULL);
				assert_true(json_is_object(data));
				json_decref(data);
			}
	}
}

static void
what_is_empty_is_left_out_and_what_is_no_event_is_refused(void **state)
{
	static const char *const bad[] = {"[]", "{\"a\":1,\"a\":2}", "{\"a\":", "{} {}", "\"x\"", "{\"a\":\"\xff\"}"};
	char *line;
	(void)state;
	sp_publish_req r = entry(1, "", "");
	r.subject[0] = 0;
	assert_int_equal(cloudevent_line(&r, "lab", &line), ERR_OK);
	json_t *event = json_loads(line, 0, NULL);
	assert_null(json_object_get(event, "subject"));
	assert_null(json_object_get(event, "partitionkey"));
	assert_null(json_object_get(event, "traceparent"));
	assert_true(json_is_object(json_object_get(event, "data")));
	json_decref(event);
	mem_free(line);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		r = entry(2, "k", bad[i]);
		assert_int_equal(cloudevent_line(&r, "lab", &line), ERR_JSON);
		assert_null(line);
	}
	/* the parser passes over a NUL behind a number */
	r = entry(2, "k", "{\"a\":[1 ,2]}");
	r.data.bytes[7] = 0;
	assert_int_equal(cloudevent_line(&r, "lab", &line), ERR_JSON);
	assert_null(line);
	r = entry(3, "k", "{}");
	r.id[0] = 0;
	assert_int_equal(cloudevent_line(&r, "lab", &line), ERR_JSON);
	r = entry(4, "\xc3(", "{}"); /* not UTF-8 */
	assert_int_equal(cloudevent_line(&r, "lab", &line), ERR_JSON);
}

/* ── the contract of every sink ── */

static unsigned done_n;
static enum err done_e;
static void
done(void *arg, enum err e)
{
	assert_int_equal(*(unsigned *)arg, done_n); /* in order */
	done_n++;
	done_e = e;
}

static void
fill(const struct bus *bus, unsigned from, unsigned to, unsigned *numbers)
{
	char text[64];
	for (unsigned i = from; i < to; i++) {
		numbers[i] = i;
		snprintf(text, sizeof text, "{\"n\":%u}", i);
		struct bus_entry e = {i, "evt", "type", "key", text, strlen(text)};
		assert_int_equal(bus->put(&e, done, &numbers[i]), ERR_OK);
	}
}

static unsigned
lines_of(const char *path, char last_out[64])
{
	unsigned n = 0;
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(last_out, 64, f)) {
		char want[64];
		snprintf(want, sizeof want, "{\"n\":%u}\n", n++);
		assert_string_equal(last_out, want);
	}
	fclose(f);
	return n;
}

static void
a_sink_takes_in_order_and_answers_at_the_end_of_the_turn(void **state)
{
	static const struct bus *const sinks[] = {&bus_memory, &bus_file};
	unsigned numbers[100];
	char line[64];
	(void)state;
	for (unsigned s = 0; s < 2; s++) {
		const struct bus *bus = sinks[s];
		done_n = 0;
		assert_true(bus->wanted(conf));
		assert_int_equal(bus->open(conf), ERR_OK);
		fill(bus, 0, 60, numbers);
		assert_int_equal(done_n, 0);
		bus->turn();
		assert_int_equal(done_n, 60);
		assert_int_equal(done_e, ERR_OK);
		bus->turn();
		assert_int_equal(done_n, 60);
		fill(bus, 60, 100, numbers);
		if (bus == &bus_memory) {
			assert_int_equal(bus_memory_count(), 100);
			assert_string_equal(bus_memory_event(99), "{\"n\":99}");
		}
		bus->close(); /* answers for what it has */
		assert_int_equal(done_n, 100);
	}
	assert_int_equal(lines_of("events.jsonl", line), 100);
	unlink("events.jsonl");
}

static void
the_file_drops_a_cut_off_line_and_follows_a_rotation(void **state)
{
	unsigned numbers[3];
	char line[64];
	(void)state;
	FILE *f = fopen("events.jsonl", "w");
	fputs("{\"n\":0}\n{\"n\":1}\n{\"n\":", f);
	for (unsigned i = 0; i < 5000; i++)
		fputc('x', f); /* longer than one look back */
	fclose(f);
	done_n = 0;
	assert_int_equal(bus_file.open(conf), ERR_OK);
	assert_int_equal(lines_of("events.jsonl", line), 2);
	fill(&bus_file, 0, 1, numbers);
	alarm(10); /* a reload must not wait for its own lock */
	assert_int_equal(bus_file.reload(conf), ERR_OK);
	assert_int_equal(done_n, 1);
	alarm(0);
	assert_int_equal(rename("events.jsonl", "events.jsonl.1"), 0);
	assert_int_equal(bus_file.reload(conf), ERR_OK);
	assert_int_equal(done_n, 1);
	fill(&bus_file, 1, 2, numbers);
	bus_file.close();
	f = fopen("events.jsonl", "r");
	assert_non_null(fgets(line, sizeof line, f));
	assert_string_equal(line, "{\"n\":1}\n");
	assert_null(fgets(line, sizeof line, f));
	fclose(f);
	unlink("events.jsonl");
	unlink("events.jsonl.1");
}

static void
a_full_disk_takes_nothing_and_leaves_whole_lines(void **state)
{
	struct rlimit was, full;
	unsigned numbers[4];
	char line[64];
	(void)state;
	done_n = 0;
	assert_int_equal(bus_file.open(conf), ERR_OK);
	fill(&bus_file, 0, 1, numbers);
	getrlimit(RLIMIT_FSIZE, &was);
	full = was;
	full.rlim_cur = 12; /* one line of eight bytes and half of the next */
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &full);
	struct bus_entry e = {1, "evt", "type", "key", "{\"n\":1}", 7};
	assert_int_equal(bus_file.put(&e, done, &numbers[1]), ERR_DISK_FULL);
	setrlimit(RLIMIT_FSIZE, &was);
	fill(&bus_file, 1, 2, numbers);
	bus_file.close();
	assert_int_equal(done_n, 2);
	assert_int_equal(lines_of("events.jsonl", line), 2);
	unlink("events.jsonl");
}

/* ── the outbox ── */

static void
an_entry_is_acknowledged_when_it_is_written(void **state)
{
	struct call calls[3] = {{false, ERR_OK}};
	sp_publish_req r = entry(1, "k", "{}"), poison = entry(2, "k", "no"), next = entry(3, "k", "{}");
	(void)state;
	assert_int_equal(outbox_open(conf), ERR_OK);
	outbox_answer(&calls[0], &r);
	outbox_answer(&calls[1], &poison);
	outbox_answer(&calls[2], &next);
	assert_false(calls[0].answered);
	assert_true(calls[1].answered);
	assert_int_equal(calls[1].e, ERR_JSON); /* alone: it holds nobody up */
	outbox_turn();
	assert_true(calls[0].answered && calls[2].answered);
	assert_int_equal(calls[0].e, ERR_OK);
	assert_int_equal(calls[2].e, ERR_OK);
	assert_int_equal(atomic_load(&page.value[METRIC_PUBLISHED]), 2);
	outbox_close();
	unlink("events.jsonl");
}

static void
what_the_disk_refuses_is_refused_and_later_ones_of_its_key_wait(void **state)
{
	struct call calls[5] = {{false, ERR_OK}};
	sp_publish_req first = entry(1, "k", "{}"), second = entry(2, "k", "{}"), other = entry(3, "l", "{}");
	struct rlimit was, full;
	(void)state;
	assert_int_equal(outbox_open(conf), ERR_OK);
	getrlimit(RLIMIT_FSIZE, &was);
	full = was;
	full.rlim_cur = 20;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &full);
	outbox_answer(&calls[0], &first);
	setrlimit(RLIMIT_FSIZE, &was);
	outbox_turn();
	assert_true(calls[0].answered);
	assert_int_equal(calls[0].e, ERR_DISK_FULL);
	assert_int_equal(said, ERR_DISK_FULL); /* status tells it */
	outbox_answer(&calls[1], &second);
	assert_true(calls[1].answered);
	assert_int_equal(calls[1].e, ERR_PEER_FULL);
	outbox_answer(&calls[2], &other);
	outbox_answer(&calls[3], &first);
	outbox_answer(&calls[4], &second);
	outbox_turn();
	for (unsigned i = 2; i < 5; i++)
		assert_true(calls[i].answered && calls[i].e == ERR_OK);
	assert_int_equal(said, ERR_OK);
	outbox_close();

	char line[4096];
	static const char *const order[] = {"evt_3", "evt_1", "evt_2"};
	FILE *f = fopen("events.jsonl", "r");
	for (unsigned i = 0; i < 3; i++) {
		assert_non_null(fgets(line, sizeof line, f));
		assert_non_null(strstr(line, order[i]));
	}
	assert_null(fgets(line, sizeof line, f));
	fclose(f);
	unlink("events.jsonl");
}

static void
without_a_sink_everything_is_published(void **state)
{
	struct call call = {false, ERR_OK};
	sp_publish_req r = entry(1, "k", "{}");
	(void)state;
	assert_int_equal(conf_set(conf, CONF_HERALD_FILE, "no"), ERR_OK);
	assert_int_equal(outbox_open(conf), ERR_OK);
	outbox_answer(&call, &r);
	assert_true(call.answered && call.e == ERR_OK);
	assert_int_not_equal(access("events.jsonl", F_OK), 0);
	outbox_close();
	assert_int_equal(conf_set(conf, CONF_HERALD_FILE, "yes"), ERR_OK);
}

/* Property: whatever is refused and repeated, the accepted entries of a key never go backwards. */
static void
a_refused_entry_comes_before_later_ones_of_its_key(void **state)
{
	struct outbox_order *o = mem_new(1, sizeof *o);
	(void)state;
	assert_true(outbox_take(o, "a", 1, 0));
	outbox_failed(o, "a", 1, 0);
	outbox_failed(o, "a", 2, 0);
	assert_false(outbox_take(o, "a", 2, 1));
	assert_true(outbox_take(o, "b", 3, 1)); /* another key does not wait */
	assert_true(outbox_take(o, "a", 1, 2));
	assert_true(outbox_take(o, "a", 2, 2));
	outbox_failed(o, "a", 5, 10);
	assert_false(outbox_take(o, "a", 6, OUTBOX_HOLD_MS));
	assert_true(outbox_take(o, "a", 6, OUTBOX_HOLD_MS + 11)); /* the ledger has given 5 up */

	for (unsigned seed = 1; seed <= 200; seed++) {
		uint64_t sent[8], accepted = 0;
		unsigned n = 0;
		memset(o, 0, sizeof *o);
		srand(seed);
		for (unsigned i = 0; i < 8; i++)
			sent[n++] = i + 1;
		for (unsigned round = 0; n && round < 500; round++) {
			unsigned left = 0;
			for (unsigned i = 0; i < n; i++) { /* the ledger repeats what was refused, oldest first */
				bool ok = outbox_take(o, "k", sent[i], 0);
				if (ok && rand() % 3 == 0) {
					outbox_failed(o, "k", sent[i], 0);
					ok = false;
				}
				if (ok) {
					assert_true(sent[i] > accepted);
					accepted = sent[i];
				} else
					sent[left++] = sent[i];
			}
			n = left;
		}
		assert_int_equal(n, 0);
	}
	mem_free(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_becomes_a_cloudevent_on_one_line),
		cmocka_unit_test(what_is_plain_a_parser_takes_too),
		cmocka_unit_test(what_is_empty_is_left_out_and_what_is_no_event_is_refused),
		cmocka_unit_test(a_sink_takes_in_order_and_answers_at_the_end_of_the_turn),
		cmocka_unit_test(the_file_drops_a_cut_off_line_and_follows_a_rotation),
		cmocka_unit_test(a_full_disk_takes_nothing_and_leaves_whole_lines),
		cmocka_unit_test(an_entry_is_acknowledged_when_it_is_written),
		cmocka_unit_test(what_the_disk_refuses_is_refused_and_later_ones_of_its_key_wait),
		cmocka_unit_test(without_a_sink_everything_is_published),
		cmocka_unit_test(a_refused_entry_comes_before_later_ones_of_its_key),
	};
	json_set_alloc_funcs(mem_alloc, mem_free);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
