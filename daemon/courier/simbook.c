#include "daemon/courier/simbook.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "daemon/base/currency.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/money.h"
#include "daemon/base/str.h"
#include "daemon/courier/simline.h"

struct simbook {
	int fd;
	int64_t end; /* where the last whole line ends */
	struct simbook_entry *entries;
	uint32_t count, room;
	uint32_t *index; /* open addressing over entries: number from 1, 0 is free */
	uint32_t index_size;
};

static const char *const kinds[_sp_job_kind_ARRAYSIZE] = {
	[sp_JOB_AUTHORIZE] = "authorize", [sp_JOB_CAPTURE] = "capture", [sp_JOB_VOID] = "void",
	[sp_JOB_REFUND] = "refund",       [sp_JOB_REVERSE] = "reverse",
};
static const char *const outcomes[_sp_outcome_ARRAYSIZE] = {
	[sp_OUTCOME_APPROVED] = "approved",
	[sp_OUTCOME_DECLINED] = "declined",
	[sp_OUTCOME_PENDING] = "pending",
};

static int
word_of(const char *const *words, int n, const char *text)
{
	for (int i = 0; i < n; i++)
		if (words[i] && strcmp(words[i], text) == 0)
			return i;
	return -1;
}

/* A reversal has the key of what it takes back, so it needs a name of its own in the books. */
static void
hash_key(const char *derived_key, sp_job_kind kind, uint8_t out[16])
{
	static const uint8_t reverse[crypto_generichash_KEYBYTES_MIN] = "reverse";
	bool own = kind == sp_JOB_REVERSE;
	crypto_generichash(out, 16, (const uint8_t *)derived_key, strlen(derived_key), own ? reverse : NULL,
					   own ? sizeof reverse : 0);
}

/* ── the index ── */

static uint32_t *
slot_of(const struct simbook *b, const uint8_t key[16])
{
	uint32_t at;
	memcpy(&at, key, sizeof at);
	for (at &= b->index_size - 1;; at = (at + 1) & (b->index_size - 1)) {
		uint32_t number = b->index[at];
		if (number == 0 || memcmp(b->entries[number - 1].key, key, 16) == 0)
			return &b->index[at];
	}
}

static const struct simbook_entry *
find(const struct simbook *b, const uint8_t key[16])
{
	uint32_t number = *slot_of(b, key);
	return number ? &b->entries[number - 1] : NULL;
}

/* Room for one more entry, and an index that stays at most half full. */
static enum err
make_room(struct simbook *b)
{
	if (b->count >= SIMBOOK_ENTRIES_MAX)
		return ERR_LIMIT;
	if (b->count == b->room) {
		uint32_t room = b->room ? b->room * 2 : 1024;
		void *p = mem_grow(b->entries, room * sizeof *b->entries);
		if (!p)
			return ERR_MEMORY;
		b->entries = p;
		b->room = room;
	}
	if (b->count * 2 < b->index_size)
		return ERR_OK;
	uint32_t size = b->index_size ? b->index_size * 2 : 4096, *old = b->index;
	uint32_t *index = mem_new(size, sizeof *index);
	if (!index)
		return ERR_MEMORY;
	b->index = index;
	b->index_size = size;
	for (uint32_t i = 0; i < b->count; i++)
		*slot_of(b, b->entries[i].key) = i + 1;
	mem_free(old);
	return ERR_OK;
}

/* ── what an effect does to its authorization ── */

static void
apply(struct simbook *b, const struct simbook_entry *e)
{
	if (e->outcome == sp_OUTCOME_DECLINED || e->authorization == 0)
		return;
	struct simbook_entry *on = &b->entries[e->authorization - 1];
	switch (e->kind) {
	case sp_JOB_CAPTURE:
		on->captured_minor += e->amount_minor;
		break;
	case sp_JOB_REFUND:
		on->refunded_minor += e->amount_minor;
		break;
	case sp_JOB_REVERSE:
		on->refunded_minor = on->captured_minor;
		on->closed = true;
		break;
	case sp_JOB_VOID:
		on->closed = true;
		break;
	default:
		assert(false && "an effect of this kind stands alone");
	}
	assert(on->refunded_minor <= on->captured_minor && on->captured_minor <= on->amount_minor);
}

