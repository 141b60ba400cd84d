/* The simulated issuer: every row of the table of test values, keys, sums, and what a restart finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/str.h"
#include "daemon/courier/gw.h"
#include "daemon/courier/script.h"
#include "daemon/courier/simbook.h"

#define TIMEOUT_MS 20

static struct event_base *base;
static struct conf *conf;
static char dir[] = "/tmp/sallyport-simulator-XXXXXX";

struct seen {
	struct gw_answer answer[3];
	int64_t at_ms[3];
	unsigned n;
	bool more;
};

static void
see(void *arg, const struct gw_answer *a, bool more)
{
	struct seen *s = arg;
	assert_in_range(s->n, 0, 2);
	s->at_ms[s->n] = clock_mono_ms();
	s->answer[s->n++] = *a;
	s->more = more;
}

static sp_job_req
job(sp_job_kind kind, const char *key, int64_t amount, const char *reference)
{
	sp_job_req j = sp_job_req_init_zero;
	j.kind = kind;
	j.amount_minor = amount;
	j.currency = 978;
	j.deadline_ms = 1000;
	assert_int_equal(str_set(j.derived_key, sizeof j.derived_key, key), ERR_OK);
	assert_int_equal(str_set(j.reference, sizeof j.reference, reference), ERR_OK);
	assert_int_equal(str_set(j.payment, sizeof j.payment, "pay_1"), ERR_OK);
	assert_int_equal(str_set(j.operation, sizeof j.operation, "op_1"), ERR_OK);
	return j;
}

/* Run one call to its last answer. */
static struct seen
call(const sp_job_req *j, const char *pan)
{
	struct seen s = {.n = 0, .more = true};
	struct gw_card card = {.exp_month = 12, .exp_year = 2030};
	struct gw_call c = {.job = j, .card = &card, .done = see, .arg = &s};
	assert_int_equal(str_set(card.pan, sizeof card.pan, pan), ERR_OK);
	assert_int_equal(gw_simulator.act[j->kind](&c), ERR_OK);
	assert_int_equal(s.n, 0); /* never inside the act function */
	while (s.more)
		event_base_loop(base, EVLOOP_ONCE);
	return s;
}

static struct seen
pay(const char *key, const char *pan, int64_t amount)
{
	sp_job_req j = job(sp_JOB_AUTHORIZE, key, amount, "");
	return call(&j, pan);
}

static struct seen
after(sp_job_kind kind, const char *key, int64_t amount, const struct seen *authorization)
{
	sp_job_req j = job(kind, key, amount, authorization->answer[authorization->n - 1].reference);
	return call(&j, "");
}

static struct seen
inquire(const char *key)
{
	sp_job_req j = job(sp_JOB_INQUIRE, key, 0, "");
	return call(&j, "");
}

static int
set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir) || chdir(dir) != 0)
		return -1;
	base = event_base_new();
	conf = conf_new();
	if (!base || !conf || conf_set(conf, CONF_SIM_TIMEOUT, "20ms") != ERR_OK)
		return -1;
	return gw_simulator.open(base, conf) == ERR_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	gw_simulator.close();
	unlink("simulator.jsonl");
	conf_free(conf);
	event_base_free(base);
	return chdir("/") == 0 ? rmdir(dir) : -1;
}

static void
restart(void)
{
	gw_simulator.close();
	assert_int_equal(gw_simulator.open(base, conf), ERR_OK);
}

/* ── what each outcome looks like ── */

