/*
 * The power is cut at a random write, truncation or sync, thousands of times, over one growing store: what was
 * acknowledged is there, what was not is there whole or not at all, each row has its leaf, the tree is the leaves'
 * tree. Two planted faults show that the test would see: a disk whose sync lies, and leaves in a transaction of their
 * own. POWER_TRIALS (10000) and SEED are taken from the environment; the seed is printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "daemon/base/log.h"
#include "daemon/db/logbook.h"
#include "tests/unit/db/powerdisk.h"

#define TRIALS      10000
#define FRESH_EVERY 200 /* trials on one store */
#define CUT_WITHIN  60  /* operations */

static const uint8_t key[32] = {4};
static const char *schema[2] = {NULL, "CREATE TABLE effect(id INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT"};
static uint32_t seed;

static uint32_t
draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

struct world {
	struct db *d;
	struct logbook *b;
	uint64_t told;    /* effects that were acknowledged */
	uint64_t at_most; /* of which the last batch may be there too */
	bool apart;       /* planted: leaves in a transaction of their own */
};

static enum err
open_world(struct world *w)
{
	/* a small limit, so that both kinds of checkpoint happen */
	static const struct db_options o = {.wal_bytes_max = 96 << 10};
	w->d = NULL;
	w->b = NULL;
	enum err e = db_open("power.db", key, &o, &w->d);
	if (e == ERR_OK)
		e = db_migrate(w->d, schema, 2);
	if (e == ERR_OK)
		e = logbook_open(w->d, "sallyport.power/a/vault", "power", "vault", &w->b);
	return e;
}

static void
close_world(struct world *w)
{
	logbook_close(w->b);
	db_close(w->d);
}

static enum err
add_effect(struct world *w, uint64_t id)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)id);
	struct stmt *s = db_stmt(w->d, "INSERT INTO effect(id, note) VALUES (?1, ?2)");
	stmt_int(s, 1, (int64_t)id);
	stmt_text(s, 2, text);
	enum err e = stmt_run(s);
	struct leaf l = {.event = EVENT_TOKENIZE, .actor = ACTOR_CLIENT, .actor_id = "demo", .object_id = text};
	return e == ERR_OK ? logbook_add(w->b, &l, NULL) : e;
}

static enum err
write_leaves(struct world *w)
{
	enum err e = logbook_write(w->b);
	if (e == ERR_OK)
		e = db_commit(w->d);
	if (e == ERR_OK)
		logbook_committed(w->b);
	else
		logbook_undone(w->b);
	return e;
}

static enum err
batch(struct world *w)
{
	unsigned n = 1 + draw() % 12;
	enum err e = db_begin(w->d);
	w->at_most = w->told + n;
	for (unsigned i = 0; e == ERR_OK && i < n; i++)
		e = add_effect(w, w->told + i);
	if (e == ERR_OK && w->apart) {
		e = db_commit(w->d);
		if (e == ERR_OK)
			e = db_begin(w->d);
	}
	if (e == ERR_OK)
		e = write_leaves(w);
	else
		db_rollback(w->d);
	if (e == ERR_OK) {
		w->told = w->at_most;
		e = db_between_batches(w->d);
	}
	return e;
}

/* What the store says after the cut: NULL, or what is wrong. */
static const char *
judge(struct world *w)
{
	struct checkpoint at;
	bool row;
	if (open_world(w) != ERR_OK)
		return "it does not open";
	struct stmt *s = db_stmt(w->d, "SELECT count(*), coalesce(max(id) + 1, 0) FROM effect");
	if (stmt_row(s, &row) != ERR_OK || !row)
		return "it can't be read";
	uint64_t count = (uint64_t)col_int(s, 0), next = (uint64_t)col_int(s, 1);
	stmt_done(s);
	logbook_position(w->b, &at);
	if (count != next)
		return "a hole among the effects";
	if (count < w->told)
		return "an acknowledged effect is lost";
	if (count != w->told && count != w->at_most)
		return "a batch is there by half";
	if (at.size != count)
		return "effects and leaves differ in number";
	w->told = count;
	return NULL;
}

static const char *
check_pages(struct world *w)
{
	bool row;
	struct stmt *s = db_stmt(w->d, "PRAGMA integrity_check(1)");
	const char *fault =
		stmt_row(s, &row) == ERR_OK && row && strcmp(col_text(s, 0), "ok") == 0 ? NULL : "the pages are damaged";
	stmt_done(s);
	return fault;
}

/* Faults found in so many cuts; *first_out the first one's words. */
static unsigned
cut_again_and_again(unsigned trials, bool apart, const char **first_out)
{
	struct world w = {.apart = apart};
	unsigned faults = 0;
	*first_out = NULL;
	for (unsigned i = 0; i < trials; i++) {
		const char *fault = NULL;
		if (i % FRESH_EVERY == 0) {
			powerdisk_format();
			w.told = w.at_most = 0;
		}
		powerdisk_cut_at(1 + draw() % CUT_WITHIN);
		enum err e = open_world(&w);
		w.at_most = w.told;
		while (e == ERR_OK && !powerdisk_is_off())
			e = batch(&w);
		close_world(&w);
		powerdisk_recover(&seed);
		fault = judge(&w);
		if (!fault && i % 50 == 0)
			fault = check_pages(&w);
		close_world(&w);
		if (fault) {
			faults++;
			*first_out = *first_out ? *first_out : fault;
			powerdisk_format();
			w.told = w.at_most = 0;
		}
	}
	return faults;
}

static void
nothing_is_lost_and_nothing_is_there_by_half(void **state)
{
	const char *text = getenv("POWER_TRIALS"), *first;
	unsigned trials = text ? (unsigned)strtoul(text, NULL, 10) : TRIALS;
	(void)state;
	unsigned faults = cut_again_and_again(trials, false, &first);
	if (faults)
		fprintf(stderr, "%u faults, the first: %s\n", faults, first);
	assert_int_equal(faults, 0);
	printf("             %u cuts, %llu operations\n", trials, (unsigned long long)powerdisk_operations());
}

static void
a_disk_that_lies_is_seen(void **state)
{
	const char *first;
	(void)state;
	powerdisk_lie(true);
	unsigned faults = cut_again_and_again(60, false, &first);
	powerdisk_lie(false);
	assert_true(faults > 5);
	powerdisk_format();
}

static void
leaves_of_their_own_are_seen(void **state)
{
	const char *first;
	(void)state;
	unsigned faults = cut_again_and_again(400, true, &first);
	assert_true(faults > 5);
	assert_string_equal(first, "effects and leaves differ in number");
}

static int
set_up(void **state)
{
	const char *text = getenv("SEED");
	(void)state;
	seed = text ? (uint32_t)strtoul(text, NULL, 10) : (uint32_t)time(NULL);
	seed = seed ? seed : 1;
	printf("             SEED=%u\n", seed);
	schema[0] = logbook_schema;
	log_level(SEVERITY_FATAL);
	assert_int_equal(db_warm(), ERR_OK);
	powerdisk_install();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_and_nothing_is_there_by_half),
		cmocka_unit_test(a_disk_that_lies_is_seen),
		cmocka_unit_test(leaves_of_their_own_are_seen),
	};
	return cmocka_run_group_tests_name("power", tests, set_up, NULL);
}
