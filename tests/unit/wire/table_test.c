/* The tables of the wire (messages, metrics, health) and its heap of deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/wire/deadline.h"
#include "daemon/wire/frame.h"
#include "daemon/wire/page.h"
#include "daemon/wire/page_account.h"
#include "daemon/wire/page_note.h"

static void
rows_say_who_may_speak_to_whom(void **state)
{
	(void)state;
	assert_true(msg_allowed(MSG_tokenize, PROCESS_GATE, PROCESS_VAULT));
	assert_false(msg_allowed(MSG_tokenize, PROCESS_LEDGER, PROCESS_VAULT));
	assert_false(msg_allowed(MSG_tokenize, PROCESS_GATE, PROCESS_LEDGER));
	/* the gate has no message with which it could ask for a card */
	for (unsigned n = 0; n < MSG_NUMBER_MAX; n++)
		if (msg_allowed(n, PROCESS_GATE, PROCESS_VAULT) && msg_row_of(n)->to == PROCESS_VAULT)
			assert_string_equal(msg_row_of(n)->name, "tokenize");
	/* officers reach vault and ledger through the desk only */
	assert_true(msg_allowed(MSG_key_list, PROCESS_OFFICER, PROCESS_DESK));
	assert_true(msg_allowed(MSG_key_list, PROCESS_DESK, PROCESS_VAULT));
	assert_false(msg_allowed(MSG_key_list, PROCESS_OFFICER, PROCESS_VAULT));
	assert_false(msg_allowed(MSG_key_list, PROCESS_GATE, PROCESS_VAULT));
	assert_true(msg_allowed(MSG_status, PROCESS_OFFICER, PROCESS_DESK));
	assert_false(msg_allowed(MSG_status, PROCESS_DESK, PROCESS_DESK));
	assert_false(msg_linked(PROCESS_GATE, PROCESS_HERALD));
	assert_false(msg_linked(PROCESS_HERALD, PROCESS_VAULT));
	assert_true(msg_linked(PROCESS_VAULT, PROCESS_HSM));
	assert_true(msg_linked(PROCESS_DESK, PROCESS_LEDGER));
	assert_false(msg_allowed(9999, PROCESS_GATE, PROCESS_VAULT));
	assert_null(msg_row_of(0));
}

static void
rows_fit_into_a_frame(void **state)
{
	(void)state;
	for (unsigned n = 0; n < MSG_NUMBER_MAX; n++) {
		const struct msg_row *row = msg_row_of(n);
		if (!row)
			continue;
		assert_true(row->bytes_max <= FRAME_BODY_MAX);
		assert_non_null(row->request);
		assert_int_equal(row->reply != NULL, row->kind == MSG_KIND_ASK);
	}
}

static void
headers_make_the_round(void **state)
{
	uint8_t bytes[FRAME_HEADER_BYTES + 16] = {0};
	struct frame f;
	(void)state;
	frame_write(bytes, MSG_tokenize, false, ERR_OK, UINT64_C(0x0102030405060708), 16);
	assert_int_equal(frame_read(bytes, sizeof bytes, PROCESS_GATE, PROCESS_VAULT, &f), ERR_OK);
	assert_int_equal(f.bytes, sizeof bytes);
	assert_int_equal(f.number, MSG_tokenize);
	assert_true(f.id == UINT64_C(0x0102030405060708));
	assert_int_equal(f.body_bytes, 16);
	assert_false(f.answer);
	frame_write(bytes, MSG_tokenize, true, ERR_CARD_LUHN, 7, 0);
	assert_int_equal(frame_read(bytes, FRAME_HEADER_BYTES, PROCESS_VAULT, PROCESS_GATE, &f), ERR_OK);
	assert_true(f.answer);
	assert_int_equal(f.e, ERR_CARD_LUHN);
	/* an answer to what the other side may not ask */
	assert_int_equal(frame_read(bytes, FRAME_HEADER_BYTES, PROCESS_GATE, PROCESS_VAULT, &f), ERR_PROTOCOL);
	frame_write(bytes, MSG_tokenize, true, (enum err)ERR_MAX, 7, 0);
	assert_int_equal(frame_read(bytes, FRAME_HEADER_BYTES, PROCESS_VAULT, PROCESS_GATE, &f), ERR_PROTOCOL);
	frame_write(bytes, MSG_tokenize, false, ERR_CARD_LUHN, 7, 0);
	assert_int_equal(frame_read(bytes, FRAME_HEADER_BYTES, PROCESS_GATE, PROCESS_VAULT, &f), ERR_PROTOCOL);
	frame_write(bytes, MSG_tokenize, true, ERR_OK, 7, 0);
	for (size_t n = 0; n < FRAME_HEADER_BYTES; n++) {
		assert_int_equal(frame_read(bytes, n, PROCESS_VAULT, PROCESS_GATE, &f), ERR_OK);
		assert_int_equal(f.bytes, 0);
	}
}