/* first and second answer, how long the first takes at least, what an inquiry finds, how many lines it leaves. */
static const struct expected {
	sp_outcome first, second, found;
	int64_t after_ms;
	unsigned lines;
} expected[SCRIPT_OUTCOMES] = {
	[SCRIPT_APPROVE] = {sp_OUTCOME_APPROVED, 0, sp_OUTCOME_APPROVED, 0, 1},
	[SCRIPT_DECLINE] = {sp_OUTCOME_DECLINED, 0, sp_OUTCOME_DECLINED, 0, 1},
	[SCRIPT_TIMEOUT_BEFORE] = {sp_OUTCOME_UNKNOWN, 0, sp_OUTCOME_NOT_FOUND, TIMEOUT_MS, 0},
	[SCRIPT_TIMEOUT_AFTER] = {sp_OUTCOME_UNKNOWN, 0, sp_OUTCOME_APPROVED, TIMEOUT_MS, 1},
	[SCRIPT_LATE] = {sp_OUTCOME_UNKNOWN, sp_OUTCOME_APPROVED, sp_OUTCOME_APPROVED, TIMEOUT_MS, 1},
	[SCRIPT_LATE_DECLINE] = {sp_OUTCOME_UNKNOWN, sp_OUTCOME_DECLINED, sp_OUTCOME_DECLINED, TIMEOUT_MS, 1},
	[SCRIPT_DUPLICATE] = {sp_OUTCOME_APPROVED, sp_OUTCOME_APPROVED, sp_OUTCOME_APPROVED, 0, 1},
	[SCRIPT_ERROR] = {sp_OUTCOME_NOT_CHARGED, 0, sp_OUTCOME_NOT_FOUND, 0, 0},
	[SCRIPT_SLOW] = {sp_OUTCOME_APPROVED, 0, sp_OUTCOME_APPROVED, TIMEOUT_MS / 2, 1},
	[SCRIPT_AWAY] = {sp_OUTCOME_RETRYABLE, 0, sp_OUTCOME_NOT_FOUND, 0, 0},
	[SCRIPT_AWAY_ONCE] = {sp_OUTCOME_RETRYABLE, 0, sp_OUTCOME_NOT_FOUND, 0, 0},
	[SCRIPT_SILENT] = {sp_OUTCOME_UNKNOWN, 0, sp_OUTCOME_UNKNOWN, TIMEOUT_MS, 1},
	[SCRIPT_CAPTURE_FAILS] = {sp_OUTCOME_APPROVED, 0, sp_OUTCOME_APPROVED, 0, 1},
	[SCRIPT_REFUND_FAILS] = {sp_OUTCOME_APPROVED, 0, sp_OUTCOME_APPROVED, 0, 1},
	[SCRIPT_VOID_FAILS] = {sp_OUTCOME_APPROVED, 0, sp_OUTCOME_APPROVED, 0, 1},
	[SCRIPT_REFUND_PENDING] = {sp_OUTCOME_APPROVED, 0, sp_OUTCOME_APPROVED, 0, 1},
};

