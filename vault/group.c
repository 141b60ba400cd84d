#include "vault/group.h"

#include <assert.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

struct group {
	const struct group_hooks *hooks;
	struct member members[GROUP_MEMBERS_MAX];
	size_t n;
	bool committing; /* `after` must not start a batch inside of one that ends */
};

enum err
group_new(const struct group_hooks *hooks, struct group **out)
{
	*out = mem_new(1, sizeof **out);
	if (!*out)
		return ERR_MEMORY;
	(*out)->hooks = hooks;
	return ERR_OK;
}

void
group_free(struct group *b)
{
	assert(!b || b->n == 0);
	mem_free(b);
}

/* Errors that say nothing about the command and all about the disk. */
static bool
is_disk(enum err e)
{
	return e == ERR_DISK_FULL || e == ERR_IO;
}

static void
end_member(struct vault *v, struct member *m)
{
	if (m->after)
		m->after(v, m);
	if (m->call)
		v->group->hooks->reply(m->call, m->e, m->rep);
	mem_free(m->state);
	mem_free(m->rep);
}

static void
end_all(struct vault *v, enum err e, int64_t took_us)
{
	struct group *b = v->group;
	size_t n = b->n;
	for (size_t i = 0; i < n; i++) {
		if (e != ERR_OK) {
			/* What was not committed did not happen, and nothing of its answer may be seen: it could hold a card. */
			b->members[i].e = ERR_AUDIT_AWAY;
			mem_free(b->members[i].rep);
			b->members[i].rep = NULL;
		}
		end_member(v, &b->members[i]);
		b->members[i] = (struct member){0};
	}
	b->n = 0;
	b->hooks->written(v, e, n, took_us);
}

/* The whole batch is lost: roll back, tell every member, and let the process see to the disk. */
static enum err
fail(struct vault *v, enum err why)
{
	db_rollback(v->db);
	logbook_undone(v->log);
	log_warn("audit log not written", LOG_E("cause", why), LOG_I("commands", v->group->n));
	end_all(v, why, 0);
	return ERR_AUDIT_AWAY;
}

/* ERR_IO when it failed with rows written: then only the whole batch can be taken back. */
static enum err
act(struct vault *v, const struct group_command *c, const void *req, struct member *m)
{
	size_t leaves = logbook_queued(v->log);
	uint64_t rows = db_changes_all(v->db);
	enum err e = c->act(v, req, m);
	if (e == ERR_OK || is_disk(e))
		return e;
	if (db_changes_all(v->db) != rows) {
		log_warn("a command failed after it had written", LOG_E("cause", e));
		return ERR_IO;
	}
	if (!c->refusal_body) {
		mem_free(m->rep);
		m->rep = NULL;
	}
	logbook_drop_after(v->log, leaves);
	if (c->deny)
		c->deny(v, req, e);
	return e;
}

void
group_run(struct vault *v, struct call *call, const struct group_command *c, const void *req)
{
	struct group *b = v->group;
	enum err e = ERR_OK;
	assert(!b->committing);
	struct member *m = &b->members[b->n++];
	*m = (struct member){.call = call};
	if (!db_in_transaction(v->db))
		e = db_begin(v->db);
	if (e == ERR_OK && c->rep_bytes > 0 && !(m->rep = mem_new(1, c->rep_bytes)))
		m->e = ERR_MEMORY;
	else if (e == ERR_OK)
		e = m->e = act(v, c, req, m);
	/* SQLite ends a transaction by itself on some errors: then there is nothing left that could be committed. */
	if (is_disk(e) || !db_in_transaction(v->db))
		(void)fail(v, is_disk(e) ? e : ERR_IO);
	else if (b->n == GROUP_MEMBERS_MAX)
		(void)group_commit(v);
}

enum err
group_commit(struct vault *v)
{
	struct group *b = v->group;
	if (b->n == 0)
		return ERR_OK;
	int64_t start_us = clock_mono_us();
	enum err e = logbook_write(v->log);
	if (e == ERR_OK)
		e = db_commit(v->db);
	if (e != ERR_OK)
		return fail(v, is_disk(e) ? e : ERR_IO);
	logbook_committed(v->log);
	b->committing = true;
	end_all(v, ERR_OK, clock_mono_us() - start_us);
	b->committing = false;
	return ERR_OK;
}