/* The file is input, even if it is ours: an effect that its authorization can't have is no effect. */
static bool
fits(const struct simbook *b, const struct simbook_entry *e)
{
	if (e->authorization == 0)
		return e->kind == sp_JOB_AUTHORIZE || e->outcome == sp_OUTCOME_DECLINED;
	const struct simbook_entry *on = &b->entries[e->authorization - 1];
	if (e->kind == sp_JOB_AUTHORIZE || on->kind != sp_JOB_AUTHORIZE)
		return false;
	if (e->outcome == sp_OUTCOME_DECLINED)
		return true;
	if (e->kind == sp_JOB_CAPTURE)
		return e->amount_minor <= on->amount_minor - on->captured_minor;
	return e->kind != sp_JOB_REFUND || e->amount_minor <= on->captured_minor - on->refunded_minor;
}

/* make_room was called before: this can't fail. */
static const struct simbook_entry *
enter(struct simbook *b, const struct simbook_entry *e)
{
	b->entries[b->count] = *e;
	*slot_of(b, e->key) = ++b->count;
	apply(b, e);
	return &b->entries[b->count - 1];
}

/* ── the file ── */

/* Text from the job's fixed arrays to the line's, which are as large. */
#define COPY(to, from)                                      \
	do {                                                    \
		_Static_assert(sizeof(to) >= sizeof(from), "room"); \
		memcpy(to, from, sizeof(from));                     \
	} while (0)

static enum err
line_of(const sp_job_req *job, const struct simbook_entry *e, const struct simbook_entry *on, struct simline *out)
{
	const struct currency *currency = currency_of((uint16_t)job->currency);

	*out = (struct simline){.amount_minor = e->amount_minor, .captured = e->captured};
	clock_text(e->at_ms, out->at);
	COPY(out->key, job->derived_key);
	COPY(out->payment, job->payment);
	COPY(out->operation, job->operation);
	simbook_reference(e, out->reference);
	if (on)
		simbook_reference(on, out->authorization);
	if (currency)
		COPY(out->currency, currency->code);
	enum err err = str_set(out->kind, sizeof out->kind, kinds[e->kind]);
	if (err == ERR_OK)
		err = str_set(out->outcome, sizeof out->outcome, outcomes[e->outcome]);
	return err == ERR_OK ? str_set(out->script, sizeof out->script, e->script->name) : err;
}

static enum err
append(struct simbook *b, const struct simline *line)
{
	char text[SIMLINE_BYTES_MAX];
	size_t n;
	enum err e = simline_write(line, text, &n);
	if (e != ERR_OK)
		return e;
	ssize_t put = write(b->fd, text, n);
	if (put == (ssize_t)n) {
		b->end += (int64_t)n;
		return ERR_OK;
	}
	e = put >= 0 || errno == ENOSPC || errno == EDQUOT ? ERR_DISK_FULL : ERR_IO;
	/* half a line must not stand before a later one */
	if (put > 0 && ftruncate(b->fd, b->end) != 0)
		e = ERR_IO;
	return e;
}

static enum err
enter_line(struct simbook *b, const struct simline *line)
{
	int k = word_of(kinds, _sp_job_kind_ARRAYSIZE, line->kind);
	int o = word_of(outcomes, _sp_outcome_ARRAYSIZE, line->outcome);
	const struct simbook_entry *on = *line->authorization ? simbook_find_reference(b, line->authorization) : NULL;
	struct simbook_entry e = {.amount_minor = line->amount_minor, .captured = line->captured};

	if (k < 0 || o < 0 || (*line->authorization && !on) || clock_parse(line->at, &e.at_ms) != ERR_OK)
		return ERR_FILE_FORM;
	e.kind = (uint8_t)k;
	e.outcome = (uint8_t)o;
	e.captured_minor = e.captured ? e.amount_minor : 0;
	e.authorization = on ? (uint32_t)(on - b->entries) + 1 : 0;
	/* a row that has gone from the table since then: what it did stands, what it would do is lost */
	e.script = script_of_name(line->script);
	if (!e.script)
		e.script = script_of_name("");
	hash_key(line->key, (sp_job_kind)k, e.key);
	enum err err = make_room(b);
	if (err != ERR_OK)
		return err;
	if (find(b, e.key) || !fits(b, &e))
		return ERR_FILE_FORM;
	enter(b, &e);
	return ERR_OK;
}