static unsigned
lines_in_file(void)
{
	unsigned n = 0;
	int c;
	FILE *f = fopen("simulator.jsonl", "r");
	assert_non_null(f);
	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static void
check_row(const struct script_row *row, const char *key, const char *pan, int64_t amount)
{
	const struct expected *want = &expected[row->outcome];
	unsigned lines = lines_in_file();
	int64_t start = clock_mono_ms();
	struct seen s = pay(key, pan, amount);

	assert_int_equal(s.answer[0].outcome, want->first);
	assert_true(s.at_ms[0] - start >= want->after_ms - 1);
	assert_int_equal(s.n, want->second ? 2 : 1);
	if (want->second) {
		assert_int_equal(s.answer[1].outcome, want->second);
		assert_true(s.at_ms[1] >= s.at_ms[0]);
	}
	const struct gw_answer *last = &s.answer[s.n - 1];
	if (last->outcome == sp_OUTCOME_DECLINED) {
		assert_string_equal(last->decline_code, row->decline_code);
		assert_string_equal(last->network_code, row->network_code);
		assert_string_equal(last->advice, row->advice);
		assert_int_equal(last->amount_minor, 0);
	}
	if (last->outcome == sp_OUTCOME_APPROVED) {
		assert_int_equal(last->amount_minor, amount);
		assert_int_equal(strncmp(last->reference, "sim_", 4), 0);
	}
	if (last->outcome == sp_OUTCOME_UNKNOWN || last->outcome == sp_OUTCOME_NOT_CHARGED)
		assert_int_not_equal(last->cause, ERR_OK);
	assert_int_equal(lines_in_file() - lines, want->lines);
	assert_int_equal(inquire(key).answer[0].outcome, want->found);
}

static void
every_number_and_amount_of_the_table_plays_its_outcome(void **state)
{
	size_t n;
	const struct script_row *rows = script_rows(&n);
	char key[40];
	(void)state;
	assert_true(n > 40);
	for (size_t i = 0; i < n; i++) {
		snprintf(key, sizeof key, "number-%zu", i);
		check_row(&rows[i], key, rows[i].number, 1234);
		snprintf(key, sizeof key, "amount-%zu", i);
		check_row(&rows[i], key, "4242424242424242", rows[i].amount_minor);
	}
}

static void
the_table_is_sound(void **state)
{
	size_t n;
	const struct script_row *rows = script_rows(&n);
	(void)state;
	for (size_t i = 0; i < n; i++) {
		assert_true(str_holds_pan(rows[i].number, strlen(rows[i].number))); /* Luhn */
		assert_in_range(rows[i].amount_minor, 900001, 900099);
		assert_true((rows[i].outcome == SCRIPT_DECLINE) <= (*rows[i].decline_code != 0));
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(rows[i].number, rows[j].number);
			assert_string_not_equal(rows[i].name, rows[j].name);
			assert_int_not_equal(rows[i].amount_minor, rows[j].amount_minor);
		}
	}
	/* everything else approves; a scripted number wins over a scripted amount */
	assert_int_equal(script_choose("4111111111111129", 900100)->outcome, SCRIPT_APPROVE);
	assert_int_equal(script_choose("4000000000000002", 900061)->outcome, SCRIPT_DECLINE);
}

static void
the_same_key_is_the_same_charge_also_after_a_restart(void **state)
{
	(void)state;
	struct seen one = pay("same", "4242424242424242", 700), two = pay("same", "4242424242424242", 700);
	unsigned lines = lines_in_file();
	assert_memory_equal(&one.answer[0], &two.answer[0], sizeof one.answer[0]);
	struct seen declined = pay("same-no", "4000000000009995", 700);
	restart();
	two = pay("same", "4242424242424242", 700);
	assert_memory_equal(&one.answer[0], &two.answer[0], sizeof one.answer[0]);
	two = pay("same-no", "4000000000009995", 700);
	assert_memory_equal(&declined.answer[0], &two.answer[0], sizeof two.answer[0]);
	assert_int_equal(lines_in_file(), lines + 1);
	/* another amount under the same key: nobody may guess */
	two = pay("same", "4242424242424242", 701);
	assert_int_equal(two.answer[0].outcome, sp_OUTCOME_UNKNOWN);
	assert_int_equal(two.answer[0].cause, ERR_IDEMPOTENCY_REUSED);
	assert_int_equal(lines_in_file(), lines + 1);
}

static void
away_once_is_there_the_second_time(void **state)
{
	(void)state;
	assert_int_equal(pay("away-1", "4000009900000277", 5).answer[0].outcome, sp_OUTCOME_RETRYABLE);
	assert_int_equal(pay("away-1", "4000009900000277", 5).answer[0].outcome, sp_OUTCOME_APPROVED);
	assert_int_equal(pay("away-2", "4000009900000269", 5).answer[0].outcome, sp_OUTCOME_RETRYABLE);
	assert_int_equal(pay("away-2", "4000009900000269", 5).answer[0].outcome, sp_OUTCOME_RETRYABLE);
}

static sp_outcome
try(sp_job_kind kind, const char *key, int64_t amount, const struct seen *a)
{
	return after(kind, key, amount, a).answer[0].outcome;
}