static void
the_heap_gives_the_next_one(void **state)
{
	enum { N = 2000 };
	static struct deadline all[N];
	struct deadlines h = {NULL, 0, 0};
	unsigned in = 0;
	(void)state;
	for (unsigned round = 0; round < 50000; round++) {
		struct deadline *d = &all[randombytes_uniform(N)];
		if (d->place) {
			deadline_remove(&h, d);
			in--;
		} else {
			assert_int_equal(deadline_add(&h, d, randombytes_uniform(1000)), ERR_OK);
			in++;
		}
		assert_int_equal(h.count, in);
		if (round % 1000)
			continue;
		int64_t least = INT64_MAX;
		for (unsigned i = 0; i < N; i++)
			if (all[i].place) {
				assert_ptr_equal(h.heap[all[i].place], &all[i]);
				least = all[i].due_ms < least ? all[i].due_ms : least;
			}
		assert_int_equal(deadline_first(&h)->due_ms, least);
	}
	for (int64_t last = 0; in; in--) {
		struct deadline *d = deadline_first(&h);
		assert_true(d->due_ms >= last);
		last = d->due_ms;
		deadline_remove(&h, d);
		deadline_remove(&h, d); /* twice is harmless */
	}
	assert_null(deadline_first(&h));
	deadline_free(&h);
}

/* ── pages ── */

static void
histograms_have_their_slots(void **state)
{
	static struct page p;
	bool seen[PAGE_HISTOGRAMS] = {false};
	(void)state;
	for (unsigned m = 0; m < METRIC_MAX; m++) {
		int slot = metric_histogram(m);
		assert_int_equal(slot >= 0, metric_kind_of(m) == METRIC_KIND_HISTOGRAM);
		if (slot < 0)
			continue;
		assert_true(slot < PAGE_HISTOGRAMS && !seen[slot]);
		seen[slot] = true;
	}
	page_observe(&p, METRIC_REQUEST_SECONDS, 250);
	page_observe(&p, METRIC_REQUEST_SECONDS, 251);
	page_observe(&p, METRIC_REQUEST_SECONDS, UINT32_MAX);
	page_observe(&p, METRIC_REQUESTS, 1); /* no histogram: nothing happens */
	struct page_histogram *h = &p.histogram[metric_histogram(METRIC_REQUEST_SECONDS)];
	assert_int_equal(h->bucket[0], 1);
	assert_int_equal(h->bucket[1], 1);
	assert_int_equal(h->bucket[PAGE_BUCKETS], 1);
	assert_int_equal(h->count, 3);
	page_add(&p, METRIC_REQUESTS, 2);
	page_add(&p, METRIC_REQUESTS, 3);
	assert_int_equal(p.value[METRIC_REQUESTS], 5);
	page_set(&p, METRIC_REQUESTS, 1);
	assert_int_equal(p.value[METRIC_REQUESTS], 1);
}

struct one {
	enum process process;
	enum page_state state;
	enum err cause;
	unsigned restarts, age_ms;
};

static struct health
health_of(const struct one *all, unsigned n)
{
	static struct page pages[8];
	const struct page *list[8];
	for (unsigned i = 0; i < n; i++) {
		memset(&pages[i], 0, sizeof pages[i]);
		pages[i].process = (uint32_t)all[i].process;
		pages[i].state = (uint32_t)all[i].state;
		pages[i].cause = (uint32_t)all[i].cause;
		pages[i].restarts = all[i].restarts;
		pages[i].heartbeat_mono_ms = 100000 - all[i].age_ms;
		list[i] = &pages[i];
	}
	return page_health(list, n, 100000);
}

