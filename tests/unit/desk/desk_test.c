/* The desk: who may come in, whose uid arrives at vault and ledger, and what status says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <pb_decode.h>
#include <pb_encode.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/base/mem.h"
#include "daemon/desk/desk.h"
#include "daemon/desk/desk_status.h"
#include "daemon/desk/members.h"
#include "daemon/desk/relay.h"
#include "daemon/wire/page_account.h"
#include "daemon/wire/page_note.h"
#include "daemon/wire/proc.h"
#include "policy/schema/wire.pb.h"

#define OWNER 5000

/* ── a process without a monitor ── */

struct peer {
	enum process process;
	uint32_t uid;
};
struct call {
	struct peer *from;
	enum msg number;
	uint8_t bytes[512];
	size_t n;
	unsigned replies;
	enum err e;
	uint8_t rep[64];
	size_t rep_n;
};

static struct peer vault = {PROCESS_VAULT, 0}, ledger = {PROCESS_LEDGER, 0};
static bool init_mode;
static enum err ask_says;
static uint8_t sent[1024];
static size_t sent_n;
static struct peer *sent_to;
static peer_raw_done_fn sent_done;
static void *sent_arg;
static sp_vault_note_req notes[64];
static unsigned notes_n;

uint32_t
desk_owner(void)
{
	return OWNER;
}
bool
proc_init_mode(void)
{
	return init_mode;
}
struct peer *
proc_peer(enum process p, unsigned index)
{
	assert_int_equal(index, 0);
	return p == PROCESS_VAULT ? &vault : &ledger;
}
const struct conf *
proc_conf(void)
{
	return NULL;
}
const struct page *
proc_page_of(enum process p, unsigned index)
{
	(void)p, (void)index;
	return NULL;
}
uint32_t
peer_uid(const struct peer *p)
{
	return p->uid;
}
struct peer *
call_peer(const struct call *call)
{
	return call->from;
}
enum msg
call_number(const struct call *call)
{
	return call->number;
}
const uint8_t *
call_bytes(const struct call *call, size_t *n)
{
	*n = call->n;
	return call->bytes;
}
void
call_reply(struct call *call, enum err e, const void *rep)
{
	assert_null(rep);
	call->replies++;
	call->e = e;
}
void
call_reply_raw(struct call *call, enum err e, const uint8_t *rep, size_t n)
{
	assert_true(n <= sizeof call->rep);
	call->replies++;
	call->e = e;
	if (n)
		memcpy(call->rep, rep, n);
	call->rep_n = n;
}
enum err
peer_tell(struct peer *p, enum msg number, const void *req)
{
	assert_ptr_equal(p, &vault);
	assert_int_equal(number, MSG_vault_note);
	notes[notes_n++ % 64] = *(const sp_vault_note_req *)req;
	return ERR_OK;
}
enum err
peer_ask_raw(struct peer *p, enum msg number, const uint8_t *req, size_t n, uint32_t deadline_ms, peer_raw_done_fn done,
			 void *arg)
{
	(void)number;
	assert_true(deadline_ms > 0 && n <= sizeof sent);
	if (ask_says != ERR_OK)
		return ask_says;
	memcpy(sent, req, n);
	sent_n = n;
	sent_to = p;
	sent_done = done;
	sent_arg = arg;
	return ERR_OK;
}

static int
fresh(void **state)
{
	(void)state;
	init_mode = false;
	ask_says = ERR_OK;
	sent_n = notes_n = 0;
	sent_to = NULL;
	return 0;
}

/* ── who may come in ── */