static void
sums_are_kept_as_an_issuer_keeps_them(void **state)
{
	(void)state;
	struct seen a = pay("sum", "4242424242424242", 1000);
	assert_int_equal(try(sp_JOB_REFUND, "sum-r0", 1, &a), sp_OUTCOME_DECLINED); /* nothing captured yet */
	assert_int_equal(try(sp_JOB_CAPTURE, "sum-c1", 600, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_CAPTURE, "sum-c1", 600, &a), sp_OUTCOME_APPROVED); /* the same one again */
	struct seen above = after(sp_JOB_CAPTURE, "sum-c2", 401, &a), again;
	assert_string_equal(above.answer[0].decline_code, "amount_exceeds_balance");
	assert_int_equal(try(sp_JOB_REFUND, "sum-r1", 500, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_REFUND, "sum-r2", 101, &a), sp_OUTCOME_DECLINED);
	restart();
	again = after(sp_JOB_CAPTURE, "sum-c2", 401, &a);
	assert_memory_equal(&above.answer[0], &again.answer[0], sizeof above.answer[0]);
	assert_int_equal(try(sp_JOB_REFUND, "sum-r3", 101, &a), sp_OUTCOME_DECLINED);
	assert_int_equal(try(sp_JOB_REFUND, "sum-r4", 100, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_CAPTURE, "sum-c3", 400, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_VOID, "sum-v", 1000, &a), sp_OUTCOME_DECLINED); /* all of it is captured */

	a = pay("void", "4242424242424242", 1000);
	assert_int_equal(try(sp_JOB_VOID, "void-v", 1000, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_CAPTURE, "void-c", 1, &a), sp_OUTCOME_DECLINED);
	assert_int_equal(try(sp_JOB_VOID, "void-v2", 1000, &a), sp_OUTCOME_DECLINED);
	struct seen none = {.n = 1};
	assert_int_equal(try(sp_JOB_CAPTURE, "none-c", 1, &none), sp_OUTCOME_DECLINED);
	a = pay("no", "4000000000000002", 1000);
	assert_int_equal(try(sp_JOB_CAPTURE, "no-c", 1, &a), sp_OUTCOME_DECLINED);
}

static void
automatic_capture_captures_and_reversal_takes_all_back(void **state)
{
	(void)state;
	sp_job_req j = job(sp_JOB_AUTHORIZE, "auto", 1000, "");
	j.auto_capture = true;
	struct seen a = call(&j, "4242424242424242");
	assert_true(a.answer[0].captured);
	assert_int_equal(try(sp_JOB_CAPTURE, "auto-c", 1, &a), sp_OUTCOME_DECLINED);
	restart();
	assert_true(inquire("auto").answer[0].captured);
	assert_int_equal(try(sp_JOB_REVERSE, "auto", 1000, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_REVERSE, "auto", 1000, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_REFUND, "auto-r", 1, &a), sp_OUTCOME_DECLINED);
	assert_int_equal(try(sp_JOB_REVERSE, "never", 1000, &a), sp_OUTCOME_NOT_FOUND);
	a = pay("back", "4242424242424242", 1000);
	assert_int_equal(try(sp_JOB_REVERSE, "back", 1000, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_CAPTURE, "back-c", 1, &a), sp_OUTCOME_DECLINED);
	assert_int_equal(inquire("auto").answer[0].outcome, sp_OUTCOME_APPROVED); /* the charge itself stays in the books */
}