static void
the_worst_state_is_the_appliances(void **state)
{
	static const struct {
		struct one all[3];
		unsigned n;
		enum page_state state;
		enum err cause;
	} rows[] = {
		{{{PROCESS_VAULT, PAGE_SERVING, ERR_OK, 0, 0}, {PROCESS_LEDGER, PAGE_SERVING, ERR_OK, 0, 0}},
		 2,
		 PAGE_SERVING,
		 ERR_OK},
		{{{PROCESS_VAULT, PAGE_SERVING, ERR_OK, 0, 0}, {PROCESS_LEDGER, PAGE_STARTING, ERR_OK, 0, 0}},
		 2,
		 PAGE_STARTING,
		 ERR_NOT_READY},
		{{{PROCESS_VAULT, PAGE_SEALED, ERR_HSM_PIN_MISSING, 0, 0}, {PROCESS_LEDGER, PAGE_STARTING, ERR_OK, 0, 0}},
		 2,
		 PAGE_SEALED,
		 ERR_HSM_PIN_MISSING},
		{{{PROCESS_VAULT, PAGE_REFUSING, ERR_AUDIT_AWAY, 0, 0}, {PROCESS_LEDGER, PAGE_SERVING, ERR_OK, 0, 0}},
		 2,
		 PAGE_REFUSING,
		 ERR_AUDIT_AWAY},
		/* a warning while serving */
		{{{PROCESS_VAULT, PAGE_SERVING, ERR_HSM_AWAY, 0, 0}, {PROCESS_LEDGER, PAGE_SERVING, ERR_OK, 0, 0}},
		 2,
		 PAGE_SERVING,
		 ERR_HSM_AWAY},
		/* that a new version waits is told, but never over anything else */
		{{{PROCESS_MONITOR, PAGE_SERVING, ERR_NEW_VERSION, 0, 0}, {PROCESS_VAULT, PAGE_SERVING, ERR_OK, 0, 0}},
		 2,
		 PAGE_SERVING,
		 ERR_NEW_VERSION},
		{{{PROCESS_MONITOR, PAGE_SERVING, ERR_NEW_VERSION, 0, 0}, {PROCESS_VAULT, PAGE_SERVING, ERR_HSM_AWAY, 0, 0}},
		 2,
		 PAGE_SERVING,
		 ERR_HSM_AWAY},
		/* a refused configuration is told over that, and under what hurts now */
		{{{PROCESS_MONITOR, PAGE_SERVING, ERR_CONFIG_REFUSED, 0, 0}, {PROCESS_VAULT, PAGE_SERVING, ERR_HSM_AWAY, 0, 0}},
		 2,
		 PAGE_SERVING,
		 ERR_HSM_AWAY},
		{{{PROCESS_VAULT, PAGE_SERVING, ERR_NEW_VERSION, 0, 0},
		  {PROCESS_MONITOR, PAGE_SERVING, ERR_CONFIG_REFUSED, 0, 0}},
		 2,
		 PAGE_SERVING,
		 ERR_CONFIG_REFUSED},
		/* hanging, and starting again */
		{{{PROCESS_VAULT, PAGE_SERVING, ERR_OK, 0, 3001}}, 1, PAGE_REFUSING, ERR_VAULT_AWAY},
		{{{PROCESS_LEDGER, PAGE_STARTING, ERR_OK, 1, 0}}, 1, PAGE_REFUSING, ERR_LEDGER_AWAY},
		{{{PROCESS_HERALD, PAGE_SERVING, ERR_OK, 0, 9000}}, 1, PAGE_SERVING, ERR_PEER_AWAY},
		{{{PROCESS_HSM, PAGE_STARTING, ERR_OK, 3, 0}}, 1, PAGE_SERVING, ERR_HSM_AWAY},
		/* what it died of says more than that it is away */
		{{{PROCESS_VAULT, PAGE_STARTING, ERR_DB_KEY, 2, 0}}, 1, PAGE_REFUSING, ERR_DB_KEY},
		{{{PROCESS_VAULT, PAGE_STARTING, ERR_DB_KEY, 0, 0}}, 1, PAGE_STARTING, ERR_DB_KEY},
		{{{PROCESS_VAULT, PAGE_SEALED, ERR_HSM_AWAY, 0, 0}, {PROCESS_HSM, PAGE_STARTING, ERR_HSM_MODULE, 3, 0}},
		 2,
		 PAGE_SEALED,
		 ERR_HSM_MODULE},
		{{{PROCESS_VAULT, PAGE_SEALED, ERR_HSM_AWAY, 0, 0}, {PROCESS_HSM, PAGE_STARTING, ERR_OK, 3, 0}},
		 2,
		 PAGE_SEALED,
		 ERR_HSM_AWAY},
		/* one gate of two is a warning, both are an outage */
		{{{PROCESS_GATE, PAGE_SERVING, ERR_OK, 0, 9000}, {PROCESS_GATE, PAGE_SERVING, ERR_OK, 0, 0}},
		 2,
		 PAGE_SERVING,
		 ERR_PEER_AWAY},
		{{{PROCESS_GATE, PAGE_SERVING, ERR_OK, 0, 9000}, {PROCESS_GATE, PAGE_STARTING, ERR_OK, 2, 0}},
		 2,
		 PAGE_REFUSING,
		 ERR_PEER_AWAY},
		{{{PROCESS_MONITOR, PAGE_STOPPING, ERR_SHUTTING_DOWN, 0, 0}, {PROCESS_VAULT, PAGE_SEALED, ERR_HSM_PIN, 0, 0}},
		 2,
		 PAGE_STOPPING,
		 ERR_SHUTTING_DOWN},
	};
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct health h = health_of(rows[i].all, rows[i].n);
		if (h.state != rows[i].state || h.cause != rows[i].cause)
			fail_msg("row %u: %s %s", i, page_state_word(h.state), err_code(h.cause));
	}
	assert_int_equal(page_health(NULL, 0, 0).state, PAGE_STARTING);
}