static void
write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
members_are_root_the_owner_and_the_group(void **state)
{
	char dir[] = "/tmp/sallyport-desk-XXXXXX";
	struct members m = {.owner = OWNER};
	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	write_file("group", "root:x:0:\nofficers-old:x:70:eve\nofficers:x:71:ada,zoe,ghost\nstaff:x:50:eve\n");
	write_file("passwd", "root:x:0:0::/:/bin/sh\nada:x:1001:50::/:/bin/sh\neve:x:1002:50::/:/bin/sh\n"
						 "bob:x:1003:71::/:/bin/sh\nzoe:x:1004:50::/:/bin/sh\nad:x:1005:7::/:/bin/sh\n");
	assert_int_equal(members_read(&m, "group", "passwd", "officers"), ERR_OK);
	assert_int_equal(m.count, 3);
	assert_true(members_has(&m, 0) && members_has(&m, OWNER));
	assert_true(members_has(&m, 1001) && members_has(&m, 1003) && members_has(&m, 1004));
	assert_false(members_has(&m, 1002) || members_has(&m, 1005) || members_has(&m, 65534));

	write_file("group", "officers:x:71:eve\n");
	assert_int_equal(members_read(&m, "group", "passwd", "officers"), ERR_OK);
	assert_true(members_has(&m, 1002) && members_has(&m, 1003));
	assert_false(members_has(&m, 1001));
	unlink("group");
	assert_int_equal(members_read(&m, "group", "passwd", "officers"), ERR_FILE_MISSING);
	assert_true(members_has(&m, 1002)); /* what was known stays */
	write_file("group", "others:x:71:\n");
	assert_int_equal(members_read(&m, "group", "passwd", "officers"), ERR_OK);
	assert_int_equal(m.count, 0);
	assert_true(members_has(&m, OWNER));
	/* more than there is room for: the first ones count, and it is said */
	write_file("group", "officers:x:71:\n");
	FILE *f = fopen("passwd", "w");
	assert_non_null(f);
	for (unsigned i = 0; i <= MEMBERS_MAX; i++)
		fprintf(f, "u%u:x:%u:71::/:/bin/sh\n", i, 10000 + i);
	fclose(f);
	assert_int_equal(members_read(&m, "group", "passwd", "officers"), ERR_LIMIT);
	assert_true(members_has(&m, 10000 + MEMBERS_MAX - 1));
	assert_false(members_has(&m, 10000 + MEMBERS_MAX));
	unlink("group");
	unlink("passwd");
	assert_int_equal(chdir("/"), 0);
	rmdir(dir);
}

/* ── whose uid arrives ── */

static uint32_t
uid_of_sent(void)
{
	sp_client_list_req got = sp_client_list_req_init_zero;
	pb_istream_t in = pb_istream_from_buffer(sent, sent_n);
	assert_true(pb_decode(&in, &sp_client_list_req_msg, &got));
	assert_string_equal(got.after, "abc");
	return got.uid;
}

static void
the_kernels_uid_wins_over_the_programs(void **state)
{
	static const uint32_t uids[] = {0, 1, 127, 128, 1000, 65534, 16383, 16384, 2097152, UINT32_MAX};
	(void)state;
	for (size_t i = 0; i < sizeof uids / sizeof *uids; i++)
		for (unsigned lie = 0; lie < 3; lie++) {
			struct peer program = {PROCESS_OFFICER, uids[i]};
			struct call call = {.from = &program, .number = MSG_client_list};
			sp_client_list_req req = {.after = "abc", .limit = 5, .uid = lie ? 4242 : 0};
			pb_ostream_t out = pb_ostream_from_buffer(call.bytes, sizeof call.bytes);
			assert_true(pb_encode(&out, &sp_client_list_req_msg, &req));
			if (lie == 2) /* and once more behind its own end */
				assert_true(pb_encode_tag(&out, PB_WT_VARINT, 15) && pb_encode_varint(&out, 99));
			call.n = out.bytes_written;
			relay_answer(&call, &req);
			assert_ptr_equal(sent_to, &ledger);
			assert_int_equal(uid_of_sent(), uids[i]);
			assert_int_equal(call.replies, 0);
			sent_done(sent_arg, ERR_CLIENT_EXISTS, (const uint8_t *)"raw", 3);
			assert_int_equal(call.replies, 1);
			assert_int_equal(call.e, ERR_CLIENT_EXISTS);
			assert_memory_equal(call.rep, "raw", 3);
		}
}

static void
every_officers_row_is_relayed_and_no_other(void **state)
{
	struct answer rows[64];
	size_t n = relay_rows(rows, 64);
	(void)state;
	assert_in_range(n, 14, 63);
	for (size_t i = 0; i < n; i++) {
		const struct msg_row *row = msg_row_of(rows[i].number);
		assert_non_null(row);
		assert_true(row->from == 1u << PROCESS_OFFICER && row->kind == MSG_KIND_ASK);
		assert_true(row->to == PROCESS_VAULT || row->to == PROCESS_LEDGER);
		assert_int_not_equal(rows[i].number, MSG_redeem);
		/* every one of them has a field 15 to hold the uid, and it decodes */
		uint8_t uid[RELAY_UID_BYTES];
		pb_istream_t in = pb_istream_from_buffer(uid, relay_uid(77, uid));
		void *req = mem_new(1, row->request_bytes);
		assert_true(pb_decode(&in, row->request, req));
		pb_ostream_t size = PB_OSTREAM_SIZING;
		assert_true(pb_encode(&size, row->request, req));
		assert_int_equal(size.bytes_written, 2); /* kept as a known field, not skipped as an unknown one */
		mem_free(req);
	}
}

