#include "daemon/ledger/flight.h"

#include <assert.h>
#include <string.h>

#include "daemon/base/mem.h"

/* Ids end in random characters, so a short hash of the text spreads well enough. */
#define BUCKETS 4096

static struct flight *by_attempt[BUCKETS], *by_payment[BUCKETS];
static unsigned count, in_stage[FLIGHT_STAGES];
static uint64_t changes; /* of the chains */

static unsigned
bucket_of(const char *text)
{
	uint32_t h = 2166136261U;
	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619U;
	return (h ^ (h >> 15)) % BUCKETS;
}

static void
link_attempt(struct flight *f)
{
	unsigned b = bucket_of(f->job.attempt);
	f->next_attempt = by_attempt[b];
	by_attempt[b] = f;
	changes++;
}

static void
unlink_attempt(struct flight *f)
{
	struct flight **at = &by_attempt[bucket_of(f->job.attempt)];
	while (*at != f)
		at = &(*at)->next_attempt;
	*at = f->next_attempt;
	changes++;
}

enum err
flight_new(const sp_job_req *job, enum flight_stage stage, struct flight **out)
{
	*out = NULL;
	if (count >= FLIGHT_MAX)
		return ERR_OVERLOADED;
	if (flight_of_payment(job->payment))
		return ERR_OPERATION_IN_FLIGHT;
	struct flight *f = mem_new(1, sizeof *f);
	if (!f)
		return ERR_MEMORY;
	f->job = *job;
	f->stage = stage;
	in_stage[stage]++;
	memcpy(f->row.text, job->attempt, sizeof f->row.text);
	f->tries = 1;
	link_attempt(f);
	unsigned b = bucket_of(job->payment);
	f->next_payment = by_payment[b];
	by_payment[b] = f;
	count++;
	*out = f;
	return ERR_OK;
}

void
flight_set(struct flight *f, enum flight_stage stage)
{
	in_stage[f->stage]--;
	in_stage[stage]++;
	f->stage = stage;
}

unsigned
flight_in(enum flight_stage stage)
{
	return in_stage[stage];
}

struct flight *
flight_of(const char *attempt)
{
	struct flight *f = by_attempt[bucket_of(attempt)];
	while (f && strcmp(f->job.attempt, attempt) != 0)
		f = f->next_attempt;
	return f;
}

struct flight *
flight_of_payment(const char *payment)
{
	struct flight *f = by_payment[bucket_of(payment)];
	while (f && strcmp(f->job.payment, payment) != 0)
		f = f->next_payment;
	return f;
}

void
flight_rename(struct flight *f, const char *attempt)
{
	assert(strlen(attempt) < sizeof f->job.attempt);
	unlink_attempt(f);
	memcpy(f->job.attempt, attempt, strlen(attempt) + 1);
	memcpy(f->row.text, attempt, strlen(attempt) + 1);
	link_attempt(f);
	f->tries++;
	f->listed = false;
}

void
flight_end(struct flight *f)
{
	assert(!f->waiting);
	unlink_attempt(f);
	struct flight **at = &by_payment[bucket_of(f->job.payment)];
	while (*at != f)
		at = &(*at)->next_payment;
	*at = f->next_payment;
	count--;
	in_stage[f->stage]--;
	mem_free(f);
}

unsigned
flight_count(void)
{
	return count;
}

void
flight_each(void (*visit)(struct flight *f, void *arg), void *arg)
{
	for (unsigned b = 0; b < BUCKETS && count; b++)
		for (struct flight *f = by_attempt[b]; f;) {
			uint64_t before = changes;
			visit(f, arg);
			/* a chain that changed under us is begun again: its links may be gone */
			f = before == changes ? f->next_attempt : by_attempt[b];
		}
}