#define NOTE_READS 1000000
static atomic_bool enough;

static void *
write_notes(void *arg)
{
	char text[2][PAGE_NOTE_BYTES];
	memset(text, 0, sizeof text);
	memset(text[0], 'b', PAGE_NOTE_BYTES - 1);
	memset(text[1], 'a', PAGE_NOTE_BYTES - 1);
	for (int i = 0; !atomic_load(&enough); i++)
		page_note_set(arg, 1 + (i + 1) % 2, text[i % 2]);
	page_note_clear(arg);
	return NULL;
}

static void
a_note_is_read_whole_or_not_at_all(void **state)
{
	static struct page page;
	char text[PAGE_NOTE_BYTES], longer[2 * PAGE_NOTE_BYTES];
	pthread_t writer;
	unsigned whole = 0;
	(void)state;
	assert_int_equal(page_note_get(&page, text), 0);
	page_note_set(&page, 7, "one");
	assert_int_equal(page_note_get(&page, text), 7);
	assert_string_equal(text, "one");
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = 0;
	page_note_set(&page, 8, longer);
	assert_int_equal(page_note_get(&page, text), 8);
	assert_int_equal(strlen(text), PAGE_NOTE_BYTES - 1);
	page_note_clear(&page);
	assert_int_equal(page_note_get(&page, text), 0);
	assert_string_equal(text, "");
	assert_int_equal(pthread_create(&writer, NULL, write_notes, &page), 0);
	for (unsigned i = 0; i < NOTE_READS; i++) {
		int64_t at = page_note_get(&page, text);
		whole += at == 1 || at == 2;
		for (const char *p = text; (at == 1 || at == 2) && *p; p++)
			if (*p != (at == 1 ? 'a' : 'b'))
				fail_msg("half of another: %s", text);
	}
	atomic_store(&enough, true);
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_true(whole > 0);
	assert_int_equal(page_note_get(&page, text), 0);
}

static void
the_health_line_fits_a_terminal(void **state)
{
	char line[256];
	(void)state;
	for (unsigned s = PAGE_STARTING; s <= PAGE_STOPPING; s++)
		for (unsigned e = ERR_OK; e < ERR_MAX; e++) {
			unsigned columns = 0;
			health_line((struct health){(enum page_state)s, (enum err)e, PROCESS_VAULT}, line, sizeof line);
			for (const char *p = line; *p; p++)
				columns += (*p & 0xc0) != 0x80;
			if (columns > 80)
				fail_msg("%u columns: %s", columns, line);
			assert_non_null(strstr(line, " — "));
			if (e != ERR_OK)
				assert_non_null(strstr(line, "; "));
		}
	health_line((struct health){PAGE_SERVING, ERR_OK, PROCESS_MONITOR}, line, sizeof line);
	assert_string_equal(line, "serving — all well");
	health_line((struct health){PAGE_SERVING, ERR_NEW_VERSION, PROCESS_MONITOR}, line, sizeof line);
	assert_string_equal(line, "serving — new version not running; sallyport upgrade");
	health_line((struct health){PAGE_REFUSING, ERR_AUDIT_AWAY, PROCESS_VAULT}, line, sizeof line);
	assert_string_equal(line, "refusing effects — audit unavailable; free space on the appliance's disk");
}