static void
the_installation_is_made_by_its_owner_and_once(void **state)
{
	static const struct {
		bool init;
		uint32_t uid;
		enum err e;
	} rows[] = {
		{true, 0, ERR_OK},           {true, OWNER, ERR_OK},           {true, 1001, ERR_PERMISSION},
		{false, 0, ERR_INITIALISED}, {false, OWNER, ERR_INITIALISED},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct peer program = {PROCESS_OFFICER, rows[i].uid};
		struct call call = {.from = &program, .number = i % 2 ? MSG_vault_init : MSG_ledger_init};
		init_mode = rows[i].init;
		sent_to = NULL;
		relay_answer(&call, NULL);
		assert_true((sent_to != NULL) == (rows[i].e == ERR_OK));
		assert_int_equal(call.replies, rows[i].e != ERR_OK);
		if (rows[i].e != ERR_OK)
			assert_int_equal(call.e, rows[i].e);
	}
	assert_int_equal(notes_n, 3);
	assert_int_equal(notes[0].uid_actor, 1001);
	assert_int_equal(notes[0].code, ERR_PERMISSION);
}

static void
a_peer_that_is_away_or_a_request_too_large_is_an_error_not_a_silence(void **state)
{
	struct peer program = {PROCESS_OFFICER, 0};
	struct call call = {.from = &program, .number = MSG_key_list};
	(void)state;
	ask_says = ERR_PEER_AWAY;
	relay_answer(&call, NULL);
	assert_int_equal(call.replies, 1);
	assert_int_equal(call.e, ERR_NOT_READY);
}

static void
refusals_are_noted_but_can_not_fill_the_log(void **state)
{
	(void)state;
	sleep(1); /* a fresh second */
	for (unsigned i = 0; i < 1000; i++)
		relay_deny(65534, ERR_PERMISSION, "connect");
	assert_in_range(notes_n, 1, 8);
	sleep(1);
	unsigned before = notes_n;
	relay_deny(65534, ERR_PERMISSION, "connect");
	assert_int_equal(notes_n, before + 1);
	uint64_t all = 0;
	for (unsigned i = 0; i < notes_n; i++)
		all += notes[i].number;
	assert_int_equal(all, 1001); /* none is forgotten */
	relay_deny(65534, ERR_PERMISSION, "connect");
	assert_int_equal(notes[notes_n - 1].number, 1); /* and none is told twice */
}

/* ── status ── */