static void
what_comes_after_is_scripted_by_the_card_or_its_own_amount(void **state)
{
	(void)state;
	struct seen a = pay("cf", "4000009900000400", 1000), s;
	s = after(sp_JOB_CAPTURE, "cf-c", 500, &a);
	assert_int_equal(s.answer[0].outcome, sp_OUTCOME_DECLINED);
	assert_string_equal(s.answer[0].decline_code, "capture_refused");
	assert_int_equal(try(sp_JOB_VOID, "cf-v", 1000, &a), sp_OUTCOME_APPROVED);
	a = pay("vf", "4000009900000418", 1000);
	assert_int_equal(try(sp_JOB_VOID, "vf-v", 1000, &a), sp_OUTCOME_DECLINED);
	a = pay("rf", "4000000000005126", 1000);
	restart(); /* the script of the card is known by its name, the card is not */
	assert_int_equal(try(sp_JOB_CAPTURE, "rf-c", 1000, &a), sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_REFUND, "rf-r", 1000, &a), sp_OUTCOME_DECLINED);
	a = pay("rp", "4000000000007726", 1000);
	assert_int_equal(try(sp_JOB_CAPTURE, "rp-c", 1000, &a), sp_OUTCOME_APPROVED);
	s = after(sp_JOB_REFUND, "rp-r", 600, &a);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.answer[0].outcome, sp_OUTCOME_PENDING);
	assert_int_equal(s.answer[1].outcome, sp_OUTCOME_APPROVED);
	assert_int_equal(inquire("rp-r").answer[0].outcome, sp_OUTCOME_APPROVED);
	assert_int_equal(try(sp_JOB_REFUND, "rp-r2", 401, &a), sp_OUTCOME_DECLINED); /* pending money is gone too */

	a = pay("own", "4242424242424242", 2000000);
	assert_int_equal(try(sp_JOB_CAPTURE, "own-c", 900061, &a), sp_OUTCOME_UNKNOWN);
	assert_int_equal(inquire("own-c").answer[0].outcome, sp_OUTCOME_NOT_FOUND);
	assert_int_equal(try(sp_JOB_CAPTURE, "own-c2", 900062, &a), sp_OUTCOME_UNKNOWN);
	assert_int_equal(inquire("own-c2").answer[0].outcome, sp_OUTCOME_APPROVED);
	/* an amount that was scripted when it was authorized is not scripted again as a whole */
	a = pay("whole", "4242424242424242", 900062);
	sp_job_req j = job(sp_JOB_INQUIRE, "whole", 0, "");
	a = call(&j, "");
	assert_int_equal(try(sp_JOB_CAPTURE, "whole-c", 900062, &a), sp_OUTCOME_APPROVED);
}

static void
the_books_hold_no_card_number(void **state)
{
	char text[200000];
	(void)state;
	FILE *f = fopen("simulator.jsonl", "r");
	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = 0;
	assert_true(n > 1000 && n < sizeof text - 1);
	size_t rows_n;
	const struct script_row *rows = script_rows(&rows_n);
	for (size_t i = 0; i < rows_n; i++)
		assert_null(strstr(text, rows[i].number));
	assert_null(strstr(text, "tok_"));
}