static enum err
read_file(struct simbook *b, FILE *f)
{
	struct simline line;
	char *text = NULL;
	size_t room = 0;
	ssize_t n;
	enum err e = ERR_OK;

	while (e == ERR_OK && (n = getline(&text, &room, f)) > 0) {
		if (text[n - 1] != '\n') {
			log_warn("simulator's books: a cut-off last line was dropped", LOG_I("line", b->count + 1));
			break;
		}
		e = simline_read(text, (size_t)n, &line);
		if (e == ERR_OK)
			e = enter_line(b, &line);
		if (e != ERR_OK)
			log_warn("simulator's books can't be read", LOG_I("line", b->count + 1), LOG_E("error", e));
		b->end += n;
	}
	free(text);
	return e == ERR_OK && ferror(f) ? ERR_IO : e;
}

enum err
simbook_open(const char *path, struct simbook **out)
{
	enum err e = ERR_MEMORY;
	FILE *f = NULL;
	struct simbook *b = mem_new(1, sizeof *b);

	*out = NULL;
	if (!b)
		return ERR_MEMORY;
	b->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	/* the courier before us may still be ending: what it adds must be read, not overlooked */
	if (b->fd < 0 || flock(b->fd, LOCK_EX) != 0) {
		e = ERR_IO;
		goto out;
	}
	if ((e = make_room(b)) != ERR_OK)
		goto out;
	/* a second open file description: closing the stream must not close ours */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !(f = fdopen(fd, "r"))) {
		if (fd >= 0)
			close(fd);
		e = ERR_IO;
		goto out;
	}
	e = read_file(b, f);
	if (e == ERR_OK && ftruncate(b->fd, b->end) != 0)
		e = ERR_IO;
out:
	if (f)
		fclose(f);
	if (e != ERR_OK)
		simbook_close(b);
	else
		*out = b;
	return e;
}

void
simbook_close(struct simbook *b)
{
	if (!b)
		return;
	if (b->fd >= 0)
		close(b->fd);
	mem_free(b->entries);
	mem_free(b->index);
	mem_free(b);
}

const struct simbook_entry *
simbook_find(const struct simbook *b, const char *derived_key, sp_job_kind kind)
{
	uint8_t key[16];
	hash_key(derived_key, kind, key);
	return find(b, key);
}

const struct simbook_entry *
simbook_find_reference(const struct simbook *b, const char *reference)
{
	uint8_t key[16];
	if (strncmp(reference, "sim_", 4) != 0 || str_unhex(reference + 4, key, sizeof key) != ERR_OK)
		return NULL;
	return find(b, key);
}

void
simbook_reference(const struct simbook_entry *e, char out[SIMBOOK_REFERENCE_BYTES])
{
	memcpy(out, "sim_", 4);
	str_hex(e->key, sizeof e->key, out + 4);
}

enum err
simbook_add(struct simbook *b, const sp_job_req *job, const struct simbook_entry *on, sp_outcome outcome,
			const struct script_row *script, const struct simbook_entry **entry_out)
{
	struct simbook_entry new = {
		.at_ms = clock_wall_ms(),
		.amount_minor = job->amount_minor,
		.script = script,
		.authorization = on ? (uint32_t)(on - b->entries) + 1 : 0,
		.kind = (uint8_t)job->kind,
		.outcome = (uint8_t)outcome,
		.captured = job->kind == sp_JOB_AUTHORIZE && job->auto_capture && outcome == sp_OUTCOME_APPROVED,
	};
	struct simline line;

	if (job->amount_minor < 0 || job->amount_minor > MONEY_MAX_MINOR)
		return ERR_AMOUNT_OUT_OF_RANGE;
	enum err e = make_room(b);
	if (e != ERR_OK)
		return e;
	if (on)
		on = &b->entries[new.authorization - 1]; /* make_room may have moved it */
	new.captured_minor = new.captured ? new.amount_minor : 0;
	hash_key(job->derived_key, job->kind, new.key);
	assert(!find(b, new.key) && fits(b, &new));
	if ((e = line_of(job, &new, on, &line)) == ERR_OK)
		e = append(b, &line);
	if (e == ERR_OK)
		*entry_out = enter(b, &new);
	return e;
}

uint32_t
simbook_count(const struct simbook *b)
{
	return b->count;
}