static void
status_adds_up_the_pages(void **state)
{
	static struct page a, b;
	static sp_status_rep rep;
	const struct page *pages[] = {&a, NULL, &b};
	(void)state;
	a.process = PROCESS_VAULT;
	b.process = PROCESS_GATE;
	b.index = 1;
	atomic_store(&a.pid, 11);
	atomic_store(&b.pid, 12);
	atomic_store(&a.heartbeat_mono_ms, 90);
	atomic_store(&b.heartbeat_mono_ms, 100);
	memset(a.jail, 'x', sizeof a.jail); /* no NUL: the reader must not run on */
	snprintf(b.user, sizeof b.user, "sallyport-gate");
	page_add(&a, METRIC_COMMITS, 5);
	page_add(&b, METRIC_COMMITS, 7);
	page_set(&a, METRIC_DISK_FREE, 900);
	page_set(&a, METRIC_LOOP_MAX_US, 20);
	page_set(&b, METRIC_LOOP_MAX_US, 30);
	page_observe(&b, METRIC_REQUEST_SECONDS, 1500);
	page_observe(&a, METRIC_REQUEST_SECONDS, 1200);
	page_observe(&b, METRIC_REQUEST_SECONDS, 30000000);
	atomic_store(&a.state, PAGE_REFUSING);
	atomic_store(&a.cause, ERR_DISK_FULL);
	atomic_store(&b.state, PAGE_SERVING);
	page_note_set(&b, 500, "f:1: k: p");
	atomic_store(&b.new_version, 1);
	page_set(&b, METRIC_CONFIG_REFUSED_AT, 5);
	page_set(&a, METRIC_CONFIG_REFUSED_AT, 4);
	desk_status_fill(pages, 3, 1000, 100, &rep);
	/* what stands until somebody acts is told under something graver too */
	assert_int_equal(rep.config_refused_at_ms, 500);
	assert_string_equal(rep.config_refused, "f:1: k: p");
	assert_true(rep.new_version);
	assert_int_equal(rep.state, PAGE_REFUSING);
	assert_int_equal(rep.cause, ERR_DISK_FULL);
	assert_int_equal(rep.at_ms, 1000);
	assert_int_equal(rep.processes[0].cause, ERR_DISK_FULL);
	assert_int_equal(rep.processes_count, 2);
	assert_string_equal(rep.processes[0].name, "vault");
	assert_int_equal(rep.processes[0].heartbeat_age_ms, 10);
	assert_int_equal(strlen(rep.processes[0].jail), sizeof a.jail - 1);
	assert_string_equal(rep.processes[1].user, "sallyport-gate");
	assert_int_equal(rep.processes[1].index, 1);
	unsigned seen = 0;
	for (unsigned i = 0; i < rep.metrics_count; i++) {
		const sp_metric_view *m = &rep.metrics[i];
		static const struct {
			const char *name;
			uint64_t value;
		} want[] = {{"db_commits_total", 12},
					{"disk_free_bytes", 900},
					{"loop_turn_max_us", 30},
					{"http_request_seconds_count", 3},
					{"http_request_seconds_sum_us", 30002700}};
		for (unsigned w = 0; w < 5; w++)
			if (strcmp(m->name, want[w].name) == 0) {
				assert_int_equal(m->value, want[w].value);
				seen++;
			}
	}
	assert_int_equal(seen, 5);
	/* buckets of all processes together; 1 to 2 ms is the fourth, what took longer than all bounds the last */
	for (unsigned i = 0; i < rep.histograms_count; i++)
		if (strcmp(rep.histograms[i].name, "http_request_seconds") == 0) {
			assert_int_equal(rep.histograms[i].bucket_count, PAGE_BUCKETS + 1);
			for (unsigned k = 0; k <= PAGE_BUCKETS; k++)
				assert_int_equal(rep.histograms[i].bucket[k], k == 3 ? 2 : k == PAGE_BUCKETS ? 1 : 0);
			seen++;
		}
	assert_int_equal(seen, 6);
	/* the courier's page tells of processors */
	struct health_outage out = {.breaker = 1, .failures = 6, .since_wall_ms = 5000, .retry_mono_ms = 350};
	b.process = PROCESS_COURIER;
	atomic_store(&a.cause, ERR_OK);
	atomic_store(&a.state, PAGE_SERVING);
	atomic_store(&b.cause, ERR_PROCESSOR_OUT);
	page_account_set(&b, page_account_place(&b, "stripe:eu"), &out);
	desk_status_fill(pages, 3, 1000, 100, &rep);
	assert_string_equal(rep.runbook, "sallyport-processor-outage");
	assert_string_equal(rep.detail, "processor stripe:eu does not answer (6 failures since 1970-01-01T00:00:05Z)");
	assert_int_equal(rep.accounts_count, 1);
	assert_string_equal(rep.accounts[0].account, "stripe:eu");
	assert_int_equal(rep.accounts[0].retry_in_ms, 250);
	memset(&b.account, 'x', sizeof b.account);
	atomic_store(&b.accounts_n, PAGE_ACCOUNTS);
	desk_status_fill(pages, 3, 1000, 100, &rep);
	assert_int_equal(rep.accounts_count, PAGE_ACCOUNTS);
	/* it fits into its message whatever the figures are */
	pb_ostream_t size = PB_OSTREAM_SIZING;
	assert_true(pb_encode(&size, &sp_status_rep_msg, &rep));
	assert_true(size.bytes_written < msg_row_of(MSG_status)->bytes_max);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(members_are_root_the_owner_and_the_group, fresh),
		cmocka_unit_test_setup(the_kernels_uid_wins_over_the_programs, fresh),
		cmocka_unit_test_setup(every_officers_row_is_relayed_and_no_other, fresh),
		cmocka_unit_test_setup(the_installation_is_made_by_its_owner_and_once, fresh),
		cmocka_unit_test_setup(a_peer_that_is_away_or_a_request_too_large_is_an_error_not_a_silence, fresh),
		cmocka_unit_test_setup(refusals_are_noted_but_can_not_fill_the_log, fresh),
		cmocka_unit_test_setup(status_adds_up_the_pages, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