static void
append(const char *text)
{
	FILE *f = fopen("simulator.jsonl", "a");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
a_cut_off_line_is_dropped_and_a_damaged_one_is_refused(void **state)
{
	(void)state;
	unsigned lines = lines_in_file();
	gw_simulator.close();
	append("{\"at\":\"2026-01-01T00:00:00.000Z\",\"key\":\"ha");
	assert_int_equal(gw_simulator.open(base, conf), ERR_OK);
	pay("whole-again", "4242424242424242", 3);
	assert_int_equal(lines_in_file(), lines + 1);
	restart();
	assert_int_equal(inquire("whole-again").answer[0].outcome, sp_OUTCOME_APPROVED);

	/* lines that no issuer could have written: each is refused, none brings the process down */
	/* what stands between the key and the amount is the same in most of them */
#define LINE(at, key, kind, authorization, outcome, amount, end)                                          \
	"{\"at\":\"" at "\",\"key\":\"" key "\",\"kind\":\"" kind                                             \
	"\",\"payment\":\"p\",\"operation\":\"o\",\"currency\":\"EUR\",\"reference\":\"\",\"authorization\":" \
	"\"" authorization "\",\"outcome\":\"" outcome "\",\"script\":\"\",\"amount\":" amount ",\"captured\":false}" end
#define NOW "2026-01-01T00:00:00.000Z"
	static const char *const bad[] = {
		"{}\n",
		"\n",
		"no json\n",
		LINE(NOW, "x", "capture", "", "approved", "5", "\n"), /* of nothing */
		LINE(NOW, "x", "capture", "sim_00000000000000000000000000000000", "approved", "5", "\n"),
		LINE(NOW, "x", "authorize", "", "approved", "-5", "\n"),
		LINE(NOW, "x", "authorize", "", "approved", "05", "\n"),
		LINE(NOW, "x", "authorize", "", "approved", "", "\n"),
		LINE(NOW, "x", "authorize", "", "approved", "1000000000000", "\n"),
		LINE(NOW, "x", "authorize", "", "approved", "99999999999999999999999999", "\n"),
		LINE(NOW, "x", "inquire", "", "approved", "5", "\n"),
		LINE(NOW, "x", "authorize", "", "maybe", "5", "\n"),
		LINE("yesterday", "x", "authorize", "", "approved", "5", "\n"),
		LINE(NOW, "x", "authorize", "", "approved", "5", " \n"),
		LINE(NOW, "whole-again", "authorize", "", "approved", "3", "\n"), /* the key is taken */
		LINE(NOW, "x\\u0041", "authorize", "", "approved", "5", "\n"),
		LINE(NOW, "a key of more than seventy-one characters, which is what a job has room for and no more",
			 "authorize", "", "approved", "5", "\n"),
	};
	struct stat st;
	assert_int_equal(stat("simulator.jsonl", &st), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		gw_simulator.close();
		append(bad[i]);
		assert_int_equal(gw_simulator.open(base, conf), ERR_FILE_FORM);
		assert_int_equal(truncate("simulator.jsonl", st.st_size), 0);
		assert_int_equal(gw_simulator.open(base, conf), ERR_OK);
	}
	gw_simulator.close();
	append(LINE(NOW, "x", "authorize", "", "approved", "5", "\n")); /* the form itself is right */
	assert_int_equal(gw_simulator.open(base, conf), ERR_OK);
	assert_int_equal(inquire("x").answer[0].outcome, sp_OUTCOME_APPROVED);
}

static void
a_key_that_could_break_the_line_charges_nothing(void **state)
{
	static const char *const keys[] = {"a\"b", "a\\b", "a\nb", "a b", "\xc3\xa4"};
	(void)state;
	unsigned lines = lines_in_file();
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		sp_job_req j = job(sp_JOB_AUTHORIZE, keys[i], 5, "");
		struct gw_card card = {.pan = "4242424242424242"};
		struct seen s = {.n = 0};
		struct gw_call c = {.job = &j, .card = &card, .done = see, .arg = &s};
		assert_int_equal(gw_simulator.act[j.kind](&c), ERR_CHARACTERS);
		assert_int_equal(inquire(keys[i]).answer[0].outcome, sp_OUTCOME_NOT_FOUND);
	}
	sp_job_req j = job(sp_JOB_AUTHORIZE, "less", -1, "");
	struct gw_card card = {.pan = "4242424242424242"};
	struct gw_call c = {.job = &j, .card = &card, .done = see};
	assert_int_equal(gw_simulator.act[j.kind](&c), ERR_AMOUNT_OUT_OF_RANGE);
	assert_int_equal(lines_in_file(), lines);
}