static void
one_place_for_each_account(struct page *p)
{
	char name[PAGE_ACCOUNT_NAME_BYTES + 1];
	memset(p, 0, sizeof *p);
	for (int i = 0; i < PAGE_ACCOUNTS; i++) {
		snprintf(name, sizeof name, "n%d", i);
		assert_int_equal(page_account_place(p, name), i);
		assert_int_equal(page_account_place(p, name), i);
	}
	assert_int_equal(page_account_place(p, "one too many"), -1);
	memset(p, 0, sizeof *p);
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = 0;
	assert_int_equal(page_account_place(p, name), -1); /* too long for its place */
	/* a writer gone mad does not lead a reader astray */
	p->accounts_n = UINT32_MAX;
	memset(p->account, 'x', sizeof p->account);
	struct health_outage out;
	assert_true(page_account_read(p, PAGE_ACCOUNTS - 1, &out));
	assert_int_equal(strlen(out.account), sizeof out.account - 1);
	assert_false(page_account_read(p, PAGE_ACCOUNTS, &out));
}

static void
a_processor_outage_is_told_by_name_and_with_its_figures(void **state)
{
	static const struct {
		const char *accounts[3];
		unsigned out; /* how many of them do not answer */
		const char *line, *detail;
	} rows[] = {
		{{"simulator"},
		 1,
		 "serving — processor simulator does not answer; man sallyport-processor-outage",
		 "processor simulator does not answer (7 failures since 2026-11-29T03:00:01Z)"},
		{{"well", "stripe:eu", "adyen"},
		 3,
		 "serving — processor well and 2 more do not answer; sallyport status",
		 "processor well and 2 more do not answer (7 failures since 2026-11-29T03:00:01Z)"},
		{{"a-connector:an-account-of-a-very-long-name-that-fits-no-line"},
		 1,
		 "serving — processor a-connector:an-a… does not answer; sallyport status",
		 "processor a-connector:an-account-of-a-very-long-name-that-fits-no-line does not answer (7 failures since "
		 "2026-11-29T03:00:01Z)"},
		{{"bad\x1bname"},
		 1,
		 "serving — processor bad?name does not answer; man sallyport-processor-outage",
		 "processor bad?name does not answer (7 failures since 2026-11-29T03:00:01Z)"},
	};
	static struct page p;
	char text[256];
	(void)state;
	for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct page *list[] = {&p};
		struct health_outage one = {.breaker = 1, .failures = 7, .since_wall_ms = INT64_C(1795921201000)};
		memset(&p, 0, sizeof p);
		p.process = PROCESS_COURIER;
		p.state = PAGE_SERVING;
		p.cause = ERR_PROCESSOR_OUT;
		for (unsigned k = 0; k < 3 && rows[i].accounts[k]; k++)
			page_account_set(&p, page_account_place(&p, rows[i].accounts[k]), &one);
		struct health h = page_health(list, 1, 0);
		assert_int_equal(h.outages, rows[i].out);
		assert_string_equal(health_next(h) + sizeof "man", err_runbook(ERR_PROCESSOR_OUT));
		health_line(h, text, sizeof text);
		assert_string_equal(text, rows[i].line);
		health_detail(h, text, sizeof text);
		assert_string_equal(text, rows[i].detail);
	}
	one_place_for_each_account(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_say_who_may_speak_to_whom),
		cmocka_unit_test(rows_fit_into_a_frame),
		cmocka_unit_test(headers_make_the_round),
		cmocka_unit_test(the_heap_gives_the_next_one),
		cmocka_unit_test(histograms_have_their_slots),
		cmocka_unit_test(a_note_is_read_whole_or_not_at_all),
		cmocka_unit_test(the_worst_state_is_the_appliances),
		cmocka_unit_test(the_health_line_fits_a_terminal),
		cmocka_unit_test(a_processor_outage_is_told_by_name_and_with_its_figures),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