/* The limit on a file's size stands for the disk: the write ends in the middle of the line. */
static void
a_full_disk_charges_nothing(void **state)
{
	struct rlimit was, full;
	struct stat before, now;
	sp_job_req j = job(sp_JOB_AUTHORIZE, "disk", 5, "");
	struct gw_card card = {.pan = "4242424242424242"};
	struct seen s = {.n = 0};
	struct gw_call c = {.job = &j, .card = &card, .done = see, .arg = &s};
	(void)state;
	assert_int_equal(stat("simulator.jsonl", &before), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	full = was;
	full.rlim_cur = (rlim_t)before.st_size + 10;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	assert_int_equal(gw_simulator.act[j.kind](&c), ERR_DISK_FULL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(s.n, 0);
	assert_int_equal(stat("simulator.jsonl", &now), 0);
	assert_int_equal(now.st_size, before.st_size);
	assert_int_equal(inquire("disk").answer[0].outcome, sp_OUTCOME_NOT_FOUND);
	assert_int_equal(pay("disk", "4242424242424242", 5).answer[0].outcome, sp_OUTCOME_APPROVED);
	restart();
	assert_int_equal(inquire("disk").answer[0].outcome, sp_OUTCOME_APPROVED);
}

/* ── out ── */

static void
outage(const char *mode, const char *how)
{
	assert_int_equal(conf_set(conf, CONF_MODE, mode), ERR_OK);
	assert_int_equal(conf_set(conf, CONF_SIM_OUTAGE, how), ERR_OK);
	gw_simulator.reload(conf);
}

static void
an_outage_is_of_every_card_and_its_effects_are_in_the_books(void **state)
{
	static const struct {
		const char *how;
		sp_outcome outcome;
		enum err cause;
		bool reaches;
	} rows[] = {
		{"refused", sp_OUTCOME_RETRYABLE, ERR_PROCESSOR_AWAY, false},
		{"silent", sp_OUTCOME_UNKNOWN, ERR_DEADLINE, false},
		{"lost", sp_OUTCOME_UNKNOWN, ERR_DEADLINE, true},
		{"garbled", sp_OUTCOME_UNKNOWN, ERR_PROTOCOL, true},
	};
	char key[32];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned lines = lines_in_file();
		snprintf(key, sizeof key, "out-%zu", i);
		outage("test", rows[i].how);
		for (unsigned twice = 0; twice < 2; twice++) {
			struct seen s = pay(key, "4242424242424242", 70);
			assert_int_equal(s.n, 1);
			assert_int_equal(s.answer[0].outcome, rows[i].outcome);
			assert_int_equal(s.answer[0].cause, rows[i].cause);
			assert_false(s.answer[0].scripted);
		}
		assert_int_equal(lines_in_file(), lines + rows[i].reaches); /* the same key, the same charge */
		assert_int_equal(inquire(key).answer[0].outcome, rows[i].outcome);
		outage("test", "none");
		assert_int_equal(inquire(key).answer[0].outcome, rows[i].reaches ? sp_OUTCOME_APPROVED : sp_OUTCOME_NOT_FOUND);
		assert_int_equal(pay(key, "4242424242424242", 70).answer[0].outcome, sp_OUTCOME_APPROVED);
		assert_int_equal(lines_in_file(), lines + 1);
	}
}

static void
in_live_mode_there_is_no_such_switch(void **state)
{
	(void)state;
	outage("live", "refused");
	assert_int_equal(pay("live", "4242424242424242", 70).answer[0].outcome, sp_OUTCOME_APPROVED);
	outage("test", "none");
}

static void
what_a_test_value_plays_is_marked_as_played(void **state)
{
	(void)state;
	assert_true(pay("played-1", "4000009900000202", 70).answer[0].scripted); /* a timeout */
	assert_true(pay("played-2", "4000009900000269", 70).answer[0].scripted); /* away */
	assert_false(pay("played-3", "4242424242424242", 70).answer[0].scripted);
	assert_false(pay("played-4", "4000000000000002", 70).answer[0].scripted); /* a decline is an answer */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(every_number_and_amount_of_the_table_plays_its_outcome),
		cmocka_unit_test(the_same_key_is_the_same_charge_also_after_a_restart),
		cmocka_unit_test(away_once_is_there_the_second_time),
		cmocka_unit_test(sums_are_kept_as_an_issuer_keeps_them),
		cmocka_unit_test(automatic_capture_captures_and_reversal_takes_all_back),
		cmocka_unit_test(what_comes_after_is_scripted_by_the_card_or_its_own_amount),
		cmocka_unit_test(the_books_hold_no_card_number),
		cmocka_unit_test(a_cut_off_line_is_dropped_and_a_damaged_one_is_refused),
		cmocka_unit_test(a_key_that_could_break_the_line_charges_nothing),
		cmocka_unit_test(a_full_disk_charges_nothing),
		cmocka_unit_test(an_outage_is_of_every_card_and_its_effects_are_in_the_books),
		cmocka_unit_test(in_live_mode_there_is_no_such_switch),
		cmocka_unit_test(what_a_test_value_plays_is_marked_as_played),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
